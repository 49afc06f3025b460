import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32, zstdCompressSync } from 'node:zlib';
import { McapWriter, TempBuffer } from '@mcap/core';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { bagVerify } from '../../../agent/bag/bag-check.ts';
import { bagInfo } from '../../../agent/bag/bag-info.ts';
import { bagCut, bagMerge, formatJoin } from '../../../agent/bag/bag-merge.ts';
import { bagRecover } from '../../../agent/bag/bag-recover.ts';
import { recordHeadBytes } from '../../../agent/bag/mcap-records.ts';
import { parseMoment } from '../../../agent/bag/time-span.ts';
import { readBagSound } from '../../../agent/replay/bag-sound.ts';
import { openNode } from '../recording/node-fixtures.ts';
import {
  type ReadMessage,
  range,
  readFileIndexed,
  readStream,
  sound,
  temperature,
} from '../recording/recording-fixtures.ts';
import { scratchFolder } from '../recording/scratch-folder.ts';
import { driveMessages, type MadeMessage, madeBag, soundMessage, startNs, temperatureMessage } from './bag-fixtures.ts';

/** A file of its own for messages. */
async function file(folder: string, name: string, messages: readonly MadeMessage[]): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, madeBag(messages));
  return path;
}

/** Where an attachment index tells where the attachment is, in bytes from its content's start, and how long. */
const [indexedOffset, indexedLength] = [0, 8];

/** A bag of one message and one attachment. */
async function bagWithNote(): Promise<Buffer> {
  const buffer = new TempBuffer();
  const writer = new McapWriter({ writable: buffer });
  await writer.start({ profile: '', library: '' });
  const channelId = await writer.registerChannel({
    schemaId: 0,
    topic: '/a',
    messageEncoding: 'json',
    metadata: new Map(),
  });
  await writer.addMessage({ channelId, sequence: 0, logTime: 1n, publishTime: 1n, data: new Uint8Array(8) });
  const data = new Uint8Array(5).fill(7);
  await writer.addAttachment({ name: 'note', mediaType: 'text/plain', logTime: 1n, createTime: 2n, data });
  await writer.end();
  return Buffer.from(buffer.get());
}

const keys = (messages: readonly { topic: string; sequence: number; data: Uint8Array }[]): string[] =>
  messages.map(({ topic, sequence, data }) => `${topic} ${sequence} ${Buffer.from(data).toString('base64')}`).sort();

function inOrder(messages: readonly ReadMessage[]): boolean {
  return messages.every(({ logTime }, index) => index === 0 || logTime >= (messages[index - 1]?.logTime ?? 0n));
}

interface OverviewDocument {
  readonly series: readonly { readonly topic: string; readonly count: readonly number[] }[];
}

async function overviewOf(path: string): Promise<OverviewDocument> {
  const found = readStream(await readFile(path)).find((record) => record.type === 'Attachment');
  return JSON.parse(new TextDecoder().decode(found?.type === 'Attachment' ? found.data : undefined));
}

describe('bag cut', () => {
  test('takes a span and topics into a whole bag, with metadata and definitions', async () => {
    const folder = await scratchFolder();
    const path = await file(folder, 'drive.mcap', driveMessages(10));
    const out = join(folder, 'cut');
    const topics = ['/uma8/audio', '/bme680/*'];
    const cut = await bagCut(path, out, { topics, from: '2s', to: '2025-11-24T16:00:05Z' });
    expect(cut.topics).toEqual([
      { topic: '/bme680/temperature', messages: 3 },
      { topic: '/uma8/audio', messages: 30 },
    ]);
    expect(await bagVerify(out)).toMatchObject({ errors: 0 });
    const kept = await readFileIndexed(join(out, 'cut_0.mcap'));
    const wanted = driveMessages(10).filter(
      ({ topic, logTimeNs }) =>
        /uma8|bme680/.test(topic) && logTimeNs >= startNs + 2_000_000_000n && logTimeNs < startNs + 5_000_000_000n,
    );
    expect(keys(kept)).toEqual(keys(wanted));
    expect(inOrder(kept)).toBe(true);
    const info = await bagInfo(join(out, 'cut_0.mcap'));
    expect(info.metadata).toContainEqual({ name: 'foxglove', values: { deviceName: 'car-7' } });
    expect(info.metadata.find(({ name }) => name === 'fender.cut')?.values.topics).toBe('/uma8/audio /bme680/*');
  });

  test('notes the offered QoS that the bag tells, and none where it tells nothing or nonsense', async () => {
    const folder = await scratchFolder();
    const profile = [{ history: 'keep_last', depth: 7, reliability: 'reliable' }];
    const path = join(folder, 'foreign.mcap');
    const buffer = new TempBuffer();
    const writer = new McapWriter({ writable: buffer });
    await writer.start({ profile: 'ros2', library: '' });
    const lists = { '/told': stringify(profile), '/tagged': '- depth: !0 7' };
    const told = { ...lists, '/silent': '', '/nonsense': 'depth: 7', '/broken': '[{' };
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    for (const [topic, text] of Object.entries(told)) {
      const data = new TextEncoder().encode('string data\n');
      const schemaId = await writer.registerSchema({ name: 'std_msgs/msg/String', encoding: 'ros2msg', data });
      const metadata = new Map(text === '' ? [] : [['offered_qos_profiles', text]]);
      const channelId = await writer.registerChannel({ schemaId, topic, messageEncoding: 'cdr', metadata });
      await writer.addMessage({ channelId, sequence: 0, logTime: 1n, publishTime: 1n, data: new Uint8Array(8) });
    }
    await writer.end();
    await writeFile(path, buffer.get());
    await bagCut(path, join(folder, 'out'), {});
    const yaml = parse(await readFile(join(folder, 'out', 'metadata.yaml'), 'utf8'));
    const topics: { topic_metadata: { name: string; offered_qos_profiles: unknown } }[] =
      yaml.rosbag2_bagfile_information.topics_with_message_count;
    const noted = topics.map(({ topic_metadata: each }) => [each.name, each.offered_qos_profiles]);
    const none = { '/silent': [], '/nonsense': [], '/broken': [] };
    expect(Object.fromEntries(noted)).toEqual({ '/told': profile, '/tagged': [{ depth: '7' }], ...none });
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });

  test('takes what is readable of a damaged bag, and says what is not', async () => {
    const folder = await scratchFolder();
    const bytes = madeBag(driveMessages(5));
    bytes.fill(0x55, 60_000, 60_050);
    await writeFile(join(folder, 'torn.mcap'), bytes.subarray(0, -1000));
    const cut = await bagCut(join(folder, 'torn.mcap'), join(folder, 'out.mcap'), { topics: ['/uma8/audio'] });
    expect(cut.damage.length).toBeGreaterThan(0);
    expect(formatJoin(cut)).toMatch(/left out \d+ bytes at offset \d+ of .*torn.mcap/);
    const sequences = (await readFileIndexed(join(folder, 'out.mcap'))).map(({ sequence }) => sequence);
    expect(sequences.length).toBeGreaterThanOrEqual(47);
  });

  test('copies an attachment as it is, and nothing behind it, where the index lies about its length or place', async () => {
    const folder = await scratchFolder();
    const path = join(folder, 'lying.mcap');
    for (const field of [indexedOffset, indexedLength]) {
      const bytes = await bagWithNote();
      // Five numbers and the length of the name stand before the name.
      const index = bytes.lastIndexOf('note') - 44;
      const wrong = field === indexedLength ? BigInt(bytes.byteLength) : 8n;
      bytes.writeBigUInt64LE(wrong, index + field);
      const footer = bytes.byteLength - 37;
      const summary = Number(bytes.readBigUInt64LE(footer + recordHeadBytes));
      bytes.writeUInt32LE(crc32(bytes.subarray(summary, footer + 25)), footer + 25);
      await writeFile(path, bytes);
      const out = join(folder, `cut_${field}.mcap`);
      expect(await bagCut(path, out, {})).toMatchObject({ messages: 1, damage: [], problems: [] });
      expect(await bagVerify(out)).toMatchObject({ errors: 0 });
      const attachment = readStream(await readFile(out)).find(({ type }) => type === 'Attachment');
      expect(attachment).toMatchObject({ name: 'note', data: new Uint8Array(5).fill(7) });
    }
  });

  test('refuses messages that rosbag2 compressed one by one, in a file and in a folder, as only metadata.yaml tells a player', async () => {
    const folder = await scratchFolder();
    const yaml = stringify({ version: 9, compression_format: 'zstd', compression_mode: 'MESSAGE' });
    const buffer = new TempBuffer();
    const writer = new McapWriter({ writable: buffer });
    await writer.start({ profile: 'ros2', library: '' });
    const channel = { topic: '/chatter', schemaId: 0, messageEncoding: 'cdr', metadata: new Map() };
    const channelId = await writer.registerChannel(channel);
    const data = zstdCompressSync(Buffer.from([0, 1, 0, 0, 7, 0, 0, 0]));
    await writer.addMessage({ channelId, sequence: 0, logTime: startNs, publishTime: startNs, data });
    await writer.addMetadata({ name: 'rosbag2', metadata: new Map([['serialized_metadata', yaml]]) });
    await writer.end();
    const path = join(folder, 'packed.mcap');
    await writeFile(path, buffer.get());
    const older = join(folder, 'older');
    await mkdir(older);
    await writeFile(join(older, 'older_0.mcap'), madeBag(driveMessages(1)));
    const names = { storage_identifier: 'mcap', relative_file_paths: ['older_0.mcap'] };
    const information = { version: 5, ...names, compression_mode: 'MESSAGE' };
    await writeFile(join(older, 'metadata.yaml'), stringify({ rosbag2_bagfile_information: information }));
    for (const bag of [path, older, join(older, 'older_0.mcap')]) {
      await expect(bagCut(bag, join(folder, 'out'), {})).rejects.toMatchObject({
        code: 'nothing-readable',
        message: expect.stringMatching(/found each of them compressed.*\n.*\n +ros2 bag convert -i/),
      });
    }
    const words = /found each of them compressed/;
    for (const bag of [older, join(older, 'older_0.mcap')]) {
      await expect(readBagSound(bag, '/uma8/audio').next()).rejects.toThrow(words);
    }
    expect((await readdir(folder)).sort()).toEqual(['older', 'packed.mcap']);
  });

  test('refuses an empty span, unknown topics and times that are none, and leaves nothing behind', async () => {
    const folder = await scratchFolder();
    const path = await file(folder, 'drive.mcap', driveMessages(2));
    const cut = (selection: Parameters<typeof bagCut>[2]) => bagCut(path, join(folder, 'out.mcap'), selection);
    await expect(cut({ from: '1h' })).rejects.toMatchObject({ code: 'not-covered' });
    await expect(cut({ topics: ['/uma9/audio'] })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('it has /bme680/temperature'),
    });
    await expect(cut({ from: 'tomorrow' })).rejects.toMatchObject({ code: 'usage' });
    await expect(cut({ from: '5s', to: '5s' })).rejects.toMatchObject({ code: 'usage' });
    expect(await readdir(folder)).toEqual(['drive.mcap']);
  });
});

describe('bag merge', () => {
  test('joins bags in order of time, the same topics as one, what is twice there twice', async () => {
    const folder = await scratchFolder();
    const first = driveMessages(4);
    const second = [...range(30, 20).map((index) => soundMessage(index)), temperatureMessage(9)];
    const paths = [await file(folder, 'b.mcap', second), await file(folder, 'a.mcap', first)];
    const out = join(folder, 'both');
    const merged = await bagMerge(paths, out);
    const kept = await readFileIndexed(join(out, 'both_0.mcap'));
    expect(keys(kept)).toEqual(keys([...first, ...second]));
    expect(inOrder(kept)).toBe(true);
    expect(merged.topics.find(({ topic }) => topic === '/uma8/audio')?.messages).toBe(70);
    const info = await bagInfo(join(out, 'both_0.mcap'));
    expect(info.topics.map(({ topic }) => topic)).toEqual([...new Set(first.map(({ topic }) => topic))].sort());
    expect(info.metadata.filter(({ name }) => name === 'foxglove')).toHaveLength(1);
    expect((await bagVerify(out)).findings.filter(({ code }) => code !== 'sequence-gap')).toEqual([]);
  });

  test('of bags whose sequences run on from one to the next invents no loss, and keeps that inside each', async () => {
    const folder = await scratchFolder();
    const sounds = (from: number, to: number) => range(to - from, from).map((index) => soundMessage(index));
    const paths = [
      await file(folder, 'a.mcap', sounds(0, 20)),
      await file(folder, 'b.mcap', sounds(27, 60)),
      await file(folder, 'c.mcap', [...sounds(70, 80), ...sounds(85, 99)]),
    ];
    await bagMerge(paths.slice(0, 2), join(folder, 'two'));
    expect((await bagVerify(join(folder, 'two'))).errors).toBe(0);
    await bagMerge([join(folder, 'two'), paths[2] ?? ''], join(folder, 'all.mcap'));
    expect((await bagVerify(join(folder, 'all.mcap'))).files[0]?.missing).toEqual({ '/uma8/audio': 5 });
  });

  test('has the overview of all of it, and what was lost in all, but nothing that was counted in one segment', async () => {
    const folder = await scratchFolder();
    const node = await openNode(folder, {
      segmentMetadata: () => ({ 'fender.synchroniser': new Map([['sets', '3']]) }),
    });
    for (const index of [0, 1, 2, 5, 6]) node.write(sound(index));
    await node.stop();
    await node.start();
    for (const index of [7, 8, 9, 11]) node.write(sound(index));
    node.write(temperature(2));
    await node.close();
    const recordings = join(folder, 'recordings');
    const paths = (await readdir(recordings)).sort().map((name) => join(recordings, name));
    const out = join(folder, 'both.mcap');
    await bagMerge(paths, out);
    const { attachments, metadata } = await bagInfo(out);
    expect(attachments.map(({ name }) => name)).toEqual(['fender.overview']);
    const values = (name: string) => metadata.filter((each) => each.name === name).map((each) => each.values);
    expect(values('fender.loss')).toEqual([{ '/uma8/audio': 'gap=3 queue=0 space=0 write=0' }]);
    expect(values('fender.synchroniser')).toEqual([]);
    const overview = await overviewOf(out);
    expect(overview.series.map(({ topic }) => topic)).toEqual(['/bme680/temperature', ...Array(8).fill('/uma8/audio')]);
    expect(overview.series.at(-1)?.count).toEqual([8 * 4800, 4800, 0]);

    const piece = join(folder, 'piece');
    await bagCut(out, piece, { from: '600ms', to: '850ms' });
    const cut = await bagInfo(join(piece, 'piece_0.mcap'));
    expect(cut.metadata.map(({ name }) => name)).not.toContain('fender.loss');
    expect((await overviewOf(join(piece, 'piece_0.mcap'))).series[0]?.count).toEqual([3 * 4800]);
    expect(await bagVerify(piece)).toMatchObject({ errors: 0 });
  });

  test('joins a topic whose definition another recorder worded otherwise, and refuses one that is another', async () => {
    const folder = await scratchFolder();
    const line = '='.repeat(80);
    const header = `${line}\nMSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id\n`;
    const time = `${line}\nMSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n`;
    const reading = { ...temperatureMessage(0), topic: '/reading', type: 'my_msgs/msg/Reading' };
    const made = async (name: string, text: string) => {
      const path = join(folder, name);
      await writeFile(
        path,
        madeBag([reading], () => text),
      );
      return path;
    };
    const ours = await made(
      'ours.mcap',
      `# A reading.\nstd_msgs/Header header\nfloat64 value # in K\n${header}${time}`,
    );
    // `ros2 bag record` has the types that are used in another order.
    const theirs = await made('theirs.mcap', `std_msgs/Header header\n\nfloat64 value\n${time}\n${header}`);
    const other = await made('other.mcap', `std_msgs/Header header\nfloat32 value\n${header}${time}`);
    const out = join(folder, 'out.mcap');
    await bagMerge([ours, theirs], out);
    expect((await bagInfo(out)).topics).toMatchObject([{ topic: '/reading', messages: 2 }]);
    // The same bytes, whose numbers mean another thing.
    const named = await made('named.mcap', 'uint8 OK=0\nuint8 FAULT = 1 # of any kind\nuint8 value\n');
    const renamed = await made('renamed.mcap', 'uint8 FAULT=0\nuint8 OK=1\nuint8 value\n');
    await expect(bagMerge([named, renamed], join(folder, 'no.mcap'))).rejects.toMatchObject({ code: 'not-joinable' });
    const spaced = await made('spaced.mcap', 'uint8 FAULT=1\nuint8 OK = 0\nuint8 value\n');
    await bagMerge([named, spaced], join(folder, 'named-out.mcap'));
    await expect(bagMerge([ours, other], join(folder, 'no.mcap'))).rejects.toMatchObject({
      code: 'not-joinable',
      message: expect.stringContaining('expected the same definition in all bags'),
    });
  });

  test('refuses a topic of two types, and names both bags', async () => {
    const folder = await scratchFolder();
    const temperature = temperatureMessage(0);
    const other = { ...temperature, type: 'sensor_msgs/msg/FluidPressure' };
    const paths = [await file(folder, 'a.mcap', [temperature]), await file(folder, 'b.mcap', [other, soundMessage(0)])];
    await expect(bagMerge(paths, join(folder, 'out'))).rejects.toMatchObject({
      code: 'not-joinable',
      message: expect.stringMatching(
        /\/bme680\/temperature: expected the same type in all bags, found .*Temperature \(cdr\) in .*a\.mcap and .*FluidPressure \(cdr\) in .*b\.mcap/,
      ),
    });
    expect(await readdir(folder)).toEqual(['a.mcap', 'b.mcap']);
    expect((await bagMerge(paths, join(folder, 'out'), { topics: ['/uma8/*'] })).messages).toBe(1);
  });
});

describe('outputs', () => {
  test('are never replaced unasked, never an input, and a folder only when it is a bag', async () => {
    const folder = await scratchFolder();
    const path = await file(folder, 'drive.mcap', driveMessages(1));
    const out = join(folder, 'out');
    await bagCut(path, out, {});
    await expect(bagCut(path, out, {})).rejects.toMatchObject({ code: 'exists' });
    await bagCut(path, out, { topics: ['/impacts'] }, { force: true });
    expect((await bagInfo(join(out, 'out_0.mcap'))).messages).toBe(1);
    await writeFile(join(out, 'diary.txt'), 'mine');
    await expect(bagCut(path, out, {}, { force: true })).rejects.toMatchObject({ code: 'exists' });
    expect(await readFile(join(out, 'diary.txt'), 'utf8')).toBe('mine');
    for (const same of [path, `${folder}/./drive.mcap`]) {
      await expect(bagCut(path, same, {}, { force: true })).rejects.toMatchObject({ code: 'exists' });
    }
    await expect(bagCut(folder, join(folder, 'in.mcap'), {}, { force: true })).rejects.toMatchObject({
      code: 'exists',
    });
    expect((await readdir(folder)).sort()).toEqual(['drive.mcap', 'out']);
  });

  test.each(['cut', 'merge', 'recover'] as const)('%s stopped on its way leaves nothing', async (tool) => {
    const folder = await scratchFolder();
    const path = await file(
      folder,
      'drive.mcap',
      range(1000).map((index) => soundMessage(index)),
    );
    const stop = new AbortController();
    const work = { signal: stop.signal, progress: (done: number) => void (done > 0 && stop.abort()) };
    const out = join(folder, 'out.mcap');
    const run = { cut: () => bagCut(path, out, {}, work), merge: () => bagMerge([path, path], out, {}, work) };
    const stopped = tool === 'recover' ? bagRecover(path, out, work) : run[tool]();
    await expect(stopped).rejects.toMatchObject({ code: 'stopped' });
    expect(await readdir(folder)).toEqual(['drive.mcap']);
  });

  test('recover takes a whole folder, segment by segment, and makes metadata.yaml', async () => {
    const folder = await scratchFolder();
    const drive = join(folder, 'drive');
    await mkdir(drive);
    await writeFile(join(drive, 'drive_0.mcap'), madeBag(range(10).map((index) => soundMessage(index))));
    const second = madeBag(range(10, 10).map((index) => soundMessage(index)));
    await writeFile(join(drive, 'drive_1.mcap.active'), second.subarray(0, second.byteLength - 700));
    await writeFile(join(drive, 'drive_2.mcap'), '');
    const recoveries = await bagRecover(drive, join(folder, 'whole'));
    expect(recoveries.map(({ messages }) => messages)).toEqual([10, 10, 0]);
    expect(recoveries[2]?.problem).toMatch(/drive_2.mcap: expected an MCAP file, found 0 bytes/);
    expect(await readdir(join(folder, 'whole'))).toEqual(['drive_0.mcap', 'drive_1.mcap', 'metadata.yaml']);
    expect(await bagVerify(join(folder, 'whole'))).toMatchObject({ errors: 0 });
  });
});

describe('moments', () => {
  test.each([
    ['2026-11-21T06:30:00.5Z', 1_795_242_600_500_000_000n],
    ['2026-11-21 06:30', 1_795_242_600_000_000_000n],
    ['2026-11-21T07:30:00+01:00', 1_795_242_600_000_000_000n],
    ['1795242600500000001', 1_795_242_600_500_000_001n],
    ['90s', 90_000_000_100n],
    ['1m30.5s', 90_500_000_100n],
    ['+250ms', 250_000_100n],
  ])('%s is understood', (text, ns) => {
    expect(parseMoment(text, 100n)).toBe(ns);
  });
});
