import { afterEach, beforeEach, expect, test } from 'vitest';
import { BlobReceiver } from '../../central/ingest/blob-receiver.ts';
import type { Content } from '../../central/ingest/incoming.ts';
import { Ingest } from '../../central/ingest/ingest.ts';
import { lineLog } from '../../central/log.ts';
import { createMetrics } from '../../central/metrics.ts';
import { BlobFolder } from '../../central/storage/blob-folder.ts';
import { SqliteBlobIndex } from '../../central/storage/blob-index.ts';
import { type OpenDatabase, openDatabase } from '../../central/storage/database.ts';
import { countOnline, readLedger } from '../../central/storage/fleet-queries.ts';
import { SqliteIngestStore } from '../../central/storage/ingest-store.ts';
import { decodeMessage, encodeMessage } from '../../sync/wire/frame.ts';
import { encodeTelemetry } from '../../sync/wire/telemetry.ts';
import { AckSchema, StateSchema } from '../../sync/wire/wire_pb.js';
import { temporaryFolder } from './fixture.ts';
import { epoch, rowsOf } from './test-vehicle.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let database: OpenDatabase;
let ingest: Ingest;
/** What a commit meets before it reaches the database. */
let obstacle: (contents: readonly Content[]) => void | Promise<void>;
let lines: string[];
let acked: [vehicle: string, first: number, last: number][];

beforeEach(async () => {
  folder = await temporaryFolder();
  database = await openDatabase(folder.path);
  obstacle = () => {};
  acked = [];
  lines = [];
  const store = new SqliteIngestStore(database.writer);
  const blobs = new BlobReceiver({
    index: new SqliteBlobIndex(database.writer),
    folder: new BlobFolder(folder.path),
    report: () => {},
    refused: () => {},
    failed: () => {},
  });
  ingest = new Ingest({
    store: {
      markAllOffline: () => store.markAllOffline(),
      get isCorrectionOwed() {
        return store.isCorrectionOwed;
      },
      correctSlice: () => store.correctSlice(),
      async commit(contents, nowMs) {
        await obstacle(contents);
        return await store.commit(contents, nowMs);
      },
    },
    blobs,
    publish(topic, payload) {
      const vehicle = topic.split('/')[2] ?? '';
      for (const { first, last } of decodeMessage(AckSchema, payload).ranges) {
        acked.push([vehicle, Number(first), Number(last)]);
      }
    },
    notice: () => {},
    log: lineLog((line) => lines.push(line)),
    metrics: createMetrics(),
    nowMs: () => 0,
  });
});
afterEach(async () => {
  await ingest.close();
  await database.close();
  await folder.remove();
});

const send = (vehicle: string, first: number, count: number) => {
  const batch = encodeTelemetry({ epoch, stream: 's', nextSequence: first + count }, rowsOf(first, count));
  return ingest.receive(`fender/v1/${vehicle}/telemetry`, batch);
};

class DiskFull extends Error {
  readonly code = 'SQLITE_FULL';
}

test('nothing is acknowledged before its commit has returned', async () => {
  let commit: () => void = () => {};
  const begun = new Promise<void>((resolve) => {
    obstacle = () => {
      resolve();
      return new Promise<void>((release) => {
        commit = release;
      });
    };
  });
  await send('v1', 1, 5);
  await begun;
  await new Promise((resolve) => setImmediate(resolve));
  expect(acked).toEqual([]);
  commit();
  await ingest.close();
  expect(acked).toEqual([['v1', 1, 5]]);
});

test('what a full disk refuses is not acknowledged and comes again; a state, said only once, is not forgotten', async () => {
  obstacle = () => {
    throw new DiskFull('no room');
  };
  await ingest.receive('fender/v1/v1/state', encodeMessage(StateSchema, { online: true }));
  await send('v1', 1, 5);
  await expect.poll(() => ingest.failure, { timeout: 20_000 }).toBe('no room');
  expect(acked).toEqual([]);
  obstacle = () => {};
  await send('v1', 1, 5);
  await ingest.close();
  expect(ingest.failure).toBeNull();
  expect(acked).toEqual([['v1', 1, 5]]);
  expect(await countOnline(database.reader)).toBe(1);
  expect((await readLedger(database.reader, 'v1')).streams).toMatchObject([{ held: [[1, 5]], duplicates: 0 }]);
});

test('a message that the database will not have holds back no other of its group', async () => {
  obstacle = (contents) => {
    if (contents.some(({ vehicle }) => vehicle === 'odd')) throw new Error('not this one');
  };
  await Promise.all([send('v1', 1, 5), send('odd', 1, 5), send('v2', 1, 5)]);
  await ingest.close();
  expect(acked.sort()).toEqual([
    ['v1', 1, 5],
    ['v2', 1, 5],
  ]);
});

test('one transaction takes little more than two thousand records, however much waits', async () => {
  const sizes: number[] = [];
  obstacle = (contents) => {
    sizes.push(contents.reduce((sum, content) => sum + (content.kind === 'telemetry' ? content.rows.length : 0), 0));
  };
  for (let batch = 0; batch < 8; batch++) void send('v1', 1 + batch * 1500, 1500);
  await ingest.close();
  expect(sizes).toEqual([3000, 3000, 3000, 3000]);
});

test('a stranger who knocks under ever new names does not fill the log', () => {
  for (let name = 0; name < 2000; name++) ingest.refused(`${'x'.repeat(1000)}${name}`, 'connect', 'no');
  for (const vehicle of ['v1', 'v2']) ingest.refused(vehicle, 'publish', 'no');
  expect(lines.filter((line) => line.includes('reason=connect'))).toHaveLength(10);
  expect(lines.every((line) => line.length < 200)).toBe(true);
  expect(lines.filter((line) => line.includes('reason=publish'))).toHaveLength(2);
});
