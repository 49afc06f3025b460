/**
 * Runs inside a process that has the I2C preload: the BME680's device loop on the real i2c-bus addon. Prints each sample
 * and diagnostic as a JSON line; ends when its standard input does. With `--transfers` it makes single transfers instead
 * and prints what came of them.
 */
import { Bme680Device } from '../../drivers/bme680/device.ts';
import { DriverError } from '../../drivers/error.ts';
import { openI2cBus } from '../../drivers/i2c-bus.ts';
import { testClock } from './test-clock.ts';

const BUS = 7;

function print(kind: string, value: unknown): void {
  const line = JSON.stringify({ kind, value }, (_, part) => (typeof part === 'bigint' ? part.toString() : part));
  process.stdout.write(`${line}\n`);
}

async function measure(): Promise<void> {
  const stop = new AbortController();
  process.stdin.on('end', () => stop.abort()).resume();
  const device = new Bme680Device(
    { intervalMs: 250 },
    { open: openI2cBus({ bus: BUS }), clock: testClock() },
    { sample: (sample) => print('sample', sample), diagnostic: (diagnostic) => print('diagnostic', diagnostic) },
  );
  await device.run(stop.signal);
  print('end', null);
}

async function attempt(name: string, operation: () => Promise<unknown>): Promise<void> {
  try {
    print(name, await operation());
  } catch (error) {
    print(name, error instanceof DriverError ? { code: error.code, message: error.message } : String(error));
  }
}

async function transfers(): Promise<void> {
  // A missing addon looks like this; the second attempt shows that building it needs no restart.
  const { dlopen } = process;
  process.dlopen = () => {
    throw new Error('invalid ELF header');
  };
  await attempt('without addon', openI2cBus({ bus: BUS }));
  process.dlopen = dlopen;
  const bus = await openI2cBus({ bus: BUS })();
  const list = async (bytes: Promise<Uint8Array>) => Array.from(await bytes);
  await attempt('chip id', () => list(bus.read(0x76, 0xd0, 1)));
  await attempt('block of 32', () => list(bus.read(0x76, 0x80, 32)));
  await attempt('write one', () => bus.write(0x76, 0x5a, Uint8Array.of(0x6c)));
  await attempt('write pairs', () => bus.write(0x76, 0x64, Uint8Array.of(0x59, 0x65, 0x12, 0x66, 0x34)));
  await attempt('read back', () => list(bus.read(0x76, 0x5a, 16)));
  await attempt('nobody there', () => list(bus.read(0x42, 0xd0, 1)));
  await attempt('too long', () => list(bus.read(0x76, 0x00, 33)));
  await bus.close();
  await bus.close();
  print('end', null);
}

await (process.argv.includes('--transfers') ? transfers() : measure());
