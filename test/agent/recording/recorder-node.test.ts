import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse as parseMsg } from '@foxglove/rosmsg';
import { MessageReader } from '@foxglove/rosmsg2-serialization';
import type { McapTypes } from '@mcap/core';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { bagVerify } from '../../../agent/bag/bag-check.ts';
import { bagMerge } from '../../../agent/bag/bag-merge.ts';
import { SystemClock } from '../../../agent/clock.ts';
import type { Message } from '../../../agent/messages/message.ts';
import {
  encodeRawAudio,
  encodeSynchronizedSet,
  encodeTimeReference,
  schemaTexts,
} from '../../../agent/messages/messages.ts';
import type { ClipRange } from '../../../agent/recording/clip.ts';
import type { RecorderNode } from '../../../agent/recording/recorder-node.ts';
import type { Stamp } from '../../../drivers/sample.ts';
import { SimulatedTime } from '../clock-simulated-time.ts';
import { firstRecording, openNode, until } from './node-fixtures.ts';
import {
  type ReadMessage,
  range,
  readFileIndexed,
  readStream,
  sequencesOf,
  sound,
  temperature,
} from './recording-fixtures.ts';
import { scratchFolder } from './scratch-folder.ts';

const secondNs = 1_000_000_000n;

/** A vehicle whose time a test has in its hand: sound every 100 ms, the clock's reference every second. */
class Vehicle {
  readonly time = new SimulatedTime();
  readonly clock = new SystemClock(
    { checkPeriodMs: 1000, qualityPeriodMs: 1000, stepThresholdMs: 50 },
    this.time,
    async () => ({ synchronised: false, estimatedErrorNs: null, source: 'none' }),
  );
  readonly stamps: Stamp[] = [];
  #references = 0;

  /** Records `count` chunks; each stands for itself by its samples. `node` hears of steps, as in the agent. */
  record(node: RecorderNode, count: number): void {
    for (let left = count; left > 0; left -= 1) {
      this.time.monotonic += 100_000_000n;
      const stamp = this.clock.now();
      node.write(this.sound(stamp));
      if (this.stamps.length % 10 !== 0) continue;
      const data = encodeTimeReference(stamp);
      const type = 'sensor_msgs/msg/TimeReference';
      node.write({ topic: '/fender/time_reference', type, sequence: this.#references, stamp, data });
      this.#references += 1;
    }
  }

  sound(stamp: Stamp): Message {
    const sequence = this.stamps.length;
    this.stamps.push(stamp);
    const pcm = new Int16Array(9600).fill(sequence);
    const data = encodeRawAudio({ stamp, firstFrame: 0n, sampleRateHz: 48_000, channels: 2, frames: 4800, pcm });
    return { topic: '/uma8/audio', type: 'foxglove_msgs/msg/RawAudio', sequence, stamp, data };
  }

  /** From `from` to `to`, stamps of this vehicle's sound, anchored at `anchor`. */
  range(from: number, to: number, anchor: number): ClipRange {
    const [start, end, at] = [from, to, anchor].map((index) => this.stamps[index] as Stamp) as [Stamp, Stamp, Stamp];
    return { bootId: at.bootId, startMonotonicNs: start.monotonicNs, endMonotonicNs: end.monotonicNs, anchor: at };
  }
}

function watchClock(vehicle: Vehicle, node: RecorderNode): AbortController {
  const stop = new AbortController();
  void vehicle.clock.run(stop.signal, (step) => node.clockStepped(step));
  return stop;
}

async function recordingsIn(folder: string): Promise<string[]> {
  return (await readdir(join(folder, 'recordings'))).sort((a, b) => (a.slice(-6) < b.slice(-6) ? -1 : 1));
}

/** All messages of a recording, segment after segment, in the order of their chunks. */
async function messagesOf(folder: string, recording: string): Promise<ReadMessage[]> {
  const names = (await readdir(join(folder, 'recordings', recording))).filter((name) => name.endsWith('.mcap'));
  const collator = new Intl.Collator('en', { numeric: true });
  const all: ReadMessage[] = [];
  for (const name of names.sort(collator.compare)) {
    all.push(...(await readFileIndexed(join(folder, 'recordings', recording, name))));
  }
  return all;
}

function metadataOf(records: readonly McapTypes.TypedMcapRecord[], name: string): Record<string, string> | undefined {
  const found = records.findLast((record) => record.type === 'Metadata' && record.name === name);
  return found?.type === 'Metadata' ? Object.fromEntries(found.metadata) : undefined;
}

function rising(messages: readonly ReadMessage[], topic: string): boolean {
  const times = messages.filter((message) => message.topic === topic).map(({ logTime }) => logTime);
  return times.every((time, index) => index === 0 || time > (times[index - 1] as bigint));
}

describe('a step of the clock', () => {
  test.each([
    ['an hour back', -3600n * secondNs],
    ['an hour on', 3600n * secondNs],
    ['ten years back', -315_360_000n * secondNs],
  ])('of %s begins a new recording; nothing is lost, and time rises in each', async (_name, stepNs) => {
    const folder = await scratchFolder();
    const vehicle = new Vehicle();
    const node = await openNode(folder, {}, vehicle.clock);
    const watching = watchClock(vehicle, node);
    vehicle.record(node, 20);
    // Measured before the step, published after it.
    vehicle.time.monotonic += 100_000_000n;
    const late = vehicle.clock.now();
    vehicle.time.monotonic += 1_000_000n;
    vehicle.time.offsetNs += stepNs;
    vehicle.clock.now();
    node.write(vehicle.sound(late));
    vehicle.record(node, 20);
    await node.close();
    watching.abort();

    const ids = await recordingsIn(folder);
    expect(ids.map((id) => id.slice(-6))).toEqual(['000001', '000002']);
    const [before, after] = await Promise.all(ids.map((id) => messagesOf(folder, id)));
    expect(sequencesOf(before ?? [], '/uma8/audio')).toEqual(range(21));
    expect(sequencesOf(after ?? [], '/uma8/audio')).toEqual(range(20));
    expect(after?.find(({ topic }) => topic === '/fender/time_reference')?.sequence).toBe(0);
    for (const messages of [before ?? [], after ?? []]) {
      expect(rising(messages, '/uma8/audio')).toBe(true);
      expect(rising(messages, '/fender/time_reference')).toBe(true);
    }
    expect(node.stats()).toMatchObject({ recordings: 2, lostMessages: 0, lost: {} });
  });

  test('leaves what comes after its recording has ended to the next one, in its order', async () => {
    const folder = await scratchFolder();
    const vehicle = new Vehicle();
    const node = await openNode(folder, {}, vehicle.clock);
    const watching = watchClock(vehicle, node);
    vehicle.record(node, 3);
    vehicle.time.monotonic += 100_000_000n;
    const late = vehicle.clock.now();
    // More steps than recordings are kept open.
    for (const stepS of [3600n, 3600n, 3600n, -9000n, 60n]) {
      vehicle.time.monotonic += 1_000_000n;
      vehicle.time.offsetNs += stepS * secondNs;
      vehicle.clock.now();
    }
    node.write(vehicle.sound(late));
    vehicle.record(node, 3);
    await node.close();
    watching.abort();
    // Those in between had no message, and leave no folder.
    const ids = await recordingsIn(folder);
    expect(ids.map((id) => id.slice(-6))).toEqual(['000001', '000006']);
    const last = await messagesOf(folder, ids[1] ?? '');
    expect(sequencesOf(last, '/uma8/audio')).toEqual(range(4));
    expect(rising(last, '/uma8/audio')).toBe(true);
    expect(node.stats().lostMessages).toBe(0);
  });

  test('lies within a clip, which is whole and straight, from memory as from the segments', async () => {
    const folder = await scratchFolder();
    const vehicle = new Vehicle();
    const node = await openNode(folder, { maxSegmentMs: 1000, slowFlushMs: 10 }, vehicle.clock);
    const watching = watchClock(vehicle, node);
    vehicle.record(node, 25);
    vehicle.time.offsetNs -= 3600n * secondNs;
    vehicle.record(node, 25);
    const asked = vehicle.range(10, 40, 20);
    const fromMemory = await readFileIndexed((await node.cutClip(asked)).path);
    await node.close();
    watching.abort();

    // The next run of the agent, in the same boot and in another.
    const next = await openNode(folder, { ring: { maxAgeMs: 0, maxBytes: 0 } }, vehicle.clock);
    const fromSegments = await readFileIndexed((await next.cutClip(asked)).path);
    expect(fromSegments).toEqual(fromMemory);
    const heard = fromMemory.filter(({ topic }) => topic === '/uma8/audio');
    expect(heard.map(({ sequence }) => sequence)).toEqual([...range(15, 10), ...range(15)]);
    const anchor = vehicle.stamps[20] as Stamp;
    for (const [index, { logTime }] of heard.entries()) {
      const { monotonicNs } = vehicle.stamps[10 + index] as Stamp;
      expect(logTime).toBe(anchor.capturedAtNs + (monotonicNs - anchor.monotonicNs));
    }
    await expect(next.cutClip({ ...asked, bootId: 'another boot' })).rejects.toMatchObject({ code: 'not-covered' });
    await next.close();
  });
});

describe('a stopped recording', () => {
  test('is whole and closed, and what comes until the next start is not lost but not recorded', async () => {
    const folder = await scratchFolder();
    const node = await openNode(folder);
    for (const index of range(5)) node.write(sound(index));
    node.write(temperature(0));
    expect(await node.stop()).toBe(firstRecording);
    expect((await readdir(join(folder, 'recordings', firstRecording))).sort()).toEqual([
      `${firstRecording}_0.mcap`,
      'metadata.yaml',
    ]);
    expect(node.stats()).toMatchObject({ state: 'stopped', recordingId: null, messages: 6, queueBytes: 0 });
    for (const index of range(5, 5)) node.write(sound(index));
    expect(await node.stop()).toBeNull();
    const second = await node.start();
    expect(await node.start()).toBe(second);
    for (const index of range(5, 10)) node.write(sound(index));
    await node.close();
    expect(sequencesOf(await messagesOf(folder, firstRecording), '/uma8/audio')).toEqual(range(5));
    expect(sequencesOf(await messagesOf(folder, second), '/uma8/audio')).toEqual(range(5));
    expect(node.stats()).toMatchObject({ state: 'closed', recordings: 2, messages: 11, lostMessages: 0 });
    await expect(node.start()).rejects.toMatchObject({ code: 'closed' });
  });

  test('becomes one bag with the next, in which nothing is missing but what was lost inside', async () => {
    const folder = await scratchFolder();
    const vehicle = new Vehicle();
    const node = await openNode(folder, {}, vehicle.clock);
    vehicle.record(node, 30);
    await node.stop();
    vehicle.record(node, 10);
    await node.start();
    vehicle.record(node, 20);
    // Lost on the way to the recorder.
    vehicle.sound(vehicle.clock.now());
    vehicle.record(node, 20);
    await node.close();
    const paths = (await recordingsIn(folder)).map((id) => join(folder, 'recordings', id));
    expect((await bagVerify(paths[0] ?? '')).errors).toBe(0);
    await bagMerge(paths, join(folder, 'both'));
    const { findings } = await bagVerify(join(folder, 'both'));
    expect(findings.filter(({ severity }) => severity === 'error').map(({ message }) => message)).toEqual([
      '/uma8/audio: 1 message is missing between sequence 19 and 21',
    ]);
  });

  test('leaves the members of synchronised sets where the next one counts them', async () => {
    const folder = await scratchFolder();
    const node = await openNode(folder);
    const topic = '/fender/sets';
    const set = (sequence: number, heard: number, felt: number): Message => {
      const { stamp } = sound(heard);
      const members = [
        { topic: '/uma8/audio', sequence: heard, stamp },
        { topic: '/bme680/temperature', sequence: felt, stamp },
      ];
      const data = encodeSynchronizedSet({ stamp, missedBefore: 0, members, skewNs: 0n });
      return { topic, type: 'fender_msgs/msg/SynchronizedSet', sequence, stamp, data };
    };
    for (const index of range(5)) node.write(sound(index));
    node.write(temperature(0));
    node.write(set(0, 4, 0));
    await node.stop();
    const second = await node.start();
    // A set may come before its last member does.
    node.write(temperature(1));
    node.write(set(1, 5, 1));
    node.write(sound(5));
    const { bootId, monotonicNs } = sound(0).stamp;
    const whole = {
      bootId,
      startMonotonicNs: monotonicNs,
      endMonotonicNs: monotonicNs + secondNs,
      anchor: sound(0).stamp,
    };
    const clip = await readFileIndexed((await node.cutClip(whole)).path);
    await node.close();
    const sequences = (messages: readonly ReadMessage[]): number[][] => {
      const reader = new MessageReader(parseMsg(schemaTexts['fender_msgs/msg/SynchronizedSet'], { ros2: true }));
      return messages
        .filter((each) => each.topic === topic)
        .map(({ data }) => [...reader.readMessage<{ sequences: Uint32Array }>(data).sequences]);
    };
    expect(sequences(await messagesOf(folder, firstRecording))).toEqual([[4, 0]]);
    expect(sequences(await messagesOf(folder, second))).toEqual([[0, 0]]);
    expect(sequencesOf(await messagesOf(folder, second), '/uma8/audio')).toEqual([0]);
    expect(sequences(clip)).toEqual([
      [4, 0],
      [0, 0],
    ]);
  });

  test('leaves memory at work: clips hold what was not recorded', async () => {
    const folder = await scratchFolder();
    const vehicle = new Vehicle();
    const node = await openNode(folder, {}, vehicle.clock);
    vehicle.record(node, 10);
    await node.stop();
    vehicle.record(node, 10);
    const clip = await readFileIndexed((await node.cutClip(vehicle.range(5, 19, 10))).path);
    expect(sequencesOf(clip, '/uma8/audio')).toEqual(range(14, 5));
    await node.close();
  });

  test('goes on when the agent starts again', async () => {
    const folder = await scratchFolder();
    const node = await openNode(folder);
    node.write(sound(0));
    await node.stop();
    await node.close();
    const next = await openNode(folder);
    expect(next.stats()).toMatchObject({
      state: 'recording',
      recordingId: firstRecording.replace('000001', '000002'),
    });
    await next.close();
  });
});

describe('a snapshot', () => {
  test('keeps its pre-roll in memory beyond its age until its post-roll has come', async () => {
    const folder = await scratchFolder();
    const vehicle = new Vehicle();
    const ring = { maxAgeMs: 2000, maxBytes: 64_000_000 };
    let taken: { stamp: Stamp; preRollNs: bigint; postRollNs: bigint } | null = null;
    const node = await openNode(
      folder,
      {
        ring,
        takeSnapshot: async (snapshot) => {
          taken = snapshot;
          return 'event-1';
        },
      },
      vehicle.clock,
    );
    await node.stop();
    vehicle.record(node, 50);
    expect(node.stats().ringMessages).toBeLessThan(30);
    expect(await node.snapshot({ reason: 'test', preRollS: 2, postRollS: 10 })).toMatchObject({
      eventId: 'event-1',
      preRollS: 2,
      postRollS: 10,
    });
    vehicle.record(node, 105);
    const { stamp, preRollNs, postRollNs } = taken as unknown as {
      stamp: Stamp;
      preRollNs: bigint;
      postRollNs: bigint;
    };
    const clip = await node.cutClip({
      bootId: stamp.bootId,
      startMonotonicNs: stamp.monotonicNs - preRollNs,
      endMonotonicNs: stamp.monotonicNs + postRollNs,
      anchor: stamp,
    });
    const sequences = sequencesOf(await readFileIndexed(clip.path), '/uma8/audio');
    expect(sequences).toEqual(range(sequences.length, 30));
    expect(sequences.at(-1)).toBeGreaterThanOrEqual(148);
    // Then it is as short as before.
    vehicle.record(node, 100);
    expect(node.stats().ringMessages).toBeLessThan(30);
    expect(node.stats().snapshots).toBe(1);
    await node.close();
  });

  test('longer than a clip can be is refused', async () => {
    const folder = await scratchFolder();
    const node = await openNode(folder);
    for (const [preRollS, postRollS] of [
      [60, 1],
      [-1, 5],
      [0, 0],
      [Number.NaN, 1],
    ]) {
      await expect(node.snapshot({ reason: '', preRollS, postRollS })).rejects.toMatchObject({ code: 'too-large' });
    }
    await node.close();
  });
});

describe('a topic of others', () => {
  const schemaText = 'std_msgs/Header header\nfloat64 speed\n';
  const qos = [{ history: 'keep_last', depth: 3, reliability: 'best_effort', durability: 'transient_local' }];
  const imu = (index: number, depth = 3): Message => ({
    ...sound(index, 10, 1),
    topic: '/car/speed',
    type: 'car_msgs/msg/Speed',
    data: Uint8Array.of(0, 1, 0, 0, index),
    foreign: { schemaText, offeredQos: [{ ...qos[0], depth }], typeHash: 'RIHS01_ab' },
  });

  test('is recorded as it came, with its definition and QoS, also into clips, from memory and from segments', async () => {
    const folder = await scratchFolder();
    const node = await openNode(folder, { maxSegmentBytes: 1_000_000, slowFlushMs: 10 });
    for (const index of range(20)) {
      node.write(sound(index));
      node.write(imu(index));
      if (index % 5 === 4) await until(() => node.stats().queueBytes === 0);
    }
    const { stamp } = sound(0);
    const asked = {
      bootId: stamp.bootId,
      startMonotonicNs: stamp.monotonicNs,
      endMonotonicNs: stamp.monotonicNs + secondNs,
      anchor: stamp,
    };
    const fromMemory = await readFile((await node.cutClip(asked)).path);
    await node.close();
    const next = await openNode(folder);
    const fromSegments = await readFile((await next.cutClip(asked)).path);
    await next.close();
    const drive = join(folder, 'recordings', firstRecording);
    const segments = (await readdir(drive)).filter((name) => name.endsWith('.mcap'));
    expect(segments.length).toBeGreaterThan(1);
    const files = [
      fromMemory,
      fromSegments,
      ...(await Promise.all(segments.map((name) => readFile(join(drive, name))))),
    ];
    for (const bytes of files) {
      const records = readStream(bytes);
      const channel = records.find((record) => record.type === 'Channel' && record.topic === '/car/speed');
      if (channel?.type !== 'Channel') throw new Error('no channel');
      const schema = records.find((record) => record.type === 'Schema' && record.id === channel.schemaId);
      expect(schema).toMatchObject({ name: 'car_msgs/msg/Speed', encoding: 'ros2msg' });
      expect(schema?.type === 'Schema' && new TextDecoder().decode(schema.data)).toBe(schemaText);
      expect(parse(channel.metadata.get('offered_qos_profiles') ?? '')).toMatchObject(qos);
      expect(channel.metadata.get('topic_type_hash')).toBe('RIHS01_ab');
    }
    const metadata = parse(await readFile(join(drive, 'metadata.yaml'), 'utf8')).rosbag2_bagfile_information;
    expect(metadata.topics_with_message_count).toContainEqual({
      topic_metadata: {
        name: '/car/speed',
        type: 'car_msgs/msg/Speed',
        serialization_format: 'cdr',
        offered_qos_profiles: qos,
        type_description_hash: 'RIHS01_ab',
      },
      message_count: 20,
    });
    const messages = await messagesOf(folder, firstRecording);
    const speeds = messages.filter(({ topic }) => topic === '/car/speed');
    expect(speeds.map(({ data }) => data[4])).toEqual(range(20));
  });
});

describe('every segment', () => {
  test('names its moment by both clocks, its vehicle, what was lost, and its overview', async () => {
    const folder = await scratchFolder();
    const vehicle = new Vehicle();
    const node = await openNode(folder, { maxSegmentMs: 1000, slowFlushMs: 10 }, vehicle.clock);
    for (const _ of range(5)) {
      vehicle.record(node, 3);
      await until(() => node.stats().queueBytes === 0);
    }
    vehicle.sound(vehicle.clock.now());
    vehicle.record(node, 12);
    await node.close();
    const [recording = ''] = await recordingsIn(folder);
    const names = (await readdir(join(folder, 'recordings', recording)))
      .filter((name) => name.endsWith('.mcap'))
      .sort();
    expect(names.length).toBeGreaterThanOrEqual(2);
    for (const [index, name] of names.entries()) {
      const records = readStream(await readFile(join(folder, 'recordings', recording, name)));
      const clock = metadataOf(records, 'fender.clock') ?? {};
      const moment = vehicle.stamps.find(({ monotonicNs }) => String(monotonicNs) === clock.monotonic_ns) as Stamp;
      expect(clock).toEqual({
        boot_id: vehicle.time.bootId,
        monotonic_ns: String(moment.monotonicNs),
        utc_ns: String(moment.capturedAtNs),
        synchronised: 'false',
        estimated_error_ns: 'unknown',
      });
      const messages = await readFileIndexed(join(folder, 'recordings', recording, name));
      expect(messages.map(({ logTime }) => logTime)).toContain(moment.capturedAtNs);
      expect(metadataOf(records, 'foxglove')).toEqual({ deviceName: 'car-7' });
      const lost = index === 0 ? {} : { '/uma8/audio': 'gap=1 queue=0 space=0 write=0' };
      expect(metadataOf(records, 'fender.loss')).toEqual(lost);
      const overview = records.find((record) => record.type === 'Attachment');
      expect(overview).toMatchObject({ name: 'fender.overview', mediaType: 'application/json' });
    }
  });

  test('that a crash tears says what was lost before it began', async () => {
    const folder = await scratchFolder();
    const node = await openNode(folder, { maxSegmentMs: 1000 });
    for (const index of range(12).filter((each) => each !== 5)) node.write(sound(index));
    await until(() => node.stats().queueBytes === 0);
    node.write(sound(12));
    await until(() => node.stats().queueBytes === 0);
    const drive = join(folder, 'recordings', firstRecording);
    const torn = join(drive, `${firstRecording}_1.mcap.active`);
    await until(async () => (await readdir(drive)).includes(`${firstRecording}_1.mcap.active`));
    const bytes = await readFile(torn);
    await node.close();
    await mkdir(join(folder, 'after/recordings/torn'), { recursive: true });
    const copy = join(folder, `after/recordings/torn/${firstRecording}_1.mcap`);
    await rename(join(drive, `${firstRecording}_1.mcap`), copy);
    await writeFile(`${copy}.active`, bytes);
    const next = await openNode(join(folder, 'after'));
    expect(await next.repairs).toMatchObject([{ problem: '' }]);
    await next.close();
    expect(metadataOf(readStream(await readFile(copy)), 'fender.loss')).toEqual({
      '/uma8/audio': 'gap=1 queue=0 space=0 write=0',
    });
  });
});
