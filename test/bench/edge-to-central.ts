/**
 * How fast a backlog leaves the vehicle: outbox → MQTT → central's commit → ack → delete, both sides durable
 * (`synchronous = FULL`) and deduplicated, in batches of 100 records of 200 bytes.
 */

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../../drivers/sample.ts';
import { Outbox } from '../../sync/outbox.ts';
import { SyncSession } from '../../sync/session.ts';
import { benchClock } from './outbox.ts';

const vehicle = 'bench-vehicle';

export interface EdgeToCentralFigures {
  readonly rows: number;
  /** From the first connection attempt until every row is acknowledged and deleted. */
  readonly rowsPerS: number;
  /** Rows that central holds at the end; equal to `rows`. */
  readonly stored: number;
  readonly duplicates: number;
}

/** Fills an outbox with `rows` records, then measures the time until central has them and the outbox is empty. */
export async function benchEdgeToCentral({ rows = 100_000, batchRows = 100 } = {}): Promise<EdgeToCentralFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'fender-bench-edge-'));
  const child = fork(fileURLToPath(new URL('./central-child.ts', import.meta.url)), [join(folder, 'central')]);
  try {
    const [ports] = (await once(child, 'message')) as [{ mqttPort: number; httpPort: number }];
    const clock = benchClock();
    const outbox = await Outbox.open(join(folder, 'outbox.sqlite'), { clock, groupCommitMs: 20 });
    await fill(outbox, clock, rows);
    const seconds = await drain(outbox, clock, `mqtt://127.0.0.1:${ports.mqttPort}`, batchRows);
    await outbox.close();
    return { rows, rowsPerS: rows / seconds, ...(await readLedger(ports.httpPort)) };
  } finally {
    if (child.connected) child.disconnect();
    await once(child, 'exit');
    rmSync(folder, { recursive: true, force: true });
  }
}

async function fill(outbox: Outbox, clock: Clock, rows: number): Promise<void> {
  const value = new Uint8Array(200).map((_, index) => (index * 37) & 255);
  for (let row = 0; row < rows; row += 1) {
    const appended = outbox.appendRecord('bench', 'telemetry', clock.now(), { case: 'opaque', value });
    if (row === rows - 1) await Promise.all([outbox.flush(), appended]);
  }
}

/** Runs a session until the outbox is empty; seconds. */
async function drain(outbox: Outbox, clock: Clock, url: string, batchRows: number): Promise<number> {
  const state = () => ({ bootId: clock.now().bootId, agentVersion: '0', modelName: '', modelVersion: '' });
  const session = new SyncSession({ outbox, url, vehicle, clock, state, batchRows });
  const stop = new AbortController();
  const startedMs = performance.now();
  const running = session.run(stop.signal);
  while (outbox.waitingStreams().length > 0) await sleep(5);
  const seconds = (performance.now() - startedMs) / 1000;
  stop.abort();
  await running;
  return seconds;
}

/** What central's ledger says of the benchmark's stream. */
async function readLedger(httpPort: number): Promise<{ stored: number; duplicates: number }> {
  const response = await fetch(`http://127.0.0.1:${httpPort}/api/vehicles/${vehicle}/ledger`);
  const ledger = (await response.json()) as {
    streams: { stream: string; held: [number, number][]; duplicates: number }[];
  };
  const entry = ledger.streams.find(({ stream }) => stream === 'bench');
  const stored = entry?.held.reduce((rows, [first, last]) => rows + last - first + 1, 0) ?? 0;
  return { stored, duplicates: entry?.duplicates ?? 0 };
}
