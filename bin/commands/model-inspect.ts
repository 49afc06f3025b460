/** `fender model inspect`: what a model file is. */
import { Command } from 'commander';
import { EXIT, EXIT_HELP } from '../exit-codes.ts';
import { run, wholeNumber } from '../run.ts';

export function inspectCommand(): Command {
  return new Command('inspect')
    .summary('what a model file is: labels, input, thresholds, graph, training')
    .description(
      'Prints the description, size, hash, operators, inputs and outputs, training run, figures and reference histograms of model ' +
        'files, as far as a broken file still tells them, and what is wrong with it. Nothing is run.',
    )
    .argument('<files...>', 'ONNX files')
    .option('--json', 'print one JSON array instead of text')
    .option('--max-bytes <n>', 'refuse larger files', wholeNumber('max-bytes', 1, 2 ** 31 - 1))
    .addHelpText(
      'after',
      `${EXIT_HELP}\n
Examples:
  fender model inspect models/impact.int8.onnx
  fender model inspect --json *.onnx | jq '.[] | {file, valid, labels: .description.labels}'`,
    )
    .action((files: string[], options: { json?: true; maxBytes?: number }) =>
      run(async () => {
        const { formatInspection, inspectFile } = await import('../../models/inspect.ts');
        const limits = options.maxBytes === undefined ? {} : { maxBytes: options.maxBytes };
        const inspections = [];
        for (const [i, file] of files.entries()) {
          const inspection = await inspectFile(file, limits);
          inspections.push(inspection);
          if (!options.json) process.stdout.write(`${i === 0 ? '' : '\n'}${formatInspection(inspection)}`);
        }
        if (options.json) process.stdout.write(`${JSON.stringify(inspections, null, 2)}\n`);
        return inspections.every(({ valid }) => valid) ? EXIT.ok : EXIT.findings;
      }),
    );
}
