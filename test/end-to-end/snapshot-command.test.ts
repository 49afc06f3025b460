/** A snapshot that somebody asks central for: through the broker to the real agent, and back as an event with its clip. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Command, Event, History, Sensors } from '../../central/api/schemas.ts';
import { type CentralPlace, type FenderProcess, freePort, get, startAgent, startCentral, until } from './processes.ts';

const vehicle = 'e2e-snapshot';
const folder = mkdtempSync(join(tmpdir(), 'fender-e2e-snapshot-'));
let place: CentralPlace;
let central: FenderProcess;
let agent: FenderProcess;

beforeAll(async () => {
  place = { dataDir: join(folder, 'central'), httpPort: await freePort(), mqttPort: await freePort() };
  central = startCentral(place);
  agent = startAgent(folder, {
    vehicle: { id: vehicle },
    data_dir: join(folder, 'agent'),
    sensors: {
      particulate: { model: 'sps30', device: 'emulated' },
      bme680: { device: 'emulated', period_s: 0.5 },
      uma8: { source: 'generated', seed: 5 },
    },
    sync: { url: `mqtt://127.0.0.1:${place.mqttPort}` },
    health: { listen: { port: 0 } },
  });
  await until(
    'four seconds of values at central, so that there is a second to look back on',
    async () => {
      const query = 'stream=bme680/environment&field=temperature_c';
      const history = await get<History>(place.httpPort, `/api/vehicles/${vehicle}/history?${query}`);
      return history.records.synchronised + history.records.unsynchronised >= 8;
    },
    { processes: [central, agent] },
  );
}, 90_000);

afterAll(async () => {
  await agent?.end('SIGTERM');
  await central?.end('SIGTERM');
  rmSync(folder, { recursive: true, force: true });
});

test('it is an event without a model, and its clip holds the seconds asked for', async () => {
  const response = await fetch(`http://127.0.0.1:${place.httpPort}/api/vehicles/${vehicle}/commands`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ kind: 'snapshot', reason: 'test', pre_roll_s: 1, post_roll_s: 1 }),
  });
  expect(response.status).toBe(202);
  const { id } = (await response.json()) as Command;
  let command: Command | null = null;
  await until(
    'the result',
    async () => {
      command = await get<Command>(place.httpPort, `/api/vehicles/${vehicle}/commands/${id}`);
      return command.state !== 'pending';
    },
    { processes: [central, agent] },
  );
  expect(command).toMatchObject({ state: 'done', code: 'ok' });
  const eventId = (command as Command | null)?.values.event_id ?? '';
  let event: Event | null = null;
  await until(
    'the clip',
    async () => {
      event = await get<Event>(place.httpPort, `/api/events/${eventId}`);
      return event.clip?.state === 'ready';
    },
    { processes: [central, agent] },
  );
  expect(event).toMatchObject({ vehicle, label: 'snapshot', score: 1, scores: {}, model: null });
  const { onset_s, series } = await get<Sensors>(place.httpPort, `/api/events/${eventId}/sensors`);
  expect(onset_s).toBeGreaterThan(0);
  expect(onset_s).toBeLessThan(1.2);
  expect(series.map(({ topic }) => topic)).toContain('/bme680/temperature');
}, 90_000);
