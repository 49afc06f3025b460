/** The outbox: dense sequences for ever, bounded size, and no loss without a record of it. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Stamp } from '../../drivers/sample.ts';
import { Outbox } from '../../sync/outbox.ts';
import type { OutboxNotice, OutboxOptions } from '../../sync/outbox-types.ts';
import { decodeRecordBody } from '../../sync/wire/records.ts';
import { stampAt, testClock } from './stamps.ts';

let folder: string;
let path: string;
const clock = testClock();
const opened: Outbox[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fender-outbox-'));
  path = join(folder, 'outbox.sqlite');
});

afterEach(async () => {
  for (const outbox of opened.splice(0)) await outbox.close();
  rmSync(folder, { recursive: true, force: true });
});

async function open(options: Partial<OutboxOptions> = {}): Promise<Outbox> {
  const outbox = await Outbox.open(path, { clock, groupCommitMs: 5, ...options });
  opened.push(outbox);
  return outbox;
}

const opaque = (bytes: number, fill = 7) => ({ case: 'opaque', value: new Uint8Array(bytes).fill(fill) }) as const;

interface DeclaredDrop {
  stream: string;
  first: number;
  last: number;
  reason: string;
}

function dropsIn(outbox: Outbox): DeclaredDrop[] {
  const drops: DeclaredDrop[] = [];
  for (let after = 0; ; ) {
    const batch = outbox.read('drops', after, 1000, 1e9);
    if (batch === null) return drops;
    for (const row of batch.rows) {
      const body = decodeRecordBody(row.body);
      if (body.case !== 'drop') throw new Error(`drops holds ${body.case}`);
      const { stream, firstSequence, lastSequence, reason } = body.value;
      drops.push({ stream, first: Number(firstSequence), last: Number(lastSequence), reason });
      after = row.sequence;
    }
  }
}

function sequencesIn(outbox: Outbox, stream: string): number[] {
  const sequences: number[] = [];
  for (;;) {
    const batch = outbox.read(stream, sequences.at(-1) ?? 0, 5000, 1e9);
    if (batch === null) return sequences;
    sequences.push(...batch.rows.map(({ sequence }) => sequence));
  }
}

/** Every sequence from 1 to next − 1 is either held or declared dropped, and none is both. */
function expectAccounted(outbox: Outbox, stream: string): void {
  const { nextSequence = 1 } = outbox.stats().streams.find((state) => state.stream === stream) ?? {};
  const declared = dropsIn(outbox)
    .filter((drop) => drop.stream === stream)
    .flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, index) => first + index));
  const all = [...declared, ...sequencesIn(outbox, stream)].sort((a, b) => a - b);
  expect(all).toEqual(Array.from({ length: nextSequence - 1 }, (_, index) => index + 1));
}

describe('sequences', () => {
  it('are dense for each stream, in the order of the appends', async () => {
    const outbox = await open();
    const appended = await Promise.all([
      ...[1, 2, 3].map(() => outbox.appendRecord('events', 'events', stampAt(0), opaque(10))),
      ...[1, 2].map((ms) => outbox.appendTelemetry('bme680/environment', { stamp: stampAt(ms), values: { x: ms } })),
    ]);
    expect(appended.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 1, 2]);
    expect(appended.every(({ stored }) => stored)).toBe(true);
  });

  it('go on after a restart and are not reused when every row was deleted', async () => {
    const first = await open();
    await Promise.all([1, 2, 3].map(() => first.appendRecord('log', 'telemetry', stampAt(0), opaque(5))));
    await Promise.all([first.acknowledge('log', [{ first: 1, last: 3 }]), first.flush()]);
    expect(sequencesIn(first, 'log')).toEqual([]);
    const { epoch } = first;
    await first.close();
    const second = await open();
    expect(second.epoch).toBe(epoch);
    expect(await second.appendRecord('log', 'telemetry', stampAt(1), opaque(5))).toEqual({ sequence: 4, stored: true });
  });

  it('survive the process: what was resolved is there after a reopening, with its stamp and values', async () => {
    const first = await open();
    const stamp = stampAt(7, { synchronised: false, estimatedErrorNs: null });
    await first.appendTelemetry('uma8/level', { stamp, values: { ch0_dbfs: -31.5, ch1_dbfs: Number.NaN } });
    await first.close();
    const [row] = (await open()).read('uma8/level', 0, 10, 1000)?.rows ?? [];
    expect(row?.stamp).toEqual(stamp);
    expect(row?.fields).toEqual(['ch0_dbfs', 'ch1_dbfs']);
    expect([row?.body.readDoubleLE(0), row?.body.readDoubleLE(8)]).toEqual([-31.5, Number.NaN]);
  });
});

describe('reading', () => {
  it('never mixes boots, clock qualities or field lists in one batch', async () => {
    const outbox = await open();
    const stamps = [
      stampAt(0),
      stampAt(1),
      stampAt(2, { bootId: 'another-boot' }),
      stampAt(3, { bootId: 'another-boot', synchronised: false }),
      stampAt(4, { bootId: 'another-boot', synchronised: false, estimatedErrorNs: null }),
    ];
    for (const stamp of stamps) void outbox.appendTelemetry('s', { stamp, values: { x: 1 } });
    await outbox.appendTelemetry('s', { stamp: stamps[4] ?? stampAt(0), values: { y: 1 } });
    const sizes: number[] = [];
    for (let after = 0; ; ) {
      const batch = outbox.read('s', after, 100, 1e6);
      if (batch === null) break;
      sizes.push(batch.rows.length);
      after = batch.rows.at(-1)?.sequence ?? 0;
    }
    expect(sizes).toEqual([2, 1, 1, 1, 1]);
  });

  it('is bounded in rows and bytes, and a larger single row still goes', async () => {
    const outbox = await open();
    await outbox.appendRecords(
      'log',
      'telemetry',
      [100, 100, 5000, 10].map((bytes) => ({ stamp: stampAt(0), body: opaque(bytes) })),
    );
    expect(outbox.read('log', 0, 2, 1e6)?.rows.length).toBe(2);
    expect(outbox.read('log', 0, 100, 1000)?.rows.length).toBe(2);
    expect(outbox.read('log', 2, 100, 1000)?.rows.length).toBe(1);
  });
});

describe('what never was a row', () => {
  it('is declared dropped durably, a run of it in one record', async () => {
    const outbox = await open();
    const recording = 'recording/2026-11-21T06-48-40Z_000123';
    await outbox.declareDrop(recording, 0, 3, 'retention');
    await outbox.declareDrop(recording, 4, 4, 'retention');
    await outbox.declareDrop('clip/0b8f5a3e-7c1d-4f6e-9a2b-3c4d5e6f7a8b', 0, 0, 'not-recorded');
    await outbox.close();
    expect(dropsIn(await open())).toEqual([
      { stream: recording, first: 0, last: 4, reason: 'retention' },
      { stream: 'clip/0b8f5a3e-7c1d-4f6e-9a2b-3c4d5e6f7a8b', first: 0, last: 0, reason: 'not-recorded' },
    ]);
  });
});

describe('when the room ends', () => {
  it('gives up telemetry before events, the oldest first, and declares each sequence once', async () => {
    const notices: OutboxNotice[] = [];
    const outbox = await open({ maxBytes: 1024 * 1024, onNotice: (notice) => notices.push(notice) });
    for (let round = 0; round < 40; round += 1) {
      for (let row = 0; row < 50; row += 1) {
        void outbox.appendRecord('bulk', 'telemetry', stampAt(round), opaque(1000));
      }
      await outbox.appendRecord('events', 'events', stampAt(round), opaque(200));
    }
    expect(notices.map(({ code }) => code)).toEqual(['size-limit']);
    const { streams, usedBytes } = outbox.stats();
    expect(usedBytes).toBeLessThanOrEqual(1024 * 1024);
    const bulk = streams.find(({ stream }) => stream === 'bulk');
    expect(bulk?.dropped).toBeGreaterThan(500);
    expect(sequencesIn(outbox, 'events')).toHaveLength(40);
    expect(sequencesIn(outbox, 'bulk').at(-1)).toBe(2000);
    expectAccounted(outbox, 'bulk');
    expect(dropsIn(outbox).every(({ reason }) => reason === 'size-limit')).toBe(true);
  });

  it('joins neighbouring drops into one record until someone has read it', async () => {
    const outbox = await open({ maxBytes: 1024 * 1024 });
    const fill = async (rows: number): Promise<void> => {
      for (let row = 0; row < rows; row += 1) void outbox.appendRecord('bulk', 'telemetry', stampAt(0), opaque(2000));
      await outbox.flush();
    };
    for (let round = 0; round < 20; round += 1) await fill(100);
    expect(dropsIn(outbox)).toHaveLength(1);
    for (let round = 0; round < 10; round += 1) await fill(100);
    const drops = dropsIn(outbox);
    expect(drops).toHaveLength(2);
    expect(drops[1]?.first).toBe((drops[0]?.last ?? 0) + 1);
  });

  it('gives up events too when there is nothing else', async () => {
    const outbox = await open({ maxBytes: 1024 * 1024 });
    for (let row = 0; row < 400; row += 1) void outbox.appendRecord('events', 'events', stampAt(row), opaque(5000));
    await outbox.flush();
    expect(outbox.stats().usedBytes).toBeLessThanOrEqual(1024 * 1024);
    expect(sequencesIn(outbox, 'events').at(-1)).toBe(400);
    expectAccounted(outbox, 'events');
  });

  it('gives up files beyond their own limit, the least important first', async () => {
    const outbox = await open({ maxBlobBytes: 2500 });
    const names = ['a', 'b', 'c'].map((letter) => letter.repeat(64));
    for (const [index, sha256] of names.entries()) {
      const file = join(folder, sha256);
      writeFileSync(file, new Uint8Array(1000));
      const priority = index === 1 ? 'recordings' : 'events';
      await outbox.addBlob({ sha256, path: file, bytes: 1000, priority });
    }
    expect(outbox.stats().blobs).toEqual({ count: 2, bytes: 2000, ackedBytes: 0 });
    expect(names.map((sha256) => existsSync(join(folder, sha256)))).toEqual([true, false, true]);
    expect(dropsIn(outbox)).toEqual([{ stream: `blob/${names[1]}`, first: 0, last: 999, reason: 'size-limit' }]);
  });
});

/** A small file system of its own for one process, without being root, where the kernel allows that. */
const canMount = spawnSync('unshare', ['-rm', 'sh', '-c', 'mount -t tmpfs none /mnt']).status === 0;
const missing = canMount ? '' : ' (skipped: `unshare -rm` may not mount here)';

describe.skipIf(!canMount)(`a disk that is really full${missing}`, () => {
  it.each(['14m', '6m'])('stops nothing; events are kept and the rest is declared: %s', (size) => {
    const child = fileURLToPath(new URL('./full-disk-child.ts', import.meta.url));
    const script = `mount -t tmpfs -o size=${size} none "$1" && exec "$2" "$3" "$1"`;
    const args = ['-rm', 'sh', '-c', script, 'sh', folder, process.execPath, child];
    const { status, stdout, stderr } = spawnSync('unshare', args, { encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const report = JSON.parse(stdout) as { events: number; accounted: boolean; dropped: number; notices: string[] };
    expect(report.accounted).toBe(true);
    expect(report.events).toBe(200);
    expect(report.dropped).toBeGreaterThan(0);
    expect(report.notices).toContain('disk-full');
  });
});

describe('records that central refuses', () => {
  it('leave their stream, are kept apart and declared', async () => {
    const outbox = await open();
    for (let row = 0; row < 3; row += 1) void outbox.appendRecord('log', 'telemetry', stampAt(0), opaque(5));
    await outbox.flush();
    await outbox.quarantine('log', [{ sequence: 2, reason: 'no such thing' }]);
    expect(sequencesIn(outbox, 'log')).toEqual([1, 3]);
    expect(outbox.stats().quarantined).toBe(1);
    expect(dropsIn(outbox)).toEqual([{ stream: 'log', first: 2, last: 2, reason: 'quarantined' }]);
    await outbox.quarantine('log', [{ sequence: 2, reason: 'again' }]);
    expect(dropsIn(outbox)).toHaveLength(1);
  });

  it('are of the stream that is named, whatever the sequence', async () => {
    const outbox = await open();
    await outbox.appendRecord('log', 'telemetry', stampAt(0), opaque(5));
    await outbox.appendRecord('metrics', 'telemetry', stampAt(0), opaque(5));
    for (const sequence of [0, 2, 2 ** 40 + 1, 2 ** 53, Number.NaN]) {
      await outbox.quarantine('log', [{ sequence, reason: 'no such thing' }]);
    }
    expect(dropsIn(outbox)).toEqual([]);
    expect(outbox.stats().quarantined).toBe(0);
  });
});

describe('while the disk refuses', () => {
  it('rows wait in memory up to the bound, what is given up beyond it is told and declared', async () => {
    let refuses = false;
    const now = (): Stamp => {
      if (refuses) throw new Error('as a disk that refuses each commit');
      return clock.now();
    };
    const notices: OutboxNotice[] = [];
    const outbox = await open({
      clock: { ...clock, now },
      maxPendingRows: 80,
      onNotice: (notice) => notices.push(notice),
    });
    await outbox.appendRecord('bulk', 'telemetry', stampAt(0), opaque(10));
    refuses = true;
    const appended: Promise<{ stored: boolean }>[] = [];
    for (let row = 0; row < 70; row += 1)
      appended.push(outbox.appendRecord('bulk', 'telemetry', stampAt(0), opaque(10)));
    await outbox.flush();
    expect(notices.map(({ code }) => code)).toEqual(['write-failed']);
    for (let row = 0; row < 50; row += 1)
      appended.push(outbox.appendRecord('events', 'events', stampAt(0), opaque(10)));
    await outbox.flush();
    await outbox.flush();
    expect(notices.map(({ code }) => code)).toEqual(['write-failed', 'memory-full']);
    refuses = false;
    expect(outbox.stats().pendingRows).toBeLessThanOrEqual(80);
    await outbox.flush();
    expect(notices.map(({ code }) => code)).toEqual(['write-failed', 'memory-full', 'ok']);
    const stored = (await Promise.all(appended)).filter((each) => each.stored).length;
    expect(sequencesIn(outbox, 'events')).toHaveLength(50);
    expect(sequencesIn(outbox, 'bulk')).toHaveLength(stored - 50 + 1);
    expectAccounted(outbox, 'bulk');
  });
});

describe('a damaged file', () => {
  it.each([
    ['garbage', (bytes: Buffer) => bytes.fill(0x5a)],
    ['a broken page', (bytes: Buffer) => bytes.fill(0xff, 4096, 4096 + 2048)],
  ])('is set aside and a new epoch begins: %s', async (_, damage) => {
    const first = await open();
    for (let row = 0; row < 500; row += 1) void first.appendRecord('log', 'telemetry', stampAt(0), opaque(100));
    await first.flush();
    const { epoch } = first;
    await first.close();
    writeFileSync(path, damage(readFileSync(path)));
    const notices: OutboxNotice[] = [];
    const second = await open({ onNotice: (notice) => notices.push(notice) });
    expect(second.epoch).not.toBe(epoch);
    expect(second.setAside).not.toBeNull();
    expect(existsSync(second.setAside ?? '')).toBe(true);
    expect(notices.map(({ code }) => code)).toEqual(['corrupt']);
    expect(await second.appendRecord('log', 'telemetry', stampAt(0), opaque(5))).toEqual({ sequence: 1, stored: true });
  });

  it('keeps only the newest three that were set aside', async () => {
    for (let round = 0; round < 5; round += 1) {
      writeFileSync(path, `not a database ${round}`.repeat(400));
      await (await open()).close();
      rmSync(path);
    }
    expect(readdirSync(folder).filter((name) => name.includes('.corrupt-') && !name.endsWith('-wal'))).toHaveLength(3);
  });
});

describe('opening', () => {
  it('refuses a second user of the same file, and says the cure', async () => {
    const outbox = await open();
    await outbox.appendRecord('log', 'telemetry', stampAt(0), opaque(5));
    await expect(Outbox.open(path, { clock })).rejects.toMatchObject({
      code: 'outbox-unusable',
      cure: expect.stringContaining('stop it first'),
    });
  });

  it('refuses wrong names and closed outboxes with typed errors', async () => {
    const outbox = await open();
    await expect(outbox.appendRecord('no good', 'events', stampAt(0), opaque(1))).rejects.toMatchObject({
      code: 'bad-name',
    });
    await expect(outbox.appendTelemetry('s', { stamp: stampAt(0), values: { 'a b': 1 } })).rejects.toMatchObject({
      code: 'bad-name',
    });
    await expect(outbox.appendRecord('log', 'events', stampAt(0), opaque(300_000))).rejects.toMatchObject({
      code: 'limit-exceeded',
    });
    const refused = expect.objectContaining({ code: 'bad-name' });
    const late = { ...stampAt(0), capturedAtNs: 2n ** 63n };
    await expect(outbox.appendRecord('log', 'events', late, opaque(1))).rejects.toEqual(refused);
    const file = { sha256: 'a'.repeat(64), path, priority: 'events' } as const;
    for (const bytes of [Number.NaN, 1.5, -1])
      await expect(outbox.addBlob({ ...file, bytes })).rejects.toEqual(refused);
    void outbox.appendRecord('log', 'events', stampAt(0), opaque(1));
    await expect(outbox.appendTelemetry('log', { stamp: stampAt(0), values: { x: 1 } })).rejects.toEqual(refused);
    await outbox.flush();
    await expect(outbox.appendTelemetry('log', { stamp: stampAt(0), values: { x: 1 } })).rejects.toEqual(refused);
    expect(outbox.stats()).toMatchObject({ fault: null, pendingRows: 0 });
    await outbox.close();
    await expect(outbox.appendRecord('log', 'events', stampAt(0), opaque(1))).rejects.toMatchObject({
      code: 'outbox-closed',
    });
  });
});
