import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { type CreateDurable, createDurable } from '../../../agent/bag/durable-file.ts';
import type { Message } from '../../../agent/messages/message.ts';
import { Recorder } from '../../../agent/recording/recorder.ts';
import { clock, range, readStream, stampAt } from './recording-fixtures.ts';
import { scratchFolder } from './scratch-folder.ts';

/** FENDER_TEST_SEED replays a run's recordings. */
const seed = Number(process.env.FENDER_TEST_SEED ?? Date.now() % 1_000_000);
const runs = 30;
/** Payloads below and above what makes sound of a message, and above what a chunk holds. */
const topics = { '/tiny': 1, '/small': 700, '/at_bound': 16 * 1024 - 1, '/sound': 16 * 1024, '/huge': 300 * 1024 };
type TopicName = keyof typeof topics;

/** Known by its content: its sequence is in its first and its last bytes. */
function makeMessage(topic: TopicName, sequence: number, order: number): Message {
  const data = new Uint8Array(4 + 4 + topics[topic]).fill(sequence & 0xff, 4);
  new DataView(data.buffer).setUint32(4, sequence, true);
  return { topic, type: 'fender_msgs/msg/Blob', sequence, stamp: stampAt(BigInt(order) * 7_000_000n), data };
}

/** A disk that lets others run before some of its writes. */
function lazyDisk(delays: readonly number[]): CreateDurable {
  let call = 0;
  return async (path) => {
    const real = await createDurable(path);
    return {
      ...real,
      writev: async (pieces, position) => {
        call += 1;
        for (let left = delays[call % delays.length] ?? 0; left > 0; left -= 1) await nextTurn();
        return real.writev(pieces, position);
      },
    };
  };
}

/** Every message of every segment as `topic sequence`, in the order of the files and of their bytes. */
async function readBack(drive: string): Promise<{ order: string[]; loss: Map<string, string>; count: number }> {
  const collator = new Intl.Collator('en', { numeric: true });
  const names = (await readdir(drive)).filter((name) => name.endsWith('.mcap')).sort(collator.compare);
  const order: string[] = [];
  let loss = new Map<string, string>();
  for (const name of names) {
    const records = readStream(await readFile(join(drive, name)));
    const channels = new Map<number, string>();
    for (const record of records) {
      if (record.type === 'Channel') channels.set(record.id, record.topic);
      if (record.type === 'Metadata' && record.name === 'fender.loss') loss = record.metadata;
      if (record.type !== 'Message') continue;
      const topic = channels.get(record.channelId) as TopicName;
      const sequence = new DataView(record.data.buffer, record.data.byteOffset).getUint32(4, true);
      expect(sequence).toBe(record.sequence);
      expect(record.data.at(-1)).toBe(sequence & 0xff);
      order.push(`${topic} ${sequence}`);
    }
  }
  const yaml = parse(await readFile(join(drive, 'metadata.yaml'), 'utf8')).rosbag2_bagfile_information;
  expect(yaml.relative_file_paths).toEqual(names);
  return { order, loss, count: yaml.message_count };
}

const recordings = fc.record({
  // Around one, two and three messages, and more than all.
  maxSegmentBytes: fc.oneof(fc.constantFrom(1, 16_384, 32_768, 300_000, 600_000, 1e9), fc.nat(2_000_000)),
  maxSegmentMs: fc.constantFrom(1, 7, 50, 1_000_000),
  maxQueueBytes: fc.constantFrom(320_000, 700_000, 50_000_000),
  slowFlushMs: fc.constantFrom(0, 2),
  delays: fc.array(fc.nat(8), { minLength: 1, maxLength: 5 }),
  // Which topic comes next, whether one is missing before it, and whether others run after it.
  steps: fc.array(
    fc.record({
      topic: fc.constantFrom(...(Object.keys(topics) as TopicName[])),
      skipped: fc.oneof(
        { weight: 9, arbitrary: fc.constant(0) },
        { weight: 1, arbitrary: fc.integer({ min: 1, max: 3 }) },
      ),
      yields: fc.nat(3),
      flushes: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
    }),
    { minLength: 20, maxLength: 120 },
  ),
});

test(`over any splits, what was taken comes back once and in order, and what was not is counted (${runs} recordings, seed ${seed})`, async () => {
  let segments = 0;
  await fc.assert(
    fc.asyncProperty(recordings, async ({ steps, delays, ...options }) => {
      const folder = await scratchFolder();
      const given = {
        ...options,
        vehicle: 'car-7',
        recordingId: 'drive',
        minFreeBytes: 0,
        createFile: lazyDisk(delays),
      };
      const recorder = await Recorder.open(join(folder, 'recordings'), given, clock);
      const next = new Map<TopicName, number>();
      const taken: string[] = [];
      const lost = new Map<string, { gap: number; queue: number }>();
      for (const [order, { topic, skipped, yields, flushes }] of steps.entries()) {
        const known = next.has(topic);
        const sequence = (next.get(topic) ?? 0) + skipped;
        next.set(topic, sequence + 1);
        const loss = lost.get(topic) ?? { gap: 0, queue: 0 };
        if (known) loss.gap += skipped;
        if (recorder.write(makeMessage(topic, sequence, order))) taken.push(`${topic} ${sequence}`);
        else loss.queue += 1;
        if (loss.gap + loss.queue > 0) lost.set(topic, loss);
        for (const _ of range(yields)) await nextTurn();
        if (flushes) await recorder.flush();
      }
      await recorder.close();
      if (taken.length === 0) return;
      const { order, loss, count } = await readBack(join(folder, 'recordings/drive'));
      expect(count).toBe(taken.length);
      for (const topic of Object.keys(topics)) {
        const of = (all: readonly string[]): string[] => all.filter((each) => each.startsWith(`${topic} `));
        expect(of(order)).toEqual(of(taken));
      }
      expect(Object.fromEntries(loss)).toEqual(
        Object.fromEntries(
          [...lost].map(([topic, { gap, queue }]) => [topic, `gap=${gap} queue=${queue} space=0 write=0`]),
        ),
      );
      segments += recorder.stats().segments;
    }),
    { numRuns: runs, seed },
  );
  expect(segments).toBeGreaterThan(2 * runs);
}, 120_000);
