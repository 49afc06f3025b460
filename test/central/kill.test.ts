import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openDatabase } from '../../central/storage/database.ts';
import { readLedger } from '../../central/storage/fleet-queries.ts';
import { type CentralProcess, spawnCentral } from './central-process.ts';
import { temporaryFolder } from './fixture.ts';
import { rowsOf, TestVehicle } from './test-vehicle.ts';

const seed = Number(process.env.FENDER_SEED ?? 20_260_102);
const stream = 'bme680/environment';

async function connectTo(central: CentralProcess): Promise<TestVehicle> {
  return await TestVehicle.connect('v1', `mqtt://127.0.0.1:${central.mqttPort}`);
}

test(`kill -9 during ingest loses nothing acknowledged and stores nothing twice (FENDER_SEED=${seed})`, async () => {
  const folder = await temporaryFolder();
  /** How many rows must have been acknowledged before each kill. */
  const random = fc.sample(fc.integer({ min: 1, max: 1000 }), { seed, numRuns: 4 });
  const acked = new Set<number>();
  const total = 6000;
  let next = 1;
  try {
    for (const killAfter of [...random, null]) {
      const central = await spawnCentral(folder.path);
      const vehicle = await connectTo(central);
      const done = { sending: true, sent: false };
      // Everything not acknowledged is sent again, as the vehicle's outbox does; some of it twice.
      const pending = Array.from({ length: next - 1 }, (_, index) => index + 1).filter((at) => !acked.has(at));
      const sending = (async () => {
        for (const sequence of pending) {
          if (done.sending) await vehicle.telemetry(stream, rowsOf(sequence, 1), next).catch(() => {});
        }
        while (done.sending && next <= total) {
          const batch = rowsOf(next, 50);
          next += 50;
          await vehicle.telemetry(stream, batch).catch(() => {});
        }
        done.sent = true;
      })();
      if (killAfter === null) {
        await sending;
        await vehicle.until(() => new Set([...acked, ...vehicle.acked(stream)]).size >= next - 1, 'all acks');
      } else await vehicle.until(() => done.sent || vehicle.acked(stream).size >= killAfter, `${killAfter} acks`);
      await central.kill(killAfter === null ? 'SIGTERM' : 'SIGKILL');
      done.sending = false;
      vehicle.client.end(true);
      await sending;
      for (const sequence of vehicle.acked(stream)) acked.add(sequence);
      await expectStored(folder.path, acked);
    }
    expect(acked.size).toBe(next - 1);
  } finally {
    await folder.remove();
  }
}, 120_000);

/** Every acknowledged row is there, every row once, and the ledger says what the table says. */
async function expectStored(path: string, acked: ReadonlySet<number>): Promise<void> {
  const database = await openDatabase(path);
  try {
    const rows = await database.reader.selectFrom('telemetry').select(['sequence', 'v0']).orderBy('sequence').execute();
    const sequences = rows.map((row) => Number(row.sequence));
    expect(new Set(sequences).size).toBe(sequences.length);
    expect(rows.every((row) => row.v0 === Number(row.sequence))).toBe(true);
    const stored = new Set(sequences);
    expect([...acked].filter((sequence) => !stored.has(sequence))).toEqual([]);
    const ledger = await readLedger(database.reader, 'v1');
    const held = ledger.streams
      .flatMap(({ held }) => held)
      .flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, at) => first + at));
    expect(held).toEqual(sequences);
  } finally {
    await database.close();
  }
}

test('a half-received file survives kill -9 and is finished from where it stopped', async () => {
  const folder = await temporaryFolder();
  const data = Buffer.from(
    fc.sample(fc.uint8Array({ minLength: 300_000, maxLength: 300_000 }), { seed, numRuns: 1 })[0] as Uint8Array,
  );
  const sha256 = createHash('sha256').update(data).digest('hex');
  const half = 131_072;
  try {
    const first = await spawnCentral(folder.path);
    const before = await connectTo(first);
    await before.offer(sha256, data.byteLength);
    for (let at = 0; at < half; at += 32_768) await before.chunk(sha256, at, data.subarray(at, at + 32_768));
    await before.until(() => before.statuses.some((status) => Number(status.committedBytes) === half), 'the half');
    await first.kill('SIGKILL');
    before.client.end(true);

    const second = await spawnCentral(folder.path);
    const after = await connectTo(second);
    await after.offer(sha256, data.byteLength);
    await after.until(() => after.statuses.length > 0, 'a status');
    expect(after.statuses[0]).toMatchObject({ committedBytes: BigInt(half), complete: false, error: '' });
    for (let at = half; at < data.byteLength; at += 65_536)
      await after.chunk(sha256, at, data.subarray(at, at + 65_536));
    await after.until(() => after.statuses.some((status) => status.complete), 'completion');
    after.client.end(true);
    expect(await second.kill('SIGTERM')).toBe(0);
  } finally {
    await folder.remove();
  }
}, 60_000);

test('a second central on the same data directory is refused, and a signal stops the first with exit code 0', async () => {
  const folder = await temporaryFolder();
  try {
    const first = await spawnCentral(folder.path);
    await expect(spawnCentral(folder.path)).rejects.toThrow(
      /expected it to be free, found it locked by another central/,
    );
    expect(await first.kill('SIGTERM')).toBe(0); // 1 if it took longer than it may
    expect(first.log()).toMatch(/central info ready http=http:\/\/127\.0\.0\.1:\d+ mqtt=mqtt:\/\/127\.0\.0\.1:\d+/);
  } finally {
    await folder.remove();
  }
}, 60_000);
