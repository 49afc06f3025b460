/** `fender replay`: the detector over a recording, faster than real time. */
import { resolve } from 'node:path';
import { Command } from 'commander';
import { EXIT, EXIT_HELP } from '../exit-codes.ts';
import { startProgress } from '../progress.ts';
import { run, StoppedError } from '../run.ts';

const SHIPPED_MODEL = 'models/impact.int8.onnx';

export function replayCommand(): Command {
  return new Command('replay')
    .summary('run the detector over a WAV or MCAP and print each impact')
    .description(
      'Runs the detector over a WAV or an MCAP recording as fast as it can and prints one JSON line an impact.',
    )
    .argument('<file>', 'a WAV, anything else that sox reads, an MCAP with /uma8/audio or the folder of a recording')
    .option('--model <file>', `the ONNX model (default: ${SHIPPED_MODEL} of this program)`)
    .addHelpText('after', `${EXIT_HELP}\n\nExample:\n  fender replay drive.wav | jq .label`)
    .action((file: string, options: { model?: string }) =>
      run(async (signal) => {
        const { replay } = await import('../../agent/replay.ts');
        const progress = startProgress('replaying');
        try {
          const impacts = replay({
            path: file,
            modelPath: options.model ?? resolve(import.meta.dirname, '../..', SHIPPED_MODEL),
            onProgress: (done, total) => progress.update(done, total),
            signal,
          });
          for await (const impact of impacts) process.stdout.write(`${JSON.stringify(impact)}\n`);
          if (signal.aborted) throw new StoppedError(`${file}: stopped before its end`);
          return EXIT.ok;
        } finally {
          progress.close();
        }
      }),
    );
}
