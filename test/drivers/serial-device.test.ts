import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createPlantower } from '../../drivers/plantower/device.ts';
import { PlantowerEmulator } from '../../drivers/plantower/emulator.ts';
import type { Device, Diagnostic, ParticulateSample, Sink } from '../../drivers/sample.ts';
import { createSds011 } from '../../drivers/sds011/device.ts';
import { Sds011Emulator } from '../../drivers/sds011/emulator.ts';
import type { OpenBytePort } from '../../drivers/serial.ts';
import { SerialDevice } from '../../drivers/serial-device.ts';
import type { LineFault, SerialEmulator } from '../../drivers/serial-emulator.ts';
import { openSerialPort } from '../../drivers/serial-port.ts';
import { encodeShdlc, SPS30_START, Sps30Protocol } from '../../drivers/sps30/codec.ts';
import { createSps30 } from '../../drivers/sps30/device.ts';
import { Sps30Emulator } from '../../drivers/sps30/emulator.ts';
import { testClock } from './test-clock.ts';

interface Kind {
  readonly name: string;
  readonly baudRate: number;
  emulator(): SerialEmulator;
  device(open: OpenBytePort, sink: Sink<ParticulateSample>): Device;
}

const clock = testClock();
const kinds: Kind[] = [
  {
    name: 'plantower active',
    baudRate: 9600,
    emulator: () => new PlantowerEmulator(),
    device: (open, sink) => createPlantower({ mode: 'active', periodMs: 1000 }, { open, clock }, sink),
  },
  {
    name: 'plantower passive',
    baudRate: 9600,
    emulator: () => new PlantowerEmulator(),
    device: (open, sink) => createPlantower({ mode: 'passive', periodMs: 300 }, { open, clock }, sink),
  },
  {
    name: 'sds011 active',
    baudRate: 9600,
    emulator: () => new Sds011Emulator(),
    device: (open, sink) => createSds011({ mode: 'active', periodMs: 1000 }, { open, clock }, sink),
  },
  {
    name: 'sds011 query',
    baudRate: 9600,
    emulator: () => new Sds011Emulator(),
    device: (open, sink) => createSds011({ mode: 'query', periodMs: 300 }, { open, clock }, sink),
  },
  {
    name: 'sps30',
    baudRate: 115_200,
    emulator: () => new Sps30Emulator(),
    device: (open, sink) => createSps30({ periodMs: 300 }, { open, clock }, sink),
  },
];

/** Runs the device until the test ends and keeps what it says. */
function run(kind: Kind, open: OpenBytePort, finished = onTestFinished) {
  const samples: ParticulateSample[] = [];
  const diagnostics: Diagnostic[] = [];
  const stop = new AbortController();
  const device = kind.device(open, { sample: (s) => samples.push(s), diagnostic: (d) => diagnostics.push(d) });
  const done = device.run(stop.signal);
  finished(async () => {
    stop.abort();
    await done;
  });
  return { samples, diagnostics, last: () => diagnostics.at(-1) };
}

const soon = { timeout: 20_000, interval: 20 };
/** Counts samples that arrive after now. */
async function expectSamples(samples: readonly ParticulateSample[], more: number): Promise<void> {
  const before = samples.length;
  await vi.waitFor(() => expect(samples.length).toBeGreaterThanOrEqual(before + more), soon);
}

const CODE_OF: Record<Exclude<LineFault, 'none'>, readonly string[]> = {
  silent: ['silent'],
  garbage: ['garbage', 'checksum'],
  'half-frames': ['garbage', 'checksum'],
  'wrong-checksum': ['garbage', 'checksum'],
};

describe.concurrent.each(kinds)('$name', (kind) => {
  test('measures plausible air', async ({ onTestFinished }) => {
    const { samples } = run(kind, kind.emulator().open, onTestFinished);
    await expectSamples(samples, 1);
    expect(samples[0]?.pm25UgM3).toBeGreaterThan(0);
    expect(samples[0]?.pm10UgM3).toBeGreaterThanOrEqual(samples[0]?.pm25UgM3 ?? Number.POSITIVE_INFINITY);
  });

  test('tells that it is unplugged, and is back within 5 s of the return', async ({ onTestFinished }) => {
    const emulator = kind.emulator();
    const { samples, last } = run(kind, emulator.open, onTestFinished);
    await expectSamples(samples, 1);
    await emulator.unplug();
    await vi.waitFor(() => expect(last()?.code).toBe('unplugged'), soon);
    expect(last()?.cure).not.toBe('');
    emulator.plugIn();
    const returned = performance.now();
    await expectSamples(samples, 1);
    expect(performance.now() - returned).toBeLessThan(5_000);
  });

  test.for(Object.entries(CODE_OF))(
    'tells a line fault (%s) and recovers from it',
    async ([fault, codes], { onTestFinished }) => {
      const emulator = kind.emulator();
      const { samples, diagnostics, last } = run(kind, emulator.open, onTestFinished);
      await expectSamples(samples, 1);
      emulator.fault = fault as LineFault;
      await vi.waitFor(() => expect(diagnostics.some(({ code }) => codes.includes(code))).toBe(true), soon);
      emulator.fault = 'none';
      const returned = performance.now();
      await expectSamples(samples, 1);
      expect(performance.now() - returned).toBeLessThan(5_000);
      await vi.waitFor(() => expect(last()?.code).toBe('ok'), soon);
    },
  );
});

/** A line that only tells what the test lets it tell. */
function scriptedPort(answer: (command: Uint8Array) => Uint8Array | null, write: () => Promise<void>) {
  let opened = 0;
  const commands: Uint8Array[] = [];
  const open: OpenBytePort = async () => {
    opened += 1;
    let data: (bytes: Uint8Array) => void = () => {};
    return {
      onData: (listener) => {
        data = listener;
      },
      onClose: () => {},
      write: (bytes) => {
        commands.push(bytes);
        const reply = answer(bytes);
        if (reply) setImmediate(() => data(reply));
        return write();
      },
      close: async () => {},
    };
  };
  return { open, commands, opened: () => opened };
}

const timing = { source: 'sps30', periodMs: 50, silenceMs: 200 };
const impatient: Kind = {
  name: 'sps30',
  baudRate: 115_200,
  emulator: () => new Sps30Emulator(),
  device: (open, sink) => new SerialDevice(timing, () => new Sps30Protocol(), { open, clock }, sink),
};

describe('the serial loop', () => {
  test('is not held up by a line that takes no bytes: it tells, opens anew, and can be stopped', async () => {
    const line = scriptedPort(
      () => null,
      () => new Promise<void>(() => {}),
    );
    const { last } = run(impatient, line.open);
    await vi.waitFor(() => expect(last()?.code).toBe('silent'), soon);
    await vi.waitFor(() => expect(line.opened()).toBeGreaterThan(1), soon);
  });

  test('does not call a sensor well that answers and never measures', async () => {
    const line = scriptedPort(
      (command) => encodeShdlc({ command: command[2] ?? 0, state: 0, data: new Uint8Array(0) }),
      async () => {},
    );
    const { last, diagnostics } = run(impatient, line.open);
    await vi.waitFor(() => expect(last()?.code).toBe('no-measurement'), soon);
    await vi.waitFor(() => expect(line.opened()).toBeGreaterThan(1), soon);
    expect(diagnostics.map(({ level }) => level)).not.toContain('ok');
    // Settings may be kept in flash: they are sent at each opening and once more, not at every look.
    const settings = line.commands.filter(([, , command]) => command === SPS30_START);
    expect(settings.length).toBeLessThanOrEqual(2 * line.opened());
  });
});

const socat = spawnSync('socat', ['-V']).status === 0;
const missing = socat ? '' : ' (skipped: socat is not installed)';

/** A pseudo-terminal pair: two tty paths joined by socat. */
async function ttyPair(): Promise<{ device: string; host: string; cut(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'fender-tty-'));
  const [device, host] = [join(folder, 'device'), join(folder, 'host')];
  const child: ChildProcess = spawn('socat', [`pty,raw,echo=0,link=${device}`, `pty,raw,echo=0,link=${host}`]);
  const cut = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill();
    await gone;
  };
  onTestFinished(cut);
  await vi.waitFor(() => expect(existsSync(device) && existsSync(host)).toBe(true), soon);
  return { device, host, cut };
}

describe.skipIf(!socat && !process.env.CI)(`over a real tty${missing}`, () => {
  test.each(kinds)('$name measures through the real serialport binding', async (kind) => {
    const tty = await ttyPair();
    const emulator = kind.emulator();
    const port = await openSerialPort({ path: tty.device, baudRate: kind.baudRate })();
    emulator.attach(port);
    onTestFinished(() => port.close());
    const { samples } = run(kind, openSerialPort({ path: tty.host, baudRate: kind.baudRate }));
    await expectSamples(samples, 2);
    expect(samples[0]?.pm25UgM3).toBeGreaterThan(0);
  });

  test('a tty that vanishes is told and used again when it is back', async () => {
    const [kind] = kinds as [Kind];
    const tty = await ttyPair();
    let path = tty.host;
    const attach = async (device: string) => {
      const emulator = kind.emulator();
      const port = await openSerialPort({ path: device, baudRate: kind.baudRate })();
      emulator.attach(port);
      onTestFinished(() => port.close());
    };
    await attach(tty.device);
    const { samples, diagnostics } = run(kind, () => openSerialPort({ path, baudRate: kind.baudRate })());
    await expectSamples(samples, 1);
    await tty.cut();
    await vi.waitFor(() => expect(diagnostics.some((d) => d.code === 'unplugged')).toBe(true), soon);
    const again = await ttyPair();
    await attach(again.device);
    path = again.host;
    const returned = performance.now();
    await expectSamples(samples, 1);
    expect(performance.now() - returned).toBeLessThan(5_000);
  });

  test('a write to a line that has ended is refused, not kept for ever', async () => {
    const tty = await ttyPair();
    const port = await openSerialPort({ path: tty.host, baudRate: 9600 })();
    await port.close();
    await expect(port.write(Uint8Array.of(1))).rejects.toThrow(/closed/);
  });

  test('a device node that is missing is named with its cure', async () => {
    await expect(openSerialPort({ path: '/dev/ttyNOT_THERE', baudRate: 9600 })()).rejects.toThrow(
      /ttyNOT_THERE does not exist: plug/,
    );
  });
});
