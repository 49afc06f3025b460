/** Measures what kills of a recording process cost, at random moments: the losses of all of them. */

import { type CrashLoss, isTooMuch, measureCrashLoss } from '../fault/crash-loss.ts';
import { seededRandom } from '../fault/seeded-random.ts';

/** Smallest, median, 95th percentile and largest, in seconds. */
export interface Spread {
  readonly least: number;
  readonly median: number;
  readonly p95: number;
  readonly most: number;
}

/** What a run of the benchmark gives. */
export interface CrashBench {
  readonly kills: number;
  readonly seed: number;
  /** Sound that was handed to the recorder and is lost. */
  readonly soundS: Spread;
  /** From the end of the last sound in the recording to the kill: with what was heard and not handed over yet. */
  readonly soundToKillS: Spread;
  /** From the oldest lost message of a slow topic to the kill. */
  readonly slowS: Spread;
  /** How long the machine kept the recording from writing anything, in the second before the kill. */
  readonly stalledS: Spread;
  /** Kills that cost more than 200 ms of sound or 1 s of slow topics; and how many did so without the machine standing still. */
  readonly tooMuch: readonly CrashLoss[];
  readonly tooMuchItself: number;
  /** Messages handed over, and lost, in all. */
  readonly handed: number;
  readonly missing: number;
  /** Messages in a recording that should not be, or before a lost one; must be 0. */
  readonly wrong: number;
}

function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  return { least: at(0), median: at(0.5), p95: at(0.95), most: at(1) };
}

/** Kills `kills` recordings of emulated sensors in real time, half of them with sound as FLAC. */
export async function benchCrash(kills = 200, onKill: (done: number) => void = () => {}): Promise<CrashBench> {
  const random = seededRandom();
  const losses = await measureCrashLoss(kills, { random, onKill });
  return {
    kills: losses.length,
    seed: random.seed,
    soundS: spreadOf(losses.map(({ soundS }) => soundS)),
    soundToKillS: spreadOf(losses.map(({ soundToKillS }) => soundToKillS)),
    slowS: spreadOf(losses.map(({ slowS }) => slowS)),
    stalledS: spreadOf(losses.map(({ stalledS }) => stalledS)),
    tooMuch: losses.filter((loss) => isTooMuch(loss)),
    tooMuchItself: losses.filter((loss) => isTooMuch(loss, loss.stalledS)).length,
    handed: losses.reduce((sum, { handed }) => sum + handed, 0),
    missing: losses.reduce((sum, { missing }) => sum + missing, 0),
    wrong: losses.reduce((sum, { wrong }) => sum + wrong, 0),
  };
}
