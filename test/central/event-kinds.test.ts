/** Events of every kind, from the wire to the API: what they say, what becomes known later, and what is refused. */
import { create } from '@bufbuild/protobuf';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Event } from '../../central/api/schemas.ts';
import { eventSchema } from '../../central/api/schemas.ts';
import { readRecords } from '../../central/ingest/incoming.ts';
import { type OpenDatabase, openDatabase } from '../../central/storage/database.ts';
import { readEvent, readEvents } from '../../central/storage/event-queries.ts';
import { SqliteIngestStore } from '../../central/storage/ingest-store.ts';
import { EventUpdateSchema, ImpactSchema, type Record as WireRecord } from '../../sync/wire/wire_pb.js';
import { temporaryFolder } from './fixture.ts';
import { encodeBatch, impactOf, recordOf } from './test-vehicle.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let database: OpenDatabase;
let store: SqliteIngestStore;

beforeEach(async () => {
  folder = await temporaryFolder();
  database = await openDatabase(folder.path);
  store = new SqliteIngestStore(database.writer);
});
afterEach(async () => {
  await database.close();
  await folder.remove();
});

function event(sequence: number, eventId: string, said: Record<string, unknown>): WireRecord {
  const value = create(ImpactSchema, { eventId, label: 'body_impact', score: 1, durationS: 0, ...said });
  return recordOf(sequence, { case: 'impact', value });
}

function update(sequence: number, eventId: string, said: Record<string, unknown>): WireRecord {
  return recordOf(sequence, { case: 'eventUpdate', value: create(EventUpdateSchema, { eventId, ...said }) });
}

/** Commits the records as one batch of `vehicle`; returns what was refused. */
async function say(records: readonly WireRecord[], vehicle = 'v1'): Promise<string[]> {
  const next = Number(records.at(-1)?.sequence) + 1;
  const content = readRecords(vehicle, encodeBatch('events', records, next));
  if (content.kind !== 'records') throw new Error('expected records');
  const { batches } = await store.commit([content], 0);
  return batches.flatMap(({ rejected }) => rejected.map(({ reason }) => reason));
}

async function read(id: string): Promise<Event> {
  return eventSchema.strict().parse(await readEvent(database.reader, id));
}

const smoke = {
  kind: 'air',
  label: 'smoke',
  level: 'raised',
  detail: 'PM2.5 rose to 60 µg/m³ from 8',
  ongoing: true,
  readings: [
    { name: 'pm2_5_ugm3', value: 60, baseline: 8 },
    { name: 'pm10_ugm3', value: 70 },
  ],
};

test('a direction and a change of pressure come through, and are null where there was no telling', async () => {
  const direction = { azimuthDeg: 30, azimuthConfidence: 0.8, side: 'front' };
  await say([event(1, 'e1', { kind: 'impact', ...direction, pressureChangePa: -12.5 }), impactOf(2, 'e2')]);
  expect(await read('e1')).toMatchObject({
    kind: 'impact',
    azimuth_deg: 30,
    azimuth_confidence: 0.8,
    side: 'front',
    pressure_change_pa: -12.5,
  });
  const none = { azimuth_deg: null, azimuth_confidence: null, side: null, pressure_change_pa: null };
  expect(await read('e2')).toMatchObject({ kind: 'impact', ...none, level: null, detail: '', readings: [] });
});

test('a vehicle that knows no kinds has them by the label', async () => {
  await say([impactOf(1, 'e1'), impactOf(2, 'e2', 'snapshot', 1)]);
  expect([(await read('e1')).kind, (await read('e2')).kind]).toEqual(['impact', 'snapshot']);
});

test('events are found by their kind', async () => {
  await say([impactOf(1, 'e1'), event(2, 'e2', smoke), event(3, 'e3', { kind: 'drift', label: 'model_drift' })]);
  const page = { sort: 'captured_at', order: 'asc', limit: 10, offset: 0 } as const;
  for (const [kind, id] of [
    ['impact', 'e1'],
    ['air', 'e2'],
    ['drift', 'e3'],
  ] as const) {
    const found = await readEvents(database.reader, { ...page, kind });
    expect([found.total, ...found.events.map((one) => one.id)]).toEqual([1, id]);
  }
});

test('an event of the air has its level and values, and ends by an update', async () => {
  await say([event(1, 'e1', smoke)]);
  expect(await read('e1')).toMatchObject({
    kind: 'air',
    level: 'raised',
    ongoing: true,
    duration_s: 0,
    readings: [
      { name: 'pm2_5_ugm3', value: 60, baseline: 8 },
      { name: 'pm10_ugm3', value: 70, baseline: null },
    ],
  });
  const readings = [{ name: 'pm2_5_ugm3', value: 300, baseline: 8 }];
  await say([update(2, 'e1', { level: 'very_high', readings, ongoing: true, durationS: 30 })]);
  await say([update(3, 'e1', { level: 'very_high', readings, ongoing: false, durationS: 95_000 })]);
  expect(await read('e1')).toMatchObject({
    level: 'very_high',
    ongoing: false,
    duration_s: 95_000,
    detail: smoke.detail,
    readings,
  });
});

test('updates count by their place in the stream, whatever order they arrive in, also before their event', async () => {
  await say([update(3, 'e1', { pressureChangePa: 9 })]);
  expect(await readEvent(database.reader, 'e1')).toBeNull();
  await say([event(1, 'e1', { kind: 'impact' })]);
  await say([update(2, 'e1', { pressureChangePa: 4 })]);
  expect((await read('e1')).pressure_change_pa).toBe(9);
});

test('a vehicle cannot change the events of another', async () => {
  await say([event(1, 'e1', smoke)]);
  expect(await say([update(1, 'e1', { level: 'high' })], 'v2')).toEqual([]);
  expect((await read('e1')).level).toBe('raised');
});

test('what makes no sense is refused with what was expected, and harms no record beside it', async () => {
  const odd = [
    event(1, 'e1', { kind: 'flood' }),
    event(2, 'e2', { azimuthDeg: -180 }),
    event(3, 'e3', { azimuthDeg: Number.NaN }),
    event(4, 'e4', { azimuthConfidence: 1.5 }),
    event(5, 'e5', { side: 'below' }),
    event(6, 'e6', { pressureChangePa: Number.POSITIVE_INFINITY }),
    event(7, 'e7', { level: 'awful' }),
    event(8, 'e8', { readings: [{ name: 'PM 2.5', value: 1 }] }),
    event(9, 'e9', { readings: Array.from({ length: 33 }, () => ({ name: 'pm1_ugm3', value: 1 })) }),
    update(10, 'e1', { durationS: -1 }),
    update(11, '', {}),
  ];
  const reasons = await say([...odd, event(12, 'fine', {})]);
  expect(reasons).toEqual([
    'kind: expected impact, snapshot, air or drift, found "flood"',
    'azimuth_deg: expected more than −180, at most 180, found -180',
    'azimuth_deg: expected more than −180, at most 180, found NaN',
    'azimuth_confidence: expected 0 to 1, found 1.5',
    'side: expected front, left, rear or right, found "below"',
    'pressure_change_pa: expected a number, found Infinity',
    'level: expected raised, high or very_high, found "awful"',
    'readings: expected field names and numbers, found "PM 2.5" 1',
    'readings: expected at most 32, found 33',
    'duration_s: expected 0 to 31536000, found -1',
    'event_id: expected a UUID, found ""',
  ]);
  expect((await read('fine')).kind).toBe('impact');
});
