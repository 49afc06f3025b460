/** Judges each fold of a list of clips by the model that never met it, and all of them together. */
import { readClips } from './clips.ts';
import { ModelError } from './error.ts';
import {
  type EvaluateOptions,
  type EvaluationResult,
  type HourFigures,
  hourFigures,
  type Judgement,
  judge,
  proposed,
} from './evaluate.ts';
import {
  type ClipDraws,
  type ClipFigures,
  type ClipIntervals,
  countsOf,
  intervalsOf,
  meanFigures,
  rocAucOfDraws,
} from './evaluation-figures.ts';
import { type StreetFigures, streetFigures } from './evaluation-sound.ts';

const PLACE = '{fold}';

export interface CrossValidationOptions extends Omit<EvaluateOptions, 'modelPath' | 'fold'> {
  /** Paths of the models, with `{fold}` where the fold's name belongs. */
  readonly modelPattern: string;
  /** The folds, as in the list; all of the list when absent. */
  readonly folds?: readonly string[];
}

/** Means over the folds, with intervals of the means: clips are drawn within each fold. */
export interface MeanFigures extends ClipFigures {
  /** Null for the clips as they are, else the ratio in dB that they were mixed at. */
  readonly snr_db: number | null;
  readonly impacts: number;
  readonly others: number;
  /** Of each clip; the figures are their means too. */
  readonly draws: number;
  /** The mean over the folds by each draw alone. */
  readonly roc_auc_of_draws: readonly (number | null)[];
  readonly intervals?: ClipIntervals;
}

/** As printed with --json. */
export interface CrossValidationResult {
  readonly models: string;
  readonly seen_in_training: boolean | null;
  readonly means: readonly MeanFigures[];
  /** All folds' hours together, one threshold for all models. */
  readonly hour?: HourFigures;
  readonly hour_with_confusers?: HourFigures;
  readonly proposed_thresholds?: Readonly<Record<string, number>> | null;
  /** All folds' streets together. */
  readonly streets: readonly StreetFigures[];
  readonly folds: readonly EvaluationResult[];
}

/** Throws ModelError as `evaluate`, and for a pattern without `{fold}`. */
export async function crossValidate(options: CrossValidationOptions): Promise<CrossValidationResult> {
  const { modelPattern, folds: wanted, ...shared } = options;
  if (!modelPattern.includes(PLACE)) {
    const example = 'models/folds/impact.fold-{fold}.int8.onnx';
    throw new ModelError(
      'unreadable-model',
      `expected ${PLACE} in the models' path, for instance ${example}, found ${modelPattern}`,
    );
  }
  const listed = (await readClips(options.clipsPath)).map(({ fold }) => fold).filter((fold) => fold !== '');
  const folds = wanted ?? [...new Set(listed)].sort();
  const judgements: Judgement[] = [];
  for (const [i, fold] of folds.entries()) {
    const onProgress = (done: number, total: number) => options.onProgress?.(i * total + done, folds.length * total);
    judgements.push(await judge({ ...shared, fold, modelPath: modelPattern.replaceAll(PLACE, fold), onProgress }));
  }
  return together(judgements, options);
}

function together(judgements: readonly Judgement[], options: CrossValidationOptions): CrossValidationResult {
  const results = judgements.map(({ result }) => result);
  const ratios = options.mixSnrDb ?? [];
  const means = [
    meansOf(
      results.map(({ clips }) => clips.map((clip) => [clip])),
      null,
      options,
    ),
    ...ratios.map((snrDb, i) =>
      meansOf(
        results.map(({ mixes }) => mixes[i]?.clips ?? []),
        snrDb,
        options,
      ),
    ),
  ];
  const hourOf = (sound: 'quiet' | 'confusing', groups: readonly string[]): HourFigures | undefined => {
    const heard = judgements.map(({ description, impacts, ...heardOf }) => ({
      description,
      impacts,
      quiet: heardOf[sound],
    }));
    const counted = results.flatMap(({ clips }) => clips).filter(({ group }) => groups.includes(group));
    const figures = hourFigures(heard, [], options.budgetPerHour);
    return figures && { ...figures, groups, clips: counted.length };
  };
  const hour = hourOf('quiet', ['background']);
  const harder = hourOf('confusing', ['background', 'confuser']);
  const first = judgements[0]?.description;
  return {
    models: options.modelPattern,
    seen_in_training: seen(results.map(({ seen_in_training }) => seen_in_training)),
    means,
    ...(hour && { hour }),
    ...(harder && { hour_with_confusers: harder }),
    ...(first && hour?.at_budget !== undefined && { proposed_thresholds: proposed(first, hour.at_budget) }),
    streets: streetFigures(judgements.flatMap(({ streets }) => streets)),
    folds: results,
  };
}

function meansOf(
  sets: readonly (readonly ClipDraws[])[],
  snrDb: number | null,
  options: CrossValidationOptions,
): MeanFigures {
  const count = options.resamplings ?? 0;
  return {
    snr_db: snrDb,
    ...countsOf(sets),
    ...meanFigures(sets),
    roc_auc_of_draws: rocAucOfDraws(sets),
    ...(count > 0 && { intervals: intervalsOf(sets, { count, seed: options.seed ?? 1 }) }),
  };
}

/** True when any is; null when none is known to be and some are not known not to be. */
function seen(each: readonly (boolean | null)[]): boolean | null {
  if (each.includes(true)) return true;
  return each.includes(null) ? null : false;
}
