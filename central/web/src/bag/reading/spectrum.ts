/** Spectrogram columns of a channel of sound, on a mel scale, kept per column so that moving the view computes only new ones. */
import { frequencyAt } from '../../player/frequency-scale.ts';
import type { DecodedSound } from './decoded.ts';
import { PowerSpectrum } from './fourier.ts';

/** A column's levels are kept in half decibels above this. */
const quietestDb = -127;
const windowFrames = 1024;
/** What is drawn below the loudest level of the view. */
const rangeDb = 66;
const mostColumns = 24_000;

/** Levels of one column, from the lowest frequency up. */
type Levels = Uint8Array;

export class SpectrumColumns {
  readonly #transform = new PowerSpectrum(windowFrames);
  readonly #samples = new Float32Array(windowFrames);
  readonly #columns = new Map<string, Levels>();
  #bands: { readonly rateHz: number; readonly height: number; readonly edges: Float64Array } | null = null;

  has(key: string): boolean {
    return this.#columns.has(key);
  }

  get(key: string): Levels | undefined {
    return this.#columns.get(key);
  }

  /** Computes the column around `timeS` from sound in order; silence where there is none. */
  compute(key: string, timeS: number, sounds: readonly DecodedSound[], channel: number, height: number): void {
    const rateHz = sounds[0]?.blocks[0]?.rateHz ?? 48_000;
    this.#gather(timeS - windowFrames / 2 / rateHz, rateHz, sounds, channel);
    this.#transform.transform(this.#samples);
    const levels = this.#toLevels(rateHz, height);
    this.#columns.set(key, levels);
    if (this.#columns.size <= mostColumns) return;
    const [oldest] = this.#columns.keys();
    if (oldest !== undefined) this.#columns.delete(oldest);
  }

  #gather(startS: number, rateHz: number, sounds: readonly DecodedSound[], channel: number): void {
    this.#samples.fill(0);
    for (const { t, blocks } of sounds) {
      blocks.forEach(({ samples, channels }, at) => {
        const frames = samples.length / channels;
        // Where the block begins in the window, in frames.
        const offset = Math.round(((t[at] as number) - startS) * rateHz);
        if (offset >= windowFrames || offset + frames <= 0 || channel >= channels) return;
        const end = Math.min(frames, windowFrames - offset);
        for (let frame = Math.max(0, -offset); frame < end; frame += 1) {
          this.#samples[offset + frame] = (samples[frame * channels + channel] as number) / 32_768;
        }
      });
    }
  }

  #toLevels(rateHz: number, height: number): Levels {
    if (this.#bands?.rateHz !== rateHz || this.#bands.height !== height) {
      const binHz = rateHz / windowFrames;
      const edges = Float64Array.from(
        { length: height + 1 },
        (_, row) => frequencyAt(row / height, rateHz / 2) / binHz,
      );
      this.#bands = { rateHz, height, edges };
    }
    const { edges } = this.#bands;
    const { power } = this.#transform;
    const levels = new Uint8Array(height);
    for (let row = 0; row < height; row += 1) {
      const low = edges[row] as number;
      const high = edges[row + 1] as number;
      let strongest = 0;
      if (high - low < 1) strongest = between(power, (low + high) / 2);
      else for (let bin = Math.floor(low); bin < high; bin += 1) strongest = Math.max(strongest, power[bin] ?? 0);
      const levelDb = 10 * Math.log10(strongest + 1e-20);
      levels[row] = Math.max(0, Math.min(255, Math.round((levelDb - quietestDb) * 2)));
    }
    return levels;
  }
}

function between(power: Float64Array, bin: number): number {
  const low = Math.floor(bin);
  const share = bin - low;
  return (power[low] ?? 0) * (1 - share) + (power[low + 1] ?? 0) * share;
}

/**
 * Pixels (RGBA as the machine's own 32-bit numbers) of columns side by side, low frequencies at the bottom; missing ones are
 * transparent. @param colours 256 from silent to loud.
 */
export function paint(columns: readonly (Levels | undefined)[], height: number, colours: Uint32Array) {
  let loudest = 0;
  for (const levels of columns) if (levels) for (const level of levels) if (level > loudest) loudest = level;
  // In steps of 6 dB, so that the colours do not flicker while the view moves.
  const top = Math.ceil(loudest / 12) * 12;
  const shades = Float64Array.from({ length: 256 }, (_, level) =>
    Math.max(0, Math.min(1, (level - top) / (2 * rangeDb) + 1)),
  );
  const pixels = new Uint32Array(columns.length * height);
  for (let column = 0; column < columns.length; column += 1) {
    const levels = columns[column];
    if (levels === undefined) continue;
    for (let row = 0; row < height; row += 1) {
      const shade = shades[levels[height - 1 - row] as number] as number;
      pixels[row * columns.length + column] = colours[Math.round(shade * 255)] as number;
    }
  }
  return { pixels, loudestDb: loudest / 2 + quietestDb };
}
