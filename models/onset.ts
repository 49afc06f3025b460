/**
 * When a sound began, finer than the model's windows tell: energy of the differenced signal in 5 ms blocks, and the
 * steepest rise in it.
 */

const BLOCK_S = 0.005;
/** Blocks that a rise is measured against. */
const BEFORE = 10;

/** A bounded history of block energies of a mono stream since its last reset. */
export class EnergyTrace {
  /** Samples in a block. */
  readonly block: number;
  readonly #energies: Float64Array;
  #count = 0;
  #partial = 0;
  #inPartial = 0;
  #previous = 0;

  /** `keptS`: how far back it is asked, in seconds. */
  constructor(sampleRateHz: number, keptS: number) {
    this.block = Math.max(1, Math.round(sampleRateHz * BLOCK_S));
    this.#energies = new Float64Array(Math.round(keptS / BLOCK_S));
  }

  push(samples: Float32Array): void {
    for (const sample of samples) {
      const difference = sample - this.#previous;
      this.#previous = sample;
      this.#partial += difference * difference;
      if (++this.#inPartial === this.block) {
        this.#energies[this.#count % this.#energies.length] = this.#partial;
        this.#count++;
        this.#partial = 0;
        this.#inPartial = 0;
      }
    }
  }

  /** Continues with blocks [from, to) of energies that `energiesOf` reckoned. */
  pushEnergies(energies: Float64Array, from: number, to: number): void {
    for (let at = from; at < to; at++) {
      this.#energies[this.#count % this.#energies.length] = energies[at] ?? 0;
      this.#count++;
    }
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

  /** A copy of the blocks held, oldest first; those of the whole sound while it is not longer than what is kept. */
  kept(): Float64Array {
    const first = Math.max(0, this.#count - this.#energies.length);
    return Float64Array.from({ length: this.#count - first }, (_, i) => this.#at(first + i));
  }

  reset(): void {
    this.#count = 0;
    this.#partial = 0;
    this.#inPartial = 0;
    this.#previous = 0;
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

/** Energies of all whole blocks of a mono sound, as an EnergyTrace reckons them. */
export function energiesOf(samples: Float32Array, sampleRateHz: number): Float64Array {
  const seconds = samples.length / sampleRateHz;
  const trace = new EnergyTrace(sampleRateHz, seconds + BLOCK_S);
  trace.push(samples);
  return trace.kept();
}
