/** Clip-level figures of scored clips, with their confidence intervals. Pure. */
import { relativeToAll } from './ambience.ts';
import { type BootstrapOptions, bootstrap, type Interval } from './bootstrap.ts';
import type { Clip } from './clips.ts';
import type { ModelDescription } from './description.ts';
import { recallAtFpr, rocAuc } from './metrics.ts';

export const FALSE_POSITIVE_RATES = [0.02, 0.05, 0.1] as const;
/** The label of impact classes of well-known lists; others say it in a column `label`, or by a class that is a label. */
const LABEL_OF_CLASS: Readonly<Record<string, string>> = { door_knock: 'body_impact', glass_breaking: 'glass_break' };

export interface ClipScore {
  readonly file: string;
  readonly fold: string;
  readonly class: string;
  readonly group: string;
  /** How sure the model is that the clip holds an impact of any label, 0 to 1. */
  readonly score: number;
  /** Highest score of each label over the clip's windows. */
  readonly scores: Readonly<Record<string, number>>;
  /** The likeliest label but for background in the two windows that `score` is the mean of. */
  readonly kind: string;
  /** `kind` where `score` reaches its threshold, else `none`. */
  readonly detected_as: string;
  /** The right label of an impact; null for others, and where nothing says it. */
  readonly label: string | null;
}

/** What was made of one clip: once as it is, or in each draw of the noise under it. */
export type ClipDraws = readonly ClipScore[];

/** The figures that have an interval; a null means that impacts or others are missing among the clips. */
export interface ClipFigures {
  readonly roc_auc: number | null;
  readonly recall_at_fpr: Readonly<Record<string, number | null>>;
  /** Share of the detected impacts with the right label. */
  readonly kind_accuracy: number | null;
}

export interface ClipIntervals {
  readonly roc_auc: Interval | null;
  readonly recall_at_fpr: Readonly<Record<string, Interval | null>>;
  readonly kind_accuracy: Interval | null;
}

export interface ClipSummary extends ClipFigures {
  readonly impacts: number;
  readonly others: number;
  /** How often each clip was judged: once as it is, or in so many draws of the noise under it; the figures are their means. */
  readonly draws: number;
  /** Impacts at or over the threshold, and those of them with the right label; of all draws. */
  readonly detected: number;
  readonly kind_right: number;
  /** 95 %, from the bootstrap; absent where no resampling was asked for. */
  readonly intervals?: ClipIntervals;
  /** By class: how many clips were detected as what. */
  readonly confusion: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/**
 * A clip's score from its windows [windows × labels]: how strongly the best windows speak against background. The mean of the
 * two highest, because one blow shows in several overlapping windows and a single one may err.
 */
export function clipScore(scores: Float32Array, labels: number): number {
  const best = bestWindows(scores, labels);
  return best.reduce((sum, at) => sum + 1 - (scores[at] ?? 1), 0) / best.length;
}

/** Where the two windows least like background begin in [windows × labels]. */
function bestWindows(scores: Float32Array, labels: number): number[] {
  const starts = Array.from({ length: Math.floor(scores.length / labels) }, (_, i) => i * labels);
  return starts.sort((a, b) => (scores[a] ?? 1) - (scores[b] ?? 1)).slice(0, 2);
}

/** Judges a clip by the model's scores of its windows, taken beside the clip's ambience. */
export function scoredClip(clip: Clip, ownScores: Float32Array, description: ModelDescription): ClipScore {
  const { labels, thresholds } = description;
  const scores = relativeToAll(ownScores, description);
  const best = bestWindows(scores, labels.length);
  let kind = 1;
  const inBest = labels.map((_, i) => best.reduce((sum, at) => sum + (scores[at + i] ?? 0), 0));
  for (let i = 1; i < labels.length; i++) {
    kind = (inBest[i] ?? 0) > (inBest[kind] ?? 0) ? i : kind;
  }
  const highest = labels.map((label, i) => {
    let most = 0;
    for (let at = i; at < scores.length; at += labels.length) {
      most = Math.max(most, scores[at] ?? 0);
    }
    return [label, most] as const;
  });
  const score = clipScore(scores, labels.length);
  const name = labels[kind] ?? '';
  return {
    file: clip.file,
    fold: clip.fold,
    class: clip.class,
    group: clip.group,
    score,
    scores: Object.fromEntries(highest),
    kind: name,
    detected_as: score >= (thresholds[name] ?? 1) ? name : 'none',
    label: clip.group === 'impact' ? rightLabel(clip, labels) : null,
  };
}

/** The label that a clip should get; null where neither the list nor its class says it. */
export function rightLabel(clip: Clip, labels: readonly string[]): string | null {
  const named = [clip.label, clip.class, LABEL_OF_CLASS[clip.class] ?? ''];
  return named.find((label) => label !== '' && labels.includes(label)) ?? null;
}

/** Figures, their intervals when `resampling` is given, and the confusion. */
export function summaryOf(clips: readonly ClipDraws[], resampling?: BootstrapOptions): ClipSummary {
  const impacts = clips.flat().filter(({ group }) => group === 'impact');
  const detected = impacts.filter(({ detected_as, label }) => detected_as !== 'none' && label !== null);
  return {
    ...countsOf([clips]),
    ...meanFigures([clips]),
    detected: impacts.filter(({ detected_as }) => detected_as !== 'none').length,
    kind_right: detected.filter(({ kind, label }) => kind === label).length,
    ...(resampling && { intervals: intervalsOf([clips], resampling) }),
    confusion: confusionOf(clips.flat()),
  };
}

/** How many clips, and draws of each, the sets hold. */
export function countsOf(sets: readonly (readonly ClipDraws[])[]): Pick<ClipSummary, 'impacts' | 'others' | 'draws'> {
  const clips = sets.flat();
  const impacts = clips.filter(isImpact).length;
  return { impacts, others: clips.length - impacts, draws: clips[0]?.length ?? 0 };
}

function isImpact([first]: ClipDraws): boolean {
  return first?.group === 'impact';
}

/** The clips draw by draw. */
function byDraw(clips: readonly ClipDraws[]): ClipScore[][] {
  return (clips[0] ?? []).map((_, draw) => clips.flatMap((draws) => draws[draw] ?? []));
}

/** The ROC AUC of each draw, mean over the sets. */
export function rocAucOfDraws(sets: readonly (readonly ClipDraws[])[]): (number | null)[] {
  const each = sets.map((clips) => byDraw(clips).map((drawn) => figuresOf(drawn).roc_auc));
  return (each[0] ?? []).map((_, draw) => mean(each.map((aucs) => aucs[draw] ?? null)));
}

export function figuresOf(clips: readonly ClipScore[]): ClipFigures {
  const scores = clips.map(({ score }) => score);
  const positive = clips.map(({ group }) => group === 'impact');
  const detected = clips.filter(({ label, detected_as }) => label !== null && detected_as !== 'none');
  const right = detected.filter(({ label, kind }) => label === kind).length;
  return {
    roc_auc: rocAuc(scores, positive),
    recall_at_fpr: Object.fromEntries(FALSE_POSITIVE_RATES.map((fpr) => [fpr, recallAtFpr(scores, positive, fpr)])),
    kind_accuracy: detected.length === 0 ? null : right / detected.length,
  };
}

/**
 * 95 % intervals of the mean figures of several sets of clips (the folds), clips being drawn within each set with all that was made of
 * them, impacts and others apart.
 */
export function intervalsOf(sets: readonly (readonly ClipDraws[])[], options: BootstrapOptions): ClipIntervals {
  const strata = sets.flatMap((clips, set) =>
    [true, false].map((wanted) => clips.filter((clip) => isImpact(clip) === wanted).map((clip) => ({ set, clip }))),
  );
  const intervals = bootstrap(
    strata,
    (drawn) => {
      const bySet = sets.map((_, set) => drawn.filter((each) => each.set === set).map(({ clip }) => clip));
      const { roc_auc, recall_at_fpr, kind_accuracy } = meanFigures(bySet);
      return { ...recall_at_fpr, roc_auc, kind_accuracy } as Record<string, number | null>;
    },
    options,
  );
  const rates = FALSE_POSITIVE_RATES.map((fpr) => [fpr, intervals[String(fpr)] ?? null]);
  return {
    roc_auc: intervals.roc_auc ?? null,
    recall_at_fpr: Object.fromEntries(rates),
    kind_accuracy: intervals.kind_accuracy ?? null,
  };
}

/** Each figure's mean over the sets and draws that have it; `kind_accuracy` over all clips, because a set has few detected ones. */
export function meanFigures(sets: readonly (readonly ClipDraws[])[]): ClipFigures {
  const each = sets.flatMap((clips) => byDraw(clips).map(figuresOf));
  return {
    roc_auc: mean(each.map(({ roc_auc }) => roc_auc)),
    recall_at_fpr: Object.fromEntries(
      FALSE_POSITIVE_RATES.map((fpr) => [fpr, mean(each.map(({ recall_at_fpr }) => recall_at_fpr[fpr] ?? null))]),
    ),
    kind_accuracy: figuresOf(sets.flat(2)).kind_accuracy,
  };
}

function mean(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}

function confusionOf(clips: readonly ClipScore[]): Record<string, Record<string, number>> {
  const confusion: Record<string, Record<string, number>> = {};
  for (const clip of [...clips].sort((a, b) => a.class.localeCompare(b.class))) {
    const row = confusion[clip.class] ?? {};
    confusion[clip.class] = row;
    row[clip.detected_as] = (row[clip.detected_as] ?? 0) + 1;
  }
  return confusion;
}
