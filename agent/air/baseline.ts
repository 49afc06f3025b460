/** Owns what is usual: a running quantile of a slow signal, which follows it by small steps and forgets over hours. */

/** How a baseline follows; in natural logarithms an hour, so that 0.1 is about 10 % an hour. */
export interface BaselineRates {
  /** While the signal is above. Its share of both rates is the quantile that the baseline settles at. */
  readonly upPerHour: number;
  readonly downPerHour: number;
  /** They are so many times faster while there is not much to go by. */
  readonly learningUp: number;
  readonly learningDown: number;
  readonly learningS: number;
}

/**
 * A quantile found by stochastic approximation (Robbins and Monro, Ann. Math. Stat. 22 (1951) 400): a step up for each moment above it, a
 * step down for each below. Robust, as only the sign counts; and bounded, as no event can move it faster than its rates.
 */
export class Baseline {
  readonly #rates: BaselineRates;
  #value: number | null;
  #learntS: number;

  /** `value` is what an earlier run had learnt: the logarithm of the signal; null: nothing yet. */
  constructor(rates: BaselineRates, value: number | null = null) {
    this.#rates = rates;
    this.#value = value;
    this.#learntS = value === null ? 0 : rates.learningS;
  }

  /** The logarithm of what is usual; null before the first value. */
  get value(): number | null {
    return this.#value;
  }

  /** Follows the signal, whose logarithm was `x` for `dtS` seconds. */
  follow(x: number, dtS: number): number {
    if (this.#value === null) this.#value = x;
    const { upPerHour, downPerHour, learningUp, learningDown, learningS } = this.#rates;
    const isLearning = this.#learntS < learningS;
    this.#learntS += dtS;
    const up = upPerHour * (isLearning ? learningUp : 1);
    const down = downPerHour * (isLearning ? learningDown : 1);
    const step = ((x > this.#value ? up : -down) * dtS) / 3600;
    // Not beyond the signal itself: it would swing around a steady one.
    this.#value = x > this.#value ? Math.min(x, this.#value + step) : Math.max(x, this.#value + step);
    return this.#value;
  }

  /** Believes `x` from now on, and learns anew. */
  restart(x: number): void {
    this.#value = x;
    this.#learntS = 0;
  }
}
