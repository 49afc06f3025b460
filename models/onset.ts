/**
 * When a sound began, finer than the model's windows tell: energy of the differenced signal in 5 ms blocks, and the
 * steepest rise in it.
 */

const BLOCK_S = 0.005;
/** Blocks that a rise is measured against. */
const BEFORE = 10;

/** A history of block energies of a mono stream since its last reset. */
export class EnergyTrace {
  /** Samples in a block. */
  readonly block: number;
  readonly #keepsAll: boolean;
  #energies: Float64Array;
  /** Blocks heard, and how many of them count. */
  #heard = 0;
  #count = 0;
  #partial = 0;
  #inPartial = 0;
  #previous = 0;

  /** `keptS`: how far back it is asked, in seconds; Infinity keeps everything. */
  constructor(sampleRateHz: number, keptS: number) {
    this.block = Math.max(1, Math.round(sampleRateHz * BLOCK_S));
    this.#keepsAll = keptS === Number.POSITIVE_INFINITY;
    this.#energies = new Float64Array(this.#keepsAll ? 1024 : Math.round(keptS / BLOCK_S));
  }

  push(samples: Float32Array): void {
    for (const sample of samples) {
      const difference = sample - this.#previous;
      this.#previous = sample;
      this.#partial += difference * difference;
      if (++this.#inPartial === this.block) {
        this.#keep(this.#partial);
        this.#partial = 0;
        this.#inPartial = 0;
      }
    }
  }

  /** Of a trace that keeps everything: answers as if it had heard the sound up to sample `to` and nothing after it. */
  reach(to: number): void {
    this.#count = Math.min(this.#heard, Math.floor(to / this.block));
  }

  /**
   * The steepest rise in samples [from, to) (indices since the reset): where it is, and by how much the energy of a
   * block grew there over the 50 ms before.
   */
  onset(from: number, to: number): { sample: number; rise: number } {
    const first = this.#clamp(Math.floor(from / this.block));
    const last = this.#clamp(Math.ceil(to / this.block));
    let best = first;
    let rise = Number.NEGATIVE_INFINITY;
    for (let at = first; at < last; at++) {
      const grown = this.#at(at) - this.#before(at);
      if (grown > rise) {
        rise = grown;
        best = at;
      }
    }
    // The steepest block may follow the beginning: go back while the sound is still there.
    const floor = this.#before(best) + 0.1 * Math.max(rise, 0);
    let begin = best;
    while (begin > first && best - begin < BEFORE && this.#at(begin - 1) > floor) {
      begin--;
    }
    return { sample: begin * this.block, rise: Math.max(rise, 0) };
  }

  /**
   * Where a series of blows ends that began at sample `from`: the last rise of at least `rise` that follows the one before
   * it within `gap` samples; nothing after `to` is looked at.
   */
  seriesEnd(from: number, rise: number, gap: number, to: number): number {
    let end = from;
    for (let at = this.#clamp(Math.floor(from / this.block) + 1); at < this.#clamp(Math.ceil(to / this.block)); at++) {
      if (at * this.block - end > gap) {
        break;
      }
      if (this.#at(at) - this.#before(at) >= rise) {
        end = at * this.block;
      }
    }
    return end;
  }

  /** First sample after `onset` from which the sound stays 20 dB under its peak or at its earlier level for 50 ms; at most `to`. */
  end(onset: number, to: number): number {
    const first = this.#clamp(Math.floor(onset / this.block));
    const last = this.#clamp(Math.ceil(to / this.block));
    let peak = 0;
    let quiet = 0;
    const before = this.#before(first);
    for (let at = first; at < last; at++) {
      const energy = this.#at(at);
      peak = Math.max(peak, energy);
      quiet = energy <= Math.max(peak * 0.01, before * 1.5) ? quiet + 1 : 0;
      if (quiet === BEFORE) {
        return (at + 1 - BEFORE) * this.block;
      }
    }
    return Math.min(to, last * this.block);
  }

  reset(): void {
    this.#heard = 0;
    this.#count = 0;
    this.#partial = 0;
    this.#inPartial = 0;
    this.#previous = 0;
  }

  #keep(energy: number): void {
    if (this.#keepsAll && this.#heard === this.#energies.length) {
      const longer = new Float64Array(2 * this.#energies.length);
      longer.set(this.#energies);
      this.#energies = longer;
    }
    this.#energies[this.#heard % this.#energies.length] = energy;
    this.#heard++;
    this.#count = this.#heard;
  }

  #at(block: number): number {
    return block < 0 ? 0 : (this.#energies[block % this.#energies.length] ?? 0);
  }

  #before(block: number): number {
    let sum = 0;
    const from = Math.max(block - BEFORE, 0, this.#count - this.#energies.length);
    for (let at = from; at < block; at++) {
      sum += this.#at(at);
    }
    return block > from ? sum / (block - from) : 0;
  }

  #clamp(block: number): number {
    return Math.min(Math.max(block, this.#count - this.#energies.length, 0), this.#count);
  }
}
