/**
 * Counts the windows that were scored and those that should have been and were not. A window is due at each hop of sound without a gap,
 * from the first whole window on; what was heard again after a restart is not counted twice.
 */

/** A window that ends less than this share of a hop after the latest is that one, heard again. */
const REPEAT_SHARE = 0.5;
/** Stamps may be off by this share of a hop before another window is due. */
const JITTER_SHARE = 0.02;

/** The ledger of one stream of sound; all times in nanoseconds of its monotonic clock. */
export class WindowLedger {
  #windowNs: number | null = null;
  #hopNs = 0;
  #scored = 0;
  #missed = 0;
  #mostMissed = 0;
  /** Beginning of the sound without a gap that is heard just now, and how far it has been given to the process or up. */
  #runStartNs: bigint | null = null;
  #passedNs = 0n;
  /** End of the latest window that was scored or is counted as missed. */
  #lastEndNs: bigint | null = null;

  /** What the model that listens from now on hears: lengths in seconds. */
  setGrid(windowS: number, hopS: number): void {
    const isFirst = this.#windowNs === null;
    this.#windowNs = Math.round(windowS * 1e9);
    this.#hopNs = Math.round(hopS * 1e9);
    if (isFirst && this.#runStartNs !== null) this.#lastEndNs = this.#beforeFirst(this.#runStartNs);
  }

  /** Sound that is done with, scored or given up, in the order it came; `afterGap`: the sound before it is missing. */
  passed(startNs: bigint, endNs: bigint, afterGap: boolean): void {
    if (this.#runStartNs === null || afterGap) {
      this.#missed += this.#owed();
      this.#runStartNs = startNs;
      this.#lastEndNs = this.#windowNs === null ? null : this.#beforeFirst(startNs);
    }
    if (endNs > this.#passedNs) this.#passedNs = endNs;
  }

  /** A window was scored that ends at `endNs`; false when it was before, by another process. */
  score(endNs: bigint): boolean {
    if (this.#lastEndNs === null || this.#hopNs === 0) return true;
    const hops = Number(endNs - this.#lastEndNs) / this.#hopNs;
    if (hops < REPEAT_SHARE) return false;
    this.#missed += Math.max(0, Math.round(hops) - 1);
    this.#scored += 1;
    this.#lastEndNs = endNs;
    return true;
  }

  get scored(): number {
    return this.#scored;
  }

  /** Windows missed so far, with those that sound given up owes already; never less than it was. */
  get missed(): number {
    this.#mostMissed = Math.max(this.#mostMissed, this.#missed + this.#owed());
    return this.#mostMissed;
  }

  /** Windows that should have ended in the sound that is done with. */
  #owed(): number {
    if (this.#lastEndNs === null || this.#hopNs === 0) return 0;
    const hops = Number(this.#passedNs - this.#lastEndNs) / this.#hopNs;
    return Math.max(0, Math.floor(hops + JITTER_SHARE));
  }

  /** Where the window before a run's first would end. */
  #beforeFirst(startNs: bigint): bigint {
    return startNs + BigInt((this.#windowNs ?? 0) - this.#hopNs);
  }
}
