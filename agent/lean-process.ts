/** The lean process of the agent: takes the checked configuration from its environment, runs, and exits. */
import { CONFIG_VARIABLE } from './lean-start.ts';
import { runConfigured } from './run-configured.ts';

/** Runs with the configuration in the environment; a second signal ends at once. */
async function main(configText: string): Promise<void> {
  delete process.env[CONFIG_VARIABLE];
  const stop = new AbortController();
  const onSignal = (): void => {
    if (stop.signal.aborted) process.exit(130);
    stop.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  try {
    process.exitCode = await runConfigured(JSON.parse(configText), stop.signal);
  } catch (error) {
    process.stderr.write(`fender: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
  process.off('SIGINT', onSignal);
  process.off('SIGTERM', onSignal);
}

// Being imported to be compiled ahead, it has no configuration and does nothing.
const configText = process.env[CONFIG_VARIABLE];
if (configText !== undefined) await main(configText);
