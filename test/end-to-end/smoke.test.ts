/**
 * Smoke in the cabin, the whole way: a particle sensor on a real tty and the chip's registers, the agent as users start it, the outbox,
 * central, and what the API says of it.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Event, EventList } from '../../central/api/schemas.ts';
import { emulatedAir } from '../../drivers/emulated-air.ts';
import { PlantowerEmulator } from '../../drivers/plantower/emulator.ts';
import { openSerialPort } from '../../drivers/serial-port.ts';
import { openCentral } from '../central/fixture.ts';
import { startAgent } from './processes.ts';

const socat = spawnSync('socat', ['-V']).status === 0;
const missing = socat ? '' : ' (skipped: socat is not installed)';
const PATIENCE = { timeout: 90_000, interval: 200 };

/** A pseudo-terminal pair: two tty paths joined by socat. */
async function ttyPair(folder: string): Promise<{ sensor: string; host: string }> {
  const [sensor, host] = [join(folder, 'sensor'), join(folder, 'host')];
  const child = spawn('socat', [`pty,raw,echo=0,link=${sensor}`, `pty,raw,echo=0,link=${host}`]);
  onTestFinished(() => {
    child.kill();
  });
  await vi.waitFor(() => expect(existsSync(sensor) && existsSync(host)).toBe(true), PATIENCE);
  return { sensor, host };
}

describe.skipIf(!socat && !process.env.CI)(`smoke over a real tty${missing}`, () => {
  it('is an event at central with its level, its values and a clip, and it ends', { timeout: 240_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fender-smoke-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const central = await openCentral();
    onTestFinished(() => central.close());
    const { sensor, host } = await ttyPair(folder);
    let smokeUgM3 = 0;
    const emulator = new PlantowerEmulator({
      airAt: (seconds) => {
        const air = emulatedAir(seconds % 20, 1);
        const { pm1UgM3, pm25UgM3, pm10UgM3 } = air;
        const more = smokeUgM3 * (1 + 0.05 * Math.sin(seconds));
        return { ...air, pm1UgM3: pm1UgM3 + 0.8 * more, pm25UgM3: pm25UgM3 + more, pm10UgM3: pm10UgM3 + more };
      },
    });
    const line = await openSerialPort({ path: sensor, baudRate: 9_600 })();
    onTestFinished(() => line.close());
    emulator.attach(line);
    const agent = startAgent(folder, {
      vehicle: { id: 'smoky-1' },
      data_dir: join(folder, 'data'),
      sensors: {
        particulate: { model: 'plantower', device: host },
        bme680: { device: 'emulated' },
        uma8: { source: 'none' },
      },
      air: { particle_warm_up_s: 2, gas_warm_up_s: 2, end_after_s: 2 },
      recorder: { pre_roll_s: 2, post_roll_s: 0.5 },
      sync: { url: central.mqtt },
      health: { listen: { port: 0 } },
    });
    onTestFinished(() => agent.end('SIGKILL').then(() => {}));
    const events = async () => (await central.get('/api/events?kind=air')).body as EventList;
    const measured = async () =>
      (await central.get('/api/vehicles/smoky-1/latest')).body as { streams?: { stream: string }[] };
    await vi.waitFor(async () => {
      const { streams = [] } = await measured();
      expect(streams.map(({ stream }) => stream)).toEqual(
        expect.arrayContaining(['plantower/particulate', 'bme680/environment']),
      );
    }, PATIENCE);
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    expect(await events()).toMatchObject({ total: 0 });

    smokeUgM3 = 600;
    await vi.waitFor(async () => expect((await events()).total).toBe(1), PATIENCE);
    const [began] = (await events()).events as [Event];
    expect(began).toMatchObject({ vehicle: 'smoky-1', kind: 'air', label: 'smoke', ongoing: true, model: null });
    expect(began.detail).toMatch(/^PM2\.5 rose from \d+ to \d+ µg\/m³ within \d+ s\.$/);

    smokeUgM3 = 0;
    const path = `/api/events/${began.id}`;
    const now = async () => (await central.get(path)).body as Event;
    await vi.waitFor(async () => expect((await now()).ongoing).toBe(false), PATIENCE);
    const over = await now();
    expect(over).toMatchObject({ level: 'very_high', captured_at_ns: began.captured_at_ns });
    expect(over.duration_s).toBeGreaterThan(1);
    const [particles, gas] = over.readings;
    expect(particles).toMatchObject({ name: 'pm2_5_ugm3' });
    expect(particles?.value).toBeGreaterThan(400);
    expect(particles?.baseline).toBeLessThan(40);
    expect(gas?.name).toBe('gas_resistance_ohm');
    await vi.waitFor(async () => expect((await now()).clip?.state).toBe('ready'), PATIENCE);
    const series = ((await central.get(`${path}/sensors`)).body as { series: { field: string }[] }).series;
    expect(series.map(({ field }) => field)).toContain('pm2_5');

    await agent.end('SIGTERM');
    const kept = JSON.parse(await readFile(join(folder, 'data', 'air.json'), 'utf8'));
    expect(kept).toMatchObject({ learnt: { particles: expect.any(Number), gas: expect.any(Number) }, open: [] });
  });
});
