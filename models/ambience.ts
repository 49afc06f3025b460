/**
 * What the scores of a window are beside those around it. Where it is loud, or where something raps all the time, a model is somewhat sure of an
 * impact in every window; what tells is how far a window stands out. So receivers of radar keep their rate of false alarms (H. M. Finn
 * and R. S. Johnson, Adaptive Detection Mode with Threshold Control as a Function of Spatially Sampled Clutter-Level Estimates, RCA Review 29, 1968).
 */
import type { ModelDescription } from './description.ts';

/** Surenesses are at least this far from 0 and 1: float32 holds no finer ones next to 1. */
const LEAST = 1e-9;

/**
 * The ambience of a stream that is still being heard: the median of the log-odds of an impact over the last `span_s`, beside
 * `assumed_s` of what is usual, which counts most while little was heard. A model whose description has no `events.ambience` keeps its scores.
 */
export class Ambience {
  readonly #settings: Settings | undefined;
  readonly #assumed: readonly number[];
  readonly #span: number;
  #recent: number[] = [];

  constructor({ events, input }: ModelDescription) {
    this.#settings = events?.ambience;
    const windows = (seconds: number) => Math.round(seconds / input.hop_s);
    this.#assumed = this.#settings ? Array<number>(windows(this.#settings.assumed_s)).fill(this.#settings.usual) : [];
    this.#span = this.#settings ? Math.max(1, windows(this.#settings.span_s)) : 0;
  }

  /** Scores by label of the stream's next window, beside its ambience: `scores` itself, or a new array that adds up to the same. */
  relative(scores: Float32Array): Float32Array {
    if (this.#settings === undefined) return scores;
    const odds = logOdds(scores, 0, scores.length);
    // What is no number is told of elsewhere, and must not be remembered.
    if (!Number.isFinite(odds)) return scores;
    this.#recent.push(odds);
    if (this.#recent.length > this.#span) this.#recent.shift();
    const shift = shiftOf(this.#settings, median([...this.#assumed, ...this.#recent]));
    const shifted = new Float32Array(scores);
    shiftWindow(shifted, 0, scores.length, shift);
    return shifted;
  }

  /** A new stream begins. */
  reset(): void {
    this.#recent = [];
  }
}

/** Scores [windows × labels] of a stream, each window beside the ambience up to it, as an `Ambience` gives them. */
export function relativeToBefore(scores: Float32Array, description: ModelDescription): Float32Array {
  if (description.events?.ambience === undefined) return scores;
  const ambience = new Ambience(description);
  const labels = description.labels.length;
  const shifted = new Float32Array(scores.length);
  for (let at = 0; at < scores.length; at += labels) {
    shifted.set(ambience.relative(scores.subarray(at, at + labels)), at);
  }
  return shifted;
}

/** Scores [windows × labels] of a clip, each window beside the ambience of the whole clip: what lies before a clip is not known. */
export function relativeToAll(scores: Float32Array, { labels, events }: ModelDescription): Float32Array {
  if (events?.ambience === undefined || scores.length === 0) return scores;
  const starts = Array.from({ length: scores.length / labels.length }, (_, i) => i * labels.length);
  const shift = shiftOf(events.ambience, median(starts.map((at) => logOdds(scores, at, labels.length))));
  const shifted = new Float32Array(scores);
  for (const at of starts) shiftWindow(shifted, at, labels.length, shift);
  return shifted;
}

type Settings = NonNullable<NonNullable<ModelDescription['events']>['ambience']>;

function shiftOf({ weight, usual }: Settings, ambience: number): number {
  return weight * (ambience - usual);
}

/** Of an impact of any label, in the window of `labels` scores from `at` on. */
function logOdds(scores: Float32Array, at: number, labels: number): number {
  let sure = 0;
  for (let i = 1; i < labels; i++) sure += scores[at + i] ?? 0;
  return Math.log(Math.max(LEAST, sure) / Math.max(LEAST, scores[at] ?? 0));
}

/** Lowers the window's log-odds by `shift`; the labels but background keep their shares of each other. */
function shiftWindow(scores: Float32Array, at: number, labels: number, shift: number): void {
  const before = logOdds(scores, at, labels);
  const factor = sigmoid(before - shift) / sigmoid(before);
  for (let i = 1; i < labels; i++) scores[at + i] = (scores[at + i] ?? 0) * factor;
  scores[at] = sigmoid(shift - before);
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  const upper = sorted[half] ?? 0;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[half - 1] ?? 0)) / 2;
}
