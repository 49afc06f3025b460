/** What a vehicle cannot deliver is known at central, and never waited for or sent for ever. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Event, Ledger } from '../../central/api/schemas.ts';
import { readRecords } from '../../central/ingest/incoming.ts';
import { Outbox } from '../../sync/outbox.ts';
import { SyncSession } from '../../sync/session.ts';
import { testClock } from '../sync/stamps.ts';
import { type CentralFixture, openCentral, temporaryFolder } from './fixture.ts';
import { impactOf, recordOf, TestVehicle } from './test-vehicle.ts';

let central: CentralFixture;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeEach(async () => {
  folder = await temporaryFolder();
  central = await openCentral();
});
afterEach(async () => {
  await central.close();
  await folder.remove();
});

const sha256 = 'ab'.repeat(32);

test('what is stored broken is set aside and declared dropped, and the others arrive', async () => {
  const clock = testClock();
  const path = join(folder.path, 'outbox.sqlite');
  const before = await Outbox.open(path, { clock });
  for (let at = 1; at <= 5; at += 1) {
    await before.appendRecord('events', 'events', clock.now(), impactOf(at, `event-${at}`).body as never);
  }
  for (let at = 1; at <= 5; at += 1) await before.appendTelemetry('s', { stamp: clock.now(), values: { x: at } });
  await before.close();
  const db = new Database(path);
  const broken = Buffer.concat([Buffer.alloc(16), Buffer.from([0x52, 0x7f, 0xff, 0xff])]);
  db.prepare('UPDATE record SET body = ? WHERE key = (SELECT min(key) + 2 FROM record)').run(broken);
  // The second stream's third row: its value has lost half of its bytes.
  const telemetry = 'SELECT max(key) - 2 FROM record';
  db.prepare(`UPDATE record SET body = substr(body, 1, 20) WHERE key = (${telemetry})`).run();
  db.close();
  const outbox = await Outbox.open(path, { clock });
  const abort = new AbortController();
  const state = () => ({ bootId: 'b', agentVersion: '1', modelName: '', modelVersion: '' });
  const session = new SyncSession({ outbox, url: central.mqtt, vehicle: 'v1', clock, state, ackTimeoutMs: 300 });
  const running = session.run(abort.signal);
  await expect.poll(() => outbox.waitingStreams().length, { timeout: 20_000 }).toBe(0);
  expect(outbox.stats().quarantined).toBe(2);
  abort.abort();
  await running;
  await outbox.close();
  const { streams } = (await central.get('/api/vehicles/v1/ledger')).body as Ledger;
  for (const name of ['events', 's']) {
    expect(streams.find(({ stream }) => stream === name)).toMatchObject({
      held: [
        [1, 2],
        [4, 5],
      ],
      missing: [],
      dropped: [{ first: 3, last: 3, reason: 'quarantined' }],
    });
  }
});

test('what is no record batch at all is malformed, and nothing else', () => {
  for (const bytes of [[], [0], [0, 255], [0, 0x22, 0x7f], [0, 0x22, 0x01, 0xff], [1, 2, 3]]) {
    expect(readRecords('v1', new Uint8Array(bytes)).kind, String(bytes)).toBe('malformed');
  }
});

test('a clip that the vehicle gave up is lost, with the reason, before and after it was cut; unless it came all the same', async () => {
  const vehicle = await TestVehicle.connect('v1', central.mqtt);
  const drop = (stream: string, reason: string) =>
    ({
      case: 'drop',
      value: { $typeName: 'fender.v1.Drop', stream, firstSequence: 0n, lastSequence: 9n, reason },
    }) as const;
  await vehicle.records('events', [impactOf(1, 'event-1'), impactOf(2, 'event-2'), impactOf(3, 'event-3')]);
  const value = {
    $typeName: 'fender.v1.Clip' as const,
    eventId: 'event-1',
    sha256,
    bytes: 10n,
    startNs: 1n,
    endNs: 2n,
  };
  await vehicle.records('clips', [recordOf(1, { case: 'clip', value })]);
  await vehicle.until(() => vehicle.acked('clips').size === 1, 'the clip');
  const event = async (id: string) => (await central.get(`/api/events/${id}`)).body as Event;
  expect((await event('event-1')).clip?.state).toBe('pending');
  await vehicle.records('drops', [
    recordOf(1, drop(`blob/${sha256}`, 'size-limit')),
    recordOf(2, drop('clip/event-2', 'not-recorded')),
    recordOf(3, drop('recording/2026-11-21T06-48-40Z_000123', 'retention')),
  ]);
  await vehicle.until(() => vehicle.acked('drops').size === 3, 'the drops');
  expect((await event('event-1')).clip).toMatchObject({ state: 'lost', lost_reason: 'size-limit', sha256 });
  expect((await event('event-2')).clip).toMatchObject({ state: 'lost', lost_reason: 'not-recorded', sha256: '' });
  expect((await event('event-3')).clip).toBeNull();
  const { files } = (await central.get('/api/vehicles/v1/ledger')).body as Ledger;
  expect(files.map(({ name, first, last, reason }) => [name.split('/')[0], first, last, reason])).toEqual([
    ['recording', 0, 9, 'retention'],
    ['clip', 0, 9, 'not-recorded'],
    ['blob', 0, 9, 'size-limit'],
  ]);
  expect(await central.get('/api/events/event-2/clip.wav')).toMatchObject({
    status: 410,
    body: { error: { code: 'clip-lost' } },
  });
  const data = Buffer.from('0123456789');
  const arrived = createHash('sha256').update(data).digest('hex');
  const again = { ...value, eventId: 'event-3', sha256: arrived };
  await vehicle.records('clips', [recordOf(2, { case: 'clip', value: again })]);
  await vehicle.records('drops', [recordOf(4, drop(`blob/${arrived}`, 'disk-full'))]);
  await vehicle.upload(arrived, data);
  await expect.poll(async () => (await event('event-3')).clip?.state, { timeout: 20_000 }).toBe('ready');
  await vehicle.end();
});
