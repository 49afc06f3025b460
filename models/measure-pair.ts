/**
 * Measures two forms of a model on this machine, its int8 and its fp32 file: which of them is faster depends on the processor (a Pi 4 has no
 * instructions for int8 products), so it is measured where it runs.
 */
import { ModelError } from './error.ts';
import type { Model } from './package.ts';
import { quantile, raceSessions } from './race.ts';
import { ModelSession } from './session.ts';

/** What was measured: processor time of one window on one thread, ms, the median. Unlike the time that passes, a busy machine hardly moves it. */
export interface PairFigures {
  readonly int8Ms: number;
  readonly fp32Ms: number;
}

/**
 * Scores `windows` windows of noise with each, by turns, so that whatever else the machine does hits both. Throws ModelError
 * `wrong-model` when they do not hear the same, `session` when one cannot run. Both sessions stay in this process's memory.
 */
export async function measurePair(int8: Model, fp32: Model, windows = 20): Promise<PairFigures> {
  expectSameWindows(int8, fp32);
  const sessions = [
    await ModelSession.open(int8, { threads: 1 }),
    await ModelSession.open(fp32, { threads: 1 }),
  ] as const;
  const times = await raceSessions(sessions, [int8, fp32], windows);
  await Promise.all(sessions.map((session) => session.close()));
  const [int8Ms = Number.NaN, fp32Ms = Number.NaN] = times.map(({ spent }) => quantile(spent, 0.5));
  return { int8Ms, fp32Ms };
}

function expectSameWindows(int8: Model, fp32: Model): void {
  const [a, b] = [int8.description, fp32.description];
  const hears = ({ input, labels }: Model['description']) => JSON.stringify([input, labels]);
  if (hears(a) === hears(b)) return;
  const message = `${fp32.path}: expected the same input and labels as ${int8.path}, found others: ${hears(b)} for ${hears(a)}`;
  throw new ModelError('wrong-model', message);
}
