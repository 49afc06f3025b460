/**
 * The BME680 through the real i2c-bus addon: its open() and ioctl() calls on /dev/i2c-7 are answered by the emulated chip
 * through a preloaded C shim, which is compiled here, in a child process.
 */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Bme680Emulator } from '../../drivers/bme680/emulator.ts';
import { translateI2cError } from '../../drivers/i2c-bus.ts';
import type { Diagnostic } from '../../drivers/sample.ts';
import { I2cListener } from './bme680-i2c-listener.ts';

const AIR = { temperatureC: 18.2, pressurePa: 101_325, humidity: 0.61, gasResistanceOhm: 87_000 };

const folder = mkdtempSync(join(tmpdir(), 'fender-i2c-'));
const shim = join(folder, 'preload.so');
const missing = prepare();

/** Compiles the shim and, where needed, the addon; returns what is missing for it, or null. */
function prepare(): string | null {
  if (process.platform !== 'linux') return 'Linux';
  const source = join(import.meta.dirname, 'bme680-i2c-preload.c');
  const compiled = spawnSync(process.env.CC ?? 'gcc', [
    '-shared',
    '-fPIC',
    '-O1',
    '-Wall',
    '-Werror',
    '-o',
    shim,
    source,
    '-ldl',
  ]);
  if (compiled.error) return 'gcc';
  if (compiled.status !== 0) throw new Error(`gcc: ${compiled.stderr.toString()}`);
  const builder = join(import.meta.dirname, '..', '..', 'drivers', 'build-i2c.ts');
  const built = spawnSync(process.execPath, [builder], { encoding: 'utf8' });
  return built.status === 0 ? null : `the i2c-bus addon (${built.stderr.trim().split('\n').at(-1)})`;
}

afterAll(() => rmSync(folder, { recursive: true, force: true }));

if (missing && process.env.CI) {
  test('what the test of the real i2c-bus addon needs is installed', () => expect(missing).toBeNull());
}

describe.skipIf(missing !== null)(`the real i2c-bus addon${missing ? ` (missing: ${missing})` : ''}`, () => {
  let emulator: Bme680Emulator;
  let listener: I2cListener;
  let child: Child;
  let path: string;
  let round = 0;

  beforeEach(async () => {
    emulator = new Bme680Emulator({ environmentAt: () => AIR });
    listener = new I2cListener(emulator);
    round += 1;
    path = join(folder, `bus-${round}`);
    await listener.listen(path);
  });

  afterEach(async () => {
    await child?.end();
    await listener.close();
  });

  test('measures what surrounds the chip, over /dev/i2c and its ioctls', async () => {
    child = new Child(path);
    await vi.waitFor(() => expect(child.samples.length).toBeGreaterThanOrEqual(3), WAIT);
    for (const sample of child.samples) {
      expect(sample.temperatureC).toBeCloseTo(AIR.temperatureC, 2);
      expect(Math.abs(sample.pressurePa - AIR.pressurePa)).toBeLessThan(1);
      expect(sample.humidity).toBeCloseTo(AIR.humidity, 3);
      expect(Math.abs(sample.gasResistanceOhm / AIR.gasResistanceOhm - 1)).toBeLessThan(0.005);
      expect(sample).toMatchObject({ gasValid: true, heaterStable: true });
    }
    expect(listener.requests).toBeGreaterThan(20);
    expect(child.codes()).toEqual(['ok']);
    await child.end();
    expect(child.exitCode).toBe(0);
    await vi.waitFor(() => expect(listener.connections).toBe(0), WAIT);
  });

  test('Remote I/O errors are tried again, unplugging is seen, and plugging in brings it back', async () => {
    child = new Child(path);
    await vi.waitFor(() => expect(child.samples.length).toBeGreaterThan(0), WAIT);
    emulator.failNext(3);
    let before = child.samples.length;
    await vi.waitFor(() => expect(child.samples.length).toBeGreaterThan(before + 1), WAIT);
    expect(child.codes()).toEqual(['ok']);
    emulator.unplug();
    await vi.waitFor(() => expect(child.codes().at(-1)).toBe('unplugged'), WAIT);
    expect(child.diagnostics.at(-1)?.message).toContain('Remote I/O error');
    before = child.samples.length;
    emulator.plugIn();
    await vi.waitFor(() => expect(child.samples.length).toBeGreaterThan(before), WAIT);
    expect(child.codes()).toEqual(['ok', 'unplugged', 'ok']);
    await child.end();
    await vi.waitFor(() => expect(listener.connections).toBe(0), WAIT);
  });

  test.each([
    ['no device node', { openErrno: 2 }, 'no-bus', 'raspi-config'],
    ['no permission', { openErrno: 13 }, 'no-permission', 'group i2c'],
    ['a kernel driver on the chip', { addressErrno: 16 }, 'address-busy', 'kernel driver'],
  ])('%s is told with its cure, and measuring starts when it is cured', async (_, fault, code, cure) => {
    Object.assign(listener, fault);
    child = new Child(path);
    await vi.waitFor(() => expect(child.codes()).toEqual([code]), WAIT);
    expect(child.diagnostics[0]?.cure).toContain(cure);
    Object.assign(listener, { openErrno: 0, addressErrno: 0 });
    await vi.waitFor(() => expect(child.codes().at(-1)).toBe('ok'), WAIT);
  });

  test('single transfers arrive byte for byte, errors as what they are, and a missing addon says how to build it', async () => {
    child = new Child(path, '--transfers');
    await vi.waitFor(() => expect(child.other.get('end')).toBe(null), WAIT);
    expect(child.other.get('without addon')).toMatchObject({ code: 'not-built' });
    expect(child.other.get('chip id')).toEqual([0x61]);
    expect(child.other.get('block of 32')).toEqual(Array.from(emulator.registers.subarray(0x80, 0xa0)));
    expect(child.other.get('read back')).toEqual([0x6c, ...Array(9).fill(0), 0x59, 0x12, 0x34, 0, 0, 0]);
    expect(child.other.get('nobody there')).toMatchObject({ code: 'no-answer' });
    expect(child.other.get('too long')).toContain('expected 1 to 32');
  });
});

describe('translateI2cError', () => {
  test.each([
    ['ENOENT', 'open', 'no-bus'],
    ['EACCES', 'open', 'no-permission'],
    ['EPERM', 'open', 'no-permission'],
    ['EBUSY', 'setAddr', 'address-busy'],
    ['ENXIO', 'readI2cBlock', 'no-answer'],
    ['ENXIO', 'open', 'no-bus'],
    ['ENODEV', 'readI2cBlock', 'no-bus'],
    ['ETIMEDOUT', 'readI2cBlock', 'bus-error'],
    ['EIO', 'writeByte', 'bus-error'],
  ])('%s of %s is %s', (code, syscall, expected) => {
    const error = translateI2cError('/dev/i2c-1', Object.assign(new Error(code), { code, syscall }));
    expect(error.code).toBe(expected);
    expect(error.message).toContain('/dev/i2c-1');
  });

  test('anything at all becomes a bus error', () => {
    for (const thrown of [undefined, null, 'x', 7, {}])
      expect(translateI2cError('/dev/i2c-1', thrown).code).toBe('bus-error');
  });
});

const WAIT = { timeout: 20_000, interval: 20 };

interface Sample {
  temperatureC: number;
  pressurePa: number;
  humidity: number;
  gasResistanceOhm: number;
}

/** The process with the preload. */
class Child {
  readonly samples: Sample[] = [];
  readonly diagnostics: Diagnostic[] = [];
  readonly other = new Map<string, unknown>();
  exitCode: number | null = null;
  private readonly process: ChildProcessWithoutNullStreams;
  private readonly exited: Promise<void>;

  constructor(socketPath: string, ...args: string[]) {
    const script = fileURLToPath(import.meta.resolve('./bme680-i2c-child.ts'));
    this.process = spawn(process.execPath, [script, ...args], {
      env: { ...process.env, LD_PRELOAD: shim, FENDER_I2C_SOCKET: socketPath },
    });
    this.process.stderr.pipe(process.stderr);
    createInterface({ input: this.process.stdout }).on('line', (line) => {
      const { kind, value } = JSON.parse(line) as { kind: string; value: unknown };
      if (kind === 'sample') this.samples.push(value as Sample);
      else if (kind === 'diagnostic') this.diagnostics.push(value as Diagnostic);
      else this.other.set(kind, value);
    });
    this.exited = new Promise((resolve) => {
      this.process.once('close', (code) => {
        this.exitCode = code;
        resolve();
      });
    });
  }

  codes(): string[] {
    return this.diagnostics.map(({ code }) => code);
  }

  async end(): Promise<void> {
    this.process.stdin.end();
    const patience = setTimeout(() => this.process.kill('SIGKILL'), 10_000);
    await this.exited;
    clearTimeout(patience);
  }
}
