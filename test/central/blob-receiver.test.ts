import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BlobReceiver, type BlobReport, defaultBlobLimits } from '../../central/ingest/blob-receiver.ts';
import { BlobFolder } from '../../central/storage/blob-folder.ts';
import { SqliteBlobIndex } from '../../central/storage/blob-index.ts';
import { openDatabase } from '../../central/storage/database.ts';
import { temporaryFolder } from './fixture.ts';

const hashOf = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

interface Bench {
  readonly receiver: BlobReceiver;
  readonly reports: BlobReport[];
  readonly refusals: string[];
  readonly folder: BlobFolder;
  /** A new receiver over the same folder, as after a restart. */
  restart(): Promise<Bench>;
}

async function withReceiver(run: (bench: Bench) => Promise<void>, limits = defaultBlobLimits): Promise<void> {
  const temporary = await temporaryFolder();
  const database = await openDatabase(temporary.path);
  const folder = new BlobFolder(temporary.path);
  const receivers: BlobReceiver[] = [];
  const open = (): Bench => {
    const reports: BlobReport[] = [];
    const refusals: string[] = [];
    const receiver = new BlobReceiver(
      {
        index: new SqliteBlobIndex(database.writer),
        folder,
        report: (report) => reports.push(report),
        refused: (_vehicle, reason) => refusals.push(reason),
        failed: (error) => {
          throw error;
        },
      },
      limits,
    );
    receivers.push(receiver);
    const restart = async (): Promise<Bench> => {
      await receiver.close();
      return open();
    };
    return { receiver, reports, refusals, folder, restart };
  };
  try {
    await run(open());
  } finally {
    for (const receiver of receivers) await receiver.close();
    await database.close();
    await temporary.remove();
  }
}

test('chunks late, twice, overlapping and in any order make the same file, across a restart', async () => {
  const chunks = fc.array(fc.tuple(fc.nat(999), fc.integer({ min: 1, max: 300 })), { maxLength: 20 });
  await withReceiver(async (first) => {
    let bench = first;
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1000, maxLength: 1000 }),
        chunks,
        fc.nat(20),
        async (data, some, cutAt) => {
          const sha256 = hashOf(data);
          bench.receiver.offer('v1', sha256, data.byteLength, 'application/x-mcap');
          for (const [index, [offset, length]] of some.entries()) {
            if (index === cutAt) bench = await bench.restart();
            bench.receiver.chunk('v1', sha256, offset, data.subarray(offset, offset + length));
          }
          bench = await bench.restart();
          // The vehicle asks where central stands and goes on from there.
          bench.receiver.offer('v1', sha256, data.byteLength, 'application/x-mcap');
          bench = await restartKeeping(bench);
          const stands = bench.reports.at(-1) as BlobReport;
          if (!stands.complete) {
            bench.receiver.chunk('v1', sha256, stands.committedBytes, data.subarray(stands.committedBytes));
            bench = await restartKeeping(bench);
          }
          expect(bench.reports.at(-1)).toMatchObject({ sha256, complete: true, committedBytes: 1000, error: '' });
          expect(hashOf(await readFile(bench.folder.pathOf(sha256)))).toBe(sha256);
        },
      ),
      { numRuns: 15 },
    );
  });
});

/** A restart after which the reports so far can still be read. */
async function restartKeeping(bench: Bench): Promise<Bench> {
  const next = await bench.restart();
  next.reports.push(...bench.reports);
  return next;
}

test('a file whose hash is another is thrown away and can be sent again', async () => {
  await withReceiver(async (bench) => {
    const data = Buffer.from('the true content');
    const sha256 = hashOf(data);
    bench.receiver.offer('v1', sha256, data.byteLength, '');
    bench.receiver.chunk('v1', sha256, 0, Buffer.from('the fake content'));
    const second = await bench.restart();
    expect(bench.reports.at(-1)).toMatchObject({ committedBytes: 0, complete: false, error: 'hash-mismatch' });
    second.receiver.offer('v1', sha256, data.byteLength, '');
    second.receiver.chunk('v1', sha256, 0, data);
    await second.receiver.close();
    expect(second.reports.at(-1)).toMatchObject({ complete: true });
    expect(await readFile(second.folder.pathOf(sha256), 'utf8')).toBe('the true content');
  });
});

test('what is too large, outside of its file, never offered, or too much at once is refused', async () => {
  const limits = { maxBytes: 100, maxQueuedBytes: 60, maxOpen: 2 };
  await withReceiver(async ({ receiver, reports, refusals }) => {
    receiver.offer('v1', 'a'.repeat(64), 101, '');
    expect(reports.at(-1)).toMatchObject({ error: 'too-large' });
    receiver.offer('v1', 'b'.repeat(64), 100, '');
    receiver.chunk('v1', 'b'.repeat(64), 90, Buffer.alloc(20));
    receiver.chunk('v1', 'b'.repeat(64), 0, Buffer.alloc(50));
    receiver.chunk('v2', 'c'.repeat(64), 0, Buffer.alloc(10));
    await receiver.close();
    expect(refusals).toEqual(['blob-too-large', 'blob-queue-full', 'blob-chunk-outside']);
    expect(reports.find((report) => report.vehicle === 'v2')).toMatchObject({ error: 'not-offered' });
  }, limits);
});

test('offers of any number of files occupy a bounded number of them, and are taken again later', async () => {
  await withReceiver(async ({ receiver, reports, refusals }) => {
    const names = Array.from({ length: 200 }, (_, index) => index.toString(16).padStart(64, '0'));
    for (const name of names) receiver.offer('v1', name, 10, '');
    receiver.offer('v2', names[0] as string, 10, '');
    expect(refusals).toEqual(new Array(184).fill('blob-queue-full'));
    await expect.poll(() => reports.length, { timeout: 20_000 }).toBe(17);
    receiver.offer('v1', names[199] as string, 10, '');
    await expect.poll(() => reports.length, { timeout: 20_000 }).toBe(18);
    expect(reports.every(({ error }) => error === '')).toBe(true);
  });
});

test('two vehicles may have the same file; what one has sent is not taken from the other', async () => {
  await withReceiver(async (bench) => {
    const data = Buffer.from('shared');
    const sha256 = hashOf(data);
    for (const vehicle of ['v1', 'v2']) {
      bench.receiver.offer(vehicle, sha256, data.byteLength, '');
      bench.receiver.chunk(vehicle, sha256, 0, data);
    }
    await bench.receiver.close();
    expect(
      bench.reports
        .filter((report) => report.complete)
        .map((report) => report.vehicle)
        .sort(),
    ).toEqual(['v1', 'v2']);
  });
});
