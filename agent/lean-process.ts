/** The lean process of the agent: takes the checked configuration from its environment, runs, and exits. */
import { createRequire } from 'node:module';
import { CHECKED_VARIABLE, type Checked } from './lean-start.ts';
import { runConfigured } from './run-configured.ts';

/** Time for the last output to drain once the agent has ended. */
const LAST_WORDS_MS = 1_000;

/** Runs with the configuration in the environment; a second signal ends at once. */
async function main(checkedText: string): Promise<void> {
  delete process.env[CHECKED_VARIABLE];
  keepNoNumbers();
  const { config, model } = JSON.parse(checkedText) as Checked;
  const stop = new AbortController();
  const onSignal = (): void => {
    if (stop.signal.aborted) process.exit(130);
    stop.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  try {
    process.exitCode = await runConfigured(config, model, stop.signal);
  } catch (error) {
    process.stderr.write(`fender: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
  process.off('SIGINT', onSignal);
  process.off('SIGTERM', onSignal);
  // Something that was given up and still holds the process must not keep it from ending.
  setTimeout(() => process.exit(), LAST_WORDS_MS).unref();
}

/** With its first packet, MQTT.js's encoder would make a buffer for each number up to 65 535 and keep them: 7 MB. */
function keepNoNumbers(): void {
  const here = createRequire(import.meta.url);
  const { writeToStream } = createRequire(here.resolve('mqtt'))('mqtt-packet');
  writeToStream.cacheNumbers = false;
}

// Being imported to be compiled ahead, it has no configuration and does nothing.
const checkedText = process.env[CHECKED_VARIABLE];
if (checkedText !== undefined) await main(checkedText);
