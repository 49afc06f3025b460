/** The options of commands that speak to a running agent: which one. */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { UsageError } from './run.ts';

const defaultConfig = '/etc/fender/agent.yaml';

/** As said on the command line. */
export interface WhichAgent {
  readonly config?: string;
  readonly dataDir?: string;
}

export function withAgentOptions(command: Command): Command {
  return command
    .option('--config <file>', `the configuration of the agent (default: ${defaultConfig})`)
    .option('--data-dir <folder>', "the agent's data_dir, instead of reading it from the configuration");
}

/** The data folder of the agent that is meant. @throws UsageError when nobody says which; errors of the configuration. */
export async function dataFolderOf({ config, dataDir }: WhichAgent): Promise<string> {
  if (dataDir !== undefined) return dataDir;
  if (config === undefined && !existsSync(defaultConfig)) {
    throw new UsageError(
      `expected the configuration of the agent at ${defaultConfig}, found none: name it with --config, or its data folder with --data-dir`,
    );
  }
  const { loadConfig } = await import('../agent/config/load.ts');
  return (await loadConfig(config ?? defaultConfig)).data_dir;
}
