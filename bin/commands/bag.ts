/** `fender bag`: what is in a recording, and what can be saved of a damaged one. */
import { Command } from 'commander';
import { EXIT, EXIT_HELP } from '../exit-codes.ts';
import { startProgress } from '../progress.ts';
import { run, UsageError } from '../run.ts';

export function bagCommand(): Command {
  const bag = new Command('bag').summary('look into recordings, recover damaged ones').addHelpText('after', EXIT_HELP);
  bag.addCommand(infoCommand());
  bag.addCommand(recoverCommand());
  return bag;
}

function infoCommand(): Command {
  return new Command('info')
    .summary('topics, counts, times and damage of a bag')
    .description('Prints what is in MCAP files, or in each segment of recordings’ folders, finished or not.')
    .argument('<paths...>', 'MCAP files or folders of recordings')
    .option('--json', 'print one JSON array instead of text')
    .addHelpText('after', `${EXIT_HELP}\n\nExample:\n  fender bag info var/demo/agent/recordings/*`)
    .action((paths: string[], options: { json?: true }) =>
      run(async () => {
        const { bagFiles, bagInfo, formatBagInfo } = await import('../../agent/bag/bag-info.ts');
        const files = (await Promise.all(paths.map(bagFiles))).flat();
        if (files.length === 0) throw new UsageError(`${paths.join(' ')}: expected MCAP files (*.mcap), found none`);
        const infos = [];
        for (const file of files) {
          const progress = startProgress(file);
          try {
            infos.push(await bagInfo(file, (done, total) => progress.update(done, total)));
          } finally {
            progress.close();
          }
        }
        if (options.json) process.stdout.write(`${JSON.stringify(infos, bigintAsText, 2)}\n`);
        else process.stdout.write(infos.map(formatBagInfo).join('\n'));
        return infos.every(({ complete }) => complete) ? EXIT.ok : EXIT.findings;
      }),
    );
}

function recoverCommand(): Command {
  return new Command('recover')
    .summary('write what is readable of a damaged bag into a new one')
    .description(
      'Reads a damaged MCAP file once, in bounded memory, and writes every whole chunk into a new, complete file.',
    )
    .argument('<path>', 'the damaged MCAP file')
    .argument('<out>', 'the file to write; must not exist')
    .option('--json', 'print one JSON object instead of text')
    .addHelpText('after', `${EXIT_HELP}\n\nExample:\n  fender bag recover torn.mcap whole.mcap`)
    .action((path: string, out: string, options: { json?: true }) =>
      run(async () => {
        const { bagRecover, formatRecovery } = await import('../../agent/bag/bag-recover.ts');
        const progress = startProgress('recovering');
        try {
          const recovery = await bagRecover(path, out, (done, total) => progress.update(done, total));
          progress.close();
          process.stdout.write(
            options.json ? `${JSON.stringify(recovery, bigintAsText, 2)}\n` : formatRecovery(recovery),
          );
          return recovery.damage.length === 0 && !recovery.cutOff ? EXIT.ok : EXIT.findings;
        } finally {
          progress.close();
        }
      }),
    );
}

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
