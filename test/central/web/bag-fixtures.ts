/** Bags for the viewer's tests: of our own recorder, with FLAC, as others write them, torn, damaged, and files that are no bags. */
import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from '@foxglove/rosmsg';
import { MessageWriter } from '@foxglove/rosmsg2-serialization';
import { McapWriter, type McapWriterOptions, TempBuffer } from '@mcap/core';
import type { Attachment } from '../../../agent/bag/mcap-builder.ts';
import { encodeRawAudio } from '../../../agent/messages/messages.ts';
import { readSchemaText } from '../../../agent/messages/schema-text.ts';
import { openFlacEncoder } from '../../../agent/sound/flac-encoder.ts';
import { levelsOf } from '../../../agent/sound/levels.ts';
import { Overview } from '../../../agent/sound/overview.ts';
import { compressedAudioMessage, viewSamples } from '../../../agent/sound/raw-audio.ts';
import { makeHourBag } from '../../bench/hour-bag.ts';

const startNs = 1_777_809_600_000_000_000n;
const ns = (seconds: number) => startNs + BigInt(Math.round(seconds * 1e9));
const time = (seconds: number) => ({
  sec: Number(ns(seconds) / 1_000_000_000n),
  nanosec: Number(ns(seconds) % 1_000_000_000n),
});

/** One topic of a bag to write. */
interface Topic {
  readonly name: string;
  readonly type: string;
  readonly schema: string;
  readonly messages: readonly { readonly atS: number; readonly data: Uint8Array }[];
  /** Number of the first message; 0 unless told. */
  readonly firstSequence?: number;
}

async function writeBag(
  path: string,
  topics: readonly Topic[],
  options: Partial<McapWriterOptions> = {},
  attachment: Attachment | null = null,
): Promise<void> {
  const writable = new TempBuffer();
  const writer = new McapWriter({ writable, chunkSize: 64 * 1024, ...options });
  await writer.start({ profile: 'ros2', library: 'others' });
  const messages = [];
  for (const { name, type, schema, messages: own, firstSequence = 0 } of topics) {
    const schemaId = await writer.registerSchema({
      name: type,
      encoding: 'ros2msg',
      data: new TextEncoder().encode(schema),
    });
    const channelId = await writer.registerChannel({
      topic: name,
      messageEncoding: 'cdr',
      schemaId,
      metadata: new Map(),
    });
    messages.push(...own.map((message, index) => ({ channelId, sequence: firstSequence + index, ...message })));
  }
  for (const { channelId, sequence, atS, data } of messages.sort((one, other) => one.atS - other.atS)) {
    await writer.addMessage({ channelId, sequence, logTime: ns(atS), publishTime: ns(atS), data });
  }
  if (attachment !== null) await writer.addAttachment(attachment);
  await writer.end();
  await writeFile(path, writable.get());
}

/** A type that comes with no ROS installation here, as its package defines it. */
const canFrame = `std_msgs/Header header
uint32 id
bool is_rtr
bool is_extended
bool is_error
uint8 dlc
uint8[8] data
${'='.repeat(80)}
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
${'='.repeat(80)}
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
`;

/** Values of the foreign bag at a time: acceleration along z, and the vehicle's latitude. */
export const foreignValues = {
  accelerationZ: (timeS: number) => 9.81 + 0.5 * Math.sin(2 * Math.PI * timeS),
  latitude: (timeS: number) => 52.5 + timeS * 1e-5,
};

function series(
  count: number,
  rateHz: number,
  encode: (timeS: number, index: number) => Uint8Array,
): Topic['messages'] {
  return Array.from({ length: count }, (_, index) => ({ atS: index / rateHz, data: encode(index / rateHz, index) }));
}

/** An inertial unit at 100 Hz, a GNSS receiver at 5 Hz and a CAN bus at 50 Hz over 20 s; chunks compressed by `compression`. */
export async function foreignBag(
  path: string,
  compressChunk?: McapWriterOptions['compressChunk'],
  chunkSize = 64 * 1024,
): Promise<void> {
  const [imu, fix] = [readSchemaText('sensor_msgs/msg/Imu'), readSchemaText('sensor_msgs/msg/NavSatFix')];
  const [imuWriter, fixWriter, canWriter] = [imu, fix, canFrame].map(
    (text) => new MessageWriter(parse(text, { ros2: true })),
  );
  const header = (timeS: number) => ({ stamp: time(timeS), frame_id: 'base' });
  const zeros = new Float64Array(9);
  const topics: Topic[] = [
    {
      name: '/imu/data',
      type: 'sensor_msgs/msg/Imu',
      schema: imu,
      messages: series(2000, 100, (timeS) =>
        (imuWriter as MessageWriter).writeMessage({
          header: header(timeS),
          orientation: { x: 0, y: 0, z: Math.sin(timeS / 20), w: Math.cos(timeS / 20) },
          orientation_covariance: zeros,
          angular_velocity: { x: 0.01, y: 0, z: 0.1 },
          angular_velocity_covariance: zeros,
          linear_acceleration: { x: 0.1, y: -0.2, z: foreignValues.accelerationZ(timeS) },
          linear_acceleration_covariance: zeros,
        }),
      ),
    },
    {
      name: '/gnss/fix',
      type: 'sensor_msgs/msg/NavSatFix',
      schema: fix,
      messages: series(100, 5, (timeS) =>
        (fixWriter as MessageWriter).writeMessage({
          header: header(timeS),
          status: { status: 0, service: 1 },
          latitude: foreignValues.latitude(timeS),
          longitude: 13.4,
          altitude: 34,
          position_covariance: zeros,
          position_covariance_type: 0,
        }),
      ),
    },
    {
      name: '/can0/frames',
      type: 'can_msgs/msg/Frame',
      schema: canFrame,
      messages: series(1000, 50, (timeS, index) =>
        (canWriter as MessageWriter).writeMessage({
          header: header(timeS),
          id: 0x1a0,
          is_rtr: false,
          is_extended: false,
          is_error: false,
          dlc: 8,
          data: Uint8Array.of(index & 255, 1, 2, 3, 4, 5, 6, 7),
        }),
      ),
    },
  ];
  await writeBag(path, topics, { chunkSize, ...(compressChunk === undefined ? {} : { compressChunk }) });
}

/** LZ4 frame (LZ4 Frame Format 1.6) of blocks that are stored as they are. */
export function storedLz4(data: Uint8Array): { compression: string; compressedData: Uint8Array } {
  // Magic, version 1 with independent blocks, 4 MiB blocks, and the checksum of these two bytes.
  const head = Uint8Array.of(0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0x73);
  const compressedData = new Uint8Array(head.length + 4 + data.byteLength + 4);
  compressedData.set(head);
  new DataView(compressedData.buffer).setUint32(head.length, (data.byteLength | 0x8000_0000) >>> 0, true);
  compressedData.set(data, head.length + 4);
  return { compression: 'lz4', compressedData };
}

/** Four channels of sound over 5 s: the fourth second as plain samples, as a recorder whose encoder was late does, all else as FLAC. */
export async function flacBag(path: string): Promise<void> {
  const encode = await openFlacEncoder();
  const [flac, plain]: [Topic['messages'][number][], Topic['messages'][number][]] = [[], []];
  for (let part = 0; part < 50; part += 1) {
    const pcm = new Int16Array(4 * 4800);
    for (let at = 0; at < pcm.length; at += 1) {
      const frame = part * 4800 + Math.floor(at / 4);
      pcm[at] = Math.round(8000 * Math.sin((2 * Math.PI * 440 * ((at % 4) + 1) * frame) / 48_000));
    }
    const stamp = {
      capturedAtNs: ns(part / 10),
      bootId: 'test',
      monotonicNs: 0n,
      synchronised: true,
      estimatedErrorNs: null,
    };
    const data = encodeRawAudio({
      stamp,
      firstFrame: BigInt(part * 4800),
      frames: 4800,
      pcm,
      channels: 4,
      sampleRateHz: 48_000,
    });
    if (part >= 30 && part < 40) {
      plain.push({ atS: part / 10, data });
      continue;
    }
    const sound = viewSamples(data);
    if (sound === null) throw new Error('expected a sound message');
    flac.push({ atS: part / 10, data: compressedAudioMessage(sound, encode(pcm, 4, 48_000)) });
  }
  const type = 'fender_msgs/msg/CompressedAudio';
  const rawType = 'foxglove_msgs/msg/RawAudio';
  await writeBag(path, [
    { name: '/uma8/audio/flac', type, schema: readSchemaText(type), messages: flac },
    { name: '/uma8/audio', type: rawType, schema: readSchemaText(rawType), messages: plain },
  ]);
}

/** Two recordings of one microphone and a stop between them, in seconds; they begin off the whole second. */
export const stopped = { firstS: 0.37, secondS: 106.77, eachS: 45, segmentS: 5 };

/**
 * Writes them in segments, each message of 100 ms a chunk of its own, more of them than the viewer reads at once. Sequence numbers
 * go on over the segments of a recording. @returns the files in order.
 */
export async function stoppedRecordings(folder: string, overview: boolean, firstSequences = [0, 0]): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const pcm = Int16Array.from({ length: 4800 }, (_, at) =>
    Math.round(8000 * Math.sin((2 * Math.PI * 440 * at) / 48_000)),
  );
  const paths: string[] = [];
  const type = 'foxglove_msgs/msg/RawAudio';
  for (const [recording, startS] of [stopped.firstS, stopped.secondS].entries()) {
    for (let segment = 0; segment * stopped.segmentS < stopped.eachS; segment += 1) {
      const levels = new Overview();
      const messages = Array.from({ length: stopped.segmentS * 10 }, (_, part) => {
        const atS = startS + segment * stopped.segmentS + part / 10;
        const stamp = {
          capturedAtNs: ns(atS),
          bootId: 'test',
          monotonicNs: 0n,
          synchronised: true,
          estimatedErrorNs: null,
        };
        const sound = { firstFrame: 0n, frames: 4800, pcm, channels: 1, sampleRateHz: 48_000 };
        const data = encodeRawAudio({ stamp, ...sound });
        const added = levelsOf('/uma8/audio', type, data);
        if (added !== null) levels.add(added, ns(atS));
        return { atS, data };
      });
      const path = join(folder, `2026-05-03T12-0${recording}-00Z_00000${recording}_${segment}.mcap`);
      const firstSequence = (firstSequences[recording] ?? 0) + segment * messages.length;
      const topic = { name: '/uma8/audio', type, schema: readSchemaText(type), messages, firstSequence };
      await writeBag(path, [topic], { chunkSize: 1024 }, overview ? levels.attachment() : null);
      paths.push(path);
    }
  }
  return paths;
}

/** Files that are no whole bags, made from a whole one: by name, what is in them. */
export async function brokenFiles(folder: string, whole: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const bytes = await readFile(whole);
  const put = (name: string, data: Uint8Array) => writeFile(join(folder, name), data);
  await put('empty.mcap', new Uint8Array());
  await put('picture.mcap', Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13));
  await put('drive.db3', new TextEncoder().encode(`SQLite format 3\0${'\0'.repeat(4096)}`));
  await put(
    'noise.mcap',
    Uint8Array.from({ length: 5000 }, (_, at) => (at * 197 + 13) & 255),
  );
  await put('magic-only.mcap', bytes.subarray(0, 8));
  await put('torn.mcap.active', bytes.subarray(0, Math.floor(bytes.byteLength * 0.7)));
  const flipped = Uint8Array.from(bytes);
  // In the middle of the sound of some chunk.
  const middle = Math.floor(bytes.byteLength * 0.53);
  flipped[middle] = (flipped[middle] as number) ^ 0x40;
  await put('flipped.mcap', flipped);
  const huge = Uint8Array.from(bytes.subarray(0, 4096));
  // The header's record says that it is a terabyte long.
  new DataView(huge.buffer).setBigUint64(9, 1n << 40n, true);
  await put('huge.mcap', huge);
  const summary = Uint8Array.from(bytes);
  // The footer says that the summary begins at offset 60: all of the file would be one.
  new DataView(summary.buffer).setBigUint64(bytes.byteLength - 8 - 20, 60n, true);
  await put('summary.mcap', summary);
  await put('sparse.mcap', bytes.subarray(0, 200));
  // A file of 64 GiB, all holes behind a whole magic and header.
  await truncate(join(folder, 'sparse.mcap'), 64 * 1024 ** 3);
}

/** A drive in two segments with an overview, none of it silent. */
export function driveBag(folder: string, seconds: number, overview = true) {
  return makeHourBag({ folder, seconds, segmentSeconds: Math.ceil(seconds / 2), soundEvery: 1, overview });
}
