/** The BME680's device loop on a bus that does anything at all; fast-check prints the seed of what it finds. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Bme680Device } from '../../drivers/bme680/device.ts';
import { Bme680Emulator } from '../../drivers/bme680/emulator.ts';
import { DriverError } from '../../drivers/error.ts';
import type { OpenI2cBus } from '../../drivers/i2c.ts';
import type { Diagnostic, EnvironmentSample } from '../../drivers/sample.ts';
import { VirtualTime } from './bme680-virtual-time.ts';

/** What the bus does with one transfer. */
const mischief = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ kind: 'pass' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('bytes' as const), bytes: fc.uint8Array({ maxLength: 40 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('flip' as const), at: fc.nat(40), bit: fc.nat(7) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('fail' as const),
      error: fc.constantFrom<unknown>(
        new DriverError('no-answer', 'Remote I/O error'),
        new DriverError('bus-error', 'Input/output error'),
        new DriverError('no-bus', 'gone', { retryable: false }),
        new TypeError('a bug below'),
        'not even an error',
        undefined,
      ),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'reset' as const }) },
);

test('whatever the bus does, the loop goes on, samples stay in range, and 5 s after the end of it all is well', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(mischief, { minLength: 5, maxLength: 80 }), fc.nat(1_000), async (plan, seed) => {
      const time = new VirtualTime();
      const emulator = new Bme680Emulator({ monotonicNs: time.clock.monotonicNs, seed });
      const remaining = [...plan];
      const open: OpenI2cBus = async () => ({
        async read(address, register, length) {
          const bytes = await emulator.read(address, register, length);
          const next = remaining.shift();
          if (next?.kind === 'bytes') return next.bytes;
          if (next?.kind === 'flip' && bytes.length > 0) {
            const at = next.at % bytes.length;
            bytes[at] = (bytes[at] ?? 0) ^ (1 << next.bit);
          }
          if (next?.kind === 'fail') throw next.error;
          if (next?.kind === 'reset') emulator.reset();
          return bytes;
        },
        async write(address, register, bytes) {
          const next = remaining.shift();
          if (next?.kind === 'fail') throw next.error;
          await emulator.write(address, register, bytes);
          if (next?.kind === 'reset') emulator.reset();
        },
        close: async () => {},
      });
      const samples: EnvironmentSample[] = [];
      const diagnostics: Diagnostic[] = [];
      const device = new Bme680Device(
        {},
        { open, clock: time.clock, pause: time.pause },
        { sample: (sample) => samples.push(sample), diagnostic: (diagnostic) => diagnostics.push(diagnostic) },
      );
      const stop = new AbortController();
      const done = device.run(stop.signal);
      for (let second = 0; remaining.length > 0 && second < 300; second += 1) await time.pass(1_000);
      expect(remaining).toHaveLength(0);
      await time.pass(1_000);
      const before = samples.length;
      await time.pass(5_000);
      expect(samples.length).toBeGreaterThanOrEqual(before + 2);
      expect(diagnostics.at(-1)?.code).toBe('ok');
      stop.abort();
      await time.pass(0);
      await done;
      for (const sample of samples) {
        expect(Math.abs(sample.temperatureC - 22.5)).toBeLessThan(67.5);
        expect(Math.abs(sample.pressurePa - 70_000)).toBeLessThan(42_000);
        expect(sample.humidity >= 0 && sample.humidity <= 1).toBe(true);
        expect(sample.gasResistanceOhm).toBeGreaterThan(0);
      }
    }),
    { numRuns: 100 },
  );
});
