/** The BME680's device loop against the emulated chip, in virtual time. */
import { describe, expect, test } from 'vitest';
import { heaterResistanceCode } from '../../drivers/bme680/compensation.ts';
import { Bme680Device, type Bme680Options } from '../../drivers/bme680/device.ts';
import { Bme680Emulator, type ChipFault } from '../../drivers/bme680/emulator.ts';
import { Register } from '../../drivers/bme680/registers.ts';
import { DriverError } from '../../drivers/error.ts';
import type { OpenI2cBus } from '../../drivers/i2c.ts';
import type { Diagnostic, EnvironmentSample } from '../../drivers/sample.ts';
import { VirtualTime } from './bme680-virtual-time.ts';

const AIR = { temperatureC: 21.5, pressurePa: 98_765, humidity: 0.432, gasResistanceOhm: 54_321 };

function bench(options: { device?: Bme680Options; seed?: number; open?: OpenI2cBus; steady?: boolean } = {}) {
  const time = new VirtualTime();
  const steady = options.steady ? { environmentAt: () => AIR } : {};
  const emulator = new Bme680Emulator({ monotonicNs: time.clock.monotonicNs, seed: options.seed ?? 1, ...steady });
  const samples: EnvironmentSample[] = [];
  const diagnostics: Diagnostic[] = [];
  const device = new Bme680Device(
    options.device ?? {},
    { open: options.open ?? emulator.open, clock: time.clock, pause: time.pause },
    { sample: (sample) => samples.push(sample), diagnostic: (diagnostic) => diagnostics.push(diagnostic) },
  );
  const stop = new AbortController();
  const done = device.run(stop.signal);
  const codes = () => diagnostics.map(({ code }) => code);
  const end = async () => {
    stop.abort();
    await time.pass(0);
    await done;
  };
  return { time, emulator, samples, diagnostics, codes, end, stop, done };
}

describe('Bme680Device', () => {
  test('measures once a second what surrounds the chip, heater and all', async () => {
    const { time, samples, codes, end } = bench({ steady: true });
    await time.pass(5_500);
    await end();
    expect(samples).toHaveLength(6);
    for (const sample of samples) {
      expect(sample.temperatureC).toBeCloseTo(AIR.temperatureC, 2);
      expect(Math.abs(sample.pressurePa - AIR.pressurePa)).toBeLessThan(1);
      expect(sample.humidity).toBeCloseTo(AIR.humidity, 3);
      expect(Math.abs(sample.gasResistanceOhm / AIR.gasResistanceOhm - 1)).toBeLessThan(0.002);
      expect(sample).toMatchObject({ gasValid: true, heaterStable: true });
    }
    expect(codes()).toEqual(['ok']);
  });

  test('stamps a reading with the start of its measurement, at even intervals', async () => {
    const { time, samples, end } = bench({ device: { intervalMs: 500 } });
    await time.pass(10_000);
    await end();
    const steps = samples
      .slice(1)
      .map((sample, index) => sample.stamp.monotonicNs - (samples[index]?.stamp.monotonicNs ?? 0n));
    expect(samples.length).toBeGreaterThanOrEqual(19);
    expect(new Set(steps)).toEqual(new Set([500_000_000n]));
  });

  test('seeds the heater with the last temperature', async () => {
    const time = new VirtualTime();
    let air = { ...AIR, temperatureC: 25 };
    const emulator = new Bme680Emulator({ monotonicNs: time.clock.monotonicNs, environmentAt: () => air });
    const { end } = benchOn(time, emulator.open);
    const code = () => emulator.registers[Register.heaterResistance0];
    await time.pass(1_500);
    expect(code()).toBe(heaterResistanceCode(320, 25, emulator.calibration));
    air = { ...AIR, temperatureC: 80 };
    await time.pass(2_000);
    expect(code()).toBe(heaterResistanceCode(320, 80, emulator.calibration));
    expect(code()).not.toBe(heaterResistanceCode(320, 25, emulator.calibration));
    await end();
  });

  test('a heater that is off gives readings whose gas is marked invalid', async () => {
    const { time, samples, end } = bench({ device: { settings: { heater: null } } });
    await time.pass(1_500);
    await end();
    expect(samples.length).toBeGreaterThan(0);
    for (const sample of samples) expect(sample).toMatchObject({ gasValid: false, heaterStable: false });
  });

  test('a BME688 is told apart and read with its own gas scale', async () => {
    const time = new VirtualTime();
    const emulator = new Bme680Emulator({
      monotonicNs: time.clock.monotonicNs,
      variant: 'high',
      environmentAt: () => AIR,
    });
    const { samples, diagnostics, end } = benchOn(time, emulator.open);
    await time.pass(1_500);
    await end();
    expect(Math.abs((samples[0]?.gasResistanceOhm ?? 0) / AIR.gasResistanceOhm - 1)).toBeLessThan(0.005);
    expect(diagnostics[0]?.message).toContain('BME688');
  });

  test('three lost transfers in a row cost no sample and no diagnostic but are counted', async () => {
    const { time, emulator, samples, codes, diagnostics, end } = bench();
    await time.pass(1_500);
    for (let round = 0; round < 12; round += 1) {
      emulator.failNext(3);
      await time.pass(1_000);
    }
    await end();
    expect(samples.length).toBeGreaterThanOrEqual(13);
    expect(new Set(codes())).toEqual(new Set(['ok']));
    expect(diagnostics.at(-1)?.values.bus_retries).toBeGreaterThanOrEqual(27);
  });

  const faults: [ChipFault, string][] = [
    ['no-answer', 'unplugged'],
    ['bus-error', 'bus-error'],
    ['wrong-chip-id', 'wrong-chip-id'],
    ['empty-calibration', 'garbage'],
    ['garbage', 'garbage'],
    ['stuck', 'no-new-data'],
    ['frozen', 'frozen'],
  ];
  test.each(faults)(
    '%s is diagnosed as %s with a cure, and measuring goes on within 5 s of its end',
    async (fault, code) => {
      const { time, emulator, samples, diagnostics, end } = bench();
      await time.pass(3_500);
      const before = samples.length;
      expect(before).toBe(4);
      emulator.fault = fault;
      // Identity and calibration are only read at a start.
      if (fault === 'wrong-chip-id' || fault === 'empty-calibration') emulator.reset();
      await time.pass(fault === 'frozen' ? 45_000 : 10_000);
      const told = diagnostics.find((diagnostic) => diagnostic.code === code);
      expect(told?.level).not.toBe('ok');
      expect(told?.cure).not.toBe('');
      const during = samples.length;
      if (fault !== 'frozen') expect(during).toBeLessThanOrEqual(before + 1);
      emulator.fault = 'none';
      await time.pass(5_000);
      expect(samples.length).toBeGreaterThan(during);
      expect(diagnostics.at(-1)?.code).toBe('ok');
      await end();
    },
  );

  test('garbage results never become samples', async () => {
    const { time, emulator, samples, end } = bench();
    await time.pass(3_500);
    emulator.fault = 'garbage';
    await time.pass(60_000);
    await end();
    for (const { temperatureC, pressurePa } of samples) {
      expect(temperatureC).toBeGreaterThan(15);
      expect(temperatureC).toBeLessThan(35);
      expect(Math.abs(pressurePa - 99_800)).toBeLessThan(2_000);
    }
  });

  test('unplugged at any of 150 moments it is back within 5 s of being plugged in', async () => {
    const { time, emulator, samples, codes, end } = bench();
    await time.pass(2_000);
    for (let round = 0; round < 150; round += 1) {
      await time.pass(7 * round + 11);
      emulator.unplug();
      await time.pass(400 + 37 * round);
      emulator.plugIn();
      const before = samples.length;
      await time.pass(5_000);
      expect(samples.length, `round ${round}`).toBeGreaterThan(before);
      expect(codes().at(-1)).toBe('ok');
    }
    await end();
    for (const sample of samples) expect(Math.abs(sample.pressurePa - 99_800)).toBeLessThan(2_000);
  });

  test('a chip that browned out between two measurements is started again and loses one interval at most', async () => {
    const { time, emulator, samples, codes, end } = bench();
    await time.pass(3_900);
    emulator.reset();
    await time.pass(6_000);
    await end();
    expect(codes()).toEqual(['ok', 'chip-reset', 'ok']);
    expect(samples.length).toBeGreaterThanOrEqual(9);
    expect(samples.at(-1)).toMatchObject({ gasValid: true, heaterStable: true });
  });

  test('another chip put in its place is read with its own calibration', async () => {
    const time = new VirtualTime();
    const [first, second] = [1, 2].map(
      (seed) => new Bme680Emulator({ monotonicNs: time.clock.monotonicNs, seed, environmentAt: () => AIR }),
    ) as [Bme680Emulator, Bme680Emulator];
    expect(first.calibration).not.toEqual(second.calibration);
    let present = first;
    const open: OpenI2cBus = async () => ({
      read: (address, register, length) => present.read(address, register, length),
      write: (address, register, bytes) => present.write(address, register, bytes),
      close: async () => {},
    });
    const { samples, end } = benchOn(time, open);
    await time.pass(2_500);
    present = second;
    await time.pass(4_000);
    await end();
    expect(samples.length).toBeGreaterThanOrEqual(6);
    for (const sample of samples) expect(Math.abs(sample.pressurePa - AIR.pressurePa)).toBeLessThan(1);
  });

  test('a chip at the other address is found and named', async () => {
    const { time, diagnostics, end } = bench({ device: { address: 0x77 } });
    await time.pass(1_500);
    await end();
    expect(diagnostics[0]).toMatchObject({ level: 'error', code: 'wrong-address' });
    expect(diagnostics[0]?.message).toContain('0x76');
  });

  test('a transfer that never ends is diagnosed, and does not keep the loop from stopping', async () => {
    const { time, emulator, codes, stop, done } = bench();
    await time.pass(1_500);
    emulator.fault = 'hung-bus';
    await time.pass(5_000);
    expect(codes()).toEqual(['ok', 'bus-hung']);
    stop.abort();
    await time.pass(0);
    await done;
  });

  test('a transfer that ends late after all brings the sensor back', async () => {
    const time = new VirtualTime();
    const emulator = new Bme680Emulator({ monotonicNs: time.clock.monotonicNs });
    let gate: PromiseWithResolvers<void> | null = null;
    const open: OpenI2cBus = async () => ({
      read: async (address, register, length) => {
        await gate?.promise;
        return emulator.read(address, register, length);
      },
      write: (address, register, bytes) => emulator.write(address, register, bytes),
      close: async () => {},
    });
    const { samples, diagnostics, end } = benchOn(time, open);
    await time.pass(1_500);
    gate = Promise.withResolvers<void>();
    await time.pass(8_000);
    const before = samples.length;
    expect(diagnostics.at(-1)?.code).toBe('bus-hung');
    gate.resolve();
    gate = null;
    await time.pass(5_000);
    expect(samples.length).toBeGreaterThan(before);
    expect(diagnostics.at(-1)?.code).toBe('ok');
    await end();
  });

  test.each(['not-built', 'no-bus', 'no-permission', 'address-busy'])(
    'a bus that is %s is told with its cure',
    async (code) => {
      const time = new VirtualTime();
      const emulator = new Bme680Emulator({ monotonicNs: time.clock.monotonicNs });
      let broken = true;
      const open: OpenI2cBus = async () => {
        if (broken) throw new DriverError(code, `${code} for the test`);
        return emulator.open();
      };
      const { samples, diagnostics, end } = benchOn(time, open);
      await time.pass(3_000);
      expect(diagnostics.map((diagnostic) => diagnostic.code)).toEqual([code]);
      expect(diagnostics[0]?.cure.length).toBeGreaterThan(20);
      broken = false;
      await time.pass(5_000);
      expect(samples.length).toBeGreaterThan(0);
      await end();
    },
  );
});

function benchOn(time: VirtualTime, open: OpenI2cBus) {
  const samples: EnvironmentSample[] = [];
  const diagnostics: Diagnostic[] = [];
  const device = new Bme680Device(
    {},
    { open, clock: time.clock, pause: time.pause },
    { sample: (sample) => samples.push(sample), diagnostic: (diagnostic) => diagnostics.push(diagnostic) },
  );
  const stop = new AbortController();
  const done = device.run(stop.signal);
  const end = async () => {
    stop.abort();
    await time.pass(0);
    await done;
  };
  return { samples, diagnostics, end };
}
