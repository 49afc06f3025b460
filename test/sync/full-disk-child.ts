/** Fills the small file system it is given until the outbox has no room, frees it again, and reports what became of all. */

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Outbox } from '../../sync/outbox.ts';
import { decodeRecordBody } from '../../sync/wire/records.ts';
import { stampAt, testClock } from './stamps.ts';

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: full-disk-child.ts FOLDER');
const notices: string[] = [];
const outbox = await Outbox.open(join(folder, 'outbox.sqlite'), {
  clock: testClock(),
  groupCommitMs: 1,
  maxBytes: 64 * 1024 * 1024,
  maxPendingRows: 400,
  onNotice: ({ code }) => notices.push(code),
});
const body = { case: 'opaque', value: new Uint8Array(1000).fill(9) } as const;
const ballast = join(folder, 'ballast');
for (let round = 0; round < 200; round += 1) {
  for (let row = 0; row < 20; row += 1) void outbox.appendRecord('bulk', 'telemetry', stampAt(round), body);
  void outbox.appendRecord('events', 'events', stampAt(round), { case: 'opaque', value: new Uint8Array(50) });
  if (round === 100) fillUp();
  await outbox.flush();
}
rmSync(ballast);
const endMs = performance.now() + 10_000;
while ((outbox.stats().pendingRows > 0 || outbox.stats().fault !== null) && performance.now() < endMs) await sleep(50);

const seen = new Map<string, Set<number>>();
for (const stream of ['bulk', 'events', 'drops']) {
  for (let after = 0; ; ) {
    const batch = outbox.read(stream, after, 1000, 1e9);
    if (batch === null) break;
    for (const row of batch.rows) {
      after = row.sequence;
      add(stream, row.sequence);
      const drop = stream === 'drops' ? decodeRecordBody(row.body) : null;
      if (drop?.case !== 'drop') continue;
      for (let at = drop.value.firstSequence; at <= drop.value.lastSequence; at += 1n)
        add(drop.value.stream, Number(at));
    }
  }
}
const { streams } = outbox.stats();
const accounted = streams.every(({ stream, nextSequence }) => (seen.get(stream)?.size ?? 0) === nextSequence - 1);
const depth = (name: string): number => streams.find(({ stream }) => stream === name)?.depth ?? 0;
const dropped = streams.find(({ stream }) => stream === 'bulk')?.dropped ?? 0;
const total = streams.find(({ stream }) => stream === 'bulk')?.nextSequence;
process.stdout.write(
  JSON.stringify({ events: depth('events'), bulk: depth('bulk'), total, dropped, accounted, notices }),
);
await outbox.close();

function add(stream: string, sequence: number): void {
  const sequences = seen.get(stream) ?? new Set();
  if (sequences.has(sequence)) throw new Error(`${stream} ${sequence} twice`);
  seen.set(stream, sequences.add(sequence));
}

/** Takes every free block, as another program's log might. */
function fillUp(): void {
  for (let bytes = 4 * 1024 * 1024; bytes >= 512; bytes /= 2) {
    for (let tries = 0; tries < 4; tries += 1) {
      try {
        writeFileSync(ballast, new Uint8Array(bytes), { flag: 'a' });
      } catch {
        // No room for this much: what fitted stays, and the next size is tried.
      }
    }
  }
}
