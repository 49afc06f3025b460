/** The BME680's codec holds for any bytes and any settings; fast-check prints the seed of what it finds. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Calibration, checkCalibration, parseCalibration } from '../../drivers/bme680/calibration.ts';
import { heaterResistanceCode } from '../../drivers/bme680/compensation.ts';
import {
  type FilterTaps,
  filterCode,
  heaterDurationCode,
  heaterDurationMs,
  type MeasurementSettings,
  measureControl,
  measurementMs,
  type Oversampling,
  oversamplingCode,
  settingWrites,
} from '../../drivers/bme680/control.ts';
import {
  emulatedCalibration,
  emulatedEnvironment,
  encodeCalibration,
  invertCompensation,
} from '../../drivers/bme680/emulated-environment.ts';
import { checkReading, compensate, type Field, parseField } from '../../drivers/bme680/field.ts';
import { type GasVariant, Register } from '../../drivers/bme680/registers.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const variant = fc.constantFrom<GasVariant>('low', 'high');
const oversampling = fc.constantFrom<Oversampling>(1, 2, 4, 8, 16);
const settings: fc.Arbitrary<MeasurementSettings> = fc.record({
  temperatureOversampling: oversampling,
  pressureOversampling: oversampling,
  humidityOversampling: oversampling,
  filterTaps: fc.constantFrom<FilterTaps>(0, 1, 3, 7, 15, 31, 63, 127),
  heater: fc.option(
    fc.record({ targetC: fc.integer({ min: 200, max: 400 }), durationMs: fc.integer({ min: 1, max: 4032 }) }),
  ),
});

/** What `parseCalibration` makes of 42 bytes. */
function calibrationOf(encoded: Uint8Array): Calibration {
  const parsed = parseCalibration(encoded);
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.value;
}

describe('BME680 codec', () => {
  test('any register bytes give a reading or say why not, and never throw', () => {
    fc.assert(
      fc.property(bytes(42), bytes(17), variant, (calibrationBytes, fieldBytes, kind) => {
        const calibration = calibrationOf(calibrationBytes);
        checkCalibration(calibrationBytes, calibration);
        const field = parseField(fieldBytes, kind);
        expect(field.ok).toBe(true);
        if (!field.ok) return;
        const reading = compensate(field.value, kind, calibration);
        expect(reading.humidity).toBeGreaterThanOrEqual(0);
        expect(reading.humidity).toBeLessThanOrEqual(1);
        const checked = checkReading(field.value, reading);
        if (checked.ok) {
          expect(Math.abs(checked.value.temperatureC - 22.5)).toBeLessThan(67.5);
          expect(Math.abs(checked.value.pressurePa - 70_000)).toBeLessThan(42_000);
          expect(checked.value.gasResistanceOhm).toBeGreaterThan(0);
        } else {
          expect(checked).toMatchObject({ code: 'garbage' });
          expect(checked.message).not.toBe('');
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test('too few or too many bytes are a short read, never a guess', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), variant, (some, kind) => {
        expect(parseCalibration(some).ok).toBe(some.length === 42);
        expect(parseField(some, kind).ok).toBe(some.length === 17);
      }),
    );
  });

  test('bytes that begin inside another buffer are read where they are', () => {
    const encoded = encodeCalibration(emulatedCalibration(5));
    const inside = new Uint8Array(64);
    inside.set(encoded, 11);
    expect(parseCalibration(inside.subarray(11, 53))).toEqual(parseCalibration(encoded));
  });

  test('a dead bus is no calibration', () => {
    for (const filler of [0x00, 0xff, 0x61]) {
      const dead = new Uint8Array(42).fill(filler);
      expect(checkCalibration(dead, calibrationOf(dead))).toMatchObject({ ok: false, code: 'garbage' });
    }
  });

  test('encoding a calibration and reading it again gives the same coefficients, from any bytes', () => {
    fc.assert(
      fc.property(bytes(42), (any) => {
        const calibration = calibrationOf(any);
        expect(calibrationOf(encodeCalibration(calibration))).toEqual(calibration);
      }),
    );
  });

  test('the heater duration code is the longest that is not over the wish, and grows with it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 70_000 }), (wishMs) => {
        const code = heaterDurationCode(wishMs);
        const realMs = heaterDurationMs(code);
        expect(realMs).toBeLessThanOrEqual(wishMs);
        expect(heaterDurationCode(wishMs + 1)).toBeGreaterThanOrEqual(code);
        if (wishMs < 4032) expect(wishMs - realMs).toBeLessThan(64);
        else expect(realMs).toBe(4032);
      }),
    );
  });

  test('a hotter target never gives a lower code, and every code fits its register', () => {
    fc.assert(
      fc.property(fc.nat(200), fc.integer({ min: 100, max: 500 }), fc.integer({ min: -60, max: 120 }), (seed, t, a) => {
        const calibration = emulatedCalibration(seed);
        const code = heaterResistanceCode(t, a, calibration);
        expect(Number.isInteger(code) && code >= 0 && code <= 255).toBe(true);
        expect(heaterResistanceCode(t + 10, a, calibration)).toBeGreaterThanOrEqual(code);
      }),
    );
  });

  test('control bytes hold exactly the settings, and only the last write starts a measurement', () => {
    fc.assert(
      fc.property(settings, variant, fc.integer({ min: -40, max: 85 }), (wanted, kind, ambient) => {
        const writes = new Map(
          settingWrites(wanted, ambient, kind, emulatedCalibration(1)).map(({ register, value }) => [register, value]),
        );
        for (const value of writes.values()) expect(value).toBe(value & 0xff);
        const control = writes.get(Register.ctrlMeas) ?? 0;
        expect(control & 0x03).toBe(0);
        expect(measureControl(wanted, 'forced')).toBe(control | 1);
        expect(control >> 5).toBe(oversamplingCode(wanted.temperatureOversampling));
        expect((control >> 2) & 0x07).toBe(oversamplingCode(wanted.pressureOversampling));
        expect(writes.get(Register.ctrlHum)).toBe(oversamplingCode(wanted.humidityOversampling));
        expect(writes.get(Register.config)).toBe(filterCode(wanted.filterTaps) << 2);
        expect(writes.get(Register.ctrlGas1)).toBe(wanted.heater ? (kind === 'high' ? 0x20 : 0x10) : 0);
        expect(measurementMs(wanted)).toBeGreaterThan(
          wanted.heater ? heaterDurationMs(writes.get(Register.gasWait0) ?? 0) : 0,
        );
      }),
    );
  });

  test('the emulated chip shows what surrounds it: raw values compensate back to the environment', () => {
    fc.assert(
      fc.property(fc.nat(1_000), fc.double({ min: 0, max: 1e6, noNaN: true }), variant, (seed, seconds, kind) => {
        const calibration = emulatedCalibration(seed);
        const air = emulatedEnvironment(seconds, seed);
        const flags = { newData: true, measuring: false, gasValid: true, heaterStable: true };
        const field: Field = { ...flags, ...invertCompensation(air, kind, calibration) };
        const reading = compensate(field, kind, calibration);
        expect(checkReading(field, reading).ok).toBe(true);
        expect(Math.abs(reading.temperatureC - air.temperatureC)).toBeLessThan(0.01);
        expect(Math.abs(reading.pressurePa - air.pressurePa)).toBeLessThan(1);
        expect(Math.abs(reading.humidity - air.humidity)).toBeLessThan(0.0001);
        expect(Math.abs(reading.gasResistanceOhm / air.gasResistanceOhm - 1)).toBeLessThan(0.005);
      }),
    );
  });
});
