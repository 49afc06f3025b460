/**
 * The cabin that an emulated BME680 sits in, and how its converters would see it: a slow, repeatable weather, and the
 * inverse of the compensation. Invented for demonstrations; no claim about real air.
 */
import type { Calibration } from './calibration.ts';
import { fineTemperature, gasResistanceOhm, humidityPercent, pressurePa, temperatureC } from './compensation.ts';
import { CALIBRATION_BYTES, type GasVariant } from './registers.ts';

/** What surrounds the chip. Humidity is 0 to 1. */
export interface Environment {
  readonly temperatureC: number;
  readonly pressurePa: number;
  readonly humidity: number;
  readonly gasResistanceOhm: number;
}

/** Raw converter values as the result registers hold them. */
export interface RawConversion {
  readonly temperatureAdc: number;
  readonly pressureAdc: number;
  readonly humidityAdc: number;
  readonly gasAdc: number;
  readonly gasRange: number;
}

/** The environment `seconds` after the start: a warming cabin, a hilly road, a little breath and exhaust; the same for the same seed. */
export function emulatedEnvironment(seconds: number, seed: number): Environment {
  const wave = (periodS: number, phase: number) => Math.sin((2 * Math.PI * seconds) / periodS + phase * seed);
  // The least significant bits of real converters never rest.
  const ripple = wave(2.3, 1.7) + wave(5.1, 2.9);
  return {
    temperatureC: 24 + 2.5 * wave(900, 1) + 0.3 * wave(47, 2) + 0.01 * ripple,
    pressurePa: 99_800 + 450 * wave(420, 3) + 25 * wave(31, 4) + 1.5 * ripple,
    humidity: 0.46 + 0.06 * wave(700, 5) + 0.01 * wave(59, 6) + 0.0003 * ripple,
    gasResistanceOhm: 120_000 * Math.exp(0.15 * wave(380, 7) + 0.05 * wave(23, 8) + 0.002 * ripple),
  };
}

/** Calibration of an imaginary chip, near those of real ones, a little different for each seed. */
export function emulatedCalibration(seed: number): Calibration {
  const vary = (centre: number, spread: number, phase: number) =>
    Math.round(centre + spread * Math.sin(12.9898 * (seed + 1) * phase));
  return {
    t1: vary(26_150, 200, 1),
    t2: vary(26_500, 150, 2),
    t3: 3,
    p1: vary(36_400, 300, 3),
    p2: vary(-10_360, 60, 4),
    p3: 88,
    p4: vary(7_000, 500, 5),
    p5: vary(-110, 30, 6),
    p6: 30,
    p7: 28,
    p8: vary(-1_500, 400, 7),
    p9: vary(-2_600, 200, 8),
    p10: 30,
    h1: vary(780, 40, 9),
    h2: vary(1_010, 20, 10),
    h3: 0,
    h4: 45,
    h5: 20,
    h6: 120,
    h7: -100,
    gh1: vary(-35, 8, 11),
    gh2: vary(-12_000, 900, 12),
    gh3: 18,
    heaterRange: 1,
    heaterValue: vary(44, 8, 13),
    rangeSwitchingError: vary(0, 5, 14),
  };
}

/** The 42 bytes that `parseCalibration` reads back as `c`; bits that hold nothing are 0. */
export function encodeCalibration(c: Calibration): Uint8Array {
  const bytes = new Uint8Array(CALIBRATION_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [at, value] of [
    [0, c.t2],
    [4, c.p1],
    [6, c.p2],
    [10, c.p4],
    [12, c.p5],
    [18, c.p8],
    [20, c.p9],
    [31, c.t1],
    [33, c.gh2],
  ] as const) {
    view.setUint16(at, value & 0xffff, true);
  }
  for (const [at, value] of [
    [2, c.t3],
    [8, c.p3],
    [14, c.p7],
    [15, c.p6],
    [22, c.p10],
    [23, c.h2 >> 4],
    [24, ((c.h2 & 0x0f) << 4) | (c.h1 & 0x0f)],
    [25, c.h1 >> 4],
    [26, c.h3],
    [27, c.h4],
    [28, c.h5],
    [29, c.h6],
    [30, c.h7],
    [35, c.gh1],
    [36, c.gh3],
    [37, c.heaterValue],
    [39, c.heaterRange << 4],
    [41, c.rangeSwitchingError << 4],
  ] as const) {
    view.setUint8(at, value & 0xff);
  }
  return bytes;
}

/** The raw values whose compensation comes nearest to `environment`. */
export function invertCompensation(environment: Environment, variant: GasVariant, c: Calibration): RawConversion {
  const temperatureAdc = nearest(20, environment.temperatureC, (adc) => temperatureC(fineTemperature(adc, c)));
  const fine = fineTemperature(temperatureAdc, c);
  const gas = nearestGas(environment.gasResistanceOhm, variant, c);
  return {
    temperatureAdc,
    pressureAdc: nearest(20, environment.pressurePa, (adc) => pressurePa(adc, fine, c)),
    humidityAdc: nearest(16, environment.humidity * 100, (adc) => humidityPercent(adc, fine, c)),
    ...gas,
  };
}

/** Halves the range of a converter until the value of a monotonic `compensated` is nearest to `target`. */
function nearest(bits: number, target: number, compensated: (adc: number) => number): number {
  let low = 0;
  let high = 2 ** bits - 1;
  const rising = compensated(high) > compensated(low);
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (compensated(middle) < target === rising) low = middle;
    else high = middle;
  }
  return Math.abs(compensated(low) - target) < Math.abs(compensated(high) - target) ? low : high;
}

/** The range whose converter value is nearest to its middle, as the chip chooses it. */
function nearestGas(ohm: number, variant: GasVariant, c: Calibration): { gasAdc: number; gasRange: number } {
  let best = { gasAdc: 0, gasRange: 0 };
  for (let gasRange = 0; gasRange < 16; gasRange += 1) {
    const gasAdc = nearest(10, ohm, (adc) => gasResistanceOhm(adc, gasRange, variant, c));
    if (Math.abs(gasAdc - 512) < Math.abs(best.gasAdc - 512)) best = { gasAdc, gasRange };
  }
  return best;
}
