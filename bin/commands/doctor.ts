/** `fender doctor`: is this vehicle ready, and if not, what cures it. */
import { Command } from 'commander';
import { EXIT, EXIT_HELP } from '../exit-codes.ts';
import { run } from '../run.ts';

const MARKS = { ok: '✓', warn: '!', error: '✗' } as const;

export function doctorCommand(): Command {
  return new Command('doctor')
    .summary('check devices, permissions, clock, disk, broker, model and ROS 2')
    .description('Checks what the agent needs with the given configuration, and tells the cure of what is wrong.')
    .option('--config <file>', 'the configuration of the agent', '/etc/fender/agent.yaml')
    .option('--json', 'print one JSON array instead of text')
    .addHelpText('after', `${EXIT_HELP}\n\nExample:\n  fender doctor --config agent.yaml`)
    .action((options: { config: string; json?: true }) =>
      run(async (signal) => {
        const { loadConfig } = await import('../../agent/config/load.ts');
        const { doctor } = await import('../../agent/doctor.ts');
        const checks = await doctor(await loadConfig(options.config), signal);
        if (options.json) {
          process.stdout.write(`${JSON.stringify(checks, null, 2)}\n`);
        } else {
          const width = Math.max(...checks.map(({ name }) => name.length));
          for (const { level, name, found, cure } of checks) {
            process.stdout.write(`${MARKS[level]} ${name.padEnd(width)}  ${found}\n`);
            if (cure) process.stdout.write(`${' '.repeat(width + 4)}→ ${cure}\n`);
          }
        }
        return checks.some(({ level }) => level === 'error') ? EXIT.findings : EXIT.ok;
      }),
    );
}
