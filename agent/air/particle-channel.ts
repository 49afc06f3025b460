/** Owns what one particle sensor says of the air: PM2.5 as if dry, against what is usual, once the sensor can be believed. */
import type { ParticulateSample } from '../../drivers/sample.ts';
import { type AirOptions, LONGEST_STEP_S, pauseS } from './air-options.ts';
import { Baseline } from './baseline.ts';
import { Cusum } from './cusum.ts';

/** Why a sensor is not judged; `ok` when it is. */
export type ChannelState = 'ok' | 'warming-up' | 'stuck' | 'invalid' | 'silent';

/** What the sensor says now. */
export interface ParticleView {
  /** As measured, µg/m³, the median of the last readings. */
  readonly measuredUgM3: number;
  /** Without the water on the particles. */
  readonly ugM3: number;
  readonly baselineUgM3: number;
  /** Of `ugM3` over the baseline. */
  readonly excessUgM3: number;
  /** A lasting change was found, which began so long ago. */
  readonly changed: boolean;
  readonly sinceS: number;
  /** Whether the particles are as fine as those of smoke. */
  readonly fine: boolean;
}

/**
 * A quarter of the time the air is cleaner than the baseline. It rises by a third an hour at most: the haze of a city is usual after some
 * hours, and a slow rise in the cabin is none.
 */
const RATES = { upPerHour: 0.3, downPerHour: 0.9, learningUp: 30, learningDown: 30, learningS: 600 } as const;
/** Added before taking logarithms, µg/m³: below it these sensors resolve nothing (Plantower: ±10 µg/m³ under 100). */
const FLOOR_UGM3 = 5;
/** In natural logarithms: what doubles is no change yet, what is three times as much is one within some 20 s. */
const ALLOWANCE = 0.7;
const DECISION = 10;
/** A fan or laser that stands still repeats itself for so long; in clean air whole µg/m³ do so too. */
const STUCK_S = 600;
const CLEAN_UGM3 = 5;
/** Smoke is finer than 1 µm (Mueller et al. 2022 measured PM2.5 : PM10 = 0.98 beside a cigarette), dust of roads is coarse. */
const FINE_SHARE = 0.6;
/**
 * Water on particles: growth of mass 1 + κ/1.65 / (1/a − 1) at water activity a (κ-Köhler theory; Di Antonio et al., Sensors 18 (2018) 2790).
 * κ = 0.4 as of mixed continental aerosol; a is cut at 0.95, where droplets begin and no factor helps.
 */
const KAPPA_BY_DENSITY = 0.4 / 1.65;
const WETTEST = 0.95;

/** How many times heavier particles are by their water at this relative humidity, 0 to 1; 1 when it is not known. */
export function waterFactor(humidity: number | null): number {
  if (humidity === null || !(humidity > 0)) return 1;
  return 1 + KAPPA_BY_DENSITY / (1 / Math.min(humidity, WETTEST) - 1);
}

/** The particle sensor's channel. Times in seconds of a clock that never steps. */
export class ParticleChannel {
  readonly #options: AirOptions['particles'];
  readonly #baseline: Baseline;
  readonly #cusum = new Cusum(ALLOWANCE, DECISION);
  readonly #recent: number[] = [];
  #beganS: number | null = null;
  #lastS: number | null = null;
  #waitingSinceS: number | null = null;
  #signature = '';
  #sameSinceS = 0;
  #state: ChannelState = 'warming-up';
  #view: ParticleView | null = null;

  /** `baseline` as an earlier run's `baselineLog`. */
  constructor(options: AirOptions['particles'], baseline: number | null) {
    this.#options = options;
    this.#baseline = new Baseline(RATES, baseline);
  }

  /** Null while the sensor is not judged. */
  get view(): ParticleView | null {
    return this.#view;
  }

  get state(): ChannelState {
    return this.#state;
  }

  /** The logarithm of what is usual plus 5 µg/m³; null before it is known. */
  get baselineLog(): number | null {
    return this.#baseline.value;
  }

  /** Takes a reading. `humidity` is 0 to 1, null: not known; while `frozen` the baseline stays. */
  take(sample: ParticulateSample, timeS: number, humidity: number | null, frozen: boolean): void {
    const dtS = this.#lastS === null ? Number.POSITIVE_INFINITY : timeS - this.#lastS;
    if (dtS <= 0) return;
    this.#lastS = timeS;
    if (dtS > pauseS(this.#options.periodS)) this.#begin(timeS);
    const measured = massOf(sample);
    const unfit = this.#whyUnfit(sample, measured, timeS);
    if (unfit !== null) {
      this.#unfit(unfit);
      return;
    }
    this.#recent.push(measured);
    if (this.#recent.length > 5) this.#recent.shift();
    this.#judge(medianOf(this.#recent), sample, { dtS: Math.min(dtS, LONGEST_STEP_S), humidity, frozen });
  }

  /** To be called now and then: notices a sensor that says nothing more. */
  tick(timeS: number): void {
    this.#waitingSinceS ??= timeS;
    if (timeS - (this.#lastS ?? this.#waitingSinceS) > pauseS(this.#options.periodS)) this.#unfit('silent');
  }

  /** Takes what is now for usual, as far as the limit lets it; judges again from the next reading on. */
  relearn(): void {
    if (this.#view !== null) this.#baseline.restart(this.#limited(Math.log(this.#view.ugM3 + FLOOR_UGM3)));
    this.#view = null;
    this.#cusum.reset();
  }

  #whyUnfit(sample: ParticulateSample, measured: number, timeS: number): ChannelState | null {
    if (!(measured >= 0)) return 'invalid';
    if (this.#isStuck(sample, measured, timeS)) return 'stuck';
    return timeS - (this.#beganS ?? timeS) < this.#options.warmUpS ? 'warming-up' : null;
  }

  #begin(timeS: number): void {
    this.#beganS = timeS;
    this.#recent.length = 0;
    this.#cusum.reset();
  }

  #unfit(state: ChannelState): void {
    this.#state = state;
    this.#view = null;
    if (state !== 'warming-up') this.#cusum.reset();
  }

  #judge(
    measuredUgM3: number,
    sample: ParticulateSample,
    { dtS, humidity, frozen }: { dtS: number; humidity: number | null; frozen: boolean },
  ): void {
    const ugM3 = measuredUgM3 / waterFactor(humidity);
    const x = Math.log(ugM3 + FLOOR_UGM3);
    const known = this.#baseline.value;
    const isHigh = known !== null && ugM3 - (Math.exp(known) - FLOOR_UGM3) >= this.#options.raisedUgM3;
    if (known === null) this.#baseline.restart(this.#limited(x));
    else if (!frozen && !isHigh) this.#baseline.follow(this.#limited(x), dtS);
    const usual = this.#limited(this.#baseline.value ?? x);
    this.#cusum.add(x - usual, dtS);
    const baselineUgM3 = Math.max(0, Math.exp(usual) - FLOOR_UGM3);
    this.#state = 'ok';
    this.#view = {
      measuredUgM3,
      ugM3,
      baselineUgM3,
      excessUgM3: ugM3 - baselineUgM3,
      changed: this.#cusum.changed,
      sinceS: this.#cusum.sinceS,
      fine: isFine(sample),
    };
  }

  #limited(log: number): number {
    return Math.min(log, Math.log(this.#options.baselineLimitUgM3 + FLOOR_UGM3));
  }

  #isStuck(sample: ParticulateSample, measured: number, timeS: number): boolean {
    const { pm1UgM3, pm25UgM3, pm10UgM3, countsPerCm3 } = sample;
    const counts = Object.values(countsPerCm3);
    const signature = [pm1UgM3, pm25UgM3, pm10UgM3, ...counts].join(' ');
    if (signature !== this.#signature) {
      this.#signature = signature;
      this.#sameSinceS = timeS;
    }
    // No air is without any particle; few µg/m³ may well stay the same.
    const canRest = measured < CLEAN_UGM3 && (counts.length === 0 || counts.some((count) => count > 0));
    return !canRest && timeS - this.#sameSinceS >= STUCK_S;
  }
}

/** PM2.5 in µg/m³, or the next best that the sensor measures; NaN when it measures nothing. */
function massOf({ pm25UgM3, pm1UgM3, pm10UgM3 }: ParticulateSample): number {
  return [pm25UgM3, pm1UgM3, pm10UgM3].find((mass) => Number.isFinite(mass)) ?? Number.NaN;
}

function isFine({ pm25UgM3, pm10UgM3 }: ParticulateSample): boolean {
  return !(pm10UgM3 > 0) || !(pm25UgM3 >= 0) || pm25UgM3 / pm10UgM3 >= FINE_SHARE;
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
