/** `fender bag info`: what is in a recording. */
import { Command } from 'commander';
import type { BagInfo } from '../../agent/bag/bag-info.ts';
import { EXIT, EXIT_HELP } from '../exit-codes.ts';
import { run } from '../run.ts';
import { EACH_PATH_HELP, eachPath, printJson, withProgress } from './bag-work.ts';

export function infoCommand(): Command {
  return new Command('info')
    .summary('topics, counts, rates, gaps, times and damage of a bag')
    .description(
      'Prints what is in MCAP files, or in each segment of recordings’ folders, finished or not: topics with count, rate, first and ' +
        'last message, gaps and declared loss; metadata (vehicle, clock, loss), attachments, damage. A whole file is known by its ' +
        'indexes; a damaged one is read to its end.',
    )
    .argument('<paths...>', 'MCAP files or folders of recordings')
    .option('--json', 'print one JSON array instead of text; times are nanoseconds as text')
    .addHelpText(
      'after',
      `${EXIT_HELP}\n${EACH_PATH_HELP}\n
Examples:
  fender bag info var/demo/agent/recordings/*
  fender bag info --json drive/ | jq '.[].topics[] | {topic, messages, rateHz, gaps}'`,
    )
    .action((paths: string[], options: { json?: true }) =>
      run(async (signal) => {
        const { bagInfo, formatBagInfo, formatTotal } = await import('../../agent/bag/bag-info.ts');
        const { someBagFiles } = await import('../../agent/bag/bag-folder.ts');
        const infos: BagInfo[] = [];
        const status = await eachPath(paths, signal, async (path) =>
          eachPath(await someBagFiles([path]), signal, async (file) => {
            const info = await withProgress(file, signal, (work) => bagInfo(file, work));
            // At once, as a path behind it may be none.
            if (!options.json) process.stdout.write(`${infos.length === 0 ? '' : '\n'}${formatBagInfo(info)}`);
            infos.push(info);
            return info.complete || info.unfinished ? EXIT.ok : EXIT.findings;
          }),
        );
        if (options.json) printJson(infos);
        else if (infos.length > 1) process.stdout.write(`\n${formatTotal(infos)}`);
        return status;
      }),
    );
}
