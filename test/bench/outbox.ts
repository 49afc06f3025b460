/** How fast the outbox takes records durably: commits of 100 records of 200 bytes, `synchronous = FULL`. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock, Stamp } from '../../drivers/sample.ts';
import { Outbox } from '../../sync/outbox.ts';

export interface OutboxFigures {
  readonly rows: number;
  readonly rowsPerS: number;
  /** Commits made: one fsync each. */
  readonly commits: number;
}

/** Appends `rows` records of 200 bytes, `batchRows` a commit, to a new outbox in the folder for temporary files. */
export async function benchOutbox({ rows = 300_000, batchRows = 100 } = {}): Promise<OutboxFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'fender-bench-outbox-'));
  try {
    const clock = benchClock();
    const outbox = await Outbox.open(join(folder, 'outbox.sqlite'), { clock, groupCommitRows: batchRows });
    const bytes = new Uint8Array(200).map((_, index) => (index * 37) & 255);
    const startedMs = performance.now();
    let last: Promise<unknown> = Promise.resolve();
    for (let row = 0; row < rows; row += 1) {
      last = outbox.appendRecord('bench', 'telemetry', clock.now(), { case: 'opaque', value: bytes });
      if (row % 10_000 === 0) await last;
    }
    await outbox.flush();
    await last;
    const seconds = (performance.now() - startedMs) / 1000;
    const { commits } = outbox.stats();
    await outbox.close();
    return { rows, rowsPerS: rows / seconds, commits };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A clock that says itself synchronised, for benchmarks. */
export function benchClock(): Clock {
  const offsetNs = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();
  const at = (monotonicNs: bigint): Stamp => ({
    capturedAtNs: offsetNs + monotonicNs,
    monotonicNs,
    bootId: '0b5c0f5e-6f0a-4c59-9d7e-3f6c8f1e2a10',
    synchronised: true,
    estimatedErrorNs: 1_000_000n,
  });
  return { now: () => at(process.hrtime.bigint()), monotonicNs: () => process.hrtime.bigint(), at };
}
