/** What the tools of `fender bag` share: a progress bar that stops when the user does, options for spans of time, and JSON. */
import type { Command } from 'commander';
import type { Work } from '../../agent/bag/new-output.ts';
import { startProgress } from '../progress.ts';

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
