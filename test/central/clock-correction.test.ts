/** Central puts right what a vehicle recorded before it knew the time: stored or still to come, once and for all. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readRecords, readTelemetry } from '../../central/ingest/incoming.ts';
import { type OpenDatabase, openDatabase } from '../../central/storage/database.ts';
import { readEvent, readEvents } from '../../central/storage/event-queries.ts';
import { readVehicle } from '../../central/storage/fleet-queries.ts';
import { SqliteIngestStore } from '../../central/storage/ingest-store.ts';
import { readHistory, readLatest } from '../../central/storage/telemetry-queries.ts';
import { encodeTelemetry } from '../../sync/wire/telemetry.ts';
import type { Record as WireRecord } from '../../sync/wire/wire_pb.js';
import { openCentral, temporaryFolder } from './fixture.ts';
import { baseNs, bootId, encodeBatch, epoch, impactOf, recordOf } from './test-vehicle.ts';

const second = 1_000_000_000n;
const year = 31_557_600n * second;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let database: OpenDatabase;
let store: SqliteIngestStore;

beforeEach(async () => {
  folder = await temporaryFolder();
  await open();
});
afterEach(async () => {
  await database.close();
  await folder.remove();
});

async function open(): Promise<void> {
  database = await openDatabase(folder.path);
  store = new SqliteIngestStore(database.writer);
}

interface Said {
  readonly vehicle?: string;
  readonly stream?: string;
  readonly boot?: string;
  /** UTC − monotonic as the vehicle believed. */
  readonly offsetNs: bigint;
  readonly synchronised: boolean;
  readonly errorNs?: bigint;
}

/** Telemetry of seconds `first` to `last` of a boot; the sequence is the second. */
async function say(first: number, last: number, said: Said): Promise<void> {
  const { vehicle = 'v1', stream = 's', boot = bootId, offsetNs, synchronised, errorNs = null } = said;
  const rows = Array.from({ length: last - first + 1 }, (_, index) => {
    const monotonicNs = BigInt(first + index) * second;
    const stamp = { capturedAtNs: monotonicNs + offsetNs, monotonicNs, bootId: boot, synchronised };
    return { sequence: first + index, stamp: { ...stamp, estimatedErrorNs: errorNs }, values: { x: first + index } };
  });
  const payload = encodeTelemetry({ epoch, stream, nextSequence: last + 1 }, rows);
  await store.commit([readTelemetry(vehicle, payload) as never], 0);
}

async function sayRecords(stream: string, records: readonly WireRecord[], vehicle = 'v1'): Promise<void> {
  const next = Number(records.at(-1)?.sequence ?? 0n) + 1;
  await store.commit([readRecords(vehicle, encodeBatch(stream, records, next)) as never], 0);
}

/** A record of second `sequence` of the boot, stamped by a clock that is not synchronised. */
function unsure(record: WireRecord, offsetNs: bigint): WireRecord {
  record.capturedAtNs = record.monotonicNs + offsetNs;
  record.synchronised = false;
  return record;
}

async function correctAll(): Promise<{ slices: number; records: number }> {
  let slices = 0;
  let records = 0;
  while (store.isCorrectionOwed) {
    records += (await store.correctSlice()).records;
    slices += 1;
  }
  return { slices, records };
}

/** Sequence and stored second of each row, by time. */
async function stored(vehicle = 'v1', stream = 's'): Promise<[number, number][]> {
  const rows = await database.reader
    .selectFrom('telemetry')
    .innerJoin('series', 'series.id', 'series_id')
    .select(['sequence', 'captured_at_ns'])
    .where('vehicle', '=', vehicle)
    .where('stream', '=', stream)
    .orderBy('captured_at_ns')
    .execute();
  return rows.map((row) => [Number(row.sequence), Number((row.captured_at_ns - baseNs) / second)]);
}

const rightSeconds = (first: number, last: number): [number, number][] =>
  Array.from({ length: last - first + 1 }, (_, index) => [first + index, first + index]);

const right = { offsetNs: baseNs, synchronised: true };

describe('a boot that learns the time', () => {
  test.each([
    ['1970', -baseNs],
    ['an hour back', -3600n * second],
    ['an hour ahead', 3600n * second],
    ['ten years back', -10n * year],
    ['ten years ahead', 10n * year],
  ])('after it began %s: telemetry that is here, and that comes later, in its order', async (_, wrongNs) => {
    const wrong = { offsetNs: baseNs + wrongNs, synchronised: false };
    await say(1, 20, wrong);
    await say(41, 60, right);
    await correctAll();
    await say(21, 40, wrong);
    expect(store.isCorrectionOwed).toBe(false);
    expect(await stored()).toEqual(rightSeconds(1, 60));
    const span = { fromNs: baseNs + second, toNs: baseNs + 61n * second };
    const history = await readHistory(database.reader, {
      vehicle: 'v1',
      stream: 's',
      fields: null,
      points: 3,
      ...span,
    });
    expect(history?.fields.x).toMatchObject({ min: [1, 21, 41], max: [20, 40, 60] });
    expect(history?.records).toEqual({ synchronised: 20, corrected: 40, unsynchronised: 0 });
  });

  test('events, their clips, diagnostics and the newest values follow, and keep what the vehicle said', async () => {
    await say(1, 20, { offsetNs: 0n, synchronised: false });
    await sayRecords('events', [unsure(impactOf(5, 'event-1'), 0n), impactOf(45, 'event-2')]);
    const clip = { eventId: 'event-1', sha256: 'ab'.repeat(32), bytes: 9n, startNs: 3n * second, endNs: 8n * second };
    await sayRecords('clips', [
      unsure(recordOf(5, { case: 'clip', value: { $typeName: 'fender.v1.Clip', ...clip } }), 0n),
    ]);
    const diagnostic = { source: 'bme680', level: 'ok', code: 'ok', message: '', cure: '', values: {} };
    const value = { $typeName: 'fender.v1.Diagnostic' as const, ...diagnostic };
    await sayRecords('diagnostics', [unsure(recordOf(6, { case: 'diagnostic', value }), 0n)]);
    await correctAll();
    const at = (s: number) => new Date(Number((baseNs + BigInt(s) * second) / 1_000_000n)).toISOString();
    expect(await readEvent(database.reader, 'event-1')).toMatchObject({
      captured_at: at(5),
      captured_at_ns: String(baseNs + 5n * second),
      clock: 'corrected',
      original_captured_at: '1970-01-01T00:00:05.000Z',
      clip: { start_at: at(3), end_at: at(8) },
    });
    const { diagnostics } = (await readVehicle(database.reader, 'v1')) ?? {};
    expect(diagnostics?.[0]).toMatchObject({ at: at(6), clock: 'corrected', original_at: '1970-01-01T00:00:06.000Z' });
    expect((await readLatest(database.reader, 'v1')).streams[0]).toMatchObject({
      captured_at: at(20),
      captured_at_ns: String(baseNs + 20n * second),
      clock: 'corrected',
      original_captured_at: '1970-01-01T00:00:20.000Z',
    });
    const page = { sort: 'captured_at', order: 'asc', limit: 10, offset: 0 } as const;
    const filtered = await readEvents(database.reader, { ...page, fromNs: baseNs + 4n * second });
    expect(filtered.events.map(({ id, clock }) => [id, clock])).toEqual([
      ['event-1', 'corrected'],
      ['event-2', 'synchronised'],
    ]);
  });

  test('is put right again when a better stamp comes, and not when a worse one does', async () => {
    await say(1, 20, { offsetNs: 0n, synchronised: false });
    await say(41, 50, { offsetNs: baseNs - 300_000_000n, synchronised: true, errorNs: 500_000_000n });
    expect((await correctAll()).records).toBe(20);
    await say(51, 60, { offsetNs: baseNs, synchronised: true, errorNs: 1_000_000n });
    expect((await correctAll()).records).toBe(20);
    await say(61, 70, { offsetNs: baseNs + 200_000_000n, synchronised: true, errorNs: 250_000_000n });
    expect(store.isCorrectionOwed).toBe(false);
    expect((await stored()).slice(0, 20)).toEqual(rightSeconds(1, 20));
    const [row] = await database.reader.selectFrom('telemetry').selectAll().where('sequence', '=', 7n).execute();
    expect(row?.original_captured_at_ns).toBe(7n * second);
  });

  test('in any order of arrival, with repeats and with slices of the correction in between (seeded)', async () => {
    const parts = [
      { first: 1, last: 25, offsetNs: 0n, synchronised: false },
      { first: 26, last: 40, offsetNs: 3n * year, synchronised: false },
      { first: 41, last: 55, ...right },
      { first: 56, last: 70, ...right },
    ];
    const orders = fc.shuffledSubarray([0, 1, 2, 3, 0, 1, 2, 3, -1, -1, -1], { minLength: 11 });
    const sample = fc.sample(orders, { numRuns: 12, seed: 20260103 });
    for (const [run, order] of sample.entries()) {
      const vehicle = `v${run}`;
      for (const index of order) {
        const part = parts[index];
        if (part === undefined) await store.correctSlice();
        else await say(part.first, part.last, { ...part, vehicle });
      }
      await correctAll();
      expect(await stored(vehicle), `seed 20260103, run ${run}: ${order.join(' ')}`).toEqual(rightSeconds(1, 70));
    }
  });

  test('goes on after a stop in the middle, and changes nothing a second time', async () => {
    for (const stream of ['a', 'b', 'c']) await say(1, 1500, { stream, offsetNs: 0n, synchronised: false });
    await say(2001, 2010, { ...right, stream: 'a' });
    const first = await store.correctSlice();
    expect(first.finished).toBe(false);
    expect(first.records).toBeGreaterThan(0);
    await database.close();
    await open();
    expect(store.isCorrectionOwed).toBe(true);
    const { records } = await correctAll();
    expect(records).toBe(4500 - first.records);
    for (const stream of ['a', 'b', 'c'])
      expect((await stored('v1', stream)).slice(0, 1500)).toEqual(rightSeconds(1, 1500));
    await database.close();
    await open();
    expect(store.isCorrectionOwed).toBe(false);
    database.writer.exec("insert into clock_corrections select id, 'telemetry', 0 from boots");
    store = new SqliteIngestStore(database.writer);
    expect((await correctAll()).records).toBe(0);
  });

  test('also when central is stopped before it could, and nobody says anything afterwards', async () => {
    await sayRecords('events', [unsure(impactOf(5, 'event-1'), 0n)]);
    await say(41, 45, right);
    await database.close();
    const central = await openCentral({ dataDir: folder.path });
    const clock = async () => ((await central.get('/api/events/event-1')).body as { clock: string }).clock;
    await expect.poll(clock, { timeout: 20_000 }).toBe('corrected');
    await central.close();
    await open();
    await sayRecords('events', [unsure(impactOf(6, 'event-2'), 10n * year)]);
    expect(await readEvent(database.reader, 'event-2')).toMatchObject({
      clock: 'corrected',
      captured_at_ns: String(baseNs + 6n * second),
    });
  });

  test('even when more records than a slice have one monotonic time', async () => {
    for (let stream = 0; stream < 5; stream += 1) {
      for (let first = 0; first < 1000; first += 500) {
        const rows = Array.from({ length: 500 }, (_, index) => ({
          sequence: first + index + 1,
          stamp: { capturedAtNs: 7n, monotonicNs: 5n * second, bootId, synchronised: false, estimatedErrorNs: null },
          values: { x: 1 },
        }));
        const payload = encodeTelemetry({ epoch, stream: `s${stream}`, nextSequence: first + 501 }, rows);
        await store.commit([readTelemetry('v1', payload) as never], 0);
      }
    }
    await say(10, 10, right);
    expect((await correctAll()).records).toBe(5000);
    expect(await stored('v1', 's3')).toEqual(Array.from({ length: 1000 }, (_, index) => [index + 1, 5]));
  });
});

describe('what stays as it was', () => {
  test('what a vehicle says after it lost its source of time: its clock goes on, and is right', async () => {
    await say(1, 10, right);
    await say(11, 20, { offsetNs: baseNs + 20_000_000n, synchronised: false });
    await say(5, 7, { stream: 'late', offsetNs: baseNs - 20_000_000n, synchronised: false });
    await correctAll();
    const { streams } = await readLatest(database.reader, 'v1');
    expect(streams.map(({ stream, clock, original_captured_at }) => [stream, clock, original_captured_at])).toEqual([
      ['late', 'synchronised', undefined],
      ['s', 'synchronised', undefined],
    ]);
    expect(streams[1]?.captured_at_ns).toBe(String(baseNs + 20n * second + 20_000_000n));
  });

  test('a boot that never learns the time, and one whose id says nothing', async () => {
    await say(1, 5, { offsetNs: 0n, synchronised: false });
    await say(41, 50, { ...right, boot: 'another-boot' });
    const nobody = '00000000-0000-0000-0000-000000000000';
    await say(51, 55, { boot: nobody, offsetNs: 0n, synchronised: false });
    await say(61, 65, { ...right, boot: nobody });
    expect(store.isCorrectionOwed).toBe(false);
    const { streams } = await readLatest(database.reader, 'v1');
    expect(streams[0]?.clock).toBe('synchronised');
    const lost = await database.reader.selectFrom('telemetry').selectAll().where('synchronised', '=', 0n).execute();
    expect(lost.every(({ original_captured_at_ns: original }) => original === null)).toBe(true);
    expect(lost.map(({ captured_at_ns: at }) => Number(at / second))).toEqual([1, 2, 3, 4, 5, 51, 52, 53, 54, 55]);
  });

  test('another vehicle that names the same boot and lies about its time', async () => {
    await say(1, 20, { offsetNs: 0n, synchronised: false });
    await say(1, 20, { vehicle: 'liar', offsetNs: baseNs + 9n * year, synchronised: true, errorNs: 1n });
    expect(store.isCorrectionOwed).toBe(false);
    await say(41, 45, right);
    await correctAll();
    expect((await stored()).slice(0, 20)).toEqual(rightSeconds(1, 20));
    expect(await stored('liar')).toEqual(rightSeconds(1, 20).map(([s]) => [s, s + Number((9n * year) / second)]));
  });

  test('synchronised stamps, also when the clock made a step; the unsynchronised follow the next of them', async () => {
    await say(1, 10, { offsetNs: 0n, synchronised: false });
    await say(11, 20, right);
    await say(21, 30, { offsetNs: baseNs + 3600n * second, synchronised: true });
    await correctAll();
    expect(await stored()).toEqual([
      ...rightSeconds(1, 20),
      ...rightSeconds(21, 30).map(([s]): [number, number] => [s, s + 3600]),
    ]);
  });

  test('stamps at the ends of what 64 bits hold are stored and harm nothing', async () => {
    const far = 2n ** 63n - 8_000_000_000n;
    await say(1, 2, { offsetNs: -far, synchronised: true });
    await say(3, 4, { offsetNs: far, synchronised: false });
    await say(11, 20, right);
    await correctAll();
    expect((await stored()).filter(([sequence]) => sequence === 3 || sequence > 10)).toEqual([
      [3, 3],
      ...rightSeconds(11, 20),
    ]);
  });
});

test('a database of the first version is brought up: its boots are learnt from, its times put right, its losses known', async () => {
  await database.close();
  await folder.remove();
  folder = await temporaryFolder();
  const old = zstdDecompressSync(await readFile(join(import.meta.dirname, 'first-version.sqlite.zst')));
  await writeFile(join(folder.path, 'central.sqlite'), old);
  await open();
  await correctAll();
  const { reader } = database;
  const page = { sort: 'captured_at', order: 'asc', limit: 10, offset: 0 } as const;
  const { events } = await readEvents(reader, page);
  expect(events.map(({ id, clock, captured_at }) => [id, clock, captured_at])).toEqual([
    ['event-3', 'unsynchronised', '1970-01-01T00:00:20.000Z'],
    ['event-1', 'corrected', '2026-01-02T03:04:35.000Z'],
    ['event-2', 'synchronised', '2026-01-02T03:05:25.000Z'],
  ]);
  const kind = { kind: 'impact', ongoing: false, azimuth_deg: null, side: null, pressure_change_pa: null };
  for (const event of events) expect(event).toMatchObject({ ...kind, level: null, detail: '', readings: [] });
  expect(events[1]?.clip).toMatchObject({
    state: 'lost',
    lost_reason: 'disk-full',
    start_at: '2026-01-02T03:04:30.000Z',
    end_at: '2026-01-02T03:04:40.000Z',
  });
  const { streams } = await readLatest(reader, 'truck-1');
  expect(streams.map(({ stream, clock, captured_at }) => [stream, clock, captured_at])).toEqual([
    ['bme680/environment', 'unsynchronised', '1970-01-01T00:00:39.000Z'],
    ['plantower/particulate', 'corrected', '2026-01-02T03:05:04.000Z'],
  ]);
  const span = { fromNs: baseNs, toNs: baseNs + 100n * second, points: 1, fields: null };
  const history = await readHistory(reader, { vehicle: 'truck-1', stream: 'bme680/environment', ...span });
  expect(history?.records).toEqual({ synchronised: 30, corrected: 60, unsynchronised: 0 });
  expect((await readVehicle(reader, 'truck-1'))?.diagnostics[0]).toMatchObject({
    at: '2026-01-02T03:04:38.000Z',
    clock: 'corrected',
  });
});
