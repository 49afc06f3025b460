/**
 * Measures two forms of a model on this machine, its int8 and its fp32 file: which of them is faster depends on the processor (a Pi 4 has no
 * instructions for int8 products), so it is measured where it runs.
 */
import { ModelError } from './error.ts';
import type { Model } from './package.ts';
import { ModelSession } from './session.ts';
import { lengthsInSamples } from './windows.ts';

/** What was measured: processor time of one window on one thread, ms, the median. Unlike the time that passes, a busy machine hardly moves it. */
export interface PairFigures {
  readonly int8Ms: number;
  readonly fp32Ms: number;
}

/** Not counted: the first runs of a session are slow. */
const WARM_UP_WINDOWS = 3;

/**
 * Scores `windows` windows of noise with each, by turns, so that whatever else the machine does hits both. Throws ModelError
 * `wrong-model` when they do not hear the same, `session` when one cannot run. Both sessions stay in this process's memory.
 */
export async function measurePair(int8: Model, fp32: Model, windows = 20): Promise<PairFigures> {
  expectSameWindows(int8, fp32);
  const { window } = lengthsInSamples(int8.description.input);
  const sessions = [
    await ModelSession.open(int8, { threads: 1 }),
    await ModelSession.open(fp32, { threads: 1 }),
  ] as const;
  const times: [number[], number[]] = [[], []];
  for (let turn = -WARM_UP_WINDOWS; turn < windows; turn += 1) {
    const audio = noise(window, turn);
    // Who goes first finds a colder cache: by turns, too.
    for (const which of turn % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      const before = process.cpuUsage();
      await sessions[which].run(audio, 1);
      const { user, system } = process.cpuUsage(before);
      if (turn >= 0) times[which].push((user + system) / 1000);
    }
  }
  await Promise.all(sessions.map((session) => session.close()));
  return { int8Ms: median(times[0]), fp32Ms: median(times[1]) };
}

function expectSameWindows(int8: Model, fp32: Model): void {
  const [a, b] = [int8.description, fp32.description];
  const hears = ({ input, labels }: Model['description']) => JSON.stringify([input, labels]);
  if (hears(a) === hears(b)) return;
  const message = `${fp32.path}: expected the same input and labels as ${int8.path}, found others: ${hears(b)} for ${hears(a)}`;
  throw new ModelError('wrong-model', message);
}

/** The same noise each time, at −20 dB of full scale or so: silence may be faster than sound. */
function noise(length: number, turn: number): Float32Array {
  let state = (turn + WARM_UP_WINDOWS + 1) * 2_654_435_761;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state / 2 ** 32 - 0.5) * 0.3;
  });
}

function median(values: number[]): number {
  values.sort((a, b) => a - b);
  const middle = Math.floor(values.length / 2);
  return values.length % 2 === 1
    ? (values[middle] ?? Number.NaN)
    : ((values[middle - 1] ?? Number.NaN) + (values[middle] ?? Number.NaN)) / 2;
}
