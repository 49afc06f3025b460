/** `fender replay`: the detector over a recording, faster than real time. */
import { Command } from 'commander';
import { EXIT, EXIT_HELP } from '../exit-codes.ts';
import { startProgress } from '../progress.ts';
import { run } from '../run.ts';

export function replayCommand(): Command {
  return new Command('replay')
    .summary('run the detector over a WAV or MCAP and print each impact')
    .description(
      'Runs the detector over a WAV or an MCAP recording as fast as it can and prints one JSON line an impact.',
    )
    .argument('<file>', 'a WAV (16 bit) or an MCAP with /uma8/audio')
    .option('--model <file>', 'the ONNX model', 'models/impact.int8.onnx')
    .addHelpText('after', `${EXIT_HELP}\n\nExample:\n  fender replay drive.wav | jq .label`)
    .action((file: string, options: { model: string }) =>
      run(async (signal) => {
        const { replay } = await import('../../agent/replay.ts');
        const progress = startProgress('replaying');
        try {
          const impacts = replay({
            path: file,
            modelPath: options.model,
            onProgress: (done, total) => progress.update(done, total),
            signal,
          });
          for await (const impact of impacts) process.stdout.write(`${JSON.stringify(impact)}\n`);
          return EXIT.ok;
        } finally {
          progress.close();
        }
      }),
    );
}
