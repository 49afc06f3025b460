import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bagVerify } from '../../agent/bag/bag-check.ts';
import { renewMetadata } from '../../agent/bag/rosbag2-metadata.ts';
import { lockDataFolder } from '../../agent/data-lock.ts';
import { Retention, type RetentionParts } from '../../agent/retention.ts';
import type { Diagnostic } from '../../drivers/sample.ts';
import { driveMessages, madeBag } from './bag/bag-fixtures.ts';

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

  /** Retention of `folder` in which the recording `open` is being written; what it declares and removes, in order. */
  function makeRetention(open: string, parts: Partial<RetentionParts>): { retention: Retention; done: string[] } {
    const done: string[] = [];
    const retention = new Retention({
      recordingsFolder: folder,
      isOpen: (id) => id === open,
      diskShare: 0.5,
      report: ({ code }) => void done.push(code),
      declare: async (id, first, last) => void done.push(`${id} ${first} to ${last}`),
      segmentsRemoved: async () => void done.push('running'),
      ...parts,
    });
    return { retention, done };
  }

  it('gives up recordings when other things have filled the disk, as many as are needed', async () => {
    await record('2026-01-01', ['a_0.mcap', 'a_1.mcap']);
    await record('2026-01-02', ['b_0.mcap', 'b_1.mcap.active']);
    const kept = 128 * 1024 * 1024;
    let freeBytes = kept;
    const readDisk = async () => ({ totalBytes: 1e12, freeBytes });
    const { retention, done } = makeRetention('2026-01-02', { diskShare: 0.9, readDisk });
    expect(await retention.retain()).toEqual([]);
    freeBytes = kept - 150;
    expect(await retention.retain()).toEqual(['2026-01-01/a_0.mcap', '2026-01-01'].map((name) => join(folder, name)));
    expect(done).toEqual(['2026-01-01 0 to 0', '2026-01-01 1 to 1', 'recordings-removed']);
  });

  it('removes the oldest recordings first, then the oldest finished segments of the running one, declares and tells it', async () => {
    await record('2026-01-01', ['a_0.mcap', 'a_1.mcap', 'metadata.yaml']);
    await record('2026-01-02', ['b_3.mcap']);
    await record('2026-01-03', ['c_9.mcap', 'c_10.mcap', 'c_11.mcap.active']);
    const reports: Diagnostic[] = [];
    const { retention, done } = makeRetention('2026-01-03', {
      readDisk: disk(400),
      report: (each) => reports.push(each),
    });
    expect(await retention.retain()).toEqual(
      ['2026-01-01/a_0.mcap', '2026-01-01', '2026-01-02', '2026-01-03/c_9.mcap'].map((name) => join(folder, name)),
    );
    expect(await readdir(join(folder, '2026-01-03'))).toEqual(['c_10.mcap', 'c_11.mcap.active']);
    const declared = ['2026-01-01 0 to 0', '2026-01-01 1 to 1', '2026-01-02 3 to 3', '2026-01-03 9 to 9'];
    expect(done).toEqual([...declared, 'running']);
    expect(reports).toHaveLength(1);
    expect(reports[0]).toMatchObject({
      source: 'retention',
      code: 'recordings-removed',
      values: { removed: 4, bytes: 500 },
    });
  });

  it('takes no more than it must of a long recording, whose metadata.yaml then names what is left', async () => {
    const id = '2026-01-01T00-00-00Z_000001';
    const names = [8, 9, 10].map((number) => `${id}_${number}.mcap`);
    const bytes = madeBag(driveMessages(1));
    await mkdir(join(folder, id));
    for (const name of names) await writeFile(join(folder, id, name), bytes);
    await renewMetadata(join(folder, id));
    let totalBytes = 2 * 3 * bytes.byteLength;
    const readDisk = async () => ({ totalBytes, freeBytes: 1e12 });
    const { retention, done } = makeRetention('', { readDisk });
    for (const left of [2, 1]) {
      expect(await retention.retain()).toEqual([join(folder, id, names[2 - left] as string)]);
      expect((await readdir(join(folder, id))).sort()).toEqual([...names.slice(-left), 'metadata.yaml'].sort());
      expect((await bagVerify(join(folder, id))).findings.filter(({ code }) => code === 'metadata')).toEqual([]);
      totalBytes -= 2 * bytes.byteLength;
    }
    expect(await retention.retain()).toEqual([join(folder, id)]);
    expect(await readdir(folder)).toEqual([]);
    expect(done.filter((each) => each.includes(' to '))).toEqual(
      [8, 9, 10].map((number) => `${id} ${number} to ${number}`),
    );
  });

  it('goes by the number of a recording, whatever the clock said when it began', async () => {
    for (const id of ['2036-01-01T00-00-00Z_000007', '1970-01-01T00-00-09Z_000008', '2026-01-01T00-00-00Z_000009']) {
      await record(id, [`${id}_0.mcap`]);
    }
    const { retention } = makeRetention('', { readDisk: disk(400) });
    expect(await retention.retain()).toEqual([join(folder, '2036-01-01T00-00-00Z_000007')]);
  });

  it('makes room also when the removal cannot be declared, and declares it as soon as it can', async () => {
    await record('2026-01-01', ['a_0.mcap']);
    await record('2026-01-02', ['b_0.mcap']);
    let isFull = true;
    const declared: string[] = [];
    const { retention } = makeRetention('', {
      readDisk: disk(200),
      declare: async (id) => {
        if (isFull) throw new Error('ENOSPC');
        declared.push(id);
      },
    });
    expect(await retention.retain()).toEqual([join(folder, '2026-01-01')]);
    expect(await retention.retain()).toEqual([]);
    expect(declared).toEqual([]);
    isFull = false;
    await retention.retain();
    await retention.retain();
    expect(declared).toEqual(['2026-01-01']);
  });
});
