/** Times models against each other: by turns in one process, so that whatever else the machine does hits all of them. */
import type { ModelDescription } from './description.ts';
import type { Scorer } from './session.ts';
import { lengthsInSamples } from './windows.ts';

/** Not counted: the first runs of a session are slow. */
const WARM_UP_WINDOWS = 3;

/** Milliseconds of every window that a model scored. */
export interface WindowTimes {
  /** That passed. */
  readonly passed: number[];
  /** Of the processor's time, which leaves out that of other programs. */
  readonly spent: number[];
}

/** Scores `windows` windows of noise with each, one at a time. The sessions of `scorers` belong to `models`, in their order. */
export async function raceSessions(
  scorers: readonly Scorer[],
  models: readonly { readonly description: Pick<ModelDescription, 'input'> }[],
  windows: number,
): Promise<WindowTimes[]> {
  const times = scorers.map((): WindowTimes => ({ passed: [], spent: [] }));
  const sounds = models.map(({ description }) => noise(lengthsInSamples(description.input).window));
  for (let turn = windows === 0 ? 0 : -WARM_UP_WINDOWS; turn < windows; turn += 1) {
    for (let i = 0; i < scorers.length; i += 1) {
      // Who goes first finds a colder cache: by turns, too.
      const which = (i + turn + WARM_UP_WINDOWS) % scorers.length;
      const [startMs, startProcessorMs] = [performance.now(), processorMs()];
      await (scorers[which] as Scorer).run(sounds[which] as Float32Array, 1);
      if (turn < 0) continue;
      times[which]?.spent.push(processorMs() - startProcessorMs);
      times[which]?.passed.push(performance.now() - startMs);
    }
  }
  return times;
}

/** The processor's time that this process has used, ms: unlike the time that passes, a busy machine hardly moves it. */
export function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** The same noise each time, at −21 dB of full scale: silence may be faster than sound. */
export function noise(length: number): Float32Array {
  let state = 2_654_435_761;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state / 2 ** 32 - 0.5) * 0.3;
  });
}

/** The value that `share` (0 … 1) of `values` do not exceed: 0.5 is the median. NaN for none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}
