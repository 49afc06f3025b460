/** What is written to a BME680 to make it measure: oversampling, filter, heater, and how long one measurement takes. */
import type { Calibration } from './calibration.ts';
import { heaterResistanceCode } from './compensation.ts';
import { type GasVariant, HEATER_OFF, MODE_FORCED, Register } from './registers.ts';

export type Oversampling = 1 | 2 | 4 | 8 | 16;
/** Taps of the filter on temperature and pressure; 0 is off. */
export type FilterTaps = 0 | 1 | 3 | 7 | 15 | 31 | 63 | 127;

export interface MeasurementSettings {
  readonly temperatureOversampling: Oversampling;
  readonly pressureOversampling: Oversampling;
  readonly humidityOversampling: Oversampling;
  readonly filterTaps: FilterTaps;
  /** Null leaves the heater and the gas conversion off. Target in °C (200 to 400), duration in ms (1 to 4032). */
  readonly heater: { readonly targetC: number; readonly durationMs: number } | null;
}

/** 8 × temperature, 4 × pressure, 2 × humidity, 3 taps, 320 °C for 150 ms: steady values in under 200 ms. */
export const DEFAULT_SETTINGS: MeasurementSettings = {
  temperatureOversampling: 8,
  pressureOversampling: 4,
  humidityOversampling: 2,
  filterTaps: 3,
  heater: { targetC: 320, durationMs: 150 },
};

/** One register write. */
export interface RegisterWrite {
  readonly register: number;
  readonly value: number;
}

/** @returns the 3-bit code of an oversampling (data sheet 5.3.1.1): 1 to 5 */
export function oversamplingCode(oversampling: Oversampling): number {
  return Math.log2(oversampling) + 1;
}

/** @returns the 3-bit code of a filter (data sheet 5.3.2.4): 0 to 7 */
export function filterCode(taps: FilterTaps): number {
  return Math.log2(taps + 1);
}

/**
 * The heater duration code (data sheet 5.3.3.2): 6 bits of time and a factor of 1, 4, 16 or 64.
 *
 * @param durationMs whole ms; rounded down to what the code can say, 4032 at most
 */
export function heaterDurationCode(durationMs: number): number {
  let time = Math.max(0, Math.trunc(durationMs));
  if (!(time < 0xfc0)) return 0xff;
  let factor = 0;
  while (time > 0x3f) {
    time >>= 2;
    factor += 1;
  }
  return (factor << 6) | time;
}

/** @returns ms of a heater duration code, the inverse of `heaterDurationCode` */
export function heaterDurationMs(code: number): number {
  return (code & 0x3f) * 4 ** ((code >> 6) & 0x03);
}

/**
 * How long one forced measurement takes, in ms, heater included: 1.963 ms a conversion, 0.477 ms a switch, 1 ms to wake
 * up (data sheet 3.2; the constants of Bosch's BME68x Sensor API).
 */
export function measurementMs(settings: MeasurementSettings): number {
  const { temperatureOversampling, pressureOversampling, humidityOversampling, heater } = settings;
  const conversions = temperatureOversampling + pressureOversampling + humidityOversampling;
  const heating = heater ? heaterDurationMs(heaterDurationCode(heater.durationMs)) : 0;
  return conversions * 1.963 + 9 * 0.477 + 1 + heating;
}

/**
 * Every register that stays as written from one measurement to the next, mode sleep, in the order in which to write.
 * They are all 0 after a reset except by chance, so reading them back tells a chip that lost them.
 *
 * @param ambientC °C around the heater, usually the last reading
 */
export function settingWrites(
  settings: MeasurementSettings,
  ambientC: number,
  variant: GasVariant,
  calibration: Calibration,
): readonly RegisterWrite[] {
  const { heater } = settings;
  const runGas = heater ? (variant === 'high' ? 0x20 : 0x10) : 0;
  return [
    { register: Register.ctrlHum, value: oversamplingCode(settings.humidityOversampling) },
    { register: Register.ctrlMeas, value: measureControl(settings, 'sleep') },
    { register: Register.config, value: filterCode(settings.filterTaps) << 2 },
    {
      register: Register.heaterResistance0,
      value: heater ? heaterResistanceCode(heater.targetC, ambientC, calibration) : 0,
    },
    { register: Register.gasWait0, value: heater ? heaterDurationCode(heater.durationMs) : 0 },
    { register: Register.ctrlGas0, value: heater ? 0 : HEATER_OFF },
    { register: Register.ctrlGas1, value: runGas },
  ];
}

/** @returns the byte for `Register.ctrlMeas`; with mode `forced` it starts one measurement (data sheet 5.3.1.3) */
export function measureControl(settings: MeasurementSettings, mode: 'sleep' | 'forced'): number {
  const temperature = oversamplingCode(settings.temperatureOversampling) << 5;
  const pressure = oversamplingCode(settings.pressureOversampling) << 2;
  return temperature | pressure | (mode === 'forced' ? MODE_FORCED : 0);
}
