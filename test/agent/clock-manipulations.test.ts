/** Order within a boot, whatever anybody does to the system clock: random manipulations with stamps taken, and asked again, in between. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type ClockStep, SystemClock } from '../../agent/clock.ts';
import type { ClockQuality } from '../../agent/clock-quality.ts';
import type { Stamp } from '../../drivers/sample.ts';
import { SimulatedTime } from './clock-simulated-time.ts';

const MS = 1_000_000n;
const SECOND = 1000n * MS;
const YEAR = 31_557_600n * SECOND;
const THRESHOLD_MS = 50;
/** Below this two moments may share a nanosecond while a leap back is being caught up with. */
const RESOLUTION_NS = 2_000n;

/** Sizes of a change of the system clock: from what cannot be seen to a boot without a clock. */
const change = fc.oneof(
  fc.bigInt({ min: -3n * MS, max: 3n * MS }),
  fc.bigInt({ min: -60n * MS, max: 60n * MS }),
  fc.constantFrom(-3600n * SECOND, 3600n * SECOND, -10n * YEAR, 10n * YEAR, 56n * YEAR),
);
const command = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('pass' as const), ns: fc.bigInt({ min: 1n, max: 200n * MS }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ns: fc.bigInt({ min: 1n, max: 600n * SECOND }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('change' as const), ns: change }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('now' as const), ns: fc.constant(0n) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('at' as const), ns: fc.bigInt({ min: 0n, max: 5n * SECOND }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('check' as const), ns: fc.constant(0n) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('quality' as const), ns: fc.bigInt({ min: 0n, max: 3n }) }) },
);

/** Plays the commands; returns every stamp that was given, and the steps in the order they were told among them. */
async function play(commands: readonly { do: string; ns: bigint }[]) {
  const time = new SimulatedTime();
  let quality: ClockQuality = { synchronised: false, estimatedErrorNs: null, source: 'none' };
  const clock = new SystemClock(
    { checkPeriodMs: 1e9, qualityPeriodMs: 1e9, stepThresholdMs: THRESHOLD_MS },
    time,
    async () => quality,
  );
  const steps: ClockStep[] = [];
  const stop = new AbortController();
  const running = clock.run(stop.signal, (step) => steps.push(step));
  const stamps: Stamp[] = [];
  for (const { do: what, ns } of commands) {
    if (what === 'pass') time.monotonic += ns;
    else if (what === 'change') time.offsetNs += ns;
    else if (what === 'now') stamps.push(clock.now());
    else if (what === 'at') stamps.push(clock.at(time.monotonic - ns));
    else if (what === 'check') clock.check();
    else {
      quality = {
        synchronised: ns % 2n === 0n,
        estimatedErrorNs: ns % 2n === 0n ? ns * 1000n : null,
        source: 'chrony',
      };
      await clock.refreshQuality();
    }
  }
  stop.abort();
  await running;
  return { clock, time, stamps, steps };
}

it('gives a moment the same stamp whenever it is asked, and keeps the order between two steps', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 40 }), async (commands) => {
      const { clock, stamps, steps } = await play(commands);
      for (const stamp of stamps) expect(clock.at(stamp.monotonicNs)).toEqual(stamp);
      const pieceOf = (m: bigint) => steps.filter(({ stamp }) => stamp.monotonicNs <= m).length;
      const ordered = stamps.toSorted((a, b) => (a.monotonicNs < b.monotonicNs ? -1 : 1));
      for (const [index, b] of ordered.entries()) {
        const a = ordered[index - 1];
        if (a === undefined || pieceOf(a.monotonicNs) !== pieceOf(b.monotonicNs)) continue;
        const passedNs = b.monotonicNs - a.monotonicNs;
        const shownNs = b.capturedAtNs - a.capturedAtNs;
        if (passedNs >= RESOLUTION_NS) expect(shownNs).toBeGreaterThan(0n);
        // Never more than 500 ppm from the true rate, so never back.
        expect(shownNs).toBeGreaterThanOrEqual(passedNs - passedNs / 2000n - 1n);
        expect(shownNs).toBeLessThanOrEqual(passedNs + passedNs / 2000n + 1n);
      }
    }),
    { numRuns: 400 },
  );
});

it('is never further from the system clock than the threshold, tells each step as far as it went, and marks what it doubts', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 40 }), async (commands) => {
      const { clock, time, stamps, steps } = await play(commands);
      const now = clock.now();
      const farNs = now.capturedAtNs - now.monotonicNs - time.offsetNs;
      expect(farNs < 0n ? -farNs : farNs).toBeLessThan(BigInt(THRESHOLD_MS + 1) * MS);
      expect(clock.statistics().steps).toBeGreaterThanOrEqual(steps.length);
      for (const step of steps) {
        const { stamp, stepNs } = step;
        const before = clock.at(stamp.monotonicNs - 1n);
        const jumpNs = stamp.capturedAtNs - before.capturedAtNs - 1n - stepNs;
        expect(jumpNs < 0n ? -jumpNs : jumpNs).toBeLessThanOrEqual(1n);
        expect(stamp.synchronised).toBe(false);
        expect(stepNs >= BigInt(THRESHOLD_MS) * MS || stepNs <= -BigInt(THRESHOLD_MS) * MS).toBe(true);
      }
      for (const { synchronised, estimatedErrorNs } of stamps) if (!synchronised) expect(estimatedErrorNs).toBeNull();
    }),
    { numRuns: 200 },
  );
});

it('holds a bounded history of a clock that never stands still, and stamps the present right', () => {
  const time = new SimulatedTime();
  const clock = new SystemClock({ checkPeriodMs: 1000, qualityPeriodMs: 1000, stepThresholdMs: 50 }, time);
  const oldest = clock.now();
  const recent: Stamp[] = [];
  for (let i = 0; i < 5000; i++) {
    time.monotonic += 100n * MS;
    time.offsetNs += i % 2 === 0 ? SECOND : -SECOND;
    recent.push(clock.now());
  }
  for (const stamp of recent.slice(-100)) expect(clock.at(stamp.monotonicNs)).toEqual(stamp);
  expect(clock.statistics().steps).toBe(5000);
  const forgotten = clock.at(oldest.monotonicNs);
  expect(forgotten.monotonicNs).toBe(oldest.monotonicNs);
  const farNs = forgotten.capturedAtNs - oldest.capturedAtNs;
  expect(farNs >= -SECOND && farNs <= SECOND).toBe(true);
});
