/** `fender agent`: the process in the vehicle. */
import { Command } from 'commander';
import { EXIT, EXIT_HELP } from '../exit-codes.ts';
import { splitRosArguments } from '../ros-arguments.ts';
import { run } from '../run.ts';

const DEFAULT_CONFIG = '/etc/fender/agent.yaml';

export function agentCommand(): Command {
  return new Command('agent')
    .summary('run in the vehicle: record, detect, keep, send')
    .description(
      'Reads the sensors, records them in step, detects impacts, and sends events, clips and telemetry to central. ' +
        'One YAML file configures everything; SIGTERM ends it within 5 s with nothing unflushed.',
    )
    .option('--config <file>', 'the configuration', DEFAULT_CONFIG)
    .option('--print-config', 'print a complete, commented configuration with all defaults, and end')
    .option('--check-config', 'read the configuration, tell what is wrong with it, and end')
    .addHelpText(
      'after',
      `${EXIT_HELP}

Examples:
  fender agent --print-config > agent.yaml
  fender agent --config agent.yaml --check-config
  fender agent --config agent.yaml
  fender agent --config agent.yaml --ros-args -r /uma8/audio:=/front/audio`,
    )
    .action((options: { config: string; printConfig?: true; checkConfig?: true }) =>
      run(async (signal) => {
        if (options.printConfig) {
          const { defaultConfigText } = await import('../../agent/config/default-text.ts');
          process.stdout.write(defaultConfigText());
          return EXIT.ok;
        }
        if (options.checkConfig) {
          const { loadConfig } = await import('../../agent/config/load.ts');
          await loadConfig(options.config);
          process.stdout.write(`${options.config}: every key is understood\n`);
          return EXIT.ok;
        }
        const { runAgent } = await import('../../agent/main.ts');
        return runAgent({ configPath: options.config, rosArguments: splitRosArguments(process.argv).ros }, signal);
      }),
    );
}
