/**
 * The vehicle's clock: UTC nanoseconds derived from CLOCK_MONOTONIC by a disciplined offset, with the boot id and the
 * clock's quality on every stamp. A step of the system clock is noticed, taken over and reported.
 */
import { readFileSync } from 'node:fs';
import type { Clock, Stamp } from '../drivers/sample.ts';
import { type ClockQuality, type ReadClockQuality, readClockQuality } from './clock-quality.ts';

/** The two clocks of the machine; injected by tests. */
export interface TimeSource {
  /** CLOCK_MONOTONIC in nanoseconds. */
  monotonicNs(): bigint;
  /** System time in whole milliseconds since 1970, truncated as Date.now() is. */
  utcMs(): number;
  bootId: string;
}

/** A jump of the system clock. */
export interface ClockStep {
  /** How far the clock jumped, in nanoseconds; positive is forward. */
  readonly stepNs: bigint;
  /** The stamp just after it, by the new time. */
  readonly stamp: Stamp;
}

const MILLISECOND_NS = 1_000_000n;

/**
 * The offset UTC − monotonic after one more look at both clocks. `utcMs` is truncated, so the true offset lies in a
 * window of 1 ms above the difference; an estimate inside it stays, one outside is moved to the window's nearer edge
 * (a slewed clock) and, if it was out by more than `stepNs`, to its middle with `stepNs` telling by how much.
 * All in nanoseconds.
 */
export function disciplineOffset(
  offsetNs: bigint,
  reading: { readonly monotonicNs: bigint; readonly utcMs: number },
  stepThresholdNs: bigint,
): { readonly offsetNs: bigint; readonly stepNs: bigint } {
  const lowest = BigInt(reading.utcMs) * MILLISECOND_NS - reading.monotonicNs;
  const highest = lowest + MILLISECOND_NS;
  if (offsetNs >= lowest && offsetNs <= highest) return { offsetNs, stepNs: 0n };
  const nearest = offsetNs < lowest ? lowest : highest;
  const errorNs = nearest - offsetNs;
  if (errorNs > -stepThresholdNs && errorNs < stepThresholdNs) return { offsetNs: nearest, stepNs: 0n };
  const middle = lowest + MILLISECOND_NS / 2n;
  return { offsetNs: middle, stepNs: middle - offsetNs };
}

/** This machine's clocks; the boot id is the kernel's, or a zero UUID where there is none to read. */
export function machineTime(): TimeSource {
  return {
    monotonicNs: () => process.hrtime.bigint(),
    utcMs: () => Date.now(),
    bootId: readBootId('/proc/sys/kernel/random/boot_id'),
  };
}

function readBootId(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '00000000-0000-0000-0000-000000000000';
  }
}

/** How the clock watches itself. */
export interface ClockOptions {
  /** How often the offset is disciplined and steps are looked for, in ms. */
  readonly checkPeriodMs: number;
  /** How often the clock's quality is asked of the system, in ms. */
  readonly qualityPeriodMs: number;
  /** A jump larger than this, in ms, is a step; a smaller one is followed silently as slewing. */
  readonly stepThresholdMs: number;
}

/** Stamps samples; `run` keeps it disciplined. */
export class SystemClock implements Clock {
  readonly #source: TimeSource;
  readonly #options: ClockOptions;
  readonly #readQuality: ReadClockQuality;
  #offsetNs: bigint;
  #quality: ClockQuality = { synchronised: false, estimatedErrorNs: null, source: 'none' };

  constructor(
    options: ClockOptions,
    source: TimeSource = machineTime(),
    readQuality: ReadClockQuality = () => readClockQuality(),
  ) {
    this.#options = options;
    this.#source = source;
    this.#readQuality = readQuality;
    this.#offsetNs = measureOffset(source);
  }

  now(): Stamp {
    return this.at(this.#source.monotonicNs());
  }

  monotonicNs(): bigint {
    return this.#source.monotonicNs();
  }

  at(monotonicNs: bigint): Stamp {
    const { synchronised, estimatedErrorNs } = this.#quality;
    const capturedAtNs = monotonicNs + this.#offsetNs;
    return { capturedAtNs, monotonicNs, bootId: this.#source.bootId, synchronised, estimatedErrorNs };
  }

  /** What the system last said of its clock. */
  quality(): ClockQuality {
    return this.#quality;
  }

  /** Asks the system how good its clock is; never rejects: what cannot be told is "not synchronised". */
  async refreshQuality(): Promise<void> {
    this.#quality = await this.#readQuality().catch(() => ({
      synchronised: false,
      estimatedErrorNs: null,
      source: 'none',
    }));
  }

  /** Compares both clocks once; returns the step, if there was one. */
  check(): ClockStep | null {
    const before = this.#source.monotonicNs();
    const utcMs = this.#source.utcMs();
    const after = this.#source.monotonicNs();
    // A reading that was interrupted says too little about the moment it was taken.
    if (after - before > MILLISECOND_NS) return null;
    const thresholdNs = BigInt(this.#options.stepThresholdMs) * MILLISECOND_NS;
    const { offsetNs, stepNs } = disciplineOffset(this.#offsetNs, { monotonicNs: before, utcMs }, thresholdNs);
    this.#offsetNs = offsetNs;
    return stepNs === 0n ? null : { stepNs, stamp: this.now() };
  }

  /** Keeps the clock disciplined until `signal` aborts; `onStep` must not throw. */
  async run(signal: AbortSignal, onStep: (step: ClockStep) => void): Promise<void> {
    await this.refreshQuality();
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const checking = setInterval(() => {
        const step = this.check();
        if (step === null) return;
        onStep(step);
        void this.refreshQuality();
      }, this.#options.checkPeriodMs);
      const asking = setInterval(() => void this.refreshQuality(), this.#options.qualityPeriodMs);
      signal.addEventListener(
        'abort',
        () => {
          clearInterval(checking);
          clearInterval(asking);
          resolve();
        },
        { once: true },
      );
    });
  }
}

/** UTC − monotonic in ns, by waiting (at most 2 ms) for the next millisecond of the system clock: exact to a few µs. */
function measureOffset(source: TimeSource): bigint {
  const started = source.monotonicNs();
  const first = source.utcMs();
  for (;;) {
    const utcMs = source.utcMs();
    const monotonicNs = source.monotonicNs();
    if (utcMs !== first || monotonicNs - started > 2n * MILLISECOND_NS) {
      return BigInt(utcMs) * MILLISECOND_NS - monotonicNs;
    }
  }
}
