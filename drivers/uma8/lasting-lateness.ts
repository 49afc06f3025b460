/**
 * Tells lost sound from lateness. Lost frames make everything after them later, for good; a busy machine makes arrivals late for a
 * while. A lateness that lasts much longer than any as great has lasted lately is a loss.
 */

/** The sizes told apart, in nanoseconds. Less than the least is followed as drift; beyond the greatest all are alike. */
const LEVELS_NS = [4, 6, 9, 13, 20, 30, 45, 65, 100, 150].map((ms) => ms * 1e6);
/** How long lateness must last at least: several periods of arecord, so that bytes which merely waited have all come. */
const LEAST_NS = 1_000_000_000;
/** … when it is no greater than is usual. */
const USUAL_LEAST_NS = 20_000_000_000;
/** … and how many times longer than the longest of its size lately. */
const TIMES_LONGER = 3;
/** Bytes that come sooner after others had waited with them: it was the same awakening of the reader. */
const APART_NS = 60_000_000;
/**
 * An awakening that brings this many times more sound than is usual shows a reader that was late, and nothing of lost sound: lateness is
 * watched anew. Lost sound leaves the reader waiting for each period as before.
 */
const TIMES_MORE = 1.5;
/** Awakenings averaged for what is usual: a minute of arecord's. */
const USUAL_AWAKENINGS = 512;
/** Lately: between one and two of these. */
const MEMORY_NS = 60_000_000_000;
/**
 * What is taken for the longest before anything was seen. A sound server on a busy machine wanders by 35 ms over many seconds (measured); an
 * overrun costs ALSA a good part of its buffer of 500 ms, which is known for what it is from the first second.
 */
const WANDERING_NS = 60_000_000;
const FIRST_LONGEST_NS = 6_500_000_000;

/** A run of arrivals, each at least as late as its level. */
interface Run {
  sinceNs: number | null;
  leastNs: number;
  /** The longest of this memory and of the one before. */
  longestNs: number;
  longestBeforeNs: number;
}

/** Watches one stream. */
export class LastingLateness {
  readonly #runs: Run[] = LEVELS_NS.map((levelNs) => ({
    sinceNs: null,
    leastNs: Number.POSITIVE_INFINITY,
    longestNs: 0,
    longestBeforeNs: levelNs < WANDERING_NS ? FIRST_LONGEST_NS : 0,
  }));
  #memoryEndNs = MEMORY_NS;
  #awokeNs = Number.NEGATIVE_INFINITY;
  /** Nominal time of the last frame before this awakening, and what awakenings bring on average. */
  #heldNs = 0;
  #lastFrameNs = 0;
  #broughtNs = 0;
  #awakenings = 0;

  /**
   * Says that the frame of nominal time `frameNs` arrived at `nowNs` (since the stream began), `delayNs` late, where `usualNs` is usual.
   * Returns how much all has become later for good, after which everything is taken to be in time again; null when it has not.
   */
  observe(frameNs: number, nowNs: number, delayNs: number, usualNs: number): number | null {
    if (nowNs > this.#memoryEndNs) this.#forget(nowNs);
    if (this.#isReaderLate(frameNs, nowNs)) {
      for (const run of this.#runs) endRun(run, nowNs);
      return null;
    }
    let latest: { readonly run: Run; readonly levelNs: number } | null = null;
    for (const [index, levelNs] of LEVELS_NS.entries()) {
      const run = this.#runs[index] as Run;
      if (delayNs < levelNs) {
        endRun(run, nowNs);
        continue;
      }
      run.sinceNs ??= nowNs;
      run.leastNs = Math.min(run.leastNs, delayNs);
      latest = { run, levelNs };
    }
    // Only the greatest size is judged: while part of the lateness may still pass, its size is not known.
    if (latest === null) return null;
    const { run, levelNs } = latest;
    const leastNs = levelNs > usualNs ? LEAST_NS : USUAL_LEAST_NS;
    const neededNs = leastNs + TIMES_LONGER * Math.max(run.longestNs, run.longestBeforeNs);
    if (nowNs - (run.sinceNs ?? nowNs) <= neededNs) return null;
    const lateNs = run.leastNs;
    for (const each of this.#runs) clearRun(each);
    return lateNs;
  }

  /** Whether the present awakening has brought more than usual. */
  #isReaderLate(frameNs: number, nowNs: number): boolean {
    if (nowNs - this.#awokeNs > APART_NS) {
      const broughtNs = this.#lastFrameNs - this.#heldNs;
      if (this.#heldNs > 0) {
        this.#awakenings = Math.min(USUAL_AWAKENINGS, this.#awakenings + 1);
        this.#broughtNs += (broughtNs - this.#broughtNs) / this.#awakenings;
      }
      this.#heldNs = this.#lastFrameNs;
      this.#awokeNs = nowNs;
    }
    this.#lastFrameNs = frameNs;
    return this.#awakenings > 0 && frameNs - this.#heldNs > TIMES_MORE * this.#broughtNs;
  }

  #forget(nowNs: number): void {
    this.#memoryEndNs = nowNs + MEMORY_NS;
    for (const run of this.#runs) {
      run.longestBeforeNs = run.longestNs;
      run.longestNs = 0;
    }
  }
}

function endRun(run: Run, nowNs: number): void {
  if (run.sinceNs === null) return;
  run.longestNs = Math.max(run.longestNs, nowNs - run.sinceNs);
  clearRun(run);
}

function clearRun(run: Run): void {
  run.sinceNs = null;
  run.leastNs = Number.POSITIVE_INFINITY;
}
