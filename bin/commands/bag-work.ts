/** What the tools of `fender bag` share: a progress bar that stops when the user does, options for spans of time, and JSON. */
import type { Command } from 'commander';
import type { Work } from '../../agent/bag/new-output.ts';
import { EXIT } from '../exit-codes.ts';
import { startProgress } from '../progress.ts';
import { explain } from '../run.ts';

/** Runs `work` with a bar called `label`, which is gone when it is done. */
export async function withProgress<T>(
  label: string,
  signal: AbortSignal,
  work: (given: Work) => Promise<T>,
): Promise<T> {
  const bar = startProgress(label);
  try {
    return await work({ signal, progress: (done, total) => bar.update(done, total) });
  } finally {
    bar.close();
  }
}

const worstFirst = [EXIT.failed, EXIT.findings];

/** Does `work` for each path. What hinders it at one is told on stderr, and the others go on. @returns the worst status of all. */
export async function eachPath(
  paths: readonly string[],
  signal: AbortSignal,
  work: (path: string) => Promise<number>,
): Promise<number> {
  const found = new Set<number>();
  for (const path of paths) {
    try {
      found.add(await work(path));
    } catch (error) {
      if (signal.aborted || !(error instanceof Error && 'code' in error)) throw error;
      process.stderr.write(`fender: ${explain(error)}\n`);
      found.add(EXIT.failed);
    }
  }
  return worstFirst.find((status) => found.has(status)) ?? EXIT.ok;
}

/** What the status of commands that look at several bags means beside `EXIT_HELP`. */
export const EACH_PATH_HELP = `
Every path is looked at, whatever is wrong with the others; the status is the worst of all: 1 where there is no bag at one of them,
else 3 where one is damaged. A segment that is still being written (*.mcap.active), or that a power cut left so for the agent's next
start to repair, is not damaged: 0.`;

/** Prints a value as JSON; 64-bit numbers become text. */
export function printJson(value: unknown): void {
  const plain = (_key: string, each: unknown): unknown => (typeof each === 'bigint' ? each.toString() : each);
  process.stdout.write(`${JSON.stringify(value, plain, 2)}\n`);
}

/** Options that choose messages. */
export interface SelectionOptions {
  readonly topic?: string[];
  readonly from?: string;
  readonly to?: string;
}

/** Adds `--topic`, `--from` and `--to`. */
export function withSelection(command: Command): Command {
  const collect = (name: string, names: string[] = []): string[] => [...names, name];
  return command
    .option('--topic <name>', 'only this topic; may be given again, and * stands for any characters', collect)
    .option('--from <time>', 'from this moment on: 2026-11-21T06:30:00Z, or 90s, 1m30s after the first message')
    .option('--to <time>', 'until before this moment');
}
