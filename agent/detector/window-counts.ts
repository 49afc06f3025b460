/** Counts, in the detector process, what its windows are made of and how the model scores them. */
import type { ModelDescription } from '../../models/description.ts';
import { HistogramCounter } from '../../models/drift.ts';
import { FEATURE_EDGES, type InputFeatures, inputFeatures, SCORE_EDGES } from '../../models/features.ts';
import type { CountedFeature, ScoredWindow, SummaryReport } from './window-reports.ts';

/** More windows than one push can complete are not kept. */
const MAX_WINDOWS = 64;

/** Everything counted since it was taken last; of fixed size. */
export class WindowCounts {
  readonly #labels: readonly string[];
  readonly #thresholds: readonly number[];
  readonly #sampleRateHz: number;
  readonly #windowNs: bigint;
  readonly #features: readonly (readonly [keyof InputFeatures, HistogramCounter])[];
  readonly #scores: readonly HistogramCounter[];
  #windows: ScoredWindow[] = [];
  #counted = 0;
  #runMs = 0;

  /** Bins are those of the model's reference, or for what it does not know those of models/features.ts. */
  constructor({ labels, thresholds, input, drift_reference }: ModelDescription) {
    this.#labels = labels;
    this.#thresholds = labels.map((label, i) => (i === 0 ? 2 : (thresholds[label] ?? 1)));
    this.#sampleRateHz = input.sample_rate_hz;
    this.#windowNs = BigInt(Math.round(input.window_s * 1e9));
    const edgesOf = (feature: string, edges: readonly number[]): readonly number[] =>
      drift_reference.histograms.find((each) => each.feature === feature)?.edges ?? edges;
    const names = Object.keys(FEATURE_EDGES) as (keyof InputFeatures)[];
    this.#features = names.map((name) => [name, new HistogramCounter(edgesOf(name, FEATURE_EDGES[name]))]);
    this.#scores = labels.map((label) => new HistogramCounter(edgesOf(`score:${label}`, SCORE_EDGES)));
  }

  /** Takes how long the run took whose windows are counted next, in ms. */
  ran(ms: number): void {
    this.#runMs = ms;
  }

  /**
   * Counts one window; `scores` by label, `samples` its sound, `relative` the scores beside the ambience, all read only during the call. Throws on
   * scores that are no numbers.
   */
  count(scores: Float32Array, startNs: bigint, samples: Float32Array, relative: Float32Array): void {
    let label = 1;
    let sureness = 0;
    for (let i = 0; i < this.#labels.length; i += 1) {
      const score = scores[i] ?? Number.NaN;
      if (!Number.isFinite(score))
        throw new Error(`expected scores from 0 to 1, found ${score} for ${this.#labels[i]}`);
      this.#scores[i]?.add(score);
      if (i > 0) sureness += score;
      if (i > 0 && score > (scores[label] ?? 0)) label = i;
    }
    const judged = relative.subarray(1, this.#labels.length).reduce((sum, score) => sum + score, 0);
    const features = inputFeatures(samples, this.#sampleRateHz);
    for (const [name, counter] of this.#features) counter.add(features[name]);
    this.#counted += 1;
    if (this.#windows.length === MAX_WINDOWS) this.#windows.shift();
    this.#windows.push({
      end_ns: String(startNs + this.#windowNs),
      sureness: Math.min(1, Math.max(0, sureness)),
      share: judged / Math.max(1e-9, this.#thresholds[label] ?? 1),
      run_ms: this.#runMs,
    });
  }

  /** The windows since it was asked last, at most the latest 64. */
  takeWindows(): ScoredWindow[] {
    const windows = this.#windows;
    if (windows.length > 0) this.#windows = [];
    return windows;
  }

  /** The counts since it was asked last; null when nothing was counted. */
  takeSummary(): Omit<SummaryReport, 'kind'> | null {
    if (this.#counted === 0) return null;
    const windows = this.#counted;
    this.#counted = 0;
    const scores = this.#scores.map((counter, i): CountedFeature => taken(`score:${this.#labels[i]}`, counter));
    return { windows, histograms: [...this.#features.map(([name, counter]) => taken(name, counter)), ...scores] };
  }
}

function taken(feature: string, counter: HistogramCounter): CountedFeature {
  const counts = counter.counts();
  counter.reset();
  return { feature, edges: counter.edges, counts };
}
