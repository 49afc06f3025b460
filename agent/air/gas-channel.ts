/** Owns what the BME680's gas sensor says of the air: its resistance against what is usual, once the sensor can be believed. */
import type { EnvironmentSample } from '../../drivers/sample.ts';
import { type AirOptions, LONGEST_STEP_S, pauseS } from './air-options.ts';
import { Baseline } from './baseline.ts';
import { Cusum } from './cusum.ts';
import type { ChannelState } from './particle-channel.ts';

/** What the sensor says now. */
export interface GasView {
  readonly resistanceOhm: number;
  /** What is usual at the humidity of now. */
  readonly baselineOhm: number;
  /** Resistance by what is usual; lower is worse. */
  readonly ratio: number;
  /** Resistance by that of the last minutes: tells a sudden fall from a slow one. */
  readonly dip: number;
  readonly changed: boolean;
  readonly sinceS: number;
}

/**
 * Nine tenths of the time the resistance is lower: what is usual is that of good air. Down it goes by 4 % an hour at most, which a sensor's
 * ageing never needs and people's breath in a closed cabin outruns; while it learns only the way up is faster, as the plate burns in.
 */
const RATES = { upPerHour: 0.36, downPerHour: 0.04, learningUp: 20, learningDown: 1, learningS: 1_800 } as const;
/** In natural logarithms: 30 % less is no change yet, half is one after a minute and a half, a third after half a minute. */
const ALLOWANCE = 0.35;
const DECISION = 25;
/** The last minutes are so long, as the time constant of a mean. */
const LATELY_S = 300;
/** A living sensor's last digits never rest. */
const STUCK_S = 120;
/** After a pause a resistance this many times lower or higher than usual is not of the same sensor. */
const OTHER_SENSOR = 2.5;
/**
 * The resistance falls with the water in the air: ln R by 0.03 for each g/m³, about as much as others measured (`raspi-bme680-iaq`, its
 * default slope). Water by the Magnus formula (WMO-No. 8, annex 4.B).
 */
const LOG_PER_GRAM = 0.03;

/** Water in the air, g/m³, of a temperature in °C and a relative humidity of 0 to 1. */
export function absoluteHumidity(temperatureC: number, humidity: number): number {
  const vapourPa = humidity * 611.2 * Math.exp((17.62 * temperatureC) / (243.12 + temperatureC));
  return (vapourPa / (461.5 * (temperatureC + 273.15))) * 1_000;
}

/** The gas sensor's channel. Times in seconds of a clock that never steps. */
export class GasChannel {
  readonly #options: AirOptions['gas'];
  readonly #baseline: Baseline;
  readonly #cusum = new Cusum(ALLOWANCE, DECISION);
  #beganS: number | null = null;
  #lastS: number | null = null;
  #waitingSinceS: number | null = null;
  #resumed = false;
  #signature = '';
  #sameSinceS = 0;
  #log = 0;
  #lately = 0;
  #relearnt = 0;
  #state: ChannelState = 'warming-up';
  #view: GasView | null = null;
  /** Relative humidity, 0 to 1, of the last reading; null when there is none to go by. */
  humidity: number | null = null;

  /** `baseline` as an earlier run's `baselineLog`. */
  constructor(options: AirOptions['gas'], baseline: number | null) {
    this.#options = options;
    this.#baseline = new Baseline(RATES, baseline);
  }

  /** Null while the sensor is not judged. */
  get view(): GasView | null {
    return this.#view;
  }

  get state(): ChannelState {
    return this.#state;
  }

  /** The logarithm of the usual resistance in Ω, as if the air were dry; null before it is known. */
  get baselineLog(): number | null {
    return this.#baseline.value;
  }

  /** How often the sensor was taken for another one after a pause. */
  get relearnt(): number {
    return this.#relearnt;
  }

  /** Takes a reading; while `frozen` the baseline stays. */
  take(sample: EnvironmentSample, timeS: number, frozen: boolean): void {
    const dtS = this.#lastS === null ? Number.POSITIVE_INFINITY : timeS - this.#lastS;
    if (dtS <= 0) return;
    this.#lastS = timeS;
    if (dtS > pauseS(this.#options.periodS)) this.#begin(timeS);
    const unfit = this.#whyUnfit(sample, timeS);
    this.humidity = unfit === 'stuck' || !Number.isFinite(sample.humidity) ? null : sample.humidity;
    if (unfit === null) this.#judge(sample, Math.min(dtS, LONGEST_STEP_S), frozen);
    else this.#unfit(unfit);
  }

  /** To be called now and then: notices a sensor that says nothing more. */
  tick(timeS: number): void {
    this.#waitingSinceS ??= timeS;
    if (timeS - (this.#lastS ?? this.#waitingSinceS) <= pauseS(this.#options.periodS)) return;
    this.humidity = null;
    this.#unfit('silent');
  }

  /** Takes what is now for usual; judges again from the next reading on. */
  relearn(): void {
    if (this.#view !== null) this.#baseline.restart(this.#log);
    this.#view = null;
    this.#cusum.reset();
  }

  #whyUnfit(sample: EnvironmentSample, timeS: number): ChannelState | null {
    if (this.#isStuck(sample, timeS)) return 'stuck';
    // A plate that is not hot measures nothing.
    if (!sample.gasValid || !sample.heaterStable || !(sample.gasResistanceOhm > 0)) return 'invalid';
    // What is no number would stay in the baseline for ever.
    const numbers = [sample.gasResistanceOhm, sample.temperatureC, sample.humidity];
    if (!numbers.every(Number.isFinite)) return 'invalid';
    return timeS - (this.#beganS ?? timeS) < this.#options.warmUpS ? 'warming-up' : null;
  }

  #begin(timeS: number): void {
    this.#beganS = timeS;
    this.#resumed = true;
    this.#cusum.reset();
  }

  #unfit(state: ChannelState): void {
    this.#state = state;
    this.#view = null;
  }

  #judge(sample: EnvironmentSample, dtS: number, frozen: boolean): void {
    const water = LOG_PER_GRAM * absoluteHumidity(sample.temperatureC, sample.humidity);
    this.#log = Math.log(sample.gasResistanceOhm) + water;
    const known = this.#baseline.value;
    if (known !== null && this.#resumed && Math.abs(this.#log - known) > Math.log(OTHER_SENSOR)) {
      this.#baseline.restart(this.#log);
      this.#relearnt += 1;
    } else if (known === null || (!frozen && Math.exp(this.#log - known) > this.#options.raisedRatio)) {
      this.#baseline.follow(this.#log, dtS);
    }
    if (this.#resumed) this.#lately = this.#log;
    this.#resumed = false;
    const usual = this.#baseline.value ?? this.#log;
    this.#cusum.add(usual - this.#log, dtS);
    this.#lately += (this.#log - this.#lately) * (1 - Math.exp(-dtS / LATELY_S));
    this.#state = 'ok';
    this.#view = {
      resistanceOhm: sample.gasResistanceOhm,
      baselineOhm: Math.exp(usual - water),
      ratio: Math.exp(this.#log - usual),
      dip: Math.exp(this.#log - this.#lately),
      changed: this.#cusum.changed,
      sinceS: this.#cusum.sinceS,
    };
  }

  #isStuck({ gasResistanceOhm, temperatureC, pressurePa, humidity }: EnvironmentSample, timeS: number): boolean {
    const signature = [gasResistanceOhm, temperatureC, pressurePa, humidity].join(' ');
    if (signature !== this.#signature) {
      this.#signature = signature;
      this.#sameSinceS = timeS;
    }
    return timeS - this.#sameSinceS >= STUCK_S;
  }
}
