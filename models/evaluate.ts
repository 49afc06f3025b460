/**
 * Judges a model on labelled clips: clip by clip, clip by clip with real noise under them, on an hour without impact, and on
 * streets with blows at known times.
 */
import type { BootstrapOptions } from './bootstrap.ts';
import { type Clip, readClips } from './clips.ts';
import type { ModelDescription } from './description.ts';
import { ModelError } from './error.ts';
import {
  type ClipDraws,
  type ClipScore,
  type ClipSummary,
  rocAucOfDraws,
  scoredClip,
  summaryOf,
} from './evaluation-figures.ts';
import {
  ClipSounds,
  type HeardStreet,
  type Hearing,
  hearAssembled,
  hearStreets,
  type StreetFigures,
  stopIfAsked,
  streetFigures,
  streetSeconds,
} from './evaluation-sound.ts';
import { type HeardSound, hearSound } from './heard-sound.ts';
import { mixAtSnr } from './mixing.ts';
import {
  curveOf,
  type Heard,
  measuredAt,
  type OperatingPoint,
  pointForBudget,
  pointForRecall,
} from './operating-point.ts';
import { readModel } from './package.ts';
import { SeededRandom } from './seeded-random.ts';
import { ModelSession, type Scorer } from './session.ts';

/** Which recording lies under which clip decides much where it is loud. */
const MIX_DRAWS = 4;
/** What clips are mixed into: real sound of these classes. */
const MIX_CLASSES: readonly string[] = ['engine', 'rain', 'wind'];
/** Recall at which false alarms are counted. */
export const RECALL = 0.9;
/** What a second of an hour weighs in the progress, clips weighing 1 each. */
const CLIPS_PER_S = 0.2;

export interface EvaluateOptions {
  readonly modelPath: string;
  /** CSV with the columns file, fold, class, group; files are relative to it. */
  readonly clipsPath: string;
  /** Only clips whose fold is this text; all when absent. */
  readonly fold?: string;
  /** Signal-to-noise ratios, dB, at which every clip is also mixed into real noise of its fold; as in mixing.ts. */
  readonly mixSnrDb?: readonly number[];
  /** How often each clip is mixed at each ratio, each time into noise drawn anew; default 4. */
  readonly mixDraws?: number;
  /** Minutes of backgrounds without impact to count false alarms in; 0 or absent: none. */
  readonly hourMinutes?: number;
  /** As long again of backgrounds and confusers together. */
  readonly withConfusers?: boolean;
  /** Signal-to-noise ratios, dB, of streets for event-based metrics. */
  readonly streetSnrDb?: readonly number[];
  /** False alarms an hour to propose thresholds for; needs `hourMinutes`. */
  readonly budgetPerHour?: number;
  /** Resamplings for the confidence intervals; none when absent. */
  readonly resamplings?: number;
  /** Of mixing, hours and resampling; default 1. */
  readonly seed?: number;
  /** Called after each clip, and as the longer sounds go on. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** False alarms in sound without impact. */
export interface HourFigures {
  readonly minutes: number;
  readonly groups: readonly string[];
  /** Clips that it was put together from: an hour of few clips says less than an hour of many. */
  readonly clips: number;
  /** At the thresholds of the model's file; `recall` is that of events in the clean impact clips. */
  readonly shipped: Omit<OperatingPoint, 'threshold'>;
  /** At the highest threshold with which at least 0.9 of the impact clips give an event. */
  readonly at_recall: OperatingPoint | null;
  /** At the lowest threshold that keeps the budget; only with a budget. */
  readonly at_budget?: OperatingPoint | null;
  readonly curve: readonly OperatingPoint[];
}

export interface MixFigures extends ClipSummary {
  readonly snr_db: number;
  /** What the ROC AUC would be by each draw alone. */
  readonly roc_auc_of_draws: readonly (number | null)[];
  readonly clips: readonly ClipDraws[];
}

/** As printed with --json; null metrics mean that impacts or others are missing among the clips. */
export interface EvaluationResult extends ClipSummary {
  readonly model: { readonly name: string; readonly version: string; readonly file: string };
  readonly fold: string | null;
  /** Whether the model learned from a fold of these clips; null when its file does not say from which it learned. */
  readonly seen_in_training: boolean | null;
  readonly thresholds: Readonly<Record<string, number>>;
  readonly bootstrap?: BootstrapOptions;
  readonly mixes: readonly MixFigures[];
  readonly hour?: HourFigures;
  readonly hour_with_confusers?: HourFigures;
  /** Thresholds for the budget; null when no threshold keeps it. */
  readonly proposed_thresholds?: Readonly<Record<string, number>> | null;
  readonly streets: readonly StreetFigures[];
  readonly clips: readonly ClipScore[];
}

/** A result with what the model heard, for judging several models together. */
export interface Judgement {
  readonly result: EvaluationResult;
  readonly description: ModelDescription;
  readonly impacts: readonly HeardSound[];
  readonly quiet: readonly HeardSound[];
  readonly confusing: readonly HeardSound[];
  readonly streets: readonly HeardStreet[];
}

/**
 * Scores every clip and computes the metrics for `group` impact against everything else. Throws ModelError: bad model,
 * list or clip, or no sox; the message names the file.
 */
export async function evaluate(options: EvaluateOptions): Promise<EvaluationResult> {
  return (await judge(options)).result;
}

/** As `evaluate`. */
export async function judge(options: EvaluateOptions): Promise<Judgement> {
  const model = await readModel(options.modelPath);
  const clips = select(await readClips(options.clipsPath), options);
  const session = await ModelSession.open(model, { threads: 1 });
  try {
    const { description } = model;
    const sounds = new ClipSounds(description.input.sample_rate_hz, options.signal);
    const onHeard = progressOf(options, clips);
    const { signal, seed = 1 } = options;
    return await judged({ scorer: session, description, sounds, seed, onHeard, signal }, clips, options);
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

/** Turns seconds heard into progress; clips weigh 1 each, however long. */
function progressOf(options: EvaluateOptions, clips: readonly Clip[]): (seconds: number) => void {
  const { mixSnrDb = [], mixDraws = MIX_DRAWS, hourMinutes = 0, withConfusers = false, streetSnrDb = [] } = options;
  const impacts = clips.filter(({ group }) => group === 'impact').length;
  const longS = hourMinutes * 60 * (withConfusers ? 2 : 1) + streetSeconds(impacts, streetSnrDb);
  const total = Math.round(clips.length * (1 + mixSnrDb.length * mixDraws) + CLIPS_PER_S * longS);
  let done = 0;
  return (seconds) => {
    done += seconds * CLIPS_PER_S;
    options.onProgress?.(Math.min(total, Math.round(done)), total);
  };
}

async function judged(hearing: Hearing, clips: readonly Clip[], options: EvaluateOptions): Promise<Judgement> {
  const { description } = hearing;
  const { count, seed } = { count: options.resamplings ?? 0, seed: hearing.seed };
  const resampling = count > 0 ? { count, seed } : undefined;
  const { scored, mixed, impacts } = await hearClips(hearing, clips, options);
  const backgrounds = clips.filter(({ group }) => group === 'background');
  const quietSeconds = 60 * (options.hourMinutes ?? 0);
  const hear = async (from: readonly Clip[], name: string): Promise<HeardSound[]> =>
    quietSeconds > 0 && from.length > 0 ? [await hearAssembled(hearing, from, quietSeconds, name)] : [];
  const quiet = await hear(backgrounds, 'hour');
  const others = clips.filter(({ group }) => group !== 'impact');
  const confusing = options.withConfusers ? await hear(others, 'confusers') : [];
  const ratios = options.streetSnrDb ?? [];
  const struck = clips.filter(({ group }) => group === 'impact');
  const streets = ratios.length === 0 ? [] : await hearStreets(hearing, struck, backgrounds, ratios);
  const hour = hourFigures([{ description, impacts, quiet }], backgrounds, options.budgetPerHour);
  const harder = hourFigures([{ description, impacts, quiet: confusing }], others, options.budgetPerHour);
  const { name, version, thresholds } = description;
  const result: EvaluationResult = {
    model: { name, version, file: options.modelPath },
    fold: options.fold ?? null,
    seen_in_training: seenInTraining(description, clips),
    thresholds,
    ...summaryOf(
      scored.map((clip) => [clip]),
      resampling,
    ),
    ...(resampling && { bootstrap: resampling }),
    mixes: mixed.map(({ snrDb, draws }) => ({
      snr_db: snrDb,
      ...summaryOf(draws, resampling),
      roc_auc_of_draws: rocAucOfDraws([draws]),
      clips: draws,
    })),
    ...(hour && { hour }),
    ...(harder && { hour_with_confusers: harder }),
    ...(hour?.at_budget !== undefined && { proposed_thresholds: proposed(description, hour.at_budget) }),
    streets: streetFigures(streets),
    clips: scored,
  };
  return { result, description, impacts, quiet, confusing, streets };
}

/** Thresholds of a description for an operating point. */
export function proposed(description: ModelDescription, point: OperatingPoint | null): Record<string, number> | null {
  return point === null
    ? null
    : Object.fromEntries(description.labels.slice(1).map((label) => [label, point.threshold]));
}

/** False alarms of what was heard; undefined when nothing without impact was. */
export function hourFigures(
  heard: readonly Heard[],
  clips: readonly Clip[],
  budgetPerHour: number | undefined,
): HourFigures | undefined {
  const seconds = heard.flatMap(({ description, quiet }) =>
    quiet.map(({ length }) => length / description.input.sample_rate_hz),
  );
  if (seconds.length === 0) return undefined;
  const { recall, false_alarms, false_alarms_per_hour } = measuredAt(heard, null);
  return {
    minutes: seconds.reduce((sum, each) => sum + each, 0) / 60,
    groups: [...new Set(clips.map(({ group }) => group))].sort(),
    clips: clips.length,
    shipped: { recall, false_alarms, false_alarms_per_hour },
    at_recall: pointForRecall(heard, RECALL),
    ...(budgetPerHour !== undefined && { at_budget: pointForBudget(heard, budgetPerHour) }),
    curve: curveOf(heard),
  };
}

function seenInTraining({ training_run }: ModelDescription, clips: readonly Clip[]): boolean | null {
  if (training_run.folds === undefined) return null;
  const learned = new Set(training_run.folds.map(String));
  return clips.some(({ fold }) => learned.has(fold));
}

interface HeardClips {
  readonly scored: ClipScore[];
  readonly mixed: readonly { readonly snrDb: number; readonly draws: ClipDraws[] }[];
  /** Of the impact clips as they are. */
  readonly impacts: HeardSound[];
}

async function hearClips(
  hearing: Hearing,
  clips: readonly Clip[],
  { mixSnrDb = [], mixDraws = MIX_DRAWS }: EvaluateOptions,
): Promise<HeardClips> {
  const { scorer, description, sounds } = hearing;
  const mixed = mixSnrDb.map((snrDb) => ({ snrDb, draws: [] as ClipDraws[] }));
  const scored: ClipScore[] = [];
  const impacts: HeardSound[] = [];
  const decode = (clip: Clip | undefined) => (clip === undefined ? undefined : sounds.of(clip));
  let next = decode(clips[0]);
  for (const [i, clip] of clips.entries()) {
    stopIfAsked(hearing.signal);
    const samples = (await next) ?? new Float32Array(0);
    // Sox decodes the next clip while the model hears this one; its failure is met when its turn comes.
    next = decode(clips[i + 1]);
    next?.catch(() => undefined);
    const heard = await hearSound(scorer, description, [samples]);
    scored.push(scoredClip(clip, heard.scores, description));
    if (clip.group === 'impact') impacts.push(heard);
    hearing.onHeard(1 / CLIPS_PER_S);
    for (const { snrDb, draws } of mixed) {
      const made: ClipScore[] = [];
      for (let draw = 0; draw < mixDraws; draw++) {
        const noisy = await noisyClip(hearing, clip, samples, { clips, snrDb, draw });
        made.push(scoredClip(clip, (await hearSound(scorer, description, [noisy])).scores, description));
        hearing.onHeard(1 / CLIPS_PER_S);
      }
      draws.push(made);
    }
  }
  return { scored, mixed, impacts };
}

/** The clip in another clip of engine, rain or wind of its fold: which, and from where on, its name, the seed and the draw decide. */
async function noisyClip(
  hearing: Hearing,
  clip: Clip,
  samples: Float32Array,
  { clips, snrDb, draw }: { readonly clips: readonly Clip[]; readonly snrDb: number; readonly draw: number },
): Promise<Float32Array> {
  const under = clips.filter(
    (each) => MIX_CLASSES.includes(each.class) && each.fold === clip.fold && each.file !== clip.file,
  );
  const random = new SeededRandom(`mix ${hearing.seed} ${draw} ${snrDb} ${clip.file}`);
  const background = under[random.below(under.length)];
  if (background === undefined) {
    const expected = `clips of class ${MIX_CLASSES.join(', ')} in fold ${clip.fold || '(empty)'} to mix ${clip.file} into`;
    throw new ModelError('invalid-clips', `expected ${expected}, found none`);
  }
  const noise = await hearing.sounds.of(background);
  const sampleRateHz = hearing.description.input.sample_rate_hz;
  return mixAtSnr(samples, noise, { snrDb, sampleRateHz, offset: random.below(Math.max(1, noise.length)) });
}

/** Scores [windows × labels] of a mono clip at the model's rate, one window each hop; a short clip is padded with silence. */
export async function windowScores(
  scorer: Scorer,
  description: ModelDescription,
  samples: Float32Array,
): Promise<Float32Array> {
  return (await hearSound(scorer, description, [samples])).scores;
}
