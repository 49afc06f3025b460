/** `fender bag recover`: what can be saved of a damaged recording. */
import { Command } from 'commander';
import { EXIT, EXIT_HELP } from '../exit-codes.ts';
import { run } from '../run.ts';
import { printJson, withProgress } from './bag-work.ts';

export function recoverCommand(): Command {
  return new Command('recover')
    .summary('write what is readable of a damaged bag into a new one')
    .description(
      'Reads a damaged MCAP file once, in bounded memory, and writes every whole chunk into a new, complete file. Of a folder it ' +
        'recovers every segment, and writes a metadata.yaml for them. The damaged bag is left as it is.',
    )
    .argument('<path>', 'the damaged MCAP file, or the folder of a recording')
    .argument('<out>', 'the file or folder to write')
    .option('--force', 'replace <out> when it exists')
    .option('--json', 'print a JSON array with an object for each file instead of text')
    .addHelpText(
      'after',
      `${EXIT_HELP}\n
Examples:
  fender bag recover torn.mcap whole.mcap
  fender bag recover drive_with_damage/ drive_recovered/`,
    )
    .action((path: string, out: string, options: { json?: true; force?: true }) =>
      run(async (signal) => {
        const { bagRecover, formatRecovery, nothingLost } = await import('../../agent/bag/bag-recover.ts');
        const recoveries = await withProgress('recovering', signal, (work) =>
          bagRecover(path, out, { ...work, force: options.force }),
        );
        if (options.json) printJson(recoveries);
        else process.stdout.write(recoveries.map(formatRecovery).join(''));
        return recoveries.every(nothingLost) ? EXIT.ok : EXIT.findings;
      }),
    );
}
