/** Evaluations as text for a terminal. */
import type { Interval } from './bootstrap.ts';
import type { CrossValidationResult } from './cross-validation.ts';
import type { EvaluationResult, HourFigures } from './evaluate.ts';
import type { ClipFigures, ClipIntervals, ClipSummary } from './evaluation-figures.ts';
import type { StreetFigures } from './evaluation-sound.ts';
import type { EventCounts } from './event-metrics.ts';

const show = (value: number | null) => (value === null ? 'undefined: needs impacts and others' : value.toFixed(4));

/** One line a clip, highest score first, then the figures. */
export function formatEvaluation(result: EvaluationResult): string {
  const width = Math.max(...result.clips.map((clip) => clip.file.length), 4);
  const lines = [...result.clips]
    .sort((a, b) => b.score - a.score)
    .map((clip) => `${clip.file.padEnd(width)}  fold ${clip.fold}  ${clip.group.padEnd(10)}  ${clip.score.toFixed(4)}`);
  return [...lines, '', ...formatFigures(result), ''].join('\n');
}

/** Each fold's figures, then those of all. */
export function formatCrossValidation(result: CrossValidationResult): string {
  const lines = result.folds.flatMap((fold) => [...formatFigures(fold), '']);
  lines.push(
    `means over ${result.folds.length} folds, each judged by its ${result.models}`,
    ...warnings(result.seen_in_training),
  );
  for (const mean of result.means) {
    lines.push(mean.snr_db === null ? `clips    ${mean.impacts} impact, ${mean.others} other` : mixedLine(mean));
    lines.push(...figureLines(mean, mean.intervals));
  }
  lines.push(...hourLines(result.hour), ...hourLines(result.hour_with_confusers), ...proposedLines(result));
  lines.push(...result.streets.flatMap(streetLines));
  return `${lines.join('\n')}\n`;
}

function formatFigures(result: EvaluationResult): string[] {
  const { bootstrap } = result;
  return [
    `model    ${result.model.name} ${result.model.version} (${result.model.file})`,
    ...warnings(result.seen_in_training),
    `clips    ${result.impacts} impact, ${result.others} other${result.fold === null ? '' : `, fold ${result.fold}`}`,
    ...(bootstrap ? [`[..]     95 % intervals of ${bootstrap.count} resamplings, seed ${bootstrap.seed}`] : []),
    ...figureLines(result, result.intervals),
    ...kindLines(result),
    ...confusionLines(result),
    ...result.mixes.flatMap((mix) => [mixedLine(mix), ...figureLines(mix, mix.intervals), ...kindLines(mix)]),
    ...hourLines(result.hour),
    ...hourLines(result.hour_with_confusers),
    ...proposedLines(result),
    ...result.streets.flatMap(streetLines),
  ];
}

interface Mixed {
  readonly snr_db: number | null;
  readonly draws: number;
  readonly roc_auc_of_draws: readonly (number | null)[];
}

function mixedLine({ snr_db, draws, roc_auc_of_draws }: Mixed): string {
  const known = roc_auc_of_draws.filter((auc) => auc !== null);
  const each =
    known.length > 1 ? `, roc_auc by each alone ${show(Math.min(...known))} to ${show(Math.max(...known))}` : '';
  return `mixed into real noise at ${snr_db} dB, ${draws} draw${draws === 1 ? '' : 's'}${each}`;
}

function warnings(seen: boolean | null): string[] {
  if (seen === true) {
    return ['WARNING  THE MODEL LEARNED FROM THESE CLIPS: the figures say nothing about sounds it has not met'];
  }
  return seen === null ? ['note     the model does not say from which folds it learned'] : [];
}

function figureLines(figures: ClipFigures, intervals: ClipIntervals | undefined): string[] {
  return [
    `roc_auc  ${show(figures.roc_auc)}${between(intervals?.roc_auc)}`,
    ...Object.entries(figures.recall_at_fpr).map(
      ([fpr, recall]) => `recall_at_fpr ${fpr}  ${show(recall)}${between(intervals?.recall_at_fpr[fpr])}`,
    ),
    ...(figures.kind_accuracy === null
      ? []
      : [`kind_accuracy  ${show(figures.kind_accuracy)}${between(intervals?.kind_accuracy)}`]),
  ];
}

function between(interval: Interval | null | undefined): string {
  return interval ? ` [${interval[0].toFixed(4)} ${interval[1].toFixed(4)}]` : '';
}

function kindLines({ detected, impacts, draws, kind_right }: ClipSummary): string[] {
  return impacts === 0
    ? []
    : [`detected at the thresholds  ${detected} of ${impacts * draws}, ${kind_right} by the right label`];
}

function confusionLines({ confusion }: ClipSummary): string[] {
  const width = Math.max(...Object.keys(confusion).map((name) => name.length), 5);
  const rows = Object.entries(confusion).map(([name, row]) => {
    const cells = Object.entries(row).sort(
      ([a], [b]) => Number(a === 'none') - Number(b === 'none') || a.localeCompare(b),
    );
    return `  ${name.padEnd(width)}  ${cells.map(([label, count]) => `${label} ${count}`).join(', ')}`;
  });
  return ['class and what it was detected as:', ...rows];
}

function hourLines(hour: HourFigures | undefined): string[] {
  if (hour === undefined) return [];
  const recall = (value: number | null) => (value === null ? '' : `, recall ${value.toFixed(3)}`);
  const alarms = ({ false_alarms, false_alarms_per_hour }: { false_alarms: number; false_alarms_per_hour: number }) =>
    `${false_alarms} (${false_alarms_per_hour.toFixed(1)} an hour)`;
  const at = (name: string, point: NonNullable<HourFigures['at_recall']> | null) =>
    point === null
      ? `  ${name}: none`
      : `  ${name}: threshold ${point.threshold}${recall(point.recall)}, ${alarms(point)}`;
  return [
    `false alarms in ${hour.minutes.toFixed(0)} min of ${hour.groups.join(' and ')}, made of ${hour.clips} clips:`,
    `  at the thresholds${recall(hour.shipped.recall)}: ${alarms(hour.shipped)}`,
    at('at recall 0.9', hour.at_recall),
    ...(hour.at_budget === undefined ? [] : [at('within the budget', hour.at_budget)]),
  ];
}

function proposedLines({ proposed_thresholds: thresholds }: Pick<EvaluationResult, 'proposed_thresholds'>): string[] {
  if (thresholds === undefined) return [];
  return [`proposed thresholds  ${thresholds === null ? 'none keeps the budget' : JSON.stringify(thresholds)}`];
}

function streetLines(street: StreetFigures): string[] {
  const share = (value: number | null) => (value === null ? '–' : value.toFixed(3));
  const counts = ({ precision, recall, f1, hits, reference, estimated }: EventCounts) =>
    `precision ${share(precision)} recall ${share(recall)} F1 ${share(f1)} (${hits} of ${reference}, ${estimated} found)`;
  const error = street.onset_error_s;
  const ms = (seconds: number) => `${Math.round(1000 * seconds)} ms`;
  return [
    street.snr_db === null ? 'events at all ratios' : `events at ${street.snr_db} dB`,
    `  overall  ${counts(street.overall)}`,
    ...Object.entries(street.labels).map(([label, each]) => `  ${label}  ${counts(each)}`),
    `  any label  ${counts(street.any_label)}, ${street.false_alarms_per_hour.toFixed(1)} false alarms an hour`,
    ...(error === null ? [] : [`  onset off by ${ms(error.median)} (median), ${ms(error.p95)} (95 of 100 at most)`]),
  ];
}
