/**
 * What the scores of a window are beside those around it. Where it is loud, or where something raps all the time, a model is somewhat sure of an
 * impact in every window; what tells is how far a window stands out. So receivers of radar keep their rate of false alarms (H. M. Finn
 * and R. S. Johnson, Adaptive Detection Mode with Threshold Control as a Function of Spatially Sampled Clutter-Level Estimates, RCA Review 29, 1968).
 */
import type { ModelDescription } from './description.ts';

/** Surenesses of an impact, and of background, count as this at least: log-odds have to end somewhere. */
const LEAST = 1e-9;

/**
 * The ambience of a stream that is still being heard: the median of the log-odds of an impact over the last `span_s`, beside
 * `assumed_s` of what is usual, which counts most while little was heard. A model whose description has no `events.ambience` keeps its scores.
 */
export class Ambience {
  readonly #settings: Settings | undefined;
  readonly #hopS: number;
  #recent: number[] = [];

  constructor({ events, input }: ModelDescription) {
    this.#settings = events?.ambience;
    this.#hopS = input.hop_s;
  }

  /** Scores by label of the stream's next window, beside its ambience: `scores` itself, or a new array. */
  relative(scores: Float32Array): Float32Array {
    if (this.#settings === undefined) return scores;
    const odds = logOdds(scores, 0, scores.length);
    // What is no number is told of elsewhere, and must not be remembered.
    if (!Number.isFinite(odds)) return scores;
    this.#recent.push(odds);
    if (this.#recent.length > Math.max(1, Math.round(this.#settings.span_s / this.#hopS))) this.#recent.shift();
    const shifted = new Float32Array(scores);
    shiftWindow(shifted, 0, scores.length, shiftOf(this.#settings, this.#hopS, this.#recent));
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

/**
 * Scores [windows × labels] of a clip, each window beside the ambience of the whole clip, for what lies before it is not known, and
 * `assumed_s` of what is usual: a clip of little but a blow is not its own ambience.
 */
export function relativeToAll(scores: Float32Array, { labels, events, input }: ModelDescription): Float32Array {
  if (events?.ambience === undefined || scores.length === 0) return scores;
  const starts = Array.from({ length: scores.length / labels.length }, (_, i) => i * labels.length);
  const odds = starts.map((at) => logOdds(scores, at, labels.length)).filter(Number.isFinite);
  const shift = shiftOf(events.ambience, input.hop_s, odds);
  const shifted = new Float32Array(scores);
  for (const at of starts) shiftWindow(shifted, at, labels.length, shift);
  return shifted;
}

type Settings = NonNullable<NonNullable<ModelDescription['events']>['ambience']>;

/** What the ambience takes off the log-odds of a window that has these around it. */
function shiftOf({ weight, usual, assumed_s }: Settings, hopS: number, around: readonly number[]): number {
  const assumed = Array<number>(Math.round(assumed_s / hopS)).fill(usual);
  return around.length === 0 ? 0 : weight * (median([...assumed, ...around]) - usual);
}

/** Of an impact of any label, in the window of `labels` scores from `at` on. */
function logOdds(scores: Float32Array, at: number, labels: number): number {
  let sure = 0;
  for (let i = 1; i < labels; i++) sure += scores[at + i] ?? 0;
  return Math.log(Math.max(LEAST, sure) / Math.max(LEAST, scores[at] ?? 0));
}

/** Lowers the window's log-odds by `shift`; the labels but background keep their shares of each other, and all of them their sum. */
function shiftWindow(scores: Float32Array, at: number, labels: number, shift: number): void {
  const before = logOdds(scores, at, labels);
  if (!Number.isFinite(before)) return;
  const impact = sigmoid(before - shift) / sigmoid(before);
  const background = sigmoid(shift - before) / sigmoid(-before);
  for (let i = 0; i < labels; i++) scores[at + i] = (scores[at + i] ?? 0) * (i === 0 ? background : impact);
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
