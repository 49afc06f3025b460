/** `fender model bench`: what a model costs on this machine. */
import { Command } from 'commander';
import { EXIT, EXIT_HELP } from '../exit-codes.ts';
import { startProgress } from '../progress.ts';
import { run, wholeNumber } from '../run.ts';

interface Options {
  readonly windows: number;
  readonly json?: true;
  readonly maxBytes?: number;
}

export function benchCommand(): Command {
  return new Command('bench')
    .summary('measure a model here: time of a window, load, memory; int8 against fp32')
    .description(
      'Times one window on one thread, the median and the 95th percentile, and what share of a core that takes in real time. Where NAME.int8.onnx ' +
        'and NAME.fp32.onnx stand side by side, both are measured by turns in one process, so that their ratio holds on a busy machine too, ' +
        'and the one is named that the agent would take here.',
    )
    .argument('<file>', 'an ONNX file')
    .option('--windows <n>', 'timed windows of each model', wholeNumber('windows', 10, 100_000), 200)
    .option('--json', 'print one JSON object instead of text')
    .option('--max-bytes <n>', 'refuse larger files', wholeNumber('max-bytes', 1, 2 ** 31 - 1))
    .addHelpText(
      'after',
      `${EXIT_HELP}\n
Examples:
  fender model bench models/impact.int8.onnx
  fender model bench --json --windows 1000 models/impact.int8.onnx | jq .int8_speedup`,
    )
    .action((file: string, options: Options) =>
      run(async (signal) => {
        const { benchModel, formatBench } = await import('../../models/bench.ts');
        const progress = startProgress('measuring');
        try {
          const bench = await benchModel(file, {
            windows: options.windows,
            ...(options.maxBytes === undefined ? {} : { maxBytes: options.maxBytes }),
            onProgress: (done, total) => progress.update(done, total),
            signal,
          });
          progress.close();
          process.stdout.write(options.json ? `${JSON.stringify(bench, null, 2)}\n` : formatBench(bench));
          return EXIT.ok;
        } finally {
          progress.close();
        }
      }),
    );
}
