import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import type { ClipRange } from '../../../agent/recording/clip.ts';
import { cutClipFromSegments } from '../../../agent/recording/clip-from-segments.ts';
import { MessageRing } from '../../../agent/recording/message-ring.ts';
import type { RecorderNode } from '../../../agent/recording/recorder-node.ts';
import { firstRecording, openNode, until } from './node-fixtures.ts';
import {
  chunkNs,
  range,
  readFileIndexed,
  readStream,
  sequencesOf,
  sound,
  stampAt,
  startNs,
  temperature,
} from './recording-fixtures.ts';
import { scratchFolder } from './scratch-folder.ts';

async function recordSeconds(
  folder: string,
  seconds: number,
  ring = { maxAgeMs: 60_000, maxBytes: 64_000_000 },
): Promise<RecorderNode> {
  const node = await openNode(folder, { ring });
  for (const second of range(seconds)) {
    node.write(temperature(second));
    for (const index of range(10, second * 10)) node.write(sound(index));
    await until(() => node.stats().queueBytes < 8_000_000);
  }
  return node;
}

/** A span of the drive, in ns from its start. */
function span(fromNs: bigint, toNs: bigint): ClipRange {
  const anchor = stampAt(0n);
  return {
    bootId: anchor.bootId,
    startMonotonicNs: anchor.monotonicNs + fromNs,
    endMonotonicNs: anchor.monotonicNs + toNs,
    anchor,
  };
}

describe('a clip', () => {
  test('has all topics of its span, the sound that reaches into it, and the hash of its bytes', async () => {
    const folder = await scratchFolder();
    const recorder = await recordSeconds(folder, 6);
    const clip = await recorder.cutClip(span(1_950_000_000n, 4_000_000_000n), { event_id: 'e1' });
    const bytes = await readFile(clip.path);
    expect(clip.sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
    expect(clip.bytes).toBe(bytes.byteLength);
    const messages = await readFileIndexed(clip.path);
    expect(messages).toHaveLength(clip.messages);
    expect(sequencesOf(messages, '/uma8/audio')).toEqual(range(21, 19));
    expect(sequencesOf(messages, '/bme680/temperature')).toEqual([2, 3]);
    expect(clip).toMatchObject({ startNs: startNs + 1_900_000_000n, endNs: startNs + 3_900_000_000n });
    const records = readStream(bytes);
    expect(records.find((record) => record.type === 'Metadata' && record.name === 'fender.clip')).toMatchObject({
      metadata: new Map(
        Object.entries({
          start_ns: String(startNs + 1_950_000_000n),
          end_ns: String(startNs + 4_000_000_000n),
          boot_id: stampAt(0n).bootId,
          start_monotonic_ns: '2950000000',
          end_monotonic_ns: '5000000000',
          event_id: 'e1',
        }),
      ),
    });
    expect(records.filter((record) => record.type === 'Chunk').every(({ compression }) => compression === '')).toBe(
      true,
    );
    await recorder.close();
  });

  test('is cut to the same messages from memory, from the segment being written, from a torn and from a finished one', async () => {
    const folder = await scratchFolder();
    const options = { vehicle: 'car-7', clipFolder: join(folder, 'clips') };
    const recordings = join(folder, 'recordings');
    const range = span(2_000_000_000n, 3_500_000_000n);
    const recorder = await recordSeconds(folder, 5);
    const fromMemory = await recorder.cutClip(range);
    await until(() => recorder.stats().queueBytes === 0);
    const whileWriting = await cutClipFromSegments(recordings, range, options);
    await recorder.close();
    const finished = await cutClipFromSegments(recordings, range, options);
    const path = join(recordings, `${firstRecording}/${firstRecording}_0.mcap`);
    await rename(path, `${path}.active`);
    const unfinished = await cutClipFromSegments(recordings, range, options);
    const expected = await readFileIndexed(fromMemory.path);
    expect(expected).toHaveLength(17);
    for (const clip of [whileWriting, finished, unfinished]) {
      expect(await readFileIndexed(clip.path)).toEqual(expected);
    }
    expect(unfinished.sha256).toBe(finished.sha256);
  });

  test('comes from the segments when memory does not reach back far enough', async () => {
    const folder = await scratchFolder();
    const recorder = await recordSeconds(folder, 6, { maxAgeMs: 1000, maxBytes: 64_000_000 });
    const clip = await recorder.cutClip(span(0n, 1_000_000_000n));
    expect(sequencesOf(await readFileIndexed(clip.path), '/uma8/audio')).toEqual(range(10));
    await recorder.close();
  });

  test('of an event that an earlier run owes comes from that run, torn as it is, while the next one records', async () => {
    const folder = await scratchFolder();
    const earlier = await recordSeconds(folder, 3);
    await until(() => earlier.stats().queueBytes === 0);
    const torn = join(folder, `recordings/${firstRecording}/${firstRecording}_0.mcap.active`);
    const bytes = await readFile(torn);
    await earlier.close();
    await mkdir(join(folder, 'after/recordings/drive'), { recursive: true });
    await writeFile(join(folder, 'after/recordings/drive/drive_0.mcap.active'), bytes);
    const recorder = await openNode(join(folder, 'after'));
    for (const index of range(10, 30)) recorder.write(sound(index));
    const clip = await recorder.cutClip(span(2_500_000_000n, 3_500_000_000n));
    expect(sequencesOf(await readFileIndexed(clip.path), '/uma8/audio')).toEqual(range(10, 25));
    await recorder.close();
  });

  test('is cut from what is left when a segment is removed while they are read', async () => {
    const folder = await scratchFolder();
    const recorder = await recordSeconds(folder, 2);
    await recorder.close();
    // Listed, and gone when it is opened.
    for (const name of ['gone_0.mcap', 'gone_1.mcap.active'])
      await symlink('nowhere', join(folder, 'recordings', firstRecording, name));
    const options = { vehicle: 'car-7', clipFolder: join(folder, 'clips') };
    const clip = await cutClipFromSegments(join(folder, 'recordings'), span(0n, 1_000_000_000n), options);
    expect(sequencesOf(await readFileIndexed(clip.path), '/uma8/audio')).toEqual(range(10));
  });

  test('names the segments that it could not read', async () => {
    const folder = await scratchFolder();
    const recorder = await recordSeconds(folder, 2);
    await recorder.close();
    const odd = join(folder, 'recordings/odd');
    await mkdir(join(odd, 'odd_0.mcap'), { recursive: true });
    await writeFile(join(odd, 'odd_0.db3'), 'of another storage');
    const options = { vehicle: 'car-7', clipFolder: join(folder, 'clips') };
    const clip = await cutClipFromSegments(join(folder, 'recordings'), span(0n, 1_000_000_000n), options);
    expect(sequencesOf(await readFileIndexed(clip.path), '/uma8/audio')).toEqual(range(10));
    const records = readStream(await readFile(clip.path));
    const about = records.find((record) => record.type === 'Metadata' && record.name === 'fender.clip');
    expect(about?.type === 'Metadata' && about.metadata.get('unreadable')).toBe(join(odd, 'odd_0.mcap'));
  });

  test('that a crash left half written is gone at the next start; whole ones stay', async () => {
    const folder = await scratchFolder();
    await mkdir(join(folder, 'clips'));
    await writeFile(join(folder, 'clips/0b4f.partial'), 'half');
    await writeFile(join(folder, 'clips/clip_1_abc.mcap'), 'whole');
    const recorder = await recordSeconds(folder, 1);
    expect(await readdir(join(folder, 'clips'))).toEqual(['clip_1_abc.mcap']);
    await recorder.close();
  });

  test('of a span without messages is refused, and leaves no file', async () => {
    const folder = await scratchFolder();
    const recorder = await recordSeconds(folder, 1);
    await expect(recorder.cutClip(span(-100n, -50n))).rejects.toMatchObject({ code: 'not-covered' });
    await mkdir(join(folder, 'clips'), { recursive: true });
    expect(await readdir(join(folder, 'clips'))).toEqual([]);
    await recorder.close();
  });
});

describe('the ring', () => {
  test('keeps to both of its bounds, oldest first', () => {
    const byAge = new MessageRing({ maxAgeMs: 500, maxBytes: 1e9 });
    for (const index of range(5000)) byAge.push(sound(index, 10, 1));
    expect(byAge.length).toBe(6);
    const size = sound(0, 10, 1).data.byteLength;
    const byBytes = new MessageRing({ maxAgeMs: 1e9, maxBytes: size * 4 });
    for (const index of range(100)) byBytes.push(sound(index, 10, 1));
    expect(byBytes.bytes).toBe(size * 4);
    expect(byBytes.covers(stampAt(96n * chunkNs).monotonicNs)).toBe(true);
    expect(byBytes.covers(stampAt(95n * chunkNs).monotonicNs)).toBe(false);
    expect(byBytes.span(0n, stampAt(98n * chunkNs).monotonicNs).map(({ sequence }) => sequence)).toEqual([96, 97]);
  });

  test('leaves what it gave away as it was, however far it has gone round since', () => {
    const ring = new MessageRing({ maxAgeMs: 500, maxBytes: 1e9 });
    for (const index of range(20)) ring.push(sound(index));
    const given = ring.span(0n, stampAt(100n * chunkNs).monotonicNs);
    for (const index of range(20, 20)) ring.push(sound(index));
    expect(given.map(({ data }) => data)).toEqual(range(6, 14).map((index) => sound(index).data));
    const later = ring.span(0n, stampAt(100n * chunkNs).monotonicNs);
    expect(later.map(({ data }) => data)).toEqual(range(6, 34).map((index) => sound(index).data));
  });

  test('holds on to no message that it let go, nor to the bytes it was given', async () => {
    setFlagsFromString('--expose-gc');
    const collect: () => void = runInNewContext('gc');
    const ring = new MessageRing({ maxAgeMs: 500, maxBytes: 1e9 });
    const given = range(100).map((index) => {
      const message = index % 2 === 0 ? sound(index) : sound(index, 10, 1);
      ring.push(message);
      return new WeakRef(message.data);
    });
    // A weak reference holds its target until the job that made it ends.
    await new Promise(setImmediate);
    collect();
    // Small messages of the last half second are kept as they are; sound never is.
    const held = given.flatMap((data, index) => (data.deref() === undefined ? [] : [index]));
    expect(held).toEqual([95, 97, 99]);
    expect(ring.length).toBe(6);
  });
});
