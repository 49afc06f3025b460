/** `fender agent`: reads the configuration and runs the agent with it. */
import { loadConfig } from './config/load.ts';
import { replaceByLeanProcess } from './lean-start.ts';
import { runConfigured } from './run-configured.ts';

/** What `fender agent` is told. */
export interface RunOptions {
  /** The configuration file. */
  readonly configPath: string;
  /** What the command line says behind --ros-args, which asks for ROS 2; null when it has none. */
  readonly rosArguments?: readonly string[] | null;
}

/**
 * Runs the agent until `signal` aborts, then ends it in under 5 s and resolves to 0. Throws AgentError `configuration` for a
 * configuration that is refused, `locked` when another agent uses its data folder, `storage` when that cannot be written. Where the
 * system can, the process is replaced by a leaner one of the same id, which then ends with these meanings as its status.
 */
export async function runAgent({ configPath, rosArguments }: RunOptions, signal: AbortSignal): Promise<number> {
  const config = await loadConfig(configPath);
  if (rosArguments) {
    config.graph.kind = 'ros2';
    config.graph.ros2.arguments.push(...rosArguments);
  }
  await replaceByLeanProcess(config, signal);
  if (signal.aborted) return 0;
  return runConfigured(config, null, signal);
}
