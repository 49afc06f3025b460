#!/usr/bin/env node
/** `fender`, the one command: reads its subcommand and loads the room that does it. */
import { Command } from 'commander';
import { agentCommand } from './commands/agent.ts';
import { bagCommand } from './commands/bag.ts';
import { centralCommand } from './commands/central.ts';
import { demoCommand } from './commands/demo.ts';
import { doctorCommand } from './commands/doctor.ts';
import { evaluateCommand } from './commands/evaluate.ts';
import { modelCommand } from './commands/model.ts';
import { nodeCommand } from './commands/node.ts';
import { recordCommand } from './commands/record.ts';
import { replayCommand } from './commands/replay.ts';
import { snapshotCommand } from './commands/snapshot.ts';
import { EXIT, EXIT_HELP } from './exit-codes.ts';
import { splitRosArguments } from './ros-arguments.ts';

/** Lets a command and those under it end as the program does when the command line is wrong: with the right status, naming their own help. */
function inherit(command: Command, parent: Command, name: string): void {
  command.copyInheritedSettings(parent).showHelpAfterError(`(${name} --help shows what can be said)`);
  for (const each of command.commands) inherit(each, command, `${name} ${each.name()}`);
}

const program = new Command('fender')
  .description(
    'Learns what hits a test vehicle: the agent in the vehicle, the central service, and the tools around them.',
  )
  .showHelpAfterError('(fender --help shows what can be said)')
  .addHelpText('after', `${EXIT_HELP}\n\nFENDER_TRACE=1 shows the stack of every error.`)
  .exitOverride((error) => process.exit(error.exitCode === 0 ? EXIT.ok : EXIT.usage));

for (const command of [
  demoCommand(),
  agentCommand(),
  nodeCommand(),
  recordCommand(),
  snapshotCommand(),
  centralCommand(),
  doctorCommand(),
  evaluateCommand(),
  replayCommand(),
  modelCommand(),
  bagCommand(),
]) {
  inherit(command, program, `fender ${command.name()}`);
  program.addCommand(command);
}

// What is said to ROS 2 is no option of ours.
await program.parseAsync(splitRosArguments(process.argv).own);
