/** `fender model verify`: whether a model file is what it should be. */
import { Command } from 'commander';
import { EXIT, EXIT_HELP } from '../exit-codes.ts';
import { run, wholeNumber } from '../run.ts';

export function verifyCommand(): Command {
  return new Command('verify')
    .summary('check a model file: description, graph, and a first run')
    .description(
      'Checks model files before anything runs them: that they are whole and of known operators, that the description is valid and fits the ' +
        'graph. Then runs a window of silence, noise and a click in a process with limits and looks at the scores. Says everything that is ' +
        'wrong at once: the field, what was expected, what was found, and the cure.',
    )
    .argument('<files...>', 'ONNX files')
    .option('--json', 'print one JSON array instead of text')
    .option('--max-bytes <n>', 'refuse larger files', wholeNumber('max-bytes', 1, 2 ** 31 - 1))
    .addHelpText(
      'after',
      `${EXIT_HELP}\n
Examples:
  fender model verify models/*.onnx
  fender model verify --json new.onnx | jq -r '.[].findings[] | "\\(.field): \\(.cure)"'`,
    )
    .action((files: string[], options: { json?: true; maxBytes?: number }) =>
      run(async (signal) => {
        const { formatVerification, verifyModel } = await import('../../models/verify.ts');
        const limits = options.maxBytes === undefined ? {} : { maxBytes: options.maxBytes };
        const results = [];
        for (const file of files) {
          const result = await verifyModel(file, { ...limits, signal });
          results.push(result);
          if (!options.json) process.stdout.write(formatVerification(result));
        }
        if (options.json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
        return results.every(({ valid }) => valid) ? EXIT.ok : EXIT.findings;
      }),
    );
}
