/** Judges a model on labelled clips: a score for each clip, and how well the scores tell impacts from everything else. */
import { type Clip, decodeClip, readClips } from './clips.ts';
import { type ModelDescription, windowSamples } from './description.ts';
import { ModelError } from './error.ts';
import { recallAtFpr, rocAuc } from './metrics.ts';
import { readModel } from './package.ts';
import { ModelSession, type Scorer } from './session.ts';

export const FALSE_POSITIVE_RATES = [0.02, 0.05, 0.1] as const;
/** Windows scored in one run; bounds the memory of long clips. */
const BATCH = 16;

export interface EvaluateOptions {
  readonly modelPath: string;
  /** CSV with the columns file, fold, class, group; files are relative to it. */
  readonly clipsPath: string;
  /** Only clips whose fold is this text; all when absent. */
  readonly fold?: string;
  /** Called after each clip. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export interface ClipScore {
  readonly file: string;
  readonly fold: string;
  readonly class: string;
  readonly group: string;
  /** How sure the model is that the clip holds an impact of any label, 0 to 1. */
  readonly score: number;
  /** Highest score of each label over the clip's windows. */
  readonly scores: Readonly<Record<string, number>>;
}

/** As printed with --json; null metrics mean that impacts or others are missing among the clips. */
export interface EvaluationResult {
  readonly model: { readonly name: string; readonly version: string; readonly file: string };
  readonly fold: string | null;
  readonly impacts: number;
  readonly others: number;
  readonly roc_auc: number | null;
  readonly recall_at_fpr: Readonly<Record<string, number | null>>;
  readonly clips: readonly ClipScore[];
}

/**
 * Scores every clip and computes the metrics for `group` impact against everything else. Throws ModelError: bad model,
 * list or clip, or no sox; the message names the file.
 */
export async function evaluate(options: EvaluateOptions): Promise<EvaluationResult> {
  const model = await readModel(options.modelPath);
  const clips = select(await readClips(options.clipsPath), options);
  const session = await ModelSession.open(model, { threads: 1 });
  const { description } = model;
  try {
    const scored: ClipScore[] = [];
    const decode = (clip: Clip | undefined) =>
      clip === undefined ? undefined : decodeClip(clip.path, description.input.sample_rate_hz, options.signal);
    let next = decode(clips[0]);
    for (const [i, clip] of clips.entries()) {
      const samples = (await next) ?? new Float32Array(0);
      // Sox decodes the next clip while the model hears this one; its failure is met when its turn comes.
      next = decode(clips[i + 1]);
      next?.catch(() => undefined);
      scored.push(judge(clip, await windowScores(session, description, samples), description.labels));
      options.onProgress?.(i + 1, clips.length);
    }
    const file = options.modelPath;
    return { model: { name: description.name, version: description.version, file }, ...summary(scored, options.fold) };
  } finally {
    await session.close();
  }
}

function select(clips: Clip[], options: EvaluateOptions): Clip[] {
  const wanted = options.fold === undefined ? clips : clips.filter((clip) => clip.fold === options.fold);
  if (wanted.length === 0) {
    const folds = [...new Set(clips.map((clip) => clip.fold))].sort().join(', ');
    throw new ModelError(
      'invalid-clips',
      `${options.clipsPath}: no clip of fold ${options.fold}; found folds ${folds}`,
    );
  }
  return wanted;
}

/** Scores [windows × labels] of a mono clip at the model's rate, one window each hop; a short clip is padded with silence. */
export async function windowScores(
  scorer: Scorer,
  description: ModelDescription,
  samples: Float32Array,
): Promise<Float32Array> {
  const { window, hop } = windowSamples(description);
  const labels = description.labels.length;
  const count = Math.max(1, Math.floor((samples.length - window) / hop) + 1);
  const scores = new Float32Array(count * labels);
  for (let first = 0; first < count; first += BATCH) {
    const batch = Math.min(BATCH, count - first);
    const audio = new Float32Array(batch * window);
    for (let i = 0; i < batch; i++) {
      const start = (first + i) * hop;
      audio.set(samples.subarray(start, start + window), i * window);
    }
    scores.set(await scorer.run(audio, batch), first * labels);
  }
  return scores;
}

/**
 * One score from a clip's windows [windows × labels]: how strongly the best windows speak against background. The mean
 * of the two highest, because one blow shows in several overlapping windows and a single one may err.
 */
export function clipScore(scores: Float32Array, labels: number): number {
  const impact: number[] = [];
  for (let at = 0; at < scores.length; at += labels) {
    impact.push(1 - (scores[at] ?? 1));
  }
  impact.sort((a, b) => b - a);
  const best = impact.slice(0, 2);
  return best.reduce((sum, value) => sum + value, 0) / best.length;
}

function judge(clip: Clip, scores: Float32Array, labels: readonly string[]): ClipScore {
  const highest = labels.map((label, i) => {
    let most = 0;
    for (let at = i; at < scores.length; at += labels.length) {
      most = Math.max(most, scores[at] ?? 0);
    }
    return [label, most] as const;
  });
  const { file, fold, group } = clip;
  const score = clipScore(scores, labels.length);
  return { file, fold, class: clip.class, group, score, scores: Object.fromEntries(highest) };
}

function summary(clips: ClipScore[], fold: string | undefined): Omit<EvaluationResult, 'model'> {
  const scores = clips.map((clip) => clip.score);
  const positive = clips.map((clip) => clip.group === 'impact');
  const impacts = positive.filter(Boolean).length;
  return {
    fold: fold ?? null,
    impacts,
    others: clips.length - impacts,
    roc_auc: rocAuc(scores, positive),
    recall_at_fpr: Object.fromEntries(FALSE_POSITIVE_RATES.map((fpr) => [fpr, recallAtFpr(scores, positive, fpr)])),
    clips,
  };
}

/** The result as text for a terminal: one line a clip, highest score first, then the metrics. */
export function formatEvaluation(result: EvaluationResult): string {
  const width = Math.max(...result.clips.map((clip) => clip.file.length), 4);
  const lines = [...result.clips]
    .sort((a, b) => b.score - a.score)
    .map((clip) => `${clip.file.padEnd(width)}  fold ${clip.fold}  ${clip.group.padEnd(10)}  ${clip.score.toFixed(4)}`);
  const show = (value: number | null) => (value === null ? 'undefined: needs impacts and others' : value.toFixed(4));
  return [
    ...lines,
    '',
    `model    ${result.model.name} ${result.model.version} (${result.model.file})`,
    `clips    ${result.impacts} impact, ${result.others} other${result.fold === null ? '' : `, fold ${result.fold}`}`,
    `roc_auc  ${show(result.roc_auc)}`,
    ...Object.entries(result.recall_at_fpr).map(([fpr, recall]) => `recall_at_fpr ${fpr}  ${show(recall)}`),
    '',
  ].join('\n');
}
