import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type CreateDurable, createDurable, type DurableHandle, writeFully } from '../../../agent/bag/durable-file.ts';
import { Recorder, type RecorderOptions } from '../../../agent/recording/recorder.ts';
import { repairRecordings } from '../../../agent/recording/repair-recordings.ts';
import { Retention } from '../../../agent/retention.ts';
import type { Diagnostic } from '../../../drivers/sample.ts';
import { firstRecording, openNode, until } from './node-fixtures.ts';
import { clock, range, readFileIndexed, readStream, sequencesOf, sound, temperature } from './recording-fixtures.ts';
import { scratchFolder } from './scratch-folder.ts';

const run = promisify(execFile);

/** A disk whose handles do what `fault` says before each write and sync: throw a system error, or take less. */
function faultyDisk(fault: { write?: (bytes: number) => number | string; sync?: () => string | null }): CreateDurable {
  const fail = (code: string): Error => Object.assign(new Error(`injected ${code}`), { code });
  return async (path) => {
    const real = await createDurable(path);
    const handle: DurableHandle = {
      ...real,
      writev: async (pieces, position) => {
        const bytes = Buffer.concat(pieces);
        const verdict = fault.write?.(bytes.byteLength) ?? bytes.byteLength;
        if (typeof verdict === 'string') {
          // As a full disk does: some of it is in the file.
          await real.writev([bytes.subarray(0, bytes.byteLength / 2)], position);
          throw fail(verdict);
        }
        return real.writev([bytes.subarray(0, Math.max(1, verdict))], position);
      },
      datasync: async () => {
        const code = fault.sync?.() ?? null;
        if (code !== null) throw fail(code);
        await real.datasync();
      },
    };
    return handle;
  };
}

async function open(
  folder: string,
  options: Partial<RecorderOptions>,
): Promise<{ recorder: Recorder; told: Diagnostic[] }> {
  const told: Diagnostic[] = [];
  const base = {
    vehicle: 'car-7',
    recordingId: 'drive',
    minFreeBytes: 0,
    retryMs: 20,
  };
  const onDiagnostic = (diagnostic: Diagnostic): void => void told.push(diagnostic);
  const recorder = await Recorder.open(join(folder, 'recordings'), { ...base, onDiagnostic, ...options }, clock);
  return { recorder, told };
}

async function recorded(folder: string): Promise<number[]> {
  const recording = join(folder, 'recordings/drive');
  const found: number[] = [];
  for (const name of (await readdir(recording)).filter((file) => file.endsWith('.mcap')).sort()) {
    readStream(await readFile(join(recording, name)));
    found.push(...sequencesOf(await readFileIndexed(join(recording, name)), '/uma8/audio'));
  }
  return found;
}

test('short writes, however short, lose nothing', async () => {
  const folder = await scratchFolder();
  let call = 0;
  const { recorder } = await open(folder, {
    createFile: faultyDisk({ write: (bytes) => [1, 7, bytes, bytes / 3][call++ % 4] as number }),
  });
  for (const index of range(12)) recorder.write(sound(index));
  await recorder.close();
  expect(await recorded(folder)).toEqual(range(12));
});

test('writeFully puts any pieces at any position, in any portions', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 40 })),
      fc.nat(20),
      fc.infiniteStream(fc.integer({ min: 1, max: 30 })),
      async (pieces, at, portions) => {
        const file = Buffer.alloc(at + Buffer.concat(pieces).byteLength);
        const handle = {
          writev: async (parts: readonly Uint8Array[], position: number) => {
            const portion = Buffer.concat(parts).subarray(0, portions.next().value);
            file.set(portion, position);
            return portion.byteLength;
          },
        } as DurableHandle;
        expect(await writeFully(handle, pieces, at)).toBe(file.byteLength - at);
        expect(file.subarray(at)).toEqual(Buffer.concat(pieces));
      },
    ),
  );
});

describe('a full disk', () => {
  test('leaves half of the room in memory to the own sensors, whatever others publish', async () => {
    const folder = await scratchFolder();
    let full = false;
    const createFile = faultyDisk({ write: (bytes) => (full ? 'ENOSPC' : bytes) });
    const { recorder } = await open(folder, { createFile, maxQueueBytes: 1_000_000 });
    full = true;
    const foreign = { schemaText: 'uint8[] data\n', offeredQos: [] };
    const picture = (sequence: number) => ({ ...sound(sequence), topic: '/camera', type: 'a_msgs/msg/Image', foreign });
    const taken = range(20).filter((index) => recorder.write(picture(index))).length;
    expect(taken).toBeGreaterThan(2);
    expect(range(5).map((index) => recorder.write(sound(index)))).toEqual([true, true, true, true, true]);
    expect(recorder.stats().lost['/camera']).toMatchObject({ gap: 0, write: 0 });
    full = false;
    await recorder.close();
    expect((await recorded(folder)).slice(0, 5)).toEqual(range(5));
  });

  test('pauses the recording, says so, declares what was lost, and lets it go on with a whole file', async () => {
    const folder = await scratchFolder();
    let full = false;
    const createFile = faultyDisk({ write: (bytes) => (full ? 'ENOSPC' : bytes) });
    const { recorder, told } = await open(folder, { createFile, maxQueueBytes: 1_000_000 });
    for (const index of range(5)) recorder.write(sound(index));
    await recorder.flush();
    full = true;
    for (const index of range(20, 5)) recorder.write(sound(index));
    await until(() => recorder.stats().state === 'paused');
    await expect(recorder.flush()).rejects.toMatchObject({ code: 'no-space', retryable: true });
    expect(recorder.stats()).toMatchObject({ pausedBy: 'ENOSPC' });
    for (const index of range(5, 25)) expect(recorder.write(sound(index))).toBe(false);
    full = false;
    await until(() => recorder.stats().state === 'recording' && recorder.stats().queueBytes === 0);
    for (const index of range(5, 30)) expect(recorder.write(sound(index))).toBe(true);
    await recorder.close();

    const kept = await recorded(folder);
    const { lost } = recorder.stats();
    const { queue = 0, space = 0, write = 0, gap = 0 } = lost['/uma8/audio'] ?? {};
    expect({ write, gap }).toEqual({ write: 0, gap: 0 });
    expect(kept.length + queue + space).toBe(35);
    expect(kept.slice(0, 10)).toEqual(range(10));
    expect(kept.slice(-5)).toEqual(range(5, 30));
    expect(
      told
        .map(({ level, code }) => `${level} ${code}`)
        .filter((line) => /disk-full|^ok/.test(line))
        .slice(0, 2),
    ).toEqual(['error disk-full', 'ok ok']);
    const records = readStream(await readFile(join(folder, 'recordings/drive/drive_0.mcap')));
    const values = records.findLast((item) => item.type === 'Metadata' && item.name === 'fender.loss');
    expect(values).toMatchObject({
      metadata: new Map([['/uma8/audio', `gap=0 queue=${queue} space=${space} write=0`]]),
    });
  });

  test('that is nearly full pauses before segments cannot be ended any more, goes on, and declares the loss', async () => {
    const folder = await scratchFolder();
    let free = 10;
    let asked = 0;
    const freeBytes = async (): Promise<number> => {
      asked += 1;
      return free;
    };
    const { recorder, told } = await open(folder, { minFreeBytes: 1000, freeBytes, maxQueueBytes: 200_000 });
    const taken = range(10).filter((index) => recorder.write(sound(index)));
    // Tried again and again meanwhile, it stays paused, and what is dropped is put down to the missing space.
    await until(() => {
      expect(recorder.stats().state).toBe(asked === 0 || told.length === 0 ? 'recording' : 'paused');
      return asked >= 5;
    });
    expect(recorder.write(sound(10))).toBe(false);
    expect(told.map(({ code }) => code)).toContain('disk-full');
    free = 1000;
    await until(() => recorder.stats().state === 'recording' && recorder.stats().queueBytes === 0);
    expect(recorder.write(sound(11))).toBe(true);
    await recorder.close();
    expect(await recorded(folder)).toEqual([...taken, 11]);
    expect(told.filter(({ code }) => code === 'disk-full')).toHaveLength(1);
    expect(told.at(-1)?.code).toBe('ok');
    const records = readStream(await readFile(join(folder, 'recordings/drive/drive_0.mcap')));
    const loss = records.findLast((item) => item.type === 'Metadata' && item.name === 'fender.loss');
    const { queue = 0, space = 0 } = recorder.stats().lost['/uma8/audio'] ?? {};
    expect(queue + space).toBe(11 - taken.length);
    expect(space).toBeGreaterThan(0);
    expect(loss).toMatchObject({
      metadata: new Map([['/uma8/audio', `gap=0 queue=${queue} space=${space} write=0`]]),
    });
  });

  test('that is nearly full ends the segment, so that retention can remove it; recording goes on in a new one', async () => {
    const folder = await scratchFolder();
    const drive = join(folder, 'recordings/drive');
    let free = 1000;
    const { recorder } = await open(folder, { minFreeBytes: 1000, freeBytes: async () => free });
    recorder.write(sound(0));
    await recorder.flush();
    free = 10;
    let index = 1;
    while (recorder.stats().state === 'recording') {
      recorder.write(sound(index++));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect((await readdir(drive)).sort()).toEqual(['drive_0.mcap', 'metadata.yaml']);
    await rm(join(drive, 'drive_0.mcap'));
    free = 1000;
    await until(() => recorder.stats().state === 'recording' && recorder.stats().queueBytes === 0);
    await recorder.close();
    expect(recorder.stats()).toMatchObject({ segments: 2, lostMessages: 0 });
    expect((await readdir(drive)).sort()).toEqual(['drive_1.mcap', 'metadata.yaml']);
  });

  test('at the end leaves an unfinished file that the next start repairs', async () => {
    const folder = await scratchFolder();
    let full = false;
    const { recorder } = await open(folder, {
      createFile: faultyDisk({ write: (bytes) => (full ? 'ENOSPC' : bytes) }),
    });
    for (const index of range(4)) recorder.write(sound(index));
    await recorder.flush();
    full = true;
    recorder.write(sound(4));
    await recorder.close();
    expect(recorder.stats().lost['/uma8/audio']).toMatchObject({ write: 1 });
    expect(await repairRecordings(join(folder, 'recordings'))).toMatchObject([
      { outcome: 'completed-in-place', messages: 4 },
    ]);
    expect(await recorded(folder)).toEqual(range(4));
  });
});

describe('a recording that is stopped', () => {
  test('on a disk that refuses its end says so, and is whole as soon as the disk works', async () => {
    const folder = await scratchFolder();
    let broken = false;
    const told: string[] = [];
    const node = await openNode(folder, {
      createFile: faultyDisk({ write: (bytes) => (broken ? 'EIO' : bytes) }),
      retryMs: 20,
      repairRetryMs: 50,
      onDiagnostic: ({ source, code }) => told.push(`${source} ${code}`),
    });
    for (const index of range(3)) node.write(sound(index));
    await until(() => node.stats().queueBytes === 0);
    broken = true;
    await expect(node.stop()).rejects.toMatchObject({ code: 'write-failed' });
    expect(node.stats()).toMatchObject({ state: 'stopped', recordingId: null });
    expect(told.at(-1)).toBe('recorder stopped');
    broken = false;
    const drive = join(folder, 'recordings', firstRecording);
    await until(() => told.includes('repair repaired'));
    expect((await readdir(drive)).sort()).toEqual([`${firstRecording}_0.mcap`, 'metadata.yaml']);
    expect(sequencesOf(await readFileIndexed(join(drive, `${firstRecording}_0.mcap`)), '/uma8/audio')).toEqual(
      range(3),
    );
    expect(node.stats()).toMatchObject({ state: 'stopped' });
    await node.close();
  });

  test('while the disk is too full to record uses the reserve for what it still holds', async () => {
    const folder = await scratchFolder();
    let free = 2000;
    const node = await openNode(folder, { minFreeBytes: 1000, freeBytes: async () => free, retryMs: 1e6 });
    node.write(sound(0));
    await until(() => node.stats().queueBytes === 0);
    free = 10;
    await new Promise((resolve) => setTimeout(resolve, 1100));
    for (const index of range(3, 1)) node.write(sound(index));
    await until(() => node.stats().state === 'paused');
    expect(await node.stop()).toBe(firstRecording);
    expect(node.stats().lostMessages).toBe(0);
    const drive = join(folder, 'recordings', firstRecording);
    const names = (await readdir(drive)).filter((name) => name.endsWith('.mcap')).sort();
    const all = await Promise.all(names.map((name) => readFileIndexed(join(drive, name))));
    expect(sequencesOf(all.flat(), '/uma8/audio')).toEqual(range(4));
    await node.close();
  });

  test('names in metadata.yaml only what retention has left, also while it runs', async () => {
    const folder = await scratchFolder();
    const node = await openNode(folder, { maxSegmentBytes: 100_000 });
    for (const index of range(6)) {
      node.write(sound(index));
      await until(() => node.stats().queueBytes === 0);
    }
    const drive = join(folder, 'recordings', firstRecording);
    await until(async () => (await readdir(drive)).every((name) => !name.endsWith('.active')));
    const declared: string[] = [];
    const retention = new Retention({
      recordingsFolder: join(folder, 'recordings'),
      isOpen: (id) => node.isOpen(id),
      diskShare: 1,
      report: () => {},
      declare: async (id, first, last) => void declared.push(`${id} ${first} ${last}`),
      segmentsRemoved: () => node.segmentsRemoved(),
      readDisk: async () => ({ totalBytes: 260_000, freeBytes: 1e12 }),
    });
    const removed = await retention.retain();
    expect(removed.length).toBeGreaterThan(1);
    expect(declared).toEqual(removed.map((_, index) => `${firstRecording} ${index} ${index}`));
    const listed = async (): Promise<unknown> =>
      parse(await readFile(join(drive, 'metadata.yaml'), 'utf8')).rosbag2_bagfile_information.relative_file_paths;
    const left = async (): Promise<string[]> => (await readdir(drive)).filter((name) => name.endsWith('.mcap')).sort();
    expect(await listed()).toEqual(await left());
    node.write(sound(6));
    await node.close();
    expect(await listed()).toEqual(await left());
  });
});

describe('a failing disk', () => {
  test('costs what it did not take; recording goes on in a new segment, and the old one is repaired meanwhile', async () => {
    const folder = await scratchFolder();
    let failures = 0;
    const createFile = faultyDisk({ write: (bytes) => (failures-- > 0 ? 'EIO' : bytes) });
    const { recorder, told } = await open(folder, { createFile });
    for (const index of range(3)) recorder.write(sound(index));
    await recorder.flush();
    failures = 1;
    recorder.write(sound(3));
    await until(() => recorder.stats().state === 'paused');
    await until(() => recorder.stats().state === 'recording');
    for (const index of range(3, 4)) recorder.write(sound(index));
    // The first one is repaired as soon as the disk works, while the recording goes on.
    await until(() => recorder.stats().abandonedSegments === 0);
    expect(recorder.stats().state).toBe('recording');
    await recorder.close();
    expect(recorder.stats()).toMatchObject({ segments: 2, lost: { '/uma8/audio': { write: 1 } } });
    expect((await readdir(join(folder, 'recordings/drive'))).sort()).toEqual([
      'drive_0.mcap',
      'drive_1.mcap',
      'metadata.yaml',
    ]);
    const metadata = await readFile(join(folder, 'recordings/drive/metadata.yaml'), 'utf8');
    expect(parse(metadata).rosbag2_bagfile_information).toMatchObject({
      relative_file_paths: ['drive_0.mcap', 'drive_1.mcap'],
      message_count: 6,
    });
    expect(told.map(({ code }) => code)).toEqual(['write-failed', 'ok']);
    expect(await recorded(folder)).toEqual([0, 1, 2, 4, 5, 6]);
  });

  test('whose sync fails is not trusted with the segment any more', async () => {
    const folder = await scratchFolder();
    let failing = true;
    const { recorder } = await open(folder, { createFile: faultyDisk({ sync: () => (failing ? 'EIO' : null) }) });
    recorder.write(sound(0));
    await until(() => recorder.stats().state === 'paused');
    failing = false;
    await until(() => recorder.stats().state === 'recording');
    recorder.write(sound(1));
    await recorder.close();
    expect(recorder.stats().segments).toBe(2);
  });

  test('whose sync fails while a segment ends costs that segment, not all that follow', async () => {
    const folder = await scratchFolder();
    const failed = Promise.withResolvers<void>();
    let syncs = 0;
    const createFile: CreateDurable = async (path) => {
      const real = await createDurable(path);
      const datasync = async (): Promise<void> => {
        syncs += 1;
        // The first one is under way when the segment is found full, and fails then.
        if (syncs > 1) return real.datasync();
        await failed.promise;
        throw Object.assign(new Error('injected EIO'), { code: 'EIO' });
      };
      return { ...real, datasync };
    };
    const { recorder } = await open(folder, { createFile, maxSegmentBytes: 1 });
    recorder.write(sound(0));
    await until(() => syncs === 1);
    failed.resolve();
    await until(() => recorder.stats().state === 'paused');
    await until(() => recorder.stats().state === 'recording');
    recorder.write(sound(1));
    await until(() => recorder.stats().abandonedSegments === 0);
    await recorder.close();
    // Nobody knew what of the first was on the disk: what could be read of it was written anew.
    expect((await readdir(join(folder, 'recordings/drive'))).sort()).toEqual([
      'drive_0.mcap',
      'drive_1.mcap',
      'metadata.yaml',
    ]);
    expect(await recorded(folder)).toEqual([0, 1]);
  });

  test('that is slow drops above the bound, counts it, and says when it keeps up again', async () => {
    const folder = await scratchFolder();
    let release = (): void => {};
    const stalled = new Promise<void>((resolve) => {
      release = resolve;
    });
    const createFile: CreateDurable = async (path) => {
      const real = await createDurable(path);
      return { ...real, writev: async (pieces, position) => stalled.then(() => real.writev(pieces, position)) };
    };
    const { recorder, told } = await open(folder, { createFile, maxQueueBytes: 500_000 });
    const taken = range(10).map((index) => recorder.write(sound(index)));
    recorder.write(temperature(0));
    expect(taken.filter((ok) => ok)).toHaveLength(6);
    release();
    await recorder.room();
    await recorder.close();
    expect(recorder.stats().lost['/uma8/audio']).toEqual({ gap: 0, queue: 4, space: 0, write: 0 });
    expect(told.map(({ code }) => code)).toEqual(['slow-disk', 'ok']);
    expect(await recorded(folder)).toEqual(range(6));
  });
});

describe('a real small file system', () => {
  let mounted = '';
  beforeAll(async () => {
    const folder = join(process.env.TMPDIR ?? '/tmp', `fender-small-${process.pid}`);
    await mkdir(folder, { recursive: true });
    await run('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', folder]).then(
      () => {
        mounted = folder;
      },
      () => {},
    );
  });
  afterAll(async () => {
    if (mounted !== '') await run('umount', [mounted]);
  });

  test('fills up and is emptied: recording pauses and goes on (skipped where mounting a tmpfs is not permitted)', async (context) => {
    if (mounted === '') return context.skip('mounting a tmpfs is not permitted');
    const { recorder } = await open(mounted, { maxQueueBytes: 400_000 });
    await run('fallocate', ['-l', '1m', join(mounted, 'ballast')]);
    let index = 0;
    while (recorder.stats().state === 'recording') {
      recorder.write(sound(index++));
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(recorder.stats().pausedBy).toBe('ENOSPC');
    await run('rm', [join(mounted, 'ballast')]);
    await until(() => recorder.stats().state === 'recording' && recorder.stats().queueBytes === 0);
    recorder.write(sound(index));
    await recorder.close();
    const kept = await recorded(mounted);
    expect(kept.at(-1)).toBe(index);
    expect(kept.length + recorder.stats().lostMessages).toBe(index + 1);
  });
});
