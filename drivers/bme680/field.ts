/** The 17 result bytes of a BME680: flags and raw numbers out of them, and a compensated reading out of those. */
import type { EnvironmentSample } from '../sample.ts';
import type { Calibration, Parsed } from './calibration.ts';
import { fineTemperature, gasResistanceOhm, humidityPercent, pressurePa, temperatureC } from './compensation.ts';
import {
  FIELD_BYTES,
  GAS_MEASURING,
  GAS_VALID,
  type GasVariant,
  HEATER_STABLE,
  MEASURING,
  NEW_DATA,
} from './registers.ts';

/** One field as the chip tells it (data sheet 5.3.4 and 5.3.5). */
export interface Field {
  /** These numbers were not read before. */
  readonly newData: boolean;
  /** Temperature, pressure and humidity, or the gas resistance, are being measured right now. */
  readonly measuring: boolean;
  /** A real gas conversion, not a filler. */
  readonly gasValid: boolean;
  /** The heater reached its target before the gas conversion. */
  readonly heaterStable: boolean;
  /** 20 bits each; 0x80000 where the conversion was skipped. */
  readonly pressureAdc: number;
  readonly temperatureAdc: number;
  /** 16 bits; 0x8000 where the conversion was skipped. */
  readonly humidityAdc: number;
  /** 10 bits, and the range 0 to 15. */
  readonly gasAdc: number;
  readonly gasRange: number;
}

/** A compensated reading. */
export type Reading = Omit<EnvironmentSample, 'stamp'>;

/** What the converters read when a measurement was skipped (data sheet 5.3.4.2 to 5.3.4.4). */
export const SKIPPED_20_BITS = 0x80000;
export const SKIPPED_16_BITS = 0x8000;

/** @param bytes the 17 bytes from `Register.field0` on; `short-read` when there are fewer or more */
export function parseField(bytes: Uint8Array, variant: GasVariant): Parsed<Field> {
  if (bytes.length !== FIELD_BYTES) {
    return { ok: false, code: 'short-read', message: `field: expected ${FIELD_BYTES} bytes, found ${bytes.length}` };
  }
  const at = (index: number) => bytes[index] ?? 0;
  const bits20 = (index: number) => (at(index) << 12) | (at(index + 1) << 4) | (at(index + 2) >> 4);
  const gas = variant === 'high' ? 15 : 13;
  const value: Field = {
    newData: (at(0) & NEW_DATA) !== 0,
    measuring: (at(0) & (MEASURING | GAS_MEASURING)) !== 0,
    gasValid: (at(gas + 1) & GAS_VALID) !== 0,
    heaterStable: (at(gas + 1) & HEATER_STABLE) !== 0,
    pressureAdc: bits20(2),
    temperatureAdc: bits20(5),
    humidityAdc: (at(8) << 8) | at(9),
    gasAdc: (at(gas) << 2) | (at(gas + 1) >> 6),
    gasRange: at(gas + 1) & 0x0f,
  };
  return { ok: true, value };
}

/** The numbers of a field with the chip's calibration applied; no judgement on whether they can be true. */
export function compensate(field: Field, variant: GasVariant, calibration: Calibration): Reading {
  const fine = fineTemperature(field.temperatureAdc, calibration);
  return {
    temperatureC: temperatureC(fine),
    pressurePa: pressurePa(field.pressureAdc, fine, calibration),
    humidity: humidityPercent(field.humidityAdc, fine, calibration) / 100,
    gasResistanceOhm: gasResistanceOhm(field.gasAdc, field.gasRange, variant, calibration),
    gasValid: field.gasValid,
    heaterStable: field.heaterStable,
  };
}

/**
 * Refuses readings that the chip cannot have made: skipped conversions, and values outside its operating range
 * (−40 to 85 °C, 300 to 1100 hPa; data sheet, table 1) by more than its tolerances.
 */
export function checkReading(field: Field, reading: Reading): Parsed<Reading> {
  if (field.temperatureAdc === SKIPPED_20_BITS || field.pressureAdc === SKIPPED_20_BITS) {
    return {
      ok: false,
      code: 'garbage',
      message: 'field: expected a conversion, found temperature or pressure skipped',
    };
  }
  if (field.humidityAdc === SKIPPED_16_BITS) {
    return { ok: false, code: 'garbage', message: 'field: expected a conversion, found humidity skipped' };
  }
  if (!(reading.temperatureC > -45 && reading.temperatureC < 90)) {
    const message = `temperature: expected −40 to 85 °C, found ${reading.temperatureC.toFixed(1)} °C`;
    return { ok: false, code: 'garbage', message };
  }
  if (!(reading.pressurePa > 28_000 && reading.pressurePa < 112_000)) {
    const message = `pressure: expected 30000 to 110000 Pa, found ${reading.pressurePa.toFixed(0)} Pa`;
    return { ok: false, code: 'garbage', message };
  }
  if (!(reading.gasResistanceOhm > 0)) {
    return { ok: false, code: 'garbage', message: `gas: expected more than 0 Ω, found ${reading.gasResistanceOhm} Ω` };
  }
  return { ok: true, value: reading };
}
