import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockDataFolder } from '../../agent/data-lock.ts';
import { retain } from '../../agent/retention.ts';
import type { Diagnostic } from '../../drivers/sample.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fender-data-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('the data folder', () => {
  it('is one agent’s at a time, and free again when that agent is done or gone', async () => {
    const release = await lockDataFolder(folder);
    await expect(lockDataFolder(folder)).rejects.toMatchObject({ code: 'locked' });
    await release();
    expect(await readdir(folder)).toEqual([]);
    // A process of this id that started at another time is another process.
    await writeFile(join(folder, 'agent.lock'), `${process.pid} 1\n`);
    const again = await lockDataFolder(folder);
    await again();
  });

  it('is one agent’s when several start at the same moment, also over the lock of one that is gone', async () => {
    for (let round = 0; round < 150; round += 1) {
      if (round % 2 === 0) await writeFile(join(folder, 'agent.lock'), `${process.pid} 1\n`);
      const starters = Array.from({ length: 4 }, async (_, turns) => {
        for (let turn = 0; turn < turns; turn += 1) await nextTurn();
        return lockDataFolder(folder);
      });
      const attempts = await Promise.allSettled(starters);
      const held = attempts.flatMap((attempt) => (attempt.status === 'fulfilled' ? [attempt.value] : []));
      expect(held).toHaveLength(1);
      expect(await readdir(folder)).toEqual(['agent.lock']);
      await held[0]?.();
    }
  });

  it('that cannot be made is told by name', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(lockDataFolder(join(folder, 'file/below'))).rejects.toThrow(
      /data_dir .*file\/below: expected a folder/,
    );
  });
});

describe('retention', () => {
  async function record(id: string, names: readonly string[]): Promise<void> {
    await mkdir(join(folder, id), { recursive: true });
    for (const name of names) await writeFile(join(folder, id, name), Buffer.alloc(100));
  }

  const disk =
    (totalBytes: number, freeBytes = 1e12) =>
    async () => ({ totalBytes, freeBytes });

  it('gives up recordings when other things have filled the disk, as many as are needed', async () => {
    await record('2026-01-01', ['a_0.mcap', 'a_1.mcap']);
    await record('2026-01-02', ['b_0.mcap', 'b_1.mcap.active']);
    const parts = { recordingsFolder: folder, recordingId: '2026-01-02', diskShare: 0.9, report: () => {} };
    const kept = 128 * 1024 * 1024;
    expect(await retain({ ...parts, readDisk: disk(1e12, kept) })).toEqual([]);
    const removed = await retain({ ...parts, readDisk: disk(1e12, kept - 150) });
    expect(removed.map(({ path }) => path.slice(folder.length + 1))).toEqual(['2026-01-01']);
  });

  it('removes the oldest recordings first, then the oldest finished segments of the running one, and says so', async () => {
    await record('2026-01-01', ['a_0.mcap', 'a_1.mcap']);
    await record('2026-01-02', ['b_0.mcap']);
    await record('2026-01-03', ['c_9.mcap', 'c_10.mcap', 'c_11.mcap.active']);
    const reports: Diagnostic[] = [];
    const parts = {
      recordingsFolder: folder,
      recordingId: '2026-01-03',
      diskShare: 0.5,
      report: (each: Diagnostic) => reports.push(each),
    };
    expect(await retain({ ...parts, readDisk: disk(1_200) })).toEqual([]);
    const removed = await retain({ ...parts, readDisk: disk(400) });
    expect(removed.map(({ path }) => path.slice(folder.length + 1))).toEqual([
      '2026-01-01',
      '2026-01-02',
      '2026-01-03/c_9.mcap',
    ]);
    expect(await readdir(join(folder, '2026-01-03'))).toEqual(['c_10.mcap', 'c_11.mcap.active']);
    expect(reports).toHaveLength(1);
    expect(reports[0]).toMatchObject({
      source: 'retention',
      code: 'recordings-removed',
      values: { removed: 3, bytes: 400 },
    });
  });
});
