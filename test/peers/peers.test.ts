import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { bagVerify } from '../../agent/bag/bag-check.ts';
import { bagCut, bagMerge } from '../../agent/bag/bag-merge.ts';
import { bagRecover } from '../../agent/bag/bag-recover.ts';
import { offeredQos } from '../../agent/bag/channel-table.ts';
import { bagExport } from '../../agent/bag/export/bag-export.ts';
import { type CdrMessage, type CdrValue, cdrReader } from '../../agent/messages/cdr-reader.ts';
import type { Message } from '../../agent/messages/message.ts';
import { type MessageDefinitions, parseDefinitions } from '../../agent/messages/message-definition.ts';
import * as messages from '../../agent/messages/messages.ts';
import { readSchemaText } from '../../agent/messages/schema-text.ts';
import { Recorder } from '../../agent/recording/recorder.ts';
import { openFlacEncoder } from '../../agent/sound/flac-encoder.ts';
import { compressedAudioMessage, compressedAudioType, viewSound } from '../../agent/sound/raw-audio.ts';
import { clock, range, sound, stampAt } from '../agent/recording/recording-fixtures.ts';
import { scratchFolder } from '../agent/recording/scratch-folder.ts';

const python = join(import.meta.dirname, '.venv/bin/python');
/** `.ci/run` makes the environment; elsewhere: python3 -m venv test/peers/.venv, and pip install -r test/peers/requirements.txt in it. */
const isThere = existsSync(python) || process.env.CI !== undefined;
const run = promisify(execFile);

async function peer(script: string, ...args: string[]): Promise<string> {
  const { stdout } = await run(python, [join(import.meta.dirname, script), ...args], { maxBuffer: 1 << 28 });
  return stdout;
}

const lines = (text: string): PeerMessage[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as PeerMessage);

interface PeerMessage {
  readonly topic: string;
  readonly type: string;
  readonly log_time: string;
  readonly message: unknown;
}

const second = 1_000_000_000n;
const imuType = 'sensor_msgs/msg/Imu';
const imuText = readSchemaText(imuType);
/** A topic of others: standard IMU data whose bytes nobody here made. */
const imu = Buffer.alloc(4 + 8 + 8 + 8 * 4 + 72 + 8 * 3 + 72 + 8 * 3 + 72);
imu[1] = 1;
imu.writeInt32LE(1_764_000_000, 4);
imu.writeUInt32LE(4, 12);
imu.write('imu\0', 16, 'latin1');
for (let at = 20; at + 8 <= imu.byteLength; at += 8) imu.writeDoubleLE(at / 4, at);

/** One message or more of every type that a vehicle records. */
async function everyMessage(): Promise<Message[]> {
  const encode = await openFlacEncoder();
  const environment = { temperatureC: 21.5, pressurePa: 101_325.25, humidity: 0.5, gasResistanceOhm: 12_345.5 };
  const made: Message[] = [];
  const add = (topic: string, type: string, sequence: number, ns: bigint, data: Uint8Array): void => {
    made.push({ topic, type, sequence, stamp: stampAt(ns), data });
  };
  for (const index of range(4)) {
    const ns = BigInt(index) * second;
    const stamp = stampAt(ns);
    const sample = { ...environment, stamp, gasValid: index % 2 === 0, heaterStable: true };
    add('/bme680/temperature', 'sensor_msgs/msg/Temperature', index, ns, messages.encodeTemperature(sample, 'bme680'));
    add(
      '/bme680/relative_humidity',
      'sensor_msgs/msg/RelativeHumidity',
      index,
      ns,
      messages.encodeHumidity(sample, 'bme680'),
    );
    add('/bme680/pressure', 'sensor_msgs/msg/FluidPressure', index, ns, messages.encodePressure(sample, 'bme680'));
    add(
      '/bme680/gas_resistance',
      'fender_msgs/msg/GasResistance',
      index,
      ns,
      messages.encodeGasResistance(sample, 'bme680'),
    );
    const dust = {
      stamp,
      pm1UgM3: 1,
      pm25UgM3: 2.5,
      pm4UgM3: Number.NaN,
      pm10UgM3: 10,
      countsPerCm3: { '>0.3': 7, '0.3-1.0': 5 },
    };
    const dustType = 'fender_msgs/msg/ParticulateMatter';
    add('/plantower/particulate_matter', dustType, index, ns, messages.encodeParticulateMatter(dust, 'plantower'));
    const diagnostic = { source: 'uma8', code: 'late', message: '40 °C, µg', cure: 'wait', values: { index } };
    const diagnostics = [
      { ...diagnostic, level: 'warn' as const },
      { ...diagnostic, level: 'ok' as const },
    ];
    add(
      '/diagnostics',
      'diagnostic_msgs/msg/DiagnosticArray',
      index,
      ns,
      messages.encodeDiagnosticArray(stamp, 'v-1', diagnostics),
    );
    add('/fender/time_reference', 'sensor_msgs/msg/TimeReference', index, ns, messages.encodeTimeReference(stamp));
    const member = { topic: '/uma8/audio', sequence: index, stamp };
    const set = messages.encodeSynchronizedSet({ stamp, missedBefore: 0, members: [member], skewNs: 5n });
    add('/fender/sets', 'fender_msgs/msg/SynchronizedSet', index, ns, set);
  }
  const impact = {
    stamp: stampAt(second),
    endNs: stampAt(2n * second).capturedAtNs,
    eventId: 'e-1',
    label: 'glass_break',
    score: 0.75,
  };
  const model = { name: 'impact', version: '1' };
  add(
    '/impacts',
    'fender_msgs/msg/Impact',
    0,
    second,
    messages.encodeImpact({ ...impact, scores: { glass_break: 0.75, none: 0.25 }, model }, 'uma8'),
  );
  for (const index of range(20)) {
    const block = sound(index, 480);
    made.push(block);
    const view = viewSound(block.data);
    if (view === null) throw new Error('expected sound');
    const pcm = new Int16Array(view.data.slice().buffer);
    const flac = compressedAudioMessage(view, encode(pcm, view.channels, view.sampleRateHz));
    add('/uma8/audio/flac', compressedAudioType, index, BigInt(index) * (second / 10n), flac);
    const foreign = { schemaText: imuText, offeredQos: offeredQos(imuType) };
    made.push({ topic: '/imu', type: imuType, sequence: index, stamp: block.stamp, data: imu, foreign });
  }
  return made.sort((a, b) => (a.stamp.capturedAtNs < b.stamp.capturedAtNs ? -1 : 1));
}

/** A message of ours as the peers' programs print theirs. */
function expected({ topic, type, stamp, data }: Message): PeerMessage {
  const definitions = parseDefinitions(
    type,
    type === imuType ? imuText : messages.schemaTexts[type as messages.MessageType],
  );
  const message = asPrinted(cdrReader(definitions, type)(data), type, definitions);
  return { topic, type, log_time: String(stamp.capturedAtNs), message };
}

function asPrinted(value: CdrValue, type: string, definitions: MessageDefinitions): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (ArrayBuffer.isView(value) || Array.isArray(value)) {
    return Array.from(value as ArrayLike<CdrValue>, (each) => asPrinted(each, type, definitions));
  }
  if (type.startsWith('builtin_interfaces/')) {
    return { sec: Number((value as bigint) / second), nanosec: Number((value as bigint) % second) };
  }
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'number' && !Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : 'inf';
  if (typeof value !== 'object') return value;
  const fields = definitions.get(type) ?? [];
  const message = value as CdrMessage;
  return Object.fromEntries(
    fields.map((field) => [field.name, asPrinted(message[field.name] as CdrValue, field.type, definitions)]),
  );
}

const inOrder = (all: readonly PeerMessage[]): string[] => all.map((each) => JSON.stringify(each)).sort();

/** All of `everyMessage` through the recorder, in two segments. */
async function record(): Promise<{ folder: string; recorded: Message[] }> {
  const root = await scratchFolder();
  const options = { vehicle: 'car-7', recordingId: 'drive', minFreeBytes: 0, maxSegmentMs: 1500 };
  const recorder = await Recorder.open(root, options, clock);
  const recorded = await everyMessage();
  for (const message of recorded) {
    recorder.write(message);
    if (message.topic === '/uma8/audio') await recorder.flush();
  }
  await recorder.close();
  return { folder: join(root, 'drive'), recorded };
}

describe.skipIf(!isThere)('readers that others wrote (test/peers/.venv)', () => {
  test.each(['mcap', 'rosbags'])('%s reads every message of a recording, field by field', async (reader) => {
    const { folder, recorded } = await record();
    expect(await bagVerify(folder)).toMatchObject({ errors: 0 });
    const read = lines(await peer('read-bag.py', reader, folder));
    expect(inOrder(read)).toEqual(inOrder(recorded.map(expected)));
  });

  test('metadata.yaml opens the whole folder, with the type hashes that rosbags computes itself', async () => {
    const { folder, recorded } = await record();
    const seen = JSON.parse(await peer('read-bag.py', 'connections', folder));
    expect(seen.messages).toBe(recorded.length);
    expect(seen.start).toBe(Number(stampAt(0n).capturedAtNs));
    const counts = new Map<string, number>();
    for (const { topic } of recorded) counts.set(topic, (counts.get(topic) ?? 0) + 1);
    expect(Object.keys(seen.topics).sort()).toEqual([...counts.keys()].sort());
    for (const [topic, { count, digest, computed, qos }] of Object.entries<Record<string, unknown>>(seen.topics)) {
      expect({ topic, count, digest, qos }).toEqual({ topic, count: counts.get(topic), digest: computed, qos: 1 });
    }
  });

  test('what cut, merge and recover make is read by them too', async () => {
    const { folder, recorded } = await record();
    const root = await scratchFolder();
    const wanted = inOrder(recorded.map(expected));
    await bagMerge([folder], join(root, 'merged'));
    await bagRecover(folder, join(root, 'recovered'));
    expect(inOrder(lines(await peer('read-bag.py', 'rosbags', join(root, 'merged'))))).toEqual(wanted);
    expect(inOrder(lines(await peer('read-bag.py', 'mcap', join(root, 'recovered'))))).toEqual(wanted);
    await bagCut(folder, join(root, 'cut'), { topics: ['/imu'] });
    expect(lines(await peer('read-bag.py', 'rosbags', join(root, 'cut')))).toHaveLength(20);
  });
});

describe.skipIf(!isThere)('bags that others wrote (test/peers/.venv)', () => {
  test('are read whole: rosbags, mcap plain, lz4 and zstd; sqlite3 gets the way out', async () => {
    const root = await scratchFolder();
    await peer('write-bags.py', root);
    for (const name of ['rosbags_mcap', 'mcap_none.mcap', 'mcap_lz4.mcap', 'mcap_zstd.mcap']) {
      const path = join(root, name);
      const check = await bagVerify(path);
      expect(check, name).toMatchObject({ errors: 0, files: [{ messages: 100 }] });
      const out = join(root, `${name}_files`);
      const report = await bagExport(path, out, { formats: ['csv', 'parquet'], gaps: 'silence' });
      expect(report).toMatchObject({ skipped: [], damage: [], problems: [] });
      const csv = (await readFile(join(out, 'car_state.csv'), 'utf8')).split('\n');
      expect(csv[8]?.split(',').slice(3).join(','), name).toBe(
        '2025-11-24T16:00:07.000000007Z,7,"[-7,4611686018427387904]","[{""lat"":3.5,""good"":false}]",Straße 7,"[0.5,1.5,7]"',
      );
      await bagRecover(path, join(root, `${name}_recovered${name.endsWith('.mcap') ? '.mcap' : ''}`));
    }
    const sqlite = join(root, 'rosbags_sqlite3');
    await expect(bagVerify(sqlite)).rejects.toMatchObject({
      code: 'sqlite3',
      message: expect.stringContaining(`ros2 bag convert -i ${sqlite} -o to-mcap.yaml`),
    });
    await run(join(python, '../rosbags-convert'), [
      '--src',
      sqlite,
      '--dst',
      join(root, 'converted'),
      '--dst-storage',
      'mcap',
    ]);
    expect(await bagVerify(join(root, 'converted'))).toMatchObject({ errors: 0, files: [{ messages: 100 }] });
  });
});
