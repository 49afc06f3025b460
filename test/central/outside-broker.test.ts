import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { outsideSubscriptions } from '../../central/outside-broker.ts';
import { type CentralFixture, openCentral, temporaryFolder } from './fixture.ts';
import { rowsOf, TestVehicle } from './test-vehicle.ts';

test('records are shared among centrals; states and files come to each', () => {
  const filters = outsideSubscriptions();
  expect(filters).toContain('$share/central/fender/v1/+/telemetry');
  expect(filters).toContain('fender/v1/+/state');
  expect(filters.filter((filter) => filter.includes('/blob/')).some((filter) => filter.startsWith('$share'))).toBe(
    false,
  );
});

function hasMosquitto(): boolean {
  try {
    execFileSync('sh', ['-c', 'command -v mosquitto || test -x /usr/sbin/mosquitto'], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

describe.skipIf(!hasMosquitto() && process.env.CI === undefined)('an outside broker (needs mosquitto)', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let port: number;
  let mosquitto: ChildProcess;
  let central: CentralFixture;
  const url = () => `mqtt://127.0.0.1:${port}`;
  const start = async () => {
    const path = `${process.env.PATH}:/usr/sbin`;
    mosquitto = spawn('mosquitto', ['-c', join(folder.path, 'mosquitto.conf')], {
      stdio: 'ignore',
      env: { ...process.env, PATH: path },
    });
    await once(mosquitto, 'spawn');
  };
  const up = async () => ((await central.get('/healthz')).body as { status: string }).status;
  beforeAll(async () => {
    folder = await temporaryFolder();
    port = await freePort();
    await writeFile(
      join(folder.path, 'mosquitto.conf'),
      `listener ${port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n`,
    );
    await start();
    central = await openCentral({ mqttUrl: url() });
  });
  afterAll(async () => {
    await central.close();
    mosquitto.kill();
    await folder.remove();
  });

  test('vehicles are served through it, and again after it was restarted', async () => {
    await expect.poll(up, { timeout: 20_000 }).toBe('ok');
    const before = await TestVehicle.connect('v1', url());
    await before.state(true);
    await before.telemetry('s', rowsOf(1, 50));
    await before.until(() => before.acked('s').size === 50, 'acks');
    await before.end();

    mosquitto.kill('SIGKILL');
    await once(mosquitto, 'exit');
    await expect.poll(up, { timeout: 20_000 }).toBe('failing');
    await start();
    await expect.poll(up, { timeout: 20_000 }).toBe('ok');

    const after = await TestVehicle.connect('v1', url());
    await after.telemetry('s', rowsOf(31, 40));
    await after.until(() => after.acked('s').size === 40, 'acks');
    await after.end();
    const { body } = await central.get('/api/vehicles/v1/ledger');
    expect(body).toMatchObject({ streams: [{ held: [[1, 70]], missing: [], duplicates: 20 }] });
  }, 60_000);
});
