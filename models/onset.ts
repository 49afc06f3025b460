/**
 * When a sound began, finer than the model's windows tell: energies in 5 ms blocks. How strong blows are is told by the
 * differenced signal; where one begins, by four bands, each against what is usual in it, because a knock in rain or wind stands
 * out in some bands alone.
 */

const BLOCK_S = 0.005;
/** Blocks that a rise is measured against. */
const BEFORE = 10;
/** Between the bands, Hz; twofold one-pole filters split there. */
const CUTS_HZ = [150, 600, 2400] as const;
const BANDS = CUTS_HZ.length + 1;
/** Blocks (1 s) that tell what is usual in a band, and how few are too few. */
const USUAL = 200;
const LEAST_USUAL = 20;
/** Keeps the filters from numbers so small that processors are slow with them, in digital silence. */
const NEVER_QUITE_SILENT = 1e-20;
/** A band counts at most so many deviations, so that one alone never decides. */
const MOST_DEVIATIONS = 30;

/** A history of block energies of a mono stream since its last reset. */
export class EnergyTrace {
  /** Samples in a block. */
  readonly block: number;
  readonly #keepsAll: boolean;
  #energies: Float64Array;
  /** [blocks × bands], beside `#energies`. */
  #bands: Float64Array;
  readonly #splits: readonly Split[];
  readonly #inBands = new Float64Array(BANDS);
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
    this.#bands = new Float64Array(BANDS * this.#energies.length);
    this.#splits = CUTS_HZ.map((cutHz) => new Split(cutHz / sampleRateHz));
  }

  push(samples: Float32Array): void {
    const [low, middle, high] = this.#splits as [Split, Split, Split];
    const inBands = this.#inBands;
    // No iterator, and no field of this that holds a fraction: each would make a number object a sample, 46 MB of garbage a minute.
    let previous = this.#previous;
    let partial = this.#partial;
    for (let i = 0; i < samples.length; i++) {
      const sample = samples[i] as number;
      const difference = sample - previous;
      previous = sample;
      const treble = high.above(sample + NEVER_QUITE_SILENT);
      const upper = middle.above(high.below);
      const lower = low.above(middle.below);
      inBands[0] = (inBands[0] as number) + low.below * low.below;
      inBands[1] = (inBands[1] as number) + lower * lower;
      inBands[2] = (inBands[2] as number) + upper * upper;
      inBands[3] = (inBands[3] as number) + treble * treble;
      partial += difference * difference;
      if (++this.#inPartial === this.block) {
        this.#keep(partial);
        partial = 0;
        this.#inPartial = 0;
      }
    }
    this.#previous = previous;
    this.#partial = partial;
  }

  /** Of a trace that keeps everything: answers as if it had heard the sound up to sample `to` and nothing after it. */
  reach(to: number): void {
    this.#count = Math.min(this.#heard, Math.floor(to / this.block));
  }

  /**
   * Where in samples [from, to) (indices since the reset) a sound begins: the block that stands out most, over all bands, from
   * what was usual in the second before `from`. And by how much the energy of a block grew over the 50 ms before it where it
   * grew most.
   */
  onset(from: number, to: number): { sample: number; rise: number } {
    const first = this.#clamp(Math.floor(from / this.block));
    const last = this.#clamp(Math.ceil(to / this.block));
    const deviations = this.#usualDeviations(first);
    let best = first;
    let most = Number.NEGATIVE_INFINITY;
    let rise = 0;
    for (let at = first; at < last; at++) {
      const grown = this.#at(at) - this.#before(at);
      rise = Math.max(rise, grown);
      const standsOut = deviations === null ? grown : this.#standsOut(at, deviations);
      if (standsOut > most) {
        most = standsOut;
        best = at;
      }
    }
    return { sample: best * this.block, rise };
  }

  /** By how many usual deviations the bands of a block are over the 50 ms before it, added up. */
  #standsOut(block: number, deviations: readonly number[]): number {
    const from = Math.max(block - BEFORE, this.#oldest());
    let sum = 0;
    for (const [band, deviation] of deviations.entries()) {
      let before = 0;
      for (let at = from; at < block; at++) {
        before += this.#inBand(at, band);
      }
      const grown = this.#inBand(block, band) - before / Math.max(1, block - from);
      sum += Math.min(MOST_DEVIATIONS, Math.max(0, grown / deviation));
    }
    return sum;
  }

  /** Standard deviation of each band's energies in the second before a block; null when too little of it was heard. */
  #usualDeviations(block: number): number[] | null {
    const from = Math.max(block - USUAL, this.#oldest());
    const count = block - from;
    if (count < LEAST_USUAL) {
      return null;
    }
    return Array.from({ length: BANDS }, (_, band) => {
      let sum = 0;
      let squares = 0;
      for (let at = from; at < block; at++) {
        const energy = this.#inBand(at, band);
        sum += energy;
        squares += energy * energy;
      }
      return Math.sqrt(Math.max(0, squares / count - (sum / count) ** 2)) + 1e-12;
    });
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

  /**
   * First sample after `onset` from which the sound stays 20 dB under its peak or at its earlier level for 50 ms; at most `to`. The block of
   * the onset is part of the sound even where it stands out in one band alone.
   */
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
        return Math.max(first + 1, at + 1 - BEFORE) * this.block;
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
    this.#inBands.fill(0);
    for (const split of this.#splits) split.reset();
  }

  #keep(energy: number): void {
    if (this.#keepsAll && this.#heard === this.#energies.length) {
      const longer = new Float64Array(2 * this.#energies.length);
      longer.set(this.#energies);
      this.#energies = longer;
      const wider = new Float64Array(2 * this.#bands.length);
      wider.set(this.#bands);
      this.#bands = wider;
    }
    const place = this.#heard % this.#energies.length;
    this.#energies[place] = energy;
    this.#bands.set(this.#inBands, place * BANDS);
    this.#inBands.fill(0);
    this.#heard++;
    this.#count = this.#heard;
  }

  #at(block: number): number {
    return block < 0 ? 0 : (this.#energies[block % this.#energies.length] ?? 0);
  }

  #inBand(block: number, band: number): number {
    return block < 0 ? 0 : (this.#bands[(block % this.#energies.length) * BANDS + band] ?? 0);
  }

  /** The first block that is still known. */
  #oldest(): number {
    return Math.max(0, this.#count - this.#energies.length);
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

/** A twofold one-pole filter that splits a signal in two. */
class Split {
  readonly #step: number;
  #once = 0;
  /** The last sample's part below the cut. */
  below = 0;

  /** `cut`: as a share of the sample rate. */
  constructor(cut: number) {
    this.#step = 1 - Math.exp(-2 * Math.PI * cut);
  }

  /** The part of the next sample above the cut. */
  above(sample: number): number {
    this.#once += this.#step * (sample - this.#once);
    this.below += this.#step * (this.#once - this.below);
    return sample - this.below;
  }

  reset(): void {
    this.#once = 0;
    this.below = 0;
  }
}
