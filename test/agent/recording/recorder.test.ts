import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { McapIndexedReader } from '@mcap/core';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { parse } from 'yaml';
import { bagInfo } from '../../../agent/bag/bag-info.ts';
import { readableOf } from '../../../agent/bag/bag-summary.ts';
import { memorySource } from '../../../agent/bag/byte-source.ts';
import { Recorder, type RecorderOptions } from '../../../agent/recording/recorder.ts';
import {
  clock,
  type ReadMessage,
  range,
  readFileIndexed,
  readStream,
  sequencesOf,
  sound,
  startNs,
  temperature,
} from './recording-fixtures.ts';
import { scratchFolder } from './scratch-folder.ts';

async function open(folder: string, options: Partial<RecorderOptions> = {}): Promise<Recorder> {
  const defaults = { vehicle: 'car-7', recordingId: 'drive', minFreeBytes: 0 };
  return Recorder.open(join(folder, 'recordings'), { ...defaults, ...options }, clock);
}

/** Ten sound chunks and one temperature a second. */
async function record(recorder: Recorder, seconds: number, from = 0): Promise<void> {
  for (const second of range(seconds, from)) {
    recorder.write(temperature(second));
    for (const index of range(10, second * 10)) recorder.write(sound(index));
    await recorder.room();
  }
}

describe('a recording', () => {
  test('comes back whole, by index and front to back, with every CRC right', async () => {
    const folder = await scratchFolder();
    const recorder = await open(folder);
    await record(recorder, 3);
    await recorder.close();
    expect(recorder.stats()).toMatchObject({
      state: 'closed',
      messages: 33,
      lostMessages: 0,
      queueBytes: 0,
      segments: 1,
    });

    const path = join(folder, 'recordings/drive/drive_0.mcap');
    const messages = await readFileIndexed(path);
    expect(sequencesOf(messages, '/uma8/audio')).toEqual(range(30));
    expect(sequencesOf(messages, '/bme680/temperature')).toEqual(range(3));
    for (const message of messages.filter(({ topic }) => topic === '/uma8/audio')) {
      expect(Buffer.compare(message.data, sound(message.sequence).data)).toBe(0);
      expect(message.logTime).toBe(startNs + BigInt(message.sequence) * 100_000_000n);
    }

    const records = readStream(await readFile(path));
    expect(records[0]).toMatchObject({ type: 'Header', profile: 'ros2' });
    const chunks = records.filter((item) => item.type === 'Chunk');
    expect(new Set(chunks.map(({ compression }) => compression))).toEqual(new Set(['', 'zstd']));
    for (const chunk of chunks) expect(chunk.uncompressedSize).toBeLessThanOrEqual(256n * 1024n);
    expect(records.filter((item) => item.type === 'Schema').every(({ encoding }) => encoding === 'ros2msg')).toBe(true);
    expect(
      records.filter((item) => item.type === 'Channel').every(({ messageEncoding }) => messageEncoding === 'cdr'),
    ).toBe(true);
    const foxglove = records.find((item) => item.type === 'Metadata' && item.name === 'foxglove');
    expect(foxglove).toMatchObject({ metadata: new Map([['deviceName', 'car-7']]) });
  });

  test('has the CRC of its data section and statistics that add up', async () => {
    const folder = await scratchFolder();
    const recorder = await open(folder);
    await record(recorder, 2);
    await recorder.close();
    const bytes = await readFile(join(folder, 'recordings/drive/drive_0.mcap'));
    const reader = await McapIndexedReader.Initialize({ readable: readableOf(memorySource(bytes)) });
    expect(crc32(bytes.subarray(0, Number(reader.dataEndOffset)))).toBe(reader.dataSectionCrc);
    expect(reader.statistics).toMatchObject({
      messageCount: 22n,
      channelCount: 2,
      schemaCount: 2,
      chunkCount: reader.chunkIndexes.length,
      messageStartTime: startNs,
      messageEndTime: startNs + 1_900_000_000n,
    });
  });

  test('splits by time, and metadata.yaml names every segment, topic and count', async () => {
    const folder = await scratchFolder();
    const recorder = await open(folder, { maxSegmentMs: 1000, slowFlushMs: 0 });
    for (const second of range(3)) {
      await record(recorder, 1, second);
      await recorder.flush();
    }
    await recorder.close();
    const names = (await readdir(join(folder, 'recordings/drive'))).sort();
    expect(names.length).toBeGreaterThanOrEqual(3);
    expect(names.at(-1)).toBe('metadata.yaml');
    const segments = names.slice(0, -1);
    const all: ReadMessage[] = [];
    for (const name of segments) all.push(...(await readFileIndexed(join(folder, 'recordings/drive', name))));
    expect(sequencesOf(all, '/uma8/audio').sort((a, b) => a - b)).toEqual(range(30));

    const text = await readFile(join(folder, 'recordings/drive/metadata.yaml'), 'utf8');
    const { rosbag2_bagfile_information: information } = parse(text);
    expect(information).toMatchObject({
      version: 9,
      storage_identifier: 'mcap',
      message_count: 33,
      duration: { nanoseconds: 2_900_000_000 },
      relative_file_paths: segments,
      compression_format: '',
    });
    const topics = information.topics_with_message_count as {
      topic_metadata: { name: string };
      message_count: number;
    }[];
    expect(topics.find(({ topic_metadata: { name } }) => name === '/uma8/audio')).toMatchObject({
      message_count: 30,
      topic_metadata: {
        type: 'foxglove_msgs/msg/RawAudio',
        serialization_format: 'cdr',
        offered_qos_profiles: [{ reliability: 'best_effort', history: 'keep_last' }],
      },
    });
    expect(text).toContain(`nanoseconds_since_epoch: ${startNs}`);
  });

  test('names in metadata.yaml no segment that was removed meanwhile to make room', async () => {
    const folder = await scratchFolder();
    const recorder = await open(folder, { maxSegmentBytes: 1_000_000 });
    const drive = join(folder, 'recordings/drive');
    await record(recorder, 3);
    await recorder.flush();
    await rm(join(drive, 'drive_0.mcap'));
    await record(recorder, 3, 3);
    await recorder.close();
    const { rosbag2_bagfile_information: information } = parse(await readFile(join(drive, 'metadata.yaml'), 'utf8'));
    const left = (await readdir(drive)).filter((name) => name.endsWith('.mcap')).sort();
    expect(left.length).toBeGreaterThanOrEqual(2);
    expect(information.relative_file_paths).toEqual(left);
  });

  test('splits by size', async () => {
    const folder = await scratchFolder();
    const recorder = await open(folder, { maxSegmentBytes: 1_000_000 });
    await record(recorder, 5);
    await recorder.close();
    const names = (await readdir(join(folder, 'recordings/drive'))).filter((name) => name.endsWith('.mcap'));
    expect(names.length).toBeGreaterThanOrEqual(3);
  });

  test('has everything on the disk after flush, under its unfinished name', async () => {
    const folder = await scratchFolder();
    const recorder = await open(folder);
    recorder.write(temperature(0));
    recorder.write(sound(0));
    await recorder.flush();
    expect(await readdir(join(folder, 'recordings/drive'))).toEqual(['drive_0.mcap.active']);
    expect(recorder.stats()).toMatchObject({ queueBytes: 0, state: 'recording' });
    expect(recorder.stats().lastSyncMonotonicNs).not.toBeNull();
    await recorder.close();
    expect((await readdir(join(folder, 'recordings/drive'))).sort()).toEqual(['drive_0.mcap', 'metadata.yaml']);
  });

  test('brings sound to the file at once and slow topics within 300 ms, with nothing else to push them', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const folder = await scratchFolder();
    const recorder = await open(folder);
    const untilRecorded = async (messages: number): Promise<void> => {
      while (recorder.stats().queueBytes > 0) await new Promise(setImmediate);
      expect((await bagInfo(join(folder, 'recordings/drive/drive_0.mcap.active'))).messages).toBe(messages);
    };
    recorder.write(sound(0));
    await untilRecorded(1);
    recorder.write(temperature(0));
    vi.advanceTimersByTime(300);
    await untilRecorded(2);
    await recorder.close();
  });

  test('counts what was lost before it, and keeps the count in the bag', async () => {
    const folder = await scratchFolder();
    const recorder = await open(folder);
    for (const index of [0, 1, 5, 6]) recorder.write(sound(index));
    await recorder.close();
    expect(recorder.stats().lost).toEqual({ '/uma8/audio': { gap: 3, queue: 0, space: 0, write: 0 } });
    const records = readStream(await readFile(join(folder, 'recordings/drive/drive_0.mcap')));
    expect(records.findLast((item) => item.type === 'Metadata' && item.name === 'fender.loss')).toMatchObject({
      metadata: new Map([['/uma8/audio', 'gap=3 queue=0 space=0 write=0']]),
    });
  });

  test('of nothing leaves no broken file', async () => {
    const folder = await scratchFolder();
    const recorder = await open(folder);
    await recorder.close();
    expect(await readdir(join(folder, 'recordings/drive'))).toEqual([]);
    expect(recorder.write(sound(0))).toBe(false);
  });
});
