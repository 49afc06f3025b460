/** Makes the histograms that drift is judged against: features and scores of every window of clips as the vehicle hears them. */
import { decodeClip, readClips } from './clips.ts';
import type { ModelDescription } from './description.ts';
import { HistogramCounter } from './drift.ts';
import { FEATURE_EDGES, type InputFeatures, inputFeatures, SCORE_EDGES } from './features.ts';
import type { Scorer } from './session.ts';
import { lengthsInSamples } from './windows.ts';

type Histograms = ModelDescription['drift_reference']['histograms'];

/** One counter for each input feature, and for the scores of each label. */
function counters(labels: readonly string[]): Map<string, HistogramCounter> {
  return new Map([
    ...Object.entries(FEATURE_EDGES).map(([name, edges]) => [name, new HistogramCounter(edges)] as const),
    ...labels.map((label) => [`score:${label}`, new HistogramCounter(SCORE_EDGES)] as const),
  ]);
}

function histogramsOf(counted: ReadonlyMap<string, HistogramCounter>): Histograms {
  return [...counted].map(([feature, counter]) => ({ feature, edges: [...counter.edges], counts: counter.counts() }));
}

/** Histograms of nothing, for a model whose reference is not known: no drift can be told from them. */
export function emptyReference(labels: readonly string[]): Histograms {
  return histogramsOf(counters(labels));
}

/**
 * Counts every window of the clips of `clipsPath`, one each hop. Throws ModelError for the list, a clip, sox or the model, `aborted` when
 * the signal aborts.
 */
export async function countReference(
  scorer: Scorer,
  description: Pick<ModelDescription, 'input' | 'labels'>,
  clipsPath: string,
  options: { readonly onProgress?: (done: number, total: number) => void; readonly signal?: AbortSignal } = {},
): Promise<Histograms> {
  const { window, hop } = lengthsInSamples(description.input);
  const rate = description.input.sample_rate_hz;
  const counted = counters(description.labels);
  const clips = await readClips(clipsPath);
  for (const [i, clip] of clips.entries()) {
    const samples = await decodeClip(clip.path, rate, options.signal);
    for (let start = 0; start === 0 || start + window <= samples.length; start += hop) {
      // A clip shorter than a window is followed by silence.
      const audio = new Float32Array(window);
      audio.set(samples.subarray(start, start + window));
      const features: InputFeatures = inputFeatures(audio, rate);
      for (const [name, value] of Object.entries(features)) counted.get(name)?.add(value);
      const scores = await scorer.run(audio, 1);
      description.labels.forEach((label, k) => {
        counted.get(`score:${label}`)?.add(scores[k] ?? Number.NaN);
      });
    }
    options.onProgress?.(i + 1, clips.length);
  }
  return histogramsOf(counted);
}
