/** The scenes by which the air detectors are measured: what happens, and what should be said of it. */
import type { AirNews } from '../../../agent/air/air-judge.ts';
import { AirJudge, type LearntAir } from '../../../agent/air/air-judge.ts';
import { airNodeOptions } from '../../../agent/air/configured-air.ts';
import { parseConfig } from '../../../agent/config/load.ts';
import { happenings as h, type Readings, type Scene, simulate } from './simulated-air.ts';

/** The options of the default configuration, or of this one. */
export function airOptions(text = ''): NonNullable<ReturnType<typeof airNodeOptions>> {
  const options = airNodeOptions(parseConfig(text, 'test.yaml'));
  if (options === null) throw new Error('expected the air to be judged');
  return options;
}

export interface Said extends AirNews {
  readonly atS: number;
}

/** What a judge says of the readings; `change` may alter or drop each. */
export function judged(
  readings: Iterable<Readings>,
  change: (reading: Readings) => Partial<Readings> | null = (reading) => reading,
  judge = new AirJudge(airOptions()),
): { readonly said: Said[]; readonly learnt: LearntAir; readonly judge: AirJudge } {
  const said: Said[] = [];
  const note = (atS: number, news: readonly AirNews[]) => said.push(...news.map((one) => ({ ...one, atS })));
  for (const reading of readings) {
    const { s } = reading;
    const { particulate, environment } = change(reading) ?? {};
    if (particulate) note(s, judge.particulate(particulate, s));
    if (environment) note(s, judge.environment(environment, s));
    if (s % 5 === 0) note(s, judge.tick(s));
  }
  return { said, learnt: judge.learnt, judge };
}

/** When things happen in the scenes that follow: the sensors are warm and have learnt. */
export const SCENE_AT_S = 1_500;

/** One thing happening, a good while after the start. */
export function sceneOf(what: Scene['happenings'][number]['what'], more: Partial<Scene> = {}): Scene {
  return { happenings: [{ atS: SCENE_AT_S, what }], ...more };
}

/** What is to be found, and what that is; scenes last `seconds`. */
export const toFind = [
  { name: 'a cigarette, no window open', scene: sceneOf(h.cigarette(3_850)), label: 'smoke', seconds: 3_000 },
  { name: 'a cigarette, air conditioning', scene: sceneOf(h.cigarette(840)), label: 'smoke', seconds: 3_000 },
  { name: 'a cigarette, a window half open', scene: sceneOf(h.cigarette(220)), label: 'smoke', seconds: 3_000 },
  { name: 'a cigarette, all windows open', scene: sceneOf(h.cigarette(60)), label: 'smoke', seconds: 3_000 },
  { name: 'four people, air recirculated', scene: sceneOf(h.people(0.35)), label: 'bad_air', seconds: 5_400 },
  { name: 'a tunnel full of exhaust', scene: sceneOf(h.tunnel(120)), label: 'bad_air', seconds: 3_000 },
] as const;

const often = (what: Scene['happenings'][number]['what'], everyS: number, seconds: number) =>
  Array.from({ length: Math.floor(seconds / everyS) }, (_, index) => ({ atS: 1_200 + index * everyS, what }));
const DAY_S = 86_400;

/** Days on which nothing is to be found, a scene a day. */
export const quietDays: readonly { readonly name: string; readonly scene: Scene }[] = [
  { name: 'a clean drive', scene: { happenings: [] } },
  {
    name: 'a city: a lorry each 10 min, dust each 25',
    scene: {
      ambientUgM3: 18,
      happenings: [...often(h.cloud(60, 1.2), 600, DAY_S), ...often(h.cloud(50, 4), 1_500, DAY_S)],
    },
  },
  { name: 'a window opened each hour', scene: { happenings: often(h.window, 3_600, DAY_S) } },
  { name: 'fog each 2 h', scene: { ambientUgM3: 15, happenings: often(h.fog, 7_200, DAY_S) } },
  { name: 'rain each 2 h', scene: { happenings: often(h.rain, 7_200, DAY_S) } },
  { name: 'two people, half as bad', scene: { happenings: often(h.people(0.7), 7_200, DAY_S) } },
  { name: 'light tunnels each hour', scene: { happenings: often(h.tunnel(25), 3_600, DAY_S) } },
];

/** The readings of a scene. */
export function readingsOf(scene: Scene, seconds: number, seed: number): Generator<Readings> {
  return simulate(scene, seconds, seed);
}
