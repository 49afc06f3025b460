/** `fender node`: one sensor as a ROS 2 node of its own. */
import { existsSync } from 'node:fs';
import { Argument, Command } from 'commander';
import { EXIT_HELP } from '../exit-codes.ts';
import { splitRosArguments } from '../ros-arguments.ts';
import { run, UsageError } from '../run.ts';

const DEFAULT_CONFIG = '/etc/fender/agent.yaml';
const NAMES = ['plantower', 'sds011', 'sps30', 'bme680', 'uma8'] as const;

export function nodeCommand(): Command {
  return new Command('node')
    .summary('run one sensor as a ROS 2 node of its own')
    .description(
      'Reads one sensor and publishes its topics and /diagnostics in ROS 2, which must be sourced. An agent whose ' +
        'configuration names the topics in graph.ros2.topics records them. Arguments for ROS 2 stand behind --ros-args.',
    )
    .addArgument(new Argument('<sensor>', 'which sensor').choices(NAMES))
    .option('--config <file>', 'the configuration of the agent, of which only the sensor and graph.ros2 are used')
    .addHelpText(
      'after',
      `${EXIT_HELP}

Examples:
  fender node uma8
  fender node bme680 --config agent.yaml --ros-args -p period_s:=2.0 -r __ns:=/front`,
    )
    .action((name: (typeof NAMES)[number], options: { config?: string }) =>
      run(async (signal) => {
        const { loadConfig, parseConfig } = await import('../../agent/config/load.ts');
        const path = options.config ?? (existsSync(DEFAULT_CONFIG) ? DEFAULT_CONFIG : null);
        if (path !== null && !existsSync(path)) throw new UsageError(`${path}: expected a file, found none`);
        const config = path === null ? parseConfig('', 'no file') : await loadConfig(path);
        config.graph.ros2.arguments.push(...(splitRosArguments(process.argv).ros ?? []));
        const { runNode } = await import('../../agent/ros/run-node.ts');
        return runNode(name, config, signal);
      }),
    );
}
