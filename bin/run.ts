/** How a subcommand runs: an abort signal for Ctrl-C and SIGTERM, and errors as one sentence with an exit status. */
import { EXIT } from './exit-codes.ts';

/** Time for the last output to drain once the work is done. */
const LAST_WORDS_MS = 1_000;

/** An error of the command line: a missing file, a value out of range. */
export class UsageError extends Error {
  readonly code = 'usage';
}

/** The work was stopped by a signal before it was done. */
export class StoppedError extends Error {
  readonly code = 'stopped';
}

/** Runs `work` and ends the process with its status once streams are drained; a second signal ends at once. */
export function run(work: (signal: AbortSignal) => Promise<number>): Promise<void> {
  const stop = new AbortController();
  const onSignal = () => {
    if (stop.signal.aborted) process.exit(130);
    stop.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  // Whoever reads the output may have enough of it, as `head` does: then the work ends in order, and nobody is told.
  let isRead = true;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    isRead = false;
    stop.abort();
  });
  return work(stop.signal)
    .catch((error: unknown) => {
      if (isRead) process.stderr.write(`fender: ${explain(error)}\n`);
      return isUsage(error) ? EXIT.usage : EXIT.failed;
    })
    .then((status) => {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
      process.exitCode = status;
      // Something that was given up and still holds the process must not keep it from ending.
      setTimeout(() => process.exit(), LAST_WORDS_MS).unref();
    });
}

/** The message of errors that are written for people, the stack of our own mistakes. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const known = 'code' in error && typeof error.code === 'string';
  if (!known || process.env.FENDER_TRACE) return error.stack ?? error.message;
  return error.message;
}

function isUsage(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    /^(usage|config|configuration)/.test(error.code)
  );
}

/** A whole number option of commander between `min` and `max`. */
export function wholeNumber(name: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    process.stderr.write(`fender: --${name}: expected a whole number from ${min} to ${max}, found '${text}'\n`);
    process.exit(EXIT.usage);
  };
}
