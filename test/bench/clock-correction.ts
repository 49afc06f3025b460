/**
 * How fast central puts right what a vehicle recorded before it knew the time: rows stored unsynchronised, then one
 * synchronised stamp, then the time until the last row has its right time; each slice durable.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TelemetryContent } from '../../central/ingest/incoming.ts';
import { openDatabase } from '../../central/storage/database.ts';
import { SqliteIngestStore } from '../../central/storage/ingest-store.ts';

export interface ClockCorrectionFigures {
  readonly rows: number;
  readonly seconds: number;
  /** The longest transaction: as long an acknowledgement may wait for it. */
  readonly longestSliceMs: number;
}

const secondNs = 1_000_000_000n;
const streams = ['bme680/environment', 'plantower/particulate', 'uma8/level', 'health/process'];
const batchRows = 500;

function batchOf(
  stream: string,
  first: number,
  rows: number,
  offsetNs: bigint,
  synchronised: boolean,
): TelemetryContent {
  return {
    kind: 'telemetry',
    vehicle: 'bench',
    epoch: 'bench',
    stream,
    nextSequence: first + rows,
    rows: Array.from({ length: rows }, (_, index) => {
      const monotonicNs = BigInt(first + index) * secondNs;
      const stamp = { capturedAtNs: monotonicNs + offsetNs, monotonicNs, bootId: 'bench-boot', synchronised };
      return {
        sequence: first + index,
        stamp: { ...stamp, estimatedErrorNs: null },
        values: { a: index, b: 2, c: 3, d: 4, e: 5, f: 6, g: 7, h: 8 },
      };
    }),
  };
}

/** `rows` rows of 8 values over four streams of 1 Hz: 14 400 are an hour. */
export async function benchClockCorrection(rows: number): Promise<ClockCorrectionFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'fender-bench-clock-'));
  const database = await openDatabase(folder);
  try {
    const store = new SqliteIngestStore(database.writer);
    const perStream = rows / streams.length;
    for (let first = 1; first <= perStream; first += batchRows) {
      const count = Math.min(batchRows, perStream - first + 1);
      await store.commit(
        streams.map((stream) => batchOf(stream, first, count, 0n, false)),
        0,
      );
    }
    await store.commit([batchOf('bme680/environment', perStream + 1, 1, 1_767_323_045n * secondNs, true)], 0);
    let longestSliceMs = 0;
    let corrected = 0;
    const startedMs = performance.now();
    while (store.isCorrectionOwed) {
      const sliceMs = performance.now();
      corrected += (await store.correctSlice()).records;
      longestSliceMs = Math.max(longestSliceMs, performance.now() - sliceMs);
    }
    if (corrected !== perStream * streams.length)
      throw new Error(`expected ${rows} rows put right, found ${corrected}`);
    return { rows, seconds: (performance.now() - startedMs) / 1000, longestSliceMs };
  } finally {
    await database.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
