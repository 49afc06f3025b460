import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readRecords, readTelemetry } from '../../central/ingest/incoming.ts';
import { type OpenDatabase, openDatabase } from '../../central/storage/database.ts';
import { readEvents } from '../../central/storage/event-queries.ts';
import { readLedger } from '../../central/storage/fleet-queries.ts';
import { type CommittedBatch, SqliteIngestStore } from '../../central/storage/ingest-store.ts';
import { readHistory } from '../../central/storage/telemetry-queries.ts';
import { encodeTelemetry } from '../../sync/wire/telemetry.ts';
import { temporaryFolder } from './fixture.ts';
import { encodeBatch, epoch, impactOf, recordOf, rowOf } from './test-vehicle.ts';

const total = 40;

/** Everything a vehicle will ever say, cut into pieces that may overlap, come twice, and come in any order. */
const deliveries = fc
  .array(
    fc.record({
      stream: fc.constantFrom('bme680/environment', 'events', 'diagnostics'),
      first: fc.integer({ min: 1, max: total }),
      count: fc.integer({ min: 1, max: 15 }),
    }),
    { maxLength: 25 },
  )
  .chain((some) => {
    const whole = ['bme680/environment', 'events', 'diagnostics'].map((stream) => ({ stream, first: 1, count: total }));
    return fc.shuffledSubarray([...some, ...whole], { minLength: some.length + 3 });
  });

function toContent({ stream, first, count }: { stream: string; first: number; count: number }) {
  const sequences = Array.from({ length: Math.min(count, total + 1 - first) }, (_, index) => first + index);
  if (stream === 'bme680/environment') {
    const rows = sequences.map((sequence) => rowOf(sequence, { temperature_c: sequence, humidity_ratio: 0.5 }));
    return readTelemetry('v1', encodeTelemetry({ epoch, stream, nextSequence: total + 1 }, rows));
  }
  const records = sequences.map((sequence) =>
    stream === 'events'
      ? impactOf(sequence, `event-${sequence}`)
      : recordOf(sequence, { case: 'opaque', value: new Uint8Array([sequence]) }),
  );
  return readRecords('v1', encodeBatch(stream, records, total + 1));
}

async function contentOf(database: OpenDatabase): Promise<unknown> {
  const { reader } = database;
  const sorted = <Row>(rows: Row[]) => rows.map((row) => JSON.stringify(row, (_, value) => String(value))).sort();
  return {
    telemetry: sorted(
      await reader.selectFrom('telemetry').select(['captured_at_ns', 'sequence', 'v0', 'v1']).execute(),
    ),
    events: sorted(
      await reader.selectFrom('events').select(['event_id', 'sequence', 'score', 'captured_at_ns']).execute(),
    ),
    records: sorted(await reader.selectFrom('records').select(['sequence', 'kind']).execute()),
    latest: sorted(await reader.selectFrom('series').select(['stream', 'latest_sequence', 'latest_values']).execute()),
  };
}

async function deliver(parts: readonly { stream: string; first: number; count: number }[], groupSize: number) {
  const folder = await temporaryFolder();
  const database = await openDatabase(folder.path);
  try {
    const store = new SqliteIngestStore(database.writer);
    const batches: CommittedBatch[] = [];
    for (let start = 0; start < parts.length; start += groupSize) {
      const contents = parts
        .slice(start, start + groupSize)
        .map(toContent)
        .filter((content) => content.kind !== 'malformed');
      batches.push(...(await store.commit(contents, 0)).batches);
    }
    return { content: await contentOf(database), ledger: await readLedger(database.reader, 'v1'), batches };
  } finally {
    await database.close();
    await folder.remove();
  }
}

test('any order, repetition and cutting of batches stores the same content and the same ledger', async () => {
  const whole = ['bme680/environment', 'diagnostics', 'events'].map((stream) => ({ stream, first: 1, count: total }));
  const expected = await deliver(whole, 10);
  expect(expected.ledger.streams.map(({ held, missing }) => ({ held, missing }))).toEqual(
    whole.map(() => ({ held: [[1, total]], missing: [] })),
  );
  await fc.assert(
    fc.asyncProperty(deliveries, fc.integer({ min: 1, max: 6 }), async (parts, groupSize) => {
      const found = await deliver(parts, groupSize);
      expect(found.content).toEqual(expected.content);
      const withoutCounts = ({ streams }: typeof found.ledger) => streams.map(({ duplicates: _, ...rest }) => rest);
      expect(withoutCounts(found.ledger)).toEqual(withoutCounts(expected.ledger));
      // Whatever came is acknowledged, and what was not stored was counted as a duplicate.
      const sent = parts.reduce((sum, { first, count }) => sum + Math.min(count, total + 1 - first), 0);
      const stored = found.batches.reduce((sum, batch) => sum + batch.stored, 0);
      const duplicates = found.ledger.streams.reduce((sum, stream) => sum + stream.duplicates, 0);
      expect(stored).toBe(3 * total);
      expect(duplicates).toBe(sent - stored);
    }),
    { numRuns: 25 },
  );
});

test('the ledger tells what is missing and what was declared dropped', async () => {
  const folder = await temporaryFolder();
  const database = await openDatabase(folder.path);
  try {
    const store = new SqliteIngestStore(database.writer);
    const stream = 'bme680/environment';
    const first = readTelemetry('v1', encodeTelemetry({ epoch, stream, nextSequence: 31 }, [rowOf(1), rowOf(2)]));
    const later = readTelemetry('v1', encodeTelemetry({ epoch, stream, nextSequence: 31 }, [rowOf(20)]));
    const drop = recordOf(1, {
      case: 'drop',
      value: { $typeName: 'fender.v1.Drop', stream, firstSequence: 2n, lastSequence: 9n, reason: 'disk-full' },
    });
    const drops = readRecords('v1', encodeBatch('drops', [drop], 2));
    await store.commit([later, drops, first] as never, 0);
    const ledger = (await readLedger(database.reader, 'v1')).streams.find((one) => one.stream === stream);
    expect(ledger).toMatchObject({
      next_sequence: 31,
      held: [
        [1, 2],
        [20, 20],
      ],
      missing: [
        [10, 19],
        [21, 30],
      ],
      dropped: [{ first: 3, last: 9, reason: 'disk-full' }],
      duplicates: 0,
    });
  } finally {
    await database.close();
    await folder.remove();
  }
});

test('an event said again under another sequence shows once, is told once, and the ledger holds both sequences', async () => {
  const folder = await temporaryFolder();
  const database = await openDatabase(folder.path);
  try {
    const store = new SqliteIngestStore(database.writer);
    const first = readRecords('v1', encodeBatch('events', [impactOf(1, 'event-1')], 2));
    const again = readRecords('v1', encodeBatch('events', [impactOf(2, 'event-1'), impactOf(3, 'event-3')], 4));
    const results = [];
    for (const content of [first, again, again]) results.push(await store.commit([content as never], 0));
    expect(results.flatMap(({ batches }) => batches.map(({ held }) => held))).toEqual([[[1, 1]], [[2, 3]], [[2, 3]]]);
    expect(results.flatMap(({ notices }) => notices)).toEqual([
      { kind: 'impact', vehicle: 'v1', eventId: 'event-1' },
      { kind: 'impact', vehicle: 'v1', eventId: 'event-3' },
    ]);
    const { total, events } = await readEvents(database.reader, {
      sort: 'captured_at',
      order: 'asc',
      limit: 10,
      offset: 0,
    });
    expect([total, ...events.map(({ id }) => id)]).toEqual([2, 'event-1', 'event-3']);
    expect((await readLedger(database.reader, 'v1')).streams).toMatchObject([
      { stream: 'events', held: [[1, 3]], missing: [], duplicates: 2 },
    ]);
  } finally {
    await database.close();
    await folder.remove();
  }
});

test('a file that the vehicle had to give up is a record like any other, and no stream of the ledger', async () => {
  const folder = await temporaryFolder();
  const database = await openDatabase(folder.path);
  try {
    const store = new SqliteIngestStore(database.writer);
    const stream = `blob/${'a'.repeat(64)}`;
    const drop = recordOf(1, {
      case: 'drop',
      value: { $typeName: 'fender.v1.Drop', stream, firstSequence: 0n, lastSequence: 99n, reason: 'file-missing' },
    });
    const content = readRecords('v1', encodeBatch('drops', [drop], 2));
    const { batches } = await store.commit([content as never], 0);
    expect(batches).toMatchObject([{ held: [[1, 1]], rejected: [], stored: 1 }]);
    const { streams } = await readLedger(database.reader, 'v1');
    expect(streams).toMatchObject([{ stream: 'drops', held: [[1, 1]], missing: [] }]);
    const kept = await database.reader.selectFrom('records').select('kind').execute();
    expect(kept).toEqual([{ kind: 'drop' }]);
  } finally {
    await database.close();
    await folder.remove();
  }
});

test('a stream with more fields than a row has columns keeps them all', async () => {
  const folder = await temporaryFolder();
  const database = await openDatabase(folder.path);
  try {
    const store = new SqliteIngestStore(database.writer);
    const values = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`field${index}_x`, index + 0.5]));
    const payload = encodeTelemetry({ epoch, stream: 'wide', nextSequence: 2 }, [rowOf(1, values)]);
    await store.commit([readTelemetry('v1', payload) as never], 0);
    const { stamp } = rowOf(1);
    const question = { vehicle: 'v1', stream: 'wide', fields: null, points: 10 };
    const history = await readHistory(database.reader, {
      ...question,
      fromNs: stamp.capturedAtNs,
      toNs: stamp.capturedAtNs + 1n,
    });
    expect(
      Object.fromEntries(Object.entries(history?.fields ?? {}).map(([name, { mean }]) => [name, mean[0]])),
    ).toEqual(values);
  } finally {
    await database.close();
    await folder.remove();
  }
});
