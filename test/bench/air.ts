/**
 * Measures the air detectors on simulated drives: delays of what should be found, false alarms a day of what should not, and what a second
 * of both sensors costs. The simulation is by the same hand as the detectors: it shows that they do what they are meant to, not how real
 * cabins are.
 */
import { AirJudge } from '../../agent/air/air-judge.ts';
import { airOptions, judged, quietDays, readingsOf, SCENE_AT_S, toFind } from '../agent/air/air-scenes.ts';

/** What one scene of something to be found gives, over all seeds. */
interface FoundScene {
  readonly name: string;
  readonly found: number;
  readonly runs: number;
  /** Seconds from its beginning, median and worst of those found. */
  readonly medianS: number;
  readonly worstS: number;
}

/** What a kind of quiet day gives. */
interface QuietScene {
  readonly name: string;
  readonly alarms: number;
  readonly days: number;
}

export interface AirBench {
  readonly found: readonly FoundScene[];
  readonly quiet: readonly QuietScene[];
  /** CPU of judging one second of both sensors, in µs. */
  readonly secondUs: number;
}

const RUNS = 10;
const DAYS = 3;
const DAY_S = 86_400;

/** Runs all scenes; `tell` hears what is being done. */
export function benchAir(tell: (what: string) => void): AirBench {
  const found = toFind.map(({ name, scene, label, seconds }) => {
    tell(name);
    const delays = Array.from({ length: RUNS }, (_, seed) => {
      const { said } = judged(readingsOf(scene, seconds, seed + 1));
      const began = said.find((one) => one.what === 'began' && one.label === label);
      return began === undefined ? null : began.atS - SCENE_AT_S;
    });
    const sorted = delays.filter((delay) => delay !== null).toSorted((a, b) => a - b);
    const medianS = sorted[sorted.length >> 1] ?? Number.NaN;
    return { name, found: sorted.length, runs: RUNS, medianS, worstS: sorted.at(-1) ?? Number.NaN };
  });
  const quiet = quietDays.map(({ name, scene }) => {
    tell(name);
    const alarms = Array.from({ length: DAYS }, (_, seed) => {
      const { said } = judged(readingsOf(scene, DAY_S, 100 + seed));
      return said.filter(({ what }) => what === 'began').length;
    });
    return { name, alarms: alarms.reduce((sum, count) => sum + count, 0), days: DAYS };
  });
  return { found, quiet, secondUs: secondUs() };
}

function secondUs(): number {
  const readings = [...readingsOf({ happenings: [] }, 7_200, 1)];
  const judge = new AirJudge(airOptions());
  const before = process.cpuUsage();
  for (const { s, particulate, environment } of readings) {
    judge.particulate(particulate, s);
    judge.environment(environment, s);
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / readings.length;
}
