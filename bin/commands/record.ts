/** `fender record`: starts and stops the recording of the running agent, and tells how it is. */
import { Command } from 'commander';
import type { StatusBody } from '../../agent/control/control-answers.ts';
import { dataFolderOf, type WhichAgent, withAgentOptions } from '../agent-options.ts';
import { EXIT, EXIT_HELP } from '../exit-codes.ts';
import { run } from '../run.ts';

export function recordCommand(): Command {
  const command = new Command('record')
    .summary('start or stop the recording of the running agent')
    .description(
      'Controls the recording of the agent that runs on this vehicle. The agent records from its start on; a recording that was ' +
        'stopped is whole and closed, and stays stopped until it is started here, or the agent starts again: a vehicle shall not be ' +
        'silent for ever because somebody forgot. The last seconds are kept in memory all the while, for events and snapshots.',
    )
    .addHelpText(
      'after',
      `${EXIT_HELP}

Examples:
  fender record status
  fender record stop
  fender record start --data-dir /tmp/fender`,
    );
  command.addCommand(start().copyInheritedSettings(command));
  command.addCommand(stop().copyInheritedSettings(command));
  command.addCommand(status().copyInheritedSettings(command));
  return command;
}

function start(): Command {
  return withAgentOptions(new Command('start'))
    .summary('begin a recording, unless one runs')
    .description('Begins a recording in a folder of its own and prints its name; does nothing when one runs.')
    .addHelpText('after', `${EXIT_HELP}\n\nExample:\n  fender record start`)
    .action((which: WhichAgent) =>
      run(async () => {
        const answer = (await ask(which, 'POST', '/recording/start')) as { recording: string; started: boolean };
        process.stdout.write(`${answer.recording} ${answer.started ? 'is recorded now' : 'was recorded already'}\n`);
        return EXIT.ok;
      }),
    );
}

function stop(): Command {
  return withAgentOptions(new Command('stop'))
    .summary('end the recording; it is whole and closed then')
    .description(
      'Ends the recording and prints its name when all of it is on the disk, with its metadata.yaml: it may be copied then. ' +
        'Impacts are still detected, and their clips come from memory.',
    )
    .addHelpText(
      'after',
      `${EXIT_HELP}\n\nExample:\n  fender record stop && cp -r /var/lib/fender/recordings /media/usb`,
    )
    .action((which: WhichAgent) =>
      run(async () => {
        const { recording } = (await ask(which, 'POST', '/recording/stop')) as { recording: string | null };
        process.stdout.write(recording === null ? 'nothing was recorded\n' : `${recording} is whole and closed\n`);
        return EXIT.ok;
      }),
    );
}

function status(): Command {
  return withAgentOptions(new Command('status'))
    .summary('tell whether it records, where, and what was lost')
    .description('Tells how the recording of the running agent is. Counts are since the agent started.')
    .option('--json', 'print one JSON object instead of text')
    .addHelpText('after', `${EXIT_HELP}\n\nExample:\n  fender record status --json | jq .lost`)
    .action((options: WhichAgent & { json?: true }) =>
      run(async () => {
        const body = (await ask(options, 'GET', '/status')) as StatusBody;
        process.stdout.write(options.json ? `${JSON.stringify(body, null, 2)}\n` : await formatStatus(body));
        return EXIT.ok;
      }),
    );
}

async function ask(which: WhichAgent, method: 'GET' | 'POST', path: string): Promise<unknown> {
  const { askAgent } = await import('../../agent/control/control-client.ts');
  return askAgent(await dataFolderOf(which), method, path);
}

async function formatStatus(body: StatusBody): Promise<string> {
  const { counted } = await import('../../agent/bag/counted.ts');
  const lines = [
    `state       ${body.state}${body.paused_by === null ? '' : ` by ${body.paused_by}`}`,
    `recording   ${body.recording ?? 'none'}`,
    `recorded    ${counted(body.messages, 'message')}, ${counted(body.written_bytes, 'byte')} in ${counted(body.segments, 'segment')} of ${counted(body.recordings, 'recording')}`,
    `waiting     ${counted(body.queue_bytes, 'byte')}`,
    `in memory   ${counted(body.ring_bytes, 'byte')}`,
    `snapshots   ${body.snapshots}`,
    `lost        ${counted(body.lost_messages, 'message')}`,
  ];
  for (const [topic, reasons] of Object.entries(body.lost)) {
    const said = Object.entries(reasons).map(([reason, count]) => `${reason} ${count}`);
    lines.push(`  ${topic}  ${said.join(', ')}`);
  }
  return `${lines.join('\n')}\n`;
}
