/**
 * The vehicle's clock: stamps moments of CLOCK_MONOTONIC with UTC, the boot id and the clock's quality. What a moment was stamped with it
 * is stamped with whenever it is asked again. A step of the system clock is noticed at the next stamp or check, taken over and reported.
 *
 * On Linux both clocks are slewed alike (clock_gettime(2): CLOCK_MONOTONIC follows frequency adjustments, not jumps), so what chrony or
 * timesyncd do gradually never shows here: UTC − CLOCK_MONOTONIC changes by jumps alone. A leap second is one, and a suspended machine: CLOCK_MONOTONIC
 * stands still meanwhile and the system clock does not.
 */
import { readFileSync } from 'node:fs';
import type { Clock, Stamp } from '../drivers/sample.ts';
import { ClockMap } from './clock-map.ts';
import { type ClockQuality, isPossibleTime, type ReadClockQuality, readClockQuality } from './clock-quality.ts';

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
  /** The first moment of the new time: what has an earlier `monotonicNs` is stamped in the old time, for ever. */
  readonly stamp: Stamp;
}

/** How the clock watches itself. */
export interface ClockOptions {
  /** How often the clocks are compared when nobody asks for a stamp, in ms. */
  readonly checkPeriodMs: number;
  /** How often the clock's quality is asked of the system, in ms. */
  readonly qualityPeriodMs: number;
  /** A jump of at least this, in ms, is a step; a smaller one is caught up with at 500 ppm. */
  readonly stepThresholdMs: number;
}

/** What happened to the clock since the agent began. */
export interface ClockStatistics {
  readonly steps: number;
  /** Jumps too small for a step. */
  readonly leaps: number;
  /** The last step in nanoseconds; 0 before any. */
  readonly lastStepNs: bigint;
  /** How far stamps are from the system clock now, because a small jump is being caught up with. */
  readonly slewingNs: bigint;
}

const MILLISECOND_NS = 1_000_000n;
/**
 * The offset is known to this at best: two processor cores, or the clocks themselves, may differ by a little, which is no jump. Looking for the
 * edge of a millisecond ends there, or after so long, or so many looks.
 */
const FINE_NS = 20_000n;
const MOST_MEASURING_NS = 3n * MILLISECOND_NS;
const MOST_LOOKS = 20_000;
/** After a step, and while nobody vouches for the clock, its quality is asked after so long, then each time twice as long. */
const FIRST_QUALITY_MS = 500;
/** Stamps whose quality is remembered: half an hour of answers. */
const MOST_QUALITIES = 64;
/** Steps kept for a listener that is not there yet. */
const MOST_UNTOLD = 16;

const UNKNOWN: ClockQuality = { synchronised: false, estimatedErrorNs: null, source: 'none' };

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

/** Between which values UTC − CLOCK_MONOTONIC lies, in nanoseconds. */
interface OffsetSpan {
  readonly lowNs: bigint;
  readonly highNs: bigint;
}

/** Stamps samples; `run` keeps it watched. */
export class SystemClock implements Clock {
  readonly #source: TimeSource;
  readonly #options: ClockOptions;
  readonly #readQuality: ReadClockQuality;
  readonly #thresholdNs: bigint;
  readonly #map: ClockMap;
  /** What all looks since the last jump allow. */
  #span: OffsetSpan;
  /** From which moment on which quality applies; never empty. */
  readonly #qualities: { readonly fromNs: bigint; readonly quality: ClockQuality }[] = [
    { fromNs: 0n, quality: UNKNOWN },
  ];
  /** Whether nobody has vouched for the clock since its last step. */
  #isDoubtful = false;
  readonly #statistics = { steps: 0, leaps: 0, lastStepNs: 0n };
  #onStep: ((step: ClockStep) => void) | null = null;
  #untold: ClockStep[] = [];
  #asking: NodeJS.Timeout | undefined;

  constructor(
    options: ClockOptions,
    source: TimeSource = machineTime(),
    readQuality: ReadClockQuality = (doubtful) => readClockQuality(doubtful),
  ) {
    this.#options = options;
    this.#source = source;
    this.#readQuality = readQuality;
    this.#thresholdNs = BigInt(options.stepThresholdMs) * MILLISECOND_NS;
    this.#span = measureOffset(source);
    this.#map = new ClockMap(middle(this.#span));
  }

  now(): Stamp {
    this.check();
    return this.#stamp(this.#source.monotonicNs());
  }

  monotonicNs(): bigint {
    return this.#source.monotonicNs();
  }

  at(monotonicNs: bigint): Stamp {
    this.check();
    return this.#stamp(monotonicNs);
  }

  /** What the system last said of its clock. */
  quality(): ClockQuality {
    return (this.#qualities.at(-1) as { quality: ClockQuality }).quality;
  }

  statistics(): ClockStatistics {
    return { ...this.#statistics, slewingNs: this.#map.errorAt(this.#source.monotonicNs()) };
  }

  /**
   * Asks the system how good its clock is; never rejects: what cannot be told is "not synchronised". The answer counts from the moment it
   * comes: stamps made before keep the quality they were made with.
   */
  async refreshQuality(): Promise<void> {
    const { steps } = this.#statistics;
    const answer = await this.#readQuality(this.#isDoubtful).catch(() => UNKNOWN);
    // It may have been given before the step.
    if (steps !== this.#statistics.steps) return;
    const synchronised = answer.synchronised && isPossibleTime(this.#source.utcMs());
    if (synchronised) this.#isDoubtful = false;
    this.#setQuality(
      this.#source.monotonicNs() + 1n,
      synchronised ? answer : { ...answer, synchronised, estimatedErrorNs: null },
    );
  }

  /**
   * Compares both clocks once, in less than a microsecond (measured); returns the step, if there was one, after its listener was told.
   * Every stamp begins with it, so a stamp of the present is never in an old time.
   */
  check(): ClockStep | null {
    const seen = look(this.#source);
    const { lowNs, highNs } = this.#span;
    if (seen.lowNs <= highNs && seen.highNs >= lowNs) {
      if (seen.lowNs > lowNs || seen.highNs < highNs) this.#narrow(seen);
      return null;
    }
    this.#span = measureOffset(this.#source);
    const offsetNs = middle(this.#span);
    const nowNs = this.#source.monotonicNs();
    const changeNs = offsetNs - (this.#map.utcAt(nowNs) - nowNs);
    if (changeNs > -this.#thresholdNs && changeNs < this.#thresholdNs) {
      this.#statistics.leaps += 1;
      this.#map.slewTo(nowNs, offsetNs);
      return null;
    }
    return this.#step(nowNs, offsetNs, changeNs);
  }

  /** Watches the clock until `signal` aborts. `onStep` hears of each step before the first stamp of the new time is given; it must not throw. */
  async run(signal: AbortSignal, onStep: (step: ClockStep) => void): Promise<void> {
    this.#onStep = onStep;
    for (const step of this.#untold.splice(0)) onStep(step);
    await this.refreshQuality();
    if (signal.aborted) return;
    const checking = setInterval(() => this.check(), this.#options.checkPeriodMs);
    this.#askAfter(this.#settledMs(FIRST_QUALITY_MS));
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    clearInterval(checking);
    clearTimeout(this.#asking);
    this.#asking = undefined;
    this.#onStep = null;
  }

  #stamp(monotonicNs: bigint): Stamp {
    const { synchronised, estimatedErrorNs } = this.#qualityAt(monotonicNs);
    return {
      capturedAtNs: this.#map.utcAt(monotonicNs),
      monotonicNs,
      bootId: this.#source.bootId,
      synchronised,
      estimatedErrorNs: estimatedErrorNs === null ? null : estimatedErrorNs + this.#map.errorAt(monotonicNs),
    };
  }

  /** Another look allows less than the looks before. */
  #narrow(seen: OffsetSpan): void {
    const narrower = overlap(this.#span, seen);
    if (narrower.highNs - narrower.lowNs < FINE_NS) return;
    this.#span = narrower;
    const { targetNs } = this.#map;
    if (targetNs >= this.#span.lowNs && targetNs <= this.#span.highNs) return;
    this.#map.slewTo(this.#source.monotonicNs(), middle(this.#span));
  }

  #step(nowNs: bigint, offsetNs: bigint, stepNs: bigint): ClockStep {
    const fromNs = this.#map.stepTo(nowNs, offsetNs);
    this.#statistics.steps += 1;
    this.#statistics.lastStepNs = stepNs;
    // Whoever stepped it knows why, or broke it: until somebody says, it is not synchronised.
    this.#isDoubtful = true;
    this.#setQuality(fromNs, UNKNOWN);
    const step = { stepNs, stamp: this.#stamp(fromNs) };
    if (this.#onStep === null) {
      this.#untold = [...this.#untold, step].slice(-MOST_UNTOLD);
      return step;
    }
    if (this.#asking !== undefined) this.#askAfter(0);
    this.#onStep(step);
    return step;
  }

  #setQuality(fromNs: bigint, quality: ClockQuality): void {
    while (this.#qualities.length > 1 && (this.#qualities.at(-1)?.fromNs ?? 0n) >= fromNs) this.#qualities.pop();
    this.#qualities.push({ fromNs, quality });
    if (this.#qualities.length > MOST_QUALITIES) this.#qualities.shift();
  }

  #qualityAt(m: bigint): ClockQuality {
    let index = this.#qualities.length - 1;
    while (index > 0 && (this.#qualities[index] as { fromNs: bigint }).fromNs > m) index -= 1;
    return (this.#qualities[index] as { quality: ClockQuality }).quality;
  }

  #askAfter(waitMs: number): void {
    clearTimeout(this.#asking);
    const asking = setTimeout(async () => {
      await this.refreshQuality();
      // The clock may have ended, or a step may have asked anew, meanwhile.
      if (this.#asking === asking) this.#askAfter(this.#settledMs(Math.max(FIRST_QUALITY_MS, 2 * waitMs)));
    }, waitMs);
    this.#asking = asking;
  }

  /** The next wait: the configured period once somebody vouches for the clock, `hurriedMs` at most until then. */
  #settledMs(hurriedMs: number): number {
    const { qualityPeriodMs } = this.#options;
    return this.quality().synchronised ? qualityPeriodMs : Math.min(qualityPeriodMs, hurriedMs);
  }
}

/** One look at both clocks. `utcMs` is truncated and was read between the two others. */
function look(source: TimeSource): OffsetSpan {
  const beforeNs = source.monotonicNs();
  const utcNs = BigInt(source.utcMs()) * MILLISECOND_NS;
  const afterNs = source.monotonicNs();
  return { lowNs: utcNs - afterNs, highNs: utcNs + MILLISECOND_NS - beforeNs };
}

/** Looks until the edge of a millisecond tells UTC − CLOCK_MONOTONIC to a microsecond or so: 1 ms at most, on an idle machine. */
function measureOffset(source: TimeSource): OffsetSpan {
  const startedNs = source.monotonicNs();
  let span = look(source);
  for (let looks = 1; looks < MOST_LOOKS && span.highNs - span.lowNs > FINE_NS; looks++) {
    if (source.monotonicNs() - startedNs > MOST_MEASURING_NS) break;
    const seen = look(source);
    span = seen.lowNs > span.highNs || seen.highNs < span.lowNs ? seen : overlap(span, seen);
  }
  const middleNs = middle(span);
  const halfNs = FINE_NS / 2n;
  return span.highNs - span.lowNs >= FINE_NS ? span : { lowNs: middleNs - halfNs, highNs: middleNs + halfNs };
}

function overlap(a: OffsetSpan, b: OffsetSpan): OffsetSpan {
  // biome-ignore lint/complexity/useMathMinMax: Math.min and Math.max know no bigint
  return { lowNs: a.lowNs < b.lowNs ? b.lowNs : a.lowNs, highNs: a.highNs < b.highNs ? a.highNs : b.highNs };
}

function middle({ lowNs, highNs }: OffsetSpan): bigint {
  return (lowNs + highNs) / 2n;
}
