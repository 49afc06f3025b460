/** `fender bag`: what is in recordings, what is wrong with them, and new recordings or tables made of them. */
import { Command } from 'commander';
import { EXIT_HELP } from '../exit-codes.ts';
import { exportCommand } from './bag-export.ts';
import { infoCommand } from './bag-info.ts';
import { cutCommand, mergeCommand } from './bag-join.ts';
import { recoverCommand } from './bag-recover.ts';
import { verifyCommand } from './bag-verify.ts';
import { viewCommand } from './bag-view.ts';

export function bagCommand(): Command {
  return new Command('bag')
    .summary('look into recordings, check, cut, join, export and recover them')
    .description(
      'Tools for bags: MCAP files, and folders of segments as rosbag2 lays them out. They take recordings of Fender, of `ros2 bag` ' +
        'and of others, whole or damaged; what they read they never change.',
    )
    .addHelpText('after', EXIT_HELP)
    .addCommand(infoCommand())
    .addCommand(verifyCommand())
    .addCommand(recoverCommand())
    .addCommand(exportCommand())
    .addCommand(cutCommand())
    .addCommand(mergeCommand())
    .addCommand(viewCommand());
}
