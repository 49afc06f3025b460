/**
 * Owns the search for the direction from which all pairs of capsules agree best: steered response power with phase transform
 * (DiBiase 2000, "A high-accuracy, low-latency technique for talker localization in reverberant environments").
 */
import type { Position } from '../../drivers/uma8/geometry.ts';
import { wrapDegrees } from './direction.ts';
import { FRAME, type WhitenedSpectra } from './whitened-spectra.ts';

/** Speed of sound at 20 °C in m/s; 10 °C more or less shift an azimuth by nothing, as all delays stretch alike. */
const SOUND_SPEED_MPS = 343.2;
/** Delays are looked up in a table of so many steps a sample. */
const STEPS = 8;
/**
 * Elevations tried for each azimuth, in degrees. An array in one plane hears above and below alike, and elevation only shortens
 * its delays; how high a sound comes from is not asked.
 */
const ELEVATIONS_DEG: readonly number[] = [-60, -45, -30, -15, 0, 15, 30, 45, 60];

/** Azimuths are tried in such steps first, then each degree about the best; the peak of a broad band is about 10° wide. */
const COARSE_DEG = 3;

/** Where the response is strongest. */
export interface Steered {
  /** In the frame of the positions: 0 = x, +90 = y; −180 to 180. */
  readonly azimuthDeg: number;
  /** Mean agreement of all pairs in that direction: 1 when all phases fit, about 0 for noise. */
  readonly agreement: number;
  /** By capsule: mean agreement of the pairs it is in. */
  readonly byCapsule: readonly number[];
}

/** `positions` of the capsules in metres, in the order of the spectra; throws nothing, null when nothing stood out. */
export function steer(spectra: WhitenedSpectra, positions: readonly Position[], sampleRateHz: number): Steered | null {
  if (!(spectra.weight > 0)) return null;
  const { pairs } = spectra;
  const reach = Math.max(...pairs.map(([a, b]) => apart(positions[a] as Position, positions[b] as Position)));
  const most = Math.ceil((reach / SOUND_SPEED_MPS) * sampleRateHz) + 1;
  const field = { pairs, positions, correlations: correlate(spectra, most), most, sampleRateHz };
  const elevations = positions.every(({ z }) => z === positions[0]?.z)
    ? ELEVATIONS_DEG.filter((elevation) => elevation >= 0)
    : ELEVATIONS_DEG;
  const found = new Float64Array(pairs.length);
  const strongest = (azimuth: number) => {
    let best = { azimuth, response: Number.NEGATIVE_INFINITY, elevation: 0 };
    for (const elevation of elevations) {
      const response = respond(field, azimuth, elevation, found);
      if (response > best.response) best = { azimuth, response, elevation };
    }
    return best;
  };
  let best = strongest(0);
  for (let azimuth = COARSE_DEG; azimuth < 360; azimuth += COARSE_DEG) {
    const next = strongest(azimuth);
    if (next.response > best.response) best = next;
  }
  const coarse = best.azimuth;
  for (let turn = 1 - COARSE_DEG; turn < COARSE_DEG; turn++) {
    const next = strongest(coarse + turn);
    if (next.response > best.response) best = next;
  }
  const [before, after] = [strongest(best.azimuth - 1).response, strongest(best.azimuth + 1).response];
  const bend = before - 2 * best.response + after;
  const fraction = bend < 0 ? (0.5 * (before - after)) / bend : 0;
  respond(field, best.azimuth, best.elevation, found);
  const byCapsule = positions.map((_, m) => mean(found.filter((_, p) => pairs[p]?.includes(m))));
  const azimuthDeg = wrapDegrees(best.azimuth + Math.max(-0.5, Math.min(0.5, fraction)));
  return { azimuthDeg, agreement: best.response, byCapsule };
}

function apart(a: Position, b: Position): number {
  return Math.hypot(a.x - b.x, a.y - b.y, a.z - b.z);
}

function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

/** One turn, in the steps by which a bin's phase goes on from one step of delay to the next. */
const turn = FRAME * STEPS;
const cos = Float64Array.from({ length: turn }, (_, i) => Math.cos((2 * Math.PI * i) / turn));
const sin = Float64Array.from({ length: turn }, (_, i) => Math.sin((2 * Math.PI * i) / turn));

/** By pair: the generalised cross-correlation from −most to +most samples in STEPS a sample, 1 where all phases agree. */
function correlate({ firstBin, lastBin, real, imaginary, weight }: WhitenedSpectra, most: number): Float64Array[] {
  return real.map((re, p) => {
    const im = imaginary[p] as Float64Array;
    const out = new Float64Array(2 * most * STEPS + 1);
    for (let k = firstBin; k <= lastBin; k++) {
      const a = (re[k - firstBin] as number) / weight;
      const b = (im[k - firstBin] as number) / weight;
      if (a === 0 && b === 0) continue;
      let angle = (turn - ((most * STEPS * k) % turn)) % turn;
      for (let lag = 0; lag < out.length; lag++) {
        out[lag] = (out[lag] as number) + a * (cos[angle] as number) - b * (sin[angle] as number);
        angle += k;
        if (angle >= turn) angle -= turn;
      }
    }
    return out;
  });
}

/** What is needed to tell how well a direction fits. */
interface Field {
  readonly pairs: WhitenedSpectra['pairs'];
  readonly positions: readonly Position[];
  readonly correlations: readonly Float64Array[];
  readonly most: number;
  readonly sampleRateHz: number;
}

/** The mean over pairs of the correlation at the delay that a distant source in this direction would have; `found` takes them by pair. */
function respond(field: Field, azimuthDeg: number, elevationDeg: number, found: Float64Array): number {
  const { pairs, positions, correlations, most, sampleRateHz } = field;
  const [azimuth, elevation] = [(azimuthDeg * Math.PI) / 180, (elevationDeg * Math.PI) / 180];
  const x = Math.cos(azimuth) * Math.cos(elevation);
  const y = Math.sin(azimuth) * Math.cos(elevation);
  const z = Math.sin(elevation);
  const scale = (sampleRateHz * STEPS) / SOUND_SPEED_MPS;
  let sum = 0;
  for (let p = 0; p < pairs.length; p++) {
    const [i, j] = pairs[p] as readonly [number, number];
    const a = positions[i] as Position;
    const b = positions[j] as Position;
    // What is nearer to the source hears it earlier.
    const lag = most * STEPS - scale * ((a.x - b.x) * x + (a.y - b.y) * y + (a.z - b.z) * z);
    const below = Math.floor(lag);
    const line = correlations[p] as Float64Array;
    const value = (line[below] as number) + (lag - below) * ((line[below + 1] as number) - (line[below] as number));
    found[p] = value;
    sum += value;
  }
  return sum / pairs.length;
}
