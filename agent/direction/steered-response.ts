/**
 * Owns the search for the direction from which all pairs of capsules agree best: steered response power with phase transform
 * (DiBiase 2000, "A high-accuracy, low-latency technique for talker localization in reverberant environments").
 */
import type { Position } from '../../drivers/uma8/geometry.ts';
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
  const reach = Math.max(...spectra.pairs.map(([a, b]) => apart(positions[a] as Position, positions[b] as Position)));
  const most = Math.ceil((reach / SOUND_SPEED_MPS) * sampleRateHz) + 1;
  const correlations = correlate(spectra, most);
  const map = new Float64Array(360);
  const elevations = new Float64Array(360);
  for (let azimuth = 0; azimuth < 360; azimuth++) {
    map[azimuth] = Number.NEGATIVE_INFINITY;
    for (const elevation of ELEVATIONS_DEG) {
      const response = mean(responses(azimuth, elevation, spectra, positions, correlations, most, sampleRateHz));
      if (response <= (map[azimuth] as number)) continue;
      map[azimuth] = response;
      elevations[azimuth] = elevation;
    }
  }
  const peak = map.indexOf(Math.max(...map));
  const at = (azimuth: number) => map[(azimuth + 360) % 360] as number;
  const bend = at(peak - 1) - 2 * at(peak) + at(peak + 1);
  const fraction = bend < 0 ? (0.5 * (at(peak - 1) - at(peak + 1))) / bend : 0;
  const best = responses(peak, elevations[peak] as number, spectra, positions, correlations, most, sampleRateHz);
  const byCapsule = positions.map((_, m) => mean(best.filter((_, p) => spectra.pairs[p]?.includes(m))));
  const azimuthDeg = peak + Math.max(-0.5, Math.min(0.5, fraction));
  return { azimuthDeg: azimuthDeg > 180 ? azimuthDeg - 360 : azimuthDeg, agreement: at(peak), byCapsule };
}

function apart(a: Position, b: Position): number {
  return Math.hypot(a.x - b.x, a.y - b.y, a.z - b.z);
}

function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

/** By pair: the generalised cross-correlation from −most to +most samples in STEPS a sample, 1 where all phases agree. */
function correlate({ firstBin, lastBin, real, imaginary, weight }: WhitenedSpectra, most: number): Float64Array[] {
  const turn = FRAME * STEPS;
  const cos = Float64Array.from({ length: turn }, (_, i) => Math.cos((2 * Math.PI * i) / turn));
  const sin = Float64Array.from({ length: turn }, (_, i) => Math.sin((2 * Math.PI * i) / turn));
  return real.map((re, p) => {
    const im = imaginary[p] as Float64Array;
    const out = new Float64Array(2 * most * STEPS + 1);
    for (let k = firstBin; k <= lastBin; k++) {
      const [a, b] = [(re[k - firstBin] as number) / weight, (im[k - firstBin] as number) / weight];
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

/** By pair: the correlation at the delay that a distant source in this direction would have. */
function responses(
  azimuthDeg: number,
  elevationDeg: number,
  { pairs }: WhitenedSpectra,
  positions: readonly Position[],
  correlations: readonly Float64Array[],
  most: number,
  sampleRateHz: number,
): Float64Array {
  const [azimuth, elevation] = [(azimuthDeg * Math.PI) / 180, (elevationDeg * Math.PI) / 180];
  const [x, y, z] = [
    Math.cos(azimuth) * Math.cos(elevation),
    Math.sin(azimuth) * Math.cos(elevation),
    Math.sin(elevation),
  ];
  // What is nearer to the source hears it earlier.
  const arrivals = positions.map((at) => (-(at.x * x + at.y * y + at.z * z) / SOUND_SPEED_MPS) * sampleRateHz * STEPS);
  const found = new Float64Array(pairs.length);
  for (let p = 0; p < pairs.length; p++) {
    const [a, b] = pairs[p] as readonly [number, number];
    const lag = (arrivals[a] as number) - (arrivals[b] as number) + most * STEPS;
    const below = Math.floor(lag);
    const line = correlations[p] as Float64Array;
    found[p] = (line[below] as number) + (lag - below) * ((line[below + 1] as number) - (line[below] as number));
  }
  return found;
}
