/** `fender evaluate`: how well a model tells impacts from everything else, on labelled clips. */
import { Command } from 'commander';
import { EXIT, EXIT_HELP } from '../exit-codes.ts';
import { startProgress } from '../progress.ts';
import { run } from '../run.ts';

interface Options {
  readonly model: string;
  readonly clips: string;
  readonly fold?: string;
  readonly json?: true;
}

export function evaluateCommand(): Command {
  return new Command('evaluate')
    .summary('score labelled clips with a model: ROC AUC and recall')
    .description(
      'Scores each clip of a CSV and prints, for group impact against everything else, the ROC AUC and the recall at ' +
        'false-positive rates of 0.02, 0.05 and 0.1. The CSV has the columns file, fold, class, group; files are relative ' +
        'to it and may be of any format that sox reads.',
    )
    .requiredOption('--model <file>', 'the ONNX model')
    .requiredOption('--clips <csv>', 'the list of clips')
    .option('--fold <fold>', 'only the clips of this fold')
    .option('--json', 'print one JSON object instead of text')
    .addHelpText(
      'after',
      `${EXIT_HELP}

Example:
  fender evaluate --model models/impact.int8.onnx --clips clips.csv --fold 4 --json`,
    )
    .action((options: Options) => run((signal) => evaluateClips(options, signal)));
}

async function evaluateClips(options: Options, signal: AbortSignal): Promise<number> {
  const { evaluate, formatEvaluation } = await import('../../models/evaluate.ts');
  const progress = startProgress('evaluating');
  try {
    const result = await evaluate({
      modelPath: options.model,
      clipsPath: options.clips,
      ...(options.fold === undefined ? {} : { fold: options.fold }),
      onProgress: (done, total) => progress.update(done, total, `${done} of ${total} clips`),
      signal,
    });
    progress.close();
    process.stdout.write(options.json ? `${JSON.stringify(result, null, 2)}\n` : formatEvaluation(result));
    return EXIT.ok;
  } finally {
    progress.close();
  }
}
