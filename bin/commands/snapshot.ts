/** `fender snapshot`: makes an event, with its clip, of the seconds around now. */
import { Command } from 'commander';
import type { SnapshotBody } from '../../agent/control/control-answers.ts';
import { dataFolderOf, type WhichAgent, withAgentOptions } from '../agent-options.ts';
import { EXIT, EXIT_HELP } from '../exit-codes.ts';
import { run, UsageError } from '../run.ts';

interface Options extends WhichAgent {
  readonly reason?: string;
  readonly preRoll?: number;
  readonly postRoll?: number;
  readonly json?: true;
}

export function snapshotCommand(): Command {
  return withAgentOptions(new Command('snapshot'))
    .summary('keep the last seconds and the next ones as an event')
    .description(
      'Makes an event of the label snapshot on the running agent, at once; its clip with all sensors follows when the post-roll is ' +
        'over, and goes to central like that of an impact. It works also while nothing is recorded: memory holds the last ' +
        'recorder.ring_s seconds.',
    )
    .option('--reason <text>', 'why, kept in the clip')
    .option('--pre-roll <seconds>', 'how much of the past (default: recorder.pre_roll_s)', seconds('pre-roll'))
    .option('--post-roll <seconds>', 'how much of the future (default: recorder.post_roll_s)', seconds('post-roll'))
    .option('--json', 'print one JSON object instead of text')
    .addHelpText(
      'after',
      `${EXIT_HELP}

Examples:
  fender snapshot --reason "stone from a truck"
  fender snapshot --pre-roll 20 --post-roll 0`,
    )
    .action((options: Options) =>
      run(async () => {
        const { askAgent } = await import('../../agent/control/control-client.ts');
        const body = (await askAgent(await dataFolderOf(options), 'POST', '/snapshot', {
          reason: options.reason ?? '',
          ...(options.preRoll !== undefined && { pre_roll_s: options.preRoll }),
          ...(options.postRoll !== undefined && { post_roll_s: options.postRoll }),
        })) as SnapshotBody;
        const { event_id: eventId, pre_roll_s: preRollS, post_roll_s: postRollS } = body;
        const text = `event ${eventId}: ${preRollS} s before and ${postRollS} s after now\n`;
        process.stdout.write(options.json ? `${JSON.stringify(body, null, 2)}\n` : text);
        return EXIT.ok;
      }),
    );
}

function seconds(name: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && value >= 0 && Number.isFinite(value)) return value;
    const error = new UsageError(`--${name}: expected seconds from 0, found '${text}'`);
    process.stderr.write(`fender: ${error.message}\n`);
    process.exit(EXIT.usage);
  };
}
