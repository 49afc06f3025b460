/** Owns the finding of changes: Page's cumulative sum, which gathers small lasting departures and forgets short ones. */

/**
 * One-sided cumulative sum (Page, Biometrika 41 (1954) 100): g = max(0, g + (x − allowance)·dt), a change when g passes `decision`. Both in
 * the unit of x, `decision` times seconds.
 */
export class Cusum {
  readonly #allowance: number;
  readonly #decision: number;
  #sum = 0;
  #sinceS = 0;

  constructor(allowance: number, decision: number) {
    this.#allowance = allowance;
    this.#decision = decision;
  }

  /** Takes the departure `x`, which stood for `dtS` seconds. */
  add(x: number, dtS: number): void {
    const sum = Math.max(0, this.#sum + (x - this.#allowance) * dtS);
    this.#sinceS = sum === 0 ? 0 : this.#sinceS + dtS;
    // No more than twice what is needed, so that it is over soon after the change is.
    this.#sum = Math.min(sum, 2 * this.#decision);
  }

  /** Whether a change is found. */
  get changed(): boolean {
    return this.#sum >= this.#decision;
  }

  /** How long ago the change began, as far as the sum tells: when it last left 0. */
  get sinceS(): number {
    return this.#sinceS;
  }

  reset(): void {
    this.#sum = 0;
    this.#sinceS = 0;
  }
}
