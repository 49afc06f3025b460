import { expect, test } from 'vitest';
import { readTelemetry } from '../../central/ingest/incoming.ts';
import { openDatabase } from '../../central/storage/database.ts';
import { SqliteIngestStore } from '../../central/storage/ingest-store.ts';
import { readHistory } from '../../central/storage/telemetry-queries.ts';
import { encodeTelemetry } from '../../sync/wire/telemetry.ts';
import { temporaryFolder } from './fixture.ts';
import { baseNs, epoch, rowsOf } from './test-vehicle.ts';

test('a long history is read in several turns of the event loop and adds up to the same', async () => {
  const folder = await temporaryFolder();
  const database = await openDatabase(folder.path);
  try {
    const store = new SqliteIngestStore(database.writer);
    const total = 24_000;
    for (let first = 1; first <= total; first += 4000) {
      const header = { epoch, stream: 's', nextSequence: first + 4000 };
      await store.commit([readTelemetry('v1', encodeTelemetry(header, rowsOf(first, 4000))) as never], 0);
    }
    let turns = 0;
    let reading = true;
    const count = () => {
      turns++;
      if (reading) setImmediate(count);
    };
    setImmediate(count);
    const second = 1_000_000_000n;
    const question = { vehicle: 'v1', stream: 's', fields: null, points: 2 };
    const span = { fromNs: baseNs + second, toNs: baseNs + BigInt(total + 1) * second };
    const history = await readHistory(database.reader, { ...question, ...span });
    reading = false;
    expect(turns).toBeGreaterThanOrEqual(3);
    const half = total / 2;
    expect(history?.fields.temperature_c).toEqual({
      t: [half / 2 + 0.5, half + half / 2 + 0.5].map((s) => Number(baseNs / 1_000_000n) + s * 1000),
      min: [1, half + 1],
      mean: [half / 2 + 0.5, half + half / 2 + 0.5],
      max: [half, total],
    });
  } finally {
    await database.close();
    await folder.remove();
  }
});
