/**
 * Owns what the capsules have in common while something sounds: cross-spectra of which only the phases count (the phase transform
 * of Knapp & Carter 1976), weighted by how far each time and frequency stands out of the background.
 */
import { Fft } from './fft.ts';

/** Frames of 10.7 ms at 48 kHz, half overlapping: short against what walls give back later, long against the array's 0.25 ms. */
export const FRAME = 512;
const HOP = FRAME / 2;

/** How time and frequency are weighted. */
export interface Weighting {
  /** Band in Hz: below, the array is small against the wave; above, capsules differ and sounds have little. */
  readonly lowHz: number;
  readonly highHz: number;
  /** How many times the background's power is taken off. */
  readonly background: number;
}

/** Phases of all pairs of capsules over the band. */
export interface WhitenedSpectra {
  /** Of the first bin, and of the last. */
  readonly firstBin: number;
  readonly lastBin: number;
  /** By pair (0,1) (0,2) … (1,2) …: sums of weight · exp(i(φ_a − φ_b)) by bin from `firstBin`. */
  readonly pairs: readonly (readonly [a: number, b: number])[];
  readonly real: readonly Float64Array[];
  readonly imaginary: readonly Float64Array[];
  /** Sum of all weights: how many bins of how many frames stood out. */
  readonly weight: number;
}

const fft = new Fft(FRAME);
const window = Float64Array.from({ length: FRAME }, (_, i) => Math.sin((Math.PI * (i + 0.5)) / FRAME) ** 2);

/**
 * Of lines of sound (one a capsule, equal lengths): `background` [from, to) tells what is there anyway, `event` [from, to) is looked at;
 * in samples of the lines, both at least FRAME long.
 */
export function whitenedSpectra(
  lines: readonly Float32Array[],
  background: readonly [from: number, to: number],
  event: readonly [from: number, to: number],
  sampleRateHz: number,
  weighting: Weighting,
): WhitenedSpectra {
  const firstBin = Math.max(1, Math.ceil((weighting.lowHz * FRAME) / sampleRateHz));
  const lastBin = Math.min(FRAME / 2 - 1, Math.floor((weighting.highHz * FRAME) / sampleRateHz));
  const bins = lastBin - firstBin + 1;
  const pairs = lines.flatMap((_, a) => lines.slice(a + 1).map((_, i) => [a, a + 1 + i] as const));
  const real = pairs.map(() => new Float64Array(bins));
  const imaginary = pairs.map(() => new Float64Array(bins));
  const noise = backgroundPower(lines, background, firstBin, bins);
  const spectra = lines.map(() => emptyPhases(bins));
  let total = 0;
  for (let begin = event[0]; begin + FRAME <= event[1]; begin += HOP) {
    for (const [i, line] of lines.entries()) takePhases(line, begin, firstBin, spectra[i] as Phases);
    for (let k = 0; k < bins; k++) {
      let power = 0;
      for (const each of spectra) power += (each.power[k] as number) / lines.length;
      const weight = 1 - (weighting.background * (noise[k] as number)) / power;
      if (!(weight > 0)) continue;
      total += weight;
      for (let p = 0; p < pairs.length; p++) {
        const [i, j] = pairs[p] as readonly [number, number];
        const a = spectra[i] as Phases;
        const b = spectra[j] as Phases;
        const ar = a.real[k] as number;
        const ai = a.imaginary[k] as number;
        const br = b.real[k] as number;
        const bi = b.imaginary[k] as number;
        (real[p] as Float64Array)[k] = ((real[p] as Float64Array)[k] as number) + weight * (ar * br + ai * bi);
        (imaginary[p] as Float64Array)[k] =
          ((imaginary[p] as Float64Array)[k] as number) + weight * (ai * br - ar * bi);
      }
    }
  }
  return { firstBin, lastBin, pairs, real, imaginary, weight: total };
}

/** The spectra without one capsule; those behind it move up. */
export function withoutCapsule(spectra: WhitenedSpectra, capsule: number): WhitenedSpectra {
  const kept = spectra.pairs.map((pair) => !pair.includes(capsule));
  const moved = (m: number) => (m > capsule ? m - 1 : m);
  return {
    ...spectra,
    pairs: spectra.pairs.filter((_, p) => kept[p]).map(([a, b]) => [moved(a), moved(b)] as const),
    real: spectra.real.filter((_, p) => kept[p]),
    imaginary: spectra.imaginary.filter((_, p) => kept[p]),
  };
}

/** Mean power by bin, over capsules and frames; frames without any sound are missing sound, not a quiet background. */
function backgroundPower(
  lines: readonly Float32Array[],
  [from, to]: readonly [number, number],
  firstBin: number,
  bins: number,
): Float64Array {
  const power = new Float64Array(bins);
  const spectrum = emptyPhases(bins);
  let frames = 0;
  // Not overlapping: twice the work would tell little more.
  for (let begin = from; begin + FRAME <= to; begin += FRAME) {
    if (lines.every((line) => line.subarray(begin, begin + FRAME).every((sample) => sample === 0))) continue;
    for (const line of lines) {
      takePhases(line, begin, firstBin, spectrum);
      for (let k = 0; k < bins; k++) power[k] = (power[k] as number) + (spectrum.power[k] as number);
    }
    frames += 1;
  }
  return power.map((sum) => sum / Math.max(1, frames * lines.length));
}

interface Phases {
  readonly power: Float64Array;
  /** exp(iφ). */
  readonly real: Float64Array;
  readonly imaginary: Float64Array;
}

function emptyPhases(bins: number): Phases {
  return { power: new Float64Array(bins), real: new Float64Array(bins), imaginary: new Float64Array(bins) };
}

const frameReal = new Float64Array(FRAME);
const frameImaginary = new Float64Array(FRAME);

/** Fills the phases with those of the frame of `line` from `begin` on; their first bin is `firstBin`. */
function takePhases(line: Float32Array, begin: number, firstBin: number, { power, real, imaginary }: Phases): void {
  for (let i = 0; i < FRAME; i++) frameReal[i] = (line[begin + i] as number) * (window[i] as number);
  frameImaginary.fill(0);
  fft.forward(frameReal, frameImaginary);
  for (let k = 0; k < power.length; k++) {
    const re = frameReal[firstBin + k] as number;
    const im = frameImaginary[firstBin + k] as number;
    const square = re * re + im * im;
    const scale = square > 0 ? 1 / Math.sqrt(square) : 0;
    power[k] = square;
    real[k] = re * scale;
    imaginary[k] = im * scale;
  }
}
