/**
 * The input features of a window that drift is judged by, and the bins they are counted in. The training computes the same
 * (models/training/features.py), so that a model's reference and the vehicle's histograms can be compared.
 */

/** Every feature of a window; the keys are those of `drift_reference.histograms[].feature`. */
export interface InputFeatures {
  /** Level of the window, dB of full scale, −120 … 0. */
  readonly rms_dbfs: number;
  /** Peak over root mean square, dB; 0 for silence, high for single blows. */
  readonly crest_db: number;
  /** Changes of sign a second. */
  readonly zero_crossings_per_s: number;
  /** Power of the differences of neighbouring samples over the power of the samples, dB; the higher, the shriller. */
  readonly treble_db: number;
}

/** Below this, root mean square and peak are taken for silence: −120 dB of full scale. */
const FLOOR = 1e-6;
/** Keeps the treble of silence finite: 0 dB. */
const POWER_FLOOR = 1e-12;

/** Equal bins from `low` to `high`; one edge more than bins. */
function edges(low: number, high: number, bins: number): readonly number[] {
  return Array.from({ length: bins + 1 }, (_, i) => low + ((high - low) * i) / bins);
}

/** Edges of each feature's bins. Values beyond the ends are counted in the first and last bin. */
export const FEATURE_EDGES: Readonly<Record<keyof InputFeatures, readonly number[]>> = {
  rms_dbfs: edges(-120, 0, 20),
  crest_db: edges(0, 60, 20),
  zero_crossings_per_s: edges(0, 24_000, 24),
  treble_db: edges(-60, 6, 22),
};

/** Edges of the bins of every label's scores; the feature is called `score:<label>`. */
export const SCORE_EDGES: readonly number[] = Array.from({ length: 21 }, (_, i) => i / 20);

/** The features of a window of mono samples, −1 … 1; read only during the call. An empty window is silence. */
export function inputFeatures(window: Float32Array, sampleRateHz: number): InputFeatures {
  const count = window.length;
  let power = 0;
  let difference = 0;
  let peak = 0;
  let crossings = 0;
  let before = count === 0 ? 0 : (window[0] as number);
  for (let i = 0; i < count; i++) {
    const sample = window[i] as number;
    const step = sample - before;
    power += sample * sample;
    difference += step * step;
    if (sample > peak) peak = sample;
    else if (-sample > peak) peak = -sample;
    if (sample >= 0 !== before >= 0) crossings++;
    before = sample;
  }
  const meanPower = power / Math.max(1, count);
  const meanDifference = difference / Math.max(1, count - 1);
  const rms = Math.max(Math.sqrt(meanPower), FLOOR);
  return {
    rms_dbfs: 20 * Math.log10(rms),
    crest_db: 20 * Math.log10(Math.max(peak, FLOOR) / rms),
    zero_crossings_per_s: (crossings * sampleRateHz) / Math.max(1, count),
    treble_db: 10 * Math.log10((meanDifference + POWER_FLOOR) / (meanPower + POWER_FLOOR)),
  };
}
