/**
 * The BME680's arithmetic against numbers of Bosch's floating-point reference. The reference computes 32-bit floats;
 * the fixture prints nine digits of each, which name one float.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseCalibration } from '../../drivers/bme680/calibration.ts';
import { heaterResistanceCode } from '../../drivers/bme680/compensation.ts';
import { heaterDurationCode } from '../../drivers/bme680/control.ts';
import { compensate, parseField } from '../../drivers/bme680/field.ts';

interface ReferenceSet {
  kind: 'plausible' | 'random' | 'edge';
  variant: 'low' | 'high';
  calibration: string;
  field: string;
  temperature_c: number;
  pressure_pa: number;
  humidity_percent: number;
  gas_resistance_ohm: number;
  gas_valid: boolean;
  heater_stable: boolean;
  heater: { ambient_c: number; target_c: number; duration_ms: number; resistance_code: number; duration_code: number };
}

const { sets } = JSON.parse(readFileSync(new URL('../fixtures/bme680-reference.json', import.meta.url), 'utf8')) as {
  sets: ReferenceSet[];
};

function driverOf(set: ReferenceSet) {
  const calibration = parseCalibration(Buffer.from(set.calibration, 'hex'));
  const field = parseField(Buffer.from(set.field, 'hex'), set.variant);
  if (!calibration.ok || !field.ok) throw new Error('the fixture has short registers');
  return { calibration: calibration.value, reading: compensate(field.value, set.variant, calibration.value) };
}

describe('BME680 compensation', () => {
  test('the fixture holds plausible, random and edge register sets, 300 at least', () => {
    expect(sets.length).toBeGreaterThanOrEqual(300);
    expect(new Set(sets.map((set) => set.kind))).toEqual(new Set(['plausible', 'random', 'edge']));
  });

  test('agrees with the reference within 0.01 °C, 1 Pa, 0.01 % and 0.5 % on every set', () => {
    const worst = { temperatureC: 0, pressurePa: 0, humidityPercent: 0, gasRatio: 0 };
    for (const set of sets) {
      const { reading } = driverOf(set);
      worst.temperatureC = Math.max(
        worst.temperatureC,
        Math.abs(reading.temperatureC - Math.fround(set.temperature_c)),
      );
      worst.pressurePa = Math.max(worst.pressurePa, Math.abs(reading.pressurePa - Math.fround(set.pressure_pa)));
      worst.humidityPercent = Math.max(worst.humidityPercent, Math.abs(reading.humidity * 100 - set.humidity_percent));
      worst.gasRatio = Math.max(worst.gasRatio, Math.abs(reading.gasResistanceOhm / set.gas_resistance_ohm - 1));
      expect(reading.gasValid).toBe(set.gas_valid);
      expect(reading.heaterStable).toBe(set.heater_stable);
    }
    expect(worst.temperatureC).toBeLessThanOrEqual(0.01);
    expect(worst.pressurePa).toBeLessThanOrEqual(1);
    expect(worst.humidityPercent).toBeLessThanOrEqual(0.01);
    expect(worst.gasRatio).toBeLessThanOrEqual(0.005);
  });

  test('is the single-precision reference to the last printed digit', () => {
    for (const set of sets) {
      const { reading } = driverOf(set);
      expect(Math.fround(set.temperature_c)).toBe(reading.temperatureC);
      expect(Math.fround(set.pressure_pa)).toBe(reading.pressurePa);
      expect(Math.fround(set.gas_resistance_ohm)).toBe(reading.gasResistanceOhm);
      expect(Math.fround(set.humidity_percent)).toBeCloseTo(reading.humidity * 100, 9);
    }
  });

  test('gives the reference heater codes', () => {
    for (const { kind, heater, ...set } of sets) {
      expect(heaterDurationCode(heater.duration_ms)).toBe(heater.duration_code);
      if (kind === 'random') continue; // the reference wraps around there, the driver limits
      const { calibration } = driverOf({ kind, heater, ...set });
      const code = heaterResistanceCode(heater.target_c, heater.ambient_c, calibration);
      expect(code).toBe(heater.resistance_code);
    }
  });
});
