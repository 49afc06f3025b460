/** What the air detectors say of simulated drives: of what should be found, and of all that looks like it. */
import { describe, expect, it, vi } from 'vitest';
import { AirJudge } from '../../../agent/air/air-judge.ts';
import { Baseline } from '../../../agent/air/baseline.ts';
import { Cusum } from '../../../agent/air/cusum.ts';
import { absoluteHumidity } from '../../../agent/air/gas-channel.ts';
import { waterFactor } from '../../../agent/air/particle-channel.ts';
import { airOptions, judged, quietDays, readingsOf, SCENE_AT_S, sceneOf, toFind } from './air-scenes.ts';
import { happenings as h, type Readings } from './simulated-air.ts';

// Simulated hours are computing, not waiting: a loaded machine needs patience only.
vi.setConfig({ testTimeout: 180_000 });

const seed = Number(process.env.SEED ?? 1);
console.log(`air seed ${seed}`);

describe('what should be found', () => {
  it.each(toFind)('$name is one event that ends', ({ scene, label, seconds }) => {
    const { said } = judged(readingsOf(scene, seconds, seed));
    expect(said.filter(({ what }) => what === 'began').map((one) => one.label)).toEqual([label]);
    const [began] = said;
    expect(began?.atS).toBeGreaterThan(SCENE_AT_S);
    expect(said.at(-1)).toMatchObject({ what: 'over', label });
    const first = began?.readings.find(({ name }) => name === 'pm2_5_ugm3');
    expect(first?.baseline).toBeLessThan(25);
    if (label === 'smoke') expect((began?.atS ?? 0) - SCENE_AT_S).toBeLessThan(60);
  });

  it('gets worse step by step, with the worst of all readings at the end', () => {
    const { said } = judged(readingsOf(sceneOf(h.cigarette(220)), 3_000, seed));
    const order = ['raised', 'high', 'very_high'];
    const levels = said.map(({ level }) => order.indexOf(level));
    expect(levels).toEqual(levels.toSorted());
    expect(said.at(-1)?.level).toBe('very_high');
    expect(said.at(-1)?.readings.find(({ name }) => name === 'pm2_5_ugm3')?.value).toBeGreaterThan(250);
    const gas = said.at(-1)?.readings.find(({ name }) => name === 'gas_resistance_ohm');
    expect(gas?.value).toBeLessThan(0.7 * (gas?.baseline ?? 0));
    expect(said.at(-1)?.detail).toMatch(/^PM2\.5 rose from \d+ to \d+ µg\/m³ within \d+ s; the air is good again\.$/);
  });

  it('is smoke by particles alone where there is no gas sensor', () => {
    const { said } = judged(readingsOf(sceneOf(h.cigarette(220)), 3_000, seed), ({ s, particulate }) => ({
      s,
      particulate,
    }));
    expect(said.map(({ what, label }) => `${what} ${label}`)).toContain('began smoke');
  });

  it('is bad air by gas alone where there is no particle sensor', () => {
    const only = ({ s, environment }: Readings) => ({ s, environment });
    const { said } = judged(readingsOf(sceneOf(h.people(0.3)), 5_400, seed), only);
    expect(said.filter(({ what }) => what !== 'worse').map(({ what, label }) => `${what} ${label}`)).toEqual([
      'began bad_air',
      'over bad_air',
    ]);
  });

  it('is found when it rises so slowly that the baseline could follow it', () => {
    const slow = sceneOf((air, s) => {
      air.pm25 += Math.min(160, s / 45);
      air.pm10 += Math.min(165, s / 44);
    });
    const { said } = judged(readingsOf(slow, 10_000, seed));
    expect(said[0]).toMatchObject({ what: 'began', label: 'bad_air' });
    expect(said.every(({ label }) => label === 'bad_air')).toBe(true);
  });

  it('is ended after the longest time, and is usual from then on', () => {
    const options = airOptions('air: {longest_s: 600}');
    const stays = sceneOf((air) => {
      air.gasRatio *= 0.35;
    });
    const { said } = judged(readingsOf(stays, 5_000, seed), undefined, new AirJudge(options));
    expect(said.filter(({ what }) => what === 'began')).toHaveLength(1);
    expect(said.at(-1)).toMatchObject({ what: 'over', durationS: 600 });
    expect(said.at(-1)?.detail).toContain('taken for usual now');
  });
});

describe('what should not', () => {
  it.each(quietDays)('$name, for 3 hours', ({ scene }) => {
    expect(judged(readingsOf(scene, 10_800, seed)).said).toEqual([]);
  });

  it('the drift of a sensor: a week in which the gas resistance falls to half', () => {
    const scene = { happenings: [], gasDriftPerHour: Math.log(0.5) / 168 };
    // Every 30th second of the week; a reading stands for at most 10 s, so the baseline is three times as slow as it would be.
    const options = airOptions();
    const slow = { ...options, gas: { ...options.gas, periodS: 30 }, particles: { ...options.particles, periodS: 30 } };
    const judge = new AirJudge(slow);
    let s = -1;
    const everyThirtieth = function* () {
      for (const reading of readingsOf({ ...scene, gasDriftPerHour: scene.gasDriftPerHour * 30 }, 20_160, seed)) {
        s += 1;
        yield { ...reading, s: s * 30 };
      }
    };
    const { said, learnt } = judged(everyThirtieth(), undefined, judge);
    expect(said).toEqual([]);
    expect(Math.exp((learnt.gas ?? 0) - Math.log(120_000))).toBeLessThan(0.9);
  });

  it('a cold start: resistance that rises ten times while the plate burns in, a fan that starts up', () => {
    const cold = (reading: Readings): Partial<Readings> => {
      const { s, particulate, environment } = reading;
      const ohm = environment.gasResistanceOhm * (1 - 0.9 * Math.exp(-s / 150));
      const pm = s < 20 ? 200 : particulate.pm25UgM3;
      return {
        particulate: { ...particulate, pm25UgM3: pm, pm10UgM3: Math.max(pm, particulate.pm10UgM3) },
        environment: { ...environment, gasResistanceOhm: ohm, heaterStable: s > 3, gasValid: s > 3 },
      };
    };
    expect(judged(readingsOf({ happenings: [] }, 7_200, seed), cold).said).toEqual([]);
  });

  it('gaps, and another sensor after one of them', () => {
    const gaps = (reading: Readings): Partial<Readings> | null => {
      const { s, environment } = reading;
      if (s % 1_900 > 1_700) return null;
      const swapped = s > 3_800 ? 0.2 : 1;
      const gas = { ...environment, gasResistanceOhm: environment.gasResistanceOhm * swapped };
      return { ...reading, environment: gas };
    };
    const { said, judge } = judged(readingsOf({ happenings: [] }, 9_000, seed), gaps);
    expect(said).toEqual([]);
    expect(judge.states.relearnt).toBe(1);
  });

  it('a sensor that is stuck, invalid or silent: it is told, and is no event', () => {
    const smoky = [...readingsOf(sceneOf(h.cigarette(840)), 3_000, seed)];
    const frozen = smoky[1_000] as Readings;
    const stuck = judged(smoky, ({ s }) => (s < 1_000 ? (smoky[s] as Readings) : { ...frozen, s }));
    expect(stuck.said).toEqual([]);
    expect(stuck.judge.states).toMatchObject({ particles: 'stuck', gas: 'stuck' });
    const nothing = judged(smoky, ({ particulate, environment }) => ({
      particulate: { ...particulate, pm1UgM3: Number.NaN, pm25UgM3: Number.NaN, pm10UgM3: Number.NaN },
      environment: { ...environment, gasValid: false },
    }));
    expect(nothing.said).toEqual([]);
    expect(nothing.judge.states).toMatchObject({ particles: 'invalid', gas: 'invalid' });
    const silent = judged(smoky, (reading) => (reading.s < 1_000 ? reading : null));
    expect(silent.said).toEqual([]);
    expect(silent.judge.states).toMatchObject({ particles: 'silent', gas: 'silent' });
  });

  it('numbers that are none: the sensor is invalid for so long, and what is usual stays known', () => {
    const [none, endless] = [Number.NaN, Number.POSITIVE_INFINITY];
    const odd = [{ humidity: none }, { temperatureC: none }, { gasResistanceOhm: endless }, { gasResistanceOhm: none }];
    const { said, judge, learnt } = judged(readingsOf({ happenings: [] }, 3_600, seed), (reading) => {
      const wrong = reading.s % 60 === 0 || reading.s > 3_590 ? odd[((reading.s / 60) % odd.length) | 0] : {};
      return { ...reading, environment: { ...reading.environment, ...wrong } };
    });
    expect(said).toEqual([]);
    expect(judge.states).toMatchObject({ particles: 'ok', gas: 'invalid' });
    expect(Math.exp(learnt.gas ?? 0)).toBeGreaterThan(50_000);
    expect(Math.exp(learnt.particles ?? Number.NaN)).toBeLessThan(50);
  });

  it('an event whose sensors go silent is ended', () => {
    const smoky = readingsOf(sceneOf(h.cigarette(840)), 3_000, seed);
    const { said } = judged(smoky, (reading) => (reading.s < SCENE_AT_S + 100 ? reading : null));
    expect(said.at(-1)).toMatchObject({ what: 'over' });
    expect(said.at(-1)?.detail).toContain('silent');
  });

  it('readings that come twice or late', () => {
    const twice = readingsOf({ happenings: [] }, 2_000, seed);
    const judge = new AirJudge(airOptions());
    const news = [...twice].flatMap(({ s, particulate, environment }) => [
      ...judge.particulate(particulate, s),
      ...judge.particulate({ ...particulate, pm25UgM3: 900 }, s),
      ...judge.environment(environment, s),
      ...judge.environment({ ...environment, gasResistanceOhm: 10 }, s - 0.5),
    ]);
    expect(news).toEqual([]);
  });
});

describe('what is learnt', () => {
  it('serves the next drive at once', () => {
    const { learnt } = judged(readingsOf({ happenings: [] }, 3_600, seed));
    const next = new AirJudge(airOptions(), learnt);
    const early = { happenings: [{ atS: 60, what: h.cigarette(220) }] };
    const { said } = judged(readingsOf(early, 1_500, seed + 1), undefined, next);
    expect(said[0]).toMatchObject({ what: 'began' });
    expect((said[0]?.atS ?? 0) - 60).toBeLessThan(130);
  });
});

describe('its parts', () => {
  it('a baseline settles at the quantile of its rates, and no faster than they are', () => {
    const baseline = new Baseline(
      { upPerHour: 0.36, downPerHour: 0.04, learningUp: 1, learningDown: 1, learningS: 0 },
      0,
    );
    for (let second = 0; second < 3_600; second += 1) baseline.follow(1, 1);
    expect(baseline.value).toBeCloseTo(0.36, 6);
    for (let second = 0; second < 3_600; second += 1) baseline.follow(-1, 1);
    expect(baseline.value).toBeCloseTo(0.32, 6);
    const settled = new Baseline({ upPerHour: 36, downPerHour: 4, learningUp: 1, learningDown: 1, learningS: 0 }, 0.5);
    for (let step = 0; step < 40_000; step += 1) settled.follow(((step * 7_919) % 1_000) / 1_000, 0.05);
    expect(settled.value).toBeCloseTo(0.9, 1);
  });

  it('a sum finds a small lasting change, forgets short ones, and knows when it began', () => {
    const cusum = new Cusum(0.7, 10);
    for (let second = 0; second < 5; second += 1) cusum.add(2, 1);
    expect(cusum.changed).toBe(false);
    for (let second = 0; second < 20; second += 1) cusum.add(0, 1);
    expect(cusum.sinceS).toBe(0);
    for (let second = 0; second < 11; second += 1) cusum.add(1.7, 1);
    expect([cusum.changed, cusum.sinceS]).toEqual([true, 11]);
  });

  it('water: 100 % at 20 °C is 17.2 g/m³, and particles are twice as heavy at about 80 %', () => {
    expect(absoluteHumidity(20, 1)).toBeCloseTo(17.24, 2);
    expect([waterFactor(null), waterFactor(0)]).toEqual([1, 1]);
    expect(waterFactor(0.8)).toBeCloseTo(1.97, 2);
    expect(waterFactor(1)).toBe(waterFactor(0.95));
  });
});
