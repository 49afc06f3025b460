/** `fender bag cut` and `fender bag merge`: new recordings made of others. */
import { Command } from 'commander';
import type { BagJoin } from '../../agent/bag/bag-merge.ts';
import type { Work } from '../../agent/bag/new-output.ts';
import { EXIT, EXIT_HELP } from '../exit-codes.ts';
import { run, UsageError } from '../run.ts';
import { printJson, type SelectionOptions, withProgress, withSelection } from './bag-work.ts';

interface JoinOptions extends SelectionOptions {
  readonly force?: true;
  readonly json?: true;
}

export function cutCommand(): Command {
  const cut = new Command('cut')
    .summary('a span of time and chosen topics as a new bag')
    .description(
      'Copies the messages of a span of time, and of chosen topics, into a new whole bag with schemas, metadata and attachments. The ' +
        'span is by log time, from --from until before --to. <out> is an MCAP file when it ends in .mcap, else a rosbag2 folder.',
    )
    .argument('<path>', 'an MCAP file or the folder of a recording, whole or damaged')
    .argument('<out>', 'the file (*.mcap) or folder to write');
  return withOutput(withSelection(cut))
    .addHelpText(
      'after',
      `${EXIT_HELP}\n
Examples:
  fender bag cut drive/ blow.mcap --from 1m30s --to 1m40s
  fender bag cut drive/ air/ --topic '/plantower/*' --topic '/bme680/*'
  fender bag cut drive/ morning/ --from 2026-11-21T06:00:00Z --to 2026-11-21T07:00:00Z`,
    )
    .action((path: string, out: string, options: JoinOptions) =>
      run(async (signal) => {
        const { bagCut } = await import('../../agent/bag/bag-merge.ts');
        return show('cutting', signal, options, (work) => bagCut(path, out, selectionOf(options), work));
      }),
    );
}

export function mergeCommand(): Command {
  const merge = new Command('merge')
    .summary('several bags as one, in order of time')
    .description(
      'Joins bags into a new one, in order of time: the same topic becomes one channel, the same schema one schema, and what is in ' +
        'two bags is in the new one twice. A topic that has another type in another bag is refused: no reader could tell them apart. ' +
        '<out> is an MCAP file when it ends in .mcap, else a rosbag2 folder.',
    )
    .argument('<paths...>', 'MCAP files or folders of recordings, whole or damaged')
    .requiredOption('--out <path>', 'the file (*.mcap) or folder to write');
  return withOutput(withSelection(merge))
    .addHelpText(
      'after',
      `${EXIT_HELP}\n
Examples:
  fender bag merge --out day/ recordings/*
  fender bag merge --out both.mcap drive/ can_bus.mcap --topic /uma8/audio --topic /can`,
    )
    .action((paths: string[], options: JoinOptions & { readonly out: string }) =>
      run(async (signal) => {
        if (paths.length === 0) throw new UsageError('merge: expected bags to join, found none');
        const { bagMerge } = await import('../../agent/bag/bag-merge.ts');
        return show('merging', signal, options, (work) => bagMerge(paths, options.out, selectionOf(options), work));
      }),
    );
}

function withOutput(command: Command): Command {
  return command
    .option('--force', 'replace <out> when it exists')
    .option('--json', 'print one JSON object instead of text');
}

function selectionOf({ topic, from, to }: SelectionOptions): { topics?: string[]; from?: string; to?: string } {
  return { ...(topic && { topics: topic }), ...(from && { from }), ...(to && { to }) };
}

async function show(
  label: string,
  signal: AbortSignal,
  options: JoinOptions,
  work: (given: Work) => Promise<BagJoin>,
): Promise<number> {
  const { formatJoin } = await import('../../agent/bag/bag-merge.ts');
  const joined = await withProgress(label, signal, (given) => work({ ...given, force: options.force }));
  if (options.json) printJson(joined);
  else process.stdout.write(formatJoin(joined));
  return joined.damage.length === 0 && joined.problems.length === 0 ? EXIT.ok : EXIT.findings;
}
