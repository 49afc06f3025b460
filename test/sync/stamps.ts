/** Stamps and a hand-turned clock for the tests of sync/. */

import type { Clock, Stamp } from '../../drivers/sample.ts';

const bootId = '5f1c0b52-9c0f-4a53-8f0c-5b8a1f5d9a11';
const originNs = 1_790_000_000_000_000_000n;

/** A stamp `ms` after an arbitrary origin; fields may be replaced. */
export function stampAt(ms: number, replaced: Partial<Stamp> = {}): Stamp {
  const monotonicNs = 5_000_000_000n + BigInt(Math.round(ms * 1e6));
  return {
    capturedAtNs: originNs + monotonicNs,
    monotonicNs,
    bootId,
    synchronised: true,
    estimatedErrorNs: 2_000_000n,
    ...replaced,
  };
}

/** A clock that runs with the process. */
export function testClock(): Clock {
  const startedNs = process.hrtime.bigint();
  const monotonicNs = (): bigint => 5_000_000_000n + process.hrtime.bigint() - startedNs;
  const at = (ns: bigint): Stamp => ({ ...stampAt(0), capturedAtNs: originNs + ns, monotonicNs: ns });
  return { now: () => at(monotonicNs()), monotonicNs, at };
}

/** Waits until `holds` returns true, looking every 10 ms; throws after `timeoutMs` with what was waited for. */
export async function until(what: string, holds: () => boolean, timeoutMs = 20_000): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!holds()) {
    if (performance.now() > endMs) throw new Error(`waited ${timeoutMs} ms in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A small generator of random numbers 0 ≤ x < 1 that a seed replays (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
