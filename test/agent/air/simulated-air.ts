/**
 * A cabin's air at 1 Hz as the two sensors would see it, from a scene of what happens: invented, repeatable, with the noise, the drift and
 * the water of the real ones as far as data sheets and papers tell. Used by tests and by `npm run bench -- --only air`.
 */
import type { EnvironmentSample, ParticulateSample, Stamp } from '../../../drivers/sample.ts';

/** What is in the air at a moment, before any sensor. */
export interface Air {
  /** Dry PM2.5 and PM10, µg/m³. */
  pm25: number;
  pm10: number;
  /** Resistance of the gas sensor by that in good dry air of 25 °C. */
  gasRatio: number;
  /** Relative humidity at the sensors, 0 to 1. */
  humidity: number;
  temperatureC: number;
  /** Fog droplets that the particle sensor takes for particles, µg/m³. */
  droplets: number;
}

/** Something that happens: changes the air of second `s` since it began. */
export type Happening = (air: Air, s: number) => void;

export interface Scene {
  /** Seconds of the day at which things happen. */
  readonly happenings: readonly { readonly atS: number; readonly what: Happening }[];
  /** Ambient PM2.5, µg/m³. */
  readonly ambientUgM3?: number;
  /** Resistance in good dry air, Ω. */
  readonly goodOhm?: number;
  /** Change of that by ln an hour. */
  readonly gasDriftPerHour?: number;
}

/** Numbers from a seed (mulberry32), 0 to 1. */
export function randomStream(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** One second's readings of both sensors. */
export interface Readings {
  readonly s: number;
  readonly particulate: ParticulateSample;
  readonly environment: EnvironmentSample;
}

export function stampOf(s: number): Stamp {
  const monotonicNs = BigInt(Math.round(s * 1e9));
  return {
    capturedAtNs: 1_767_000_000_000_000_000n + monotonicNs,
    monotonicNs,
    bootId: 'simulated',
    synchronised: true,
    estimatedErrorNs: null,
  };
}

/** The readings of `fromS` to `toS`. The noise goes on from call to call only within one generator. */
export function* simulate(scene: Scene, seconds: number, seed: number): Generator<Readings> {
  const random = randomStream(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const { ambientUgM3 = 8, goodOhm = 120_000, gasDriftPerHour = 0 } = scene;
  let wander = 0;
  let haze = 0;
  for (let s = 0; s < seconds; s += 1) {
    // Ambient air and the gas sensor wander on scales of an hour.
    haze += -haze / 3600 + 0.25 * Math.sqrt(2 / 3600) * normal();
    wander += -wander / 7200 + 0.06 * Math.sqrt(2 / 7200) * normal();
    const air: Air = {
      pm25: ambientUgM3 * Math.exp(haze),
      pm10: 1.6 * ambientUgM3 * Math.exp(haze),
      gasRatio: Math.exp(wander + (gasDriftPerHour * s) / 3600),
      humidity: 0.45 + 0.08 * Math.sin(s / 9_000),
      temperatureC: 22 + 3 * Math.sin(s / 14_000),
      droplets: 0,
    };
    for (const { atS, what } of scene.happenings) if (s >= atS) what(air, s - atS);
    yield { s, particulate: particulateOf(air, s, normal), environment: environmentOf(air, s, goodOhm, normal) };
  }
}

/** Plantower: whole µg/m³, 7 % and 1 µg/m³ of noise, and the water on the particles (κ = 0.35, with droplets beside). */
function particulateOf(air: Air, s: number, normal: () => number): ParticulateSample {
  const wet = 1 + 0.35 / 1.65 / (1 / Math.min(air.humidity, 0.96) - 1);
  const seen = (dry: number, droplets: number) =>
    Math.max(0, Math.round((dry * wet + droplets) * (1 + 0.07 * normal()) + normal()));
  const pm25 = seen(air.pm25, air.droplets);
  const pm10 = Math.max(pm25, seen(air.pm10, 1.5 * air.droplets));
  const count = Math.round(pm25 * 190 + 40 + 10 * normal()) / 100;
  return {
    stamp: stampOf(s),
    pm1UgM3: Math.round(pm25 * 0.65),
    pm25UgM3: pm25,
    pm4UgM3: Number.NaN,
    pm10UgM3: pm10,
    countsPerCm3: { '>0.3': count },
  };
}

function environmentOf(air: Air, s: number, goodOhm: number, normal: () => number): EnvironmentSample {
  const vapour = air.humidity * 6.112 * Math.exp((17.62 * air.temperatureC) / (243.12 + air.temperatureC));
  const grams = (216.7 * vapour) / (air.temperatureC + 273.15);
  // Other sensors than the one that the compensation was made for: 0.02 instead of 0.03.
  const ohm = goodOhm * air.gasRatio * Math.exp(-0.02 * grams + 0.004 * normal());
  return {
    stamp: stampOf(s),
    temperatureC: air.temperatureC + 0.01 * normal(),
    pressurePa: 99_800 + 300 * Math.sin(s / 400) + 0.6 * normal(),
    humidity: Math.min(1, air.humidity + 0.0005 * normal()),
    gasResistanceOhm: ohm,
    gasValid: true,
    heaterStable: true,
  };
}

/** A rise within `riseS` to 1, that stays for `holdS` and falls off by `fallS`. */
function swell(s: number, riseS: number, holdS: number, fallS: number): number {
  if (s < riseS) return s / riseS;
  return s < riseS + holdS ? 1 : Math.exp(-(s - riseS - holdS) / fallS);
}

/** What happens in and around a car. */
export const happenings = {
  /** 5 minutes of a cigarette; `ugM3` by the windows: 60 all open, 220 half open, 840 air conditioning, 3 850 none (Sendzik et al. 2009). */
  cigarette: (ugM3: number): Happening => {
    return (air, s) => {
      const puff = 1 + 0.4 * Math.sin(s / 6);
      const share = swell(s, 45, 255, 150) * puff;
      air.pm25 += ugM3 * share;
      air.pm10 += 1.02 * ugM3 * share;
      air.gasRatio *= 1 / (1 + 1.4 * swell(Math.max(0, s - 5), 30, 265, 240) * Math.min(1, ugM3 / 200));
    };
  },
  /** Windows up in a tunnel with traffic for 4 minutes: particles by half filtered, exhaust gas. */
  tunnel: (ugM3: number): Happening => {
    return (air, s) => {
      const share = swell(s, 40, 200, 90);
      air.pm25 += ugM3 * share;
      air.pm10 += 1.7 * ugM3 * share;
      air.gasRatio *= 1 - 0.12 * share;
    };
  },
  /** A lorry in front, or a gust of dust from a building site. */
  cloud: (ugM3: number, coarse: number): Happening => {
    return (air, s) => {
      const share = s > 60 ? 0 : Math.exp(-(((s - 15) / 7) ** 2));
      air.pm25 += ugM3 * share;
      air.pm10 += coarse * ugM3 * share;
      air.gasRatio *= 1 - 0.08 * share;
    };
  },
  /** Four people with recirculated air: down to `ratio` with a time constant of 12 minutes, more water in the air; 50 minutes. */
  people: (ratio: number): Happening => {
    return (air, s) => {
      const share = s < 3_000 ? 1 - Math.exp(-s / 720) : (1 - Math.exp(-3_000 / 720)) * Math.exp(-(s - 3_000) / 60);
      air.gasRatio *= ratio ** share;
      air.humidity = Math.min(0.95, air.humidity + 0.22 * share);
    };
  },
  /** A window opened for 10 minutes on a cold dry day: cleaner gas, colder, a little more of outside's particles. */
  window: (air: Air, s: number): void => {
    const share = swell(s, 20, 600, 90);
    air.gasRatio *= 1 + 0.18 * share;
    air.temperatureC -= 9 * share;
    air.humidity -= 0.1 * share;
    air.pm25 += 6 * share;
    air.pm10 += 12 * share;
  },
  /** 40 minutes of fog with the vents open: wet particles and droplets. */
  fog: (air: Air, s: number): void => {
    const share = swell(s, 240, 1_900, 300);
    air.humidity += (0.97 - air.humidity) * share;
    air.droplets += 110 * Math.max(0, (air.humidity - 0.9) / 0.07);
  },
  /** An hour of rain: humid, washed air. */
  rain: (air: Air, s: number): void => {
    const share = swell(s, 300, 3_000, 600);
    air.humidity += (0.88 - air.humidity) * share;
    air.pm25 *= 1 - 0.5 * share;
    air.pm10 *= 1 - 0.6 * share;
  },
} as const;
