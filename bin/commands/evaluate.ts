/** `fender evaluate`: how well a model tells impacts from everything else, on labelled clips. */
import { Command, InvalidArgumentError } from 'commander';
import { EXIT, EXIT_HELP } from '../exit-codes.ts';
import { startProgress } from '../progress.ts';
import { run } from '../run.ts';

interface Options {
  readonly model?: string;
  readonly folds?: string;
  readonly clips: string;
  readonly fold?: string;
  readonly mixSnr?: number[];
  readonly mixDraws?: number;
  readonly hour?: number | true;
  readonly confusers?: true;
  readonly events?: number[] | true;
  readonly budget?: number;
  readonly resamplings: number;
  readonly seed: number;
  readonly json?: true;
}

const STREET_SNR_DB = [-5, 0, 5, 10, 15, 20];

export function evaluateCommand(): Command {
  return new Command('evaluate')
    .summary('score labelled clips with a model: ROC AUC and recall, false alarms an hour, events')
    .description(
      'Scores each clip of a CSV and prints, for group impact against everything else, the ROC AUC and the recall at ' +
        'false-positive rates of 0.02, 0.05 and 0.1, with 95 % confidence intervals, and what each class was detected as. The CSV ' +
        'has the columns file, fold, class, group; files are relative to it and may be of any format that sox reads. A column label ' +
        'may say which label of the model is right for an impact.',
    )
    .option('--model <file>', 'the ONNX model')
    .option('--folds <pattern>', 'cross-validation: a model for each fold, {fold} in the path standing for its name')
    .requiredOption('--clips <csv>', 'the list of clips')
    .option('--fold <fold>', 'only the clips of this fold; with --folds, several as 1,2,3')
    .option(
      '--mix-snr <dB,...>',
      'also mix every clip into engine, rain or wind clips of its fold, at each ratio',
      numbers,
    )
    .option(
      '--mix-draws <count>',
      'with --mix-snr: mix each clip so often, each time into noise drawn anew (default: 4)',
      draws,
    )
    .option('--hour [minutes]', 'count false alarms in so much of the background clips (default: 60)', positive)
    .option('--confusers', 'with --hour: also in as much of backgrounds and confusers together')
    .option(
      '--events [dB,...]',
      `judge events: blows at known times in backgrounds (default: ${STREET_SNR_DB})`,
      numbers,
    )
    .option('--budget <count>', 'with --hour: propose thresholds for so many false alarms an hour', positive)
    .option('--resamplings <count>', 'of the bootstrap; 0 leaves the intervals out', whole, 1000)
    .option('--seed <number>', 'of mixing, hours and resampling', whole, 1)
    .option('--json', 'print one JSON object instead of text')
    .addHelpText(
      'after',
      `
The signal-to-noise ratio is the mean power of the clip's active part (blocks of 50 ms within 20 dB of its loudest) over that of the
background. Recall in --hour is the share of impact clips in which an event is found. Events are hits within 250 ms.
${EXIT_HELP}

Examples:
  fender evaluate --model models/folds/impact.fold-4.int8.onnx --clips clips.csv --fold 4 --json
  fender evaluate --model models/folds/impact.fold-4.int8.onnx --clips clips.csv --fold 4 --events=-5,5,15
  fender evaluate --folds 'models/folds/impact.fold-{fold}.int8.onnx' --clips clips.csv --mix-snr 10,0 --hour --budget 2`,
    )
    .action((options: Options, command: Command) => {
      if ((options.model === undefined) === (options.folds === undefined)) {
        command.error('error: expected one of --model and --folds');
      }
      if (options.hour === undefined && (options.budget !== undefined || options.confusers)) {
        command.error('error: --budget and --confusers need --hour');
      }
      if (options.mixSnr === undefined && options.mixDraws !== undefined) {
        command.error('error: --mix-draws needs --mix-snr');
      }
      return run((signal) => evaluateClips(options, signal));
    });
}

function numbers(text: string): number[] {
  const values = text.split(',').map((each) => (each.trim() === '' ? Number.NaN : Number(each)));
  if (values.some((value) => !Number.isFinite(value) || Math.abs(value) > 100)) {
    throw new InvalidArgumentError('Expected numbers from -100 to 100 with commas between them, for instance 10,0.');
  }
  return values;
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 100_000)) throw new InvalidArgumentError('Expected a number over 0.');
  return value;
}

function draws(text: string): number {
  const count = whole(text);
  if (count < 1 || count > 100) throw new InvalidArgumentError('Expected a whole number from 1 to 100.');
  return count;
}

function whole(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('Expected a whole number of at most six digits.');
  return Number(text);
}

async function evaluateClips(options: Options, signal: AbortSignal): Promise<number> {
  const progress = startProgress('evaluating');
  const shared = {
    clipsPath: options.clips,
    mixSnrDb: options.mixSnr ?? [],
    ...(options.mixDraws !== undefined && { mixDraws: options.mixDraws }),
    hourMinutes: options.hour === true ? 60 : (options.hour ?? 0),
    withConfusers: options.confusers ?? false,
    streetSnrDb: options.events === true ? STREET_SNR_DB : (options.events ?? []),
    ...(options.budget !== undefined && { budgetPerHour: options.budget }),
    resamplings: options.resamplings,
    seed: options.seed,
    onProgress: (done: number, total: number) => progress.update(done, total),
    signal,
  };
  try {
    const { value, text } = await judged(options, shared);
    progress.close();
    process.stdout.write(options.json ? `${JSON.stringify(value, null, 2)}\n` : text());
    return EXIT.ok;
  } finally {
    progress.close();
  }
}

type Shared = Omit<Parameters<typeof import('../../models/evaluate.ts').evaluate>[0], 'modelPath' | 'fold'>;

async function judged(options: Options, shared: Shared): Promise<{ value: unknown; text: () => string }> {
  const { formatCrossValidation, formatEvaluation } = await import('../../models/evaluation-text.ts');
  const { fold } = options;
  if (options.folds !== undefined) {
    const { crossValidate } = await import('../../models/cross-validation.ts');
    const folds = fold === undefined ? {} : { folds: fold.split(',') };
    const value = await crossValidate({ ...shared, modelPattern: options.folds, ...folds });
    return { value, text: () => formatCrossValidation(value) };
  }
  const { evaluate } = await import('../../models/evaluate.ts');
  const value = await evaluate({ ...shared, modelPath: options.model ?? '', ...(fold === undefined ? {} : { fold }) });
  return { value, text: () => formatEvaluation(value) };
}
