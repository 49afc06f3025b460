/**
 * From raw numbers of a BME680 to temperature, pressure, humidity and gas resistance, and from a heater temperature to
 * its register code. Pure arithmetic after the data sheet, section 3, in the single precision of Bosch's floating-point
 * reference (BME68x Sensor API 4.4.8), so that both give the same numbers to the last bit.
 */
import type { Calibration } from './calibration.ts';
import type { GasVariant } from './registers.ts';

/** Rounds to single precision; applied to each operation it gives what a 32-bit float unit gives. */
const f = Math.fround;

/**
 * The fine temperature that temperature, pressure and humidity all start from (data sheet 3.3.1); 5120 units are 1 °C.
 *
 * @param adc 20-bit raw temperature
 */
export function fineTemperature(adc: number, c: Calibration): number {
  const coarse = f(f(f(adc / 16384) - f(c.t1 / 1024)) * c.t2);
  const offset = f(f(adc / 131072) - f(c.t1 / 8192));
  return f(coarse + f(f(offset * offset) * f(c.t3 * 16)));
}

/** @returns temperature in °C of a fine temperature (data sheet 3.3.1) */
export function temperatureC(fine: number): number {
  return f(fine / 5120);
}

/**
 * @param adc 20-bit raw pressure
 * @returns pressure in Pa (data sheet 3.3.2); 0 when the calibration makes it undefined
 */
export function pressurePa(adc: number, fine: number, c: Calibration): number {
  const t = f(f(fine / 2) - 64000);
  const square = f(f(t * t) * f(c.p6 / 131072));
  const linear = f(square + f(f(t * c.p5) * 2));
  const offset = f(f(linear / 4) + f(c.p4 * 65536));
  const gain = f(f(f(f(f(c.p3 * t) * t) / 16384) + f(c.p2 * t)) / 524288);
  const scale = f(f(1 + f(gain / 32768)) * c.p1);
  if (Math.trunc(scale) === 0) return 0;
  const p = f(f(f(f(1048576 - adc) - f(offset / 4096)) * 6250) / scale);
  const second = f(f(f(c.p9 * p) * p) / 2147483648);
  const first = f(p * f(c.p8 / 32768));
  const page = f(p / 256);
  const third = f(f(f(page * page) * page) * f(c.p10 / 131072));
  const sum = f(f(f(second + first) + third) + f(c.p7 * 128));
  return f(p + f(sum / 16));
}

/**
 * @param adc 16-bit raw humidity
 * @returns relative humidity in %, 0 to 100 (data sheet 3.3.3)
 */
export function humidityPercent(adc: number, fine: number, c: Calibration): number {
  const t = temperatureC(fine);
  const zeroed = f(adc - f(f(c.h1 * 16) + f(f(c.h3 / 2) * t)));
  const bend = f(f(1 + f(f(c.h4 / 16384) * t)) + f(f(f(c.h5 / 1048576) * t) * t));
  const linear = f(zeroed * f(f(c.h2 / 262144) * bend));
  const curve = f(f(c.h6 / 16384) + f(f(c.h7 / 2097152) * t));
  const humidity = f(linear + f(f(curve * linear) * linear));
  return Math.min(100, Math.max(0, humidity));
}

/** Corrections in % of the gas ranges of a BME680 (data sheet 3.4.1, constants array 1 and 2). */
const GAS_K1 = [0, 0, 0, 0, 0, -1, 0, -0.8, 0, 0, -0.2, -0.5, 0, -1, 0, 0];
const GAS_K2 = [0, 0, 0, 0, 0.1, 0.7, 0, -0.8, -0.1, 0, 0, 0, 0, 0, 0, 0];

/**
 * @param adc 10-bit raw gas value
 * @param range 0 to 15
 * @returns resistance in Ω (data sheet 3.4.1), computed whether or not the gas-valid flag is set
 */
export function gasResistanceOhm(adc: number, range: number, variant: GasVariant, c: Calibration): number {
  const step = range & 0x0f;
  if (variant === 'high') {
    return f(f(1_000_000 * (262144 >> step)) / (4096 + 3 * (adc - 512)));
  }
  const base = f(1340 + 5 * c.rangeSwitchingError);
  const span = f(base * f(1 + f(f(GAS_K1[step] ?? 0) / 100)));
  const gain = f(1 + f(f(GAS_K2[step] ?? 0) / 100));
  const conductance = f(f(gain * f(0.000000125)) * 2 ** step);
  return f(1 / f(conductance * f(f((adc - 512) / span) + 1)));
}

/** The hottest heater target the data sheet allows, °C. */
const HEATER_MAX_C = 400;

/**
 * The heater resistance code for a target temperature (data sheet 3.3.5).
 *
 * @param targetC heater target in °C, capped at 400
 * @param ambientC ambient temperature in °C; the chip's own last reading serves
 * @returns register code, 0 to 255 (limited, where the reference would wrap around)
 */
export function heaterResistanceCode(targetC: number, ambientC: number, c: Calibration): number {
  const target = Math.min(HEATER_MAX_C, Math.max(0, Math.trunc(targetC)));
  const ambient = Math.min(127, Math.max(-128, Math.trunc(ambientC)));
  const cold = f(f(c.gh1 / 16) + 49);
  const slope = f(f(f(c.gh2 / 32768) * f(0.0005)) + f(0.00235));
  const drift = f(c.gh3 / 1024);
  const hot = f(f(cold * f(1 + f(slope * target))) + f(drift * ambient));
  const ranged = f(f(hot * f(4 / (4 + c.heaterRange))) * f(1 / f(1 + f(c.heaterValue * f(0.002)))));
  const code = Math.trunc(f(f(3.4) * f(ranged - 25)));
  return Math.min(255, Math.max(0, Number.isNaN(code) ? 0 : code));
}
