import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { McapWriter } from '@mcap/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bagFiles } from '../../../agent/bag/bag-folder.ts';
import { bagInfo, formatBagInfo } from '../../../agent/bag/bag-info.ts';
import { type BagRecovery, bagRecover, formatRecovery } from '../../../agent/bag/bag-recover.ts';
import { memorySource } from '../../../agent/bag/byte-source.ts';
import { type ScanItem, scanRecords } from '../../../agent/bag/scan.ts';
import { Recorder } from '../../../agent/recording/recorder.ts';
import {
  clock,
  range,
  readFileIndexed,
  readStream,
  sequencesOf,
  sound,
  startNs,
  temperature,
} from '../recording/recording-fixtures.ts';
import { scratchFolder } from '../recording/scratch-folder.ts';

/** A bag of `sounds` sound chunks, each in an MCAP chunk of its own, and a few temperatures. */
async function makeBag(folder: string, sounds = 20): Promise<string> {
  const options = { vehicle: 'car-7', clipFolder: join(folder, 'clips'), recordingId: 'drive', minFreeBytes: 0 };
  const recorder = await Recorder.open(join(folder, 'recordings'), options, clock);
  for (const index of range(sounds)) {
    recorder.write(sound(index));
    if (index % 10 === 0) recorder.write(temperature(index / 10));
    await recorder.flush();
  }
  await recorder.close();
  return join(folder, 'recordings/drive/drive_0.mcap');
}

/** A bag of another writer: no chunks at all, or chunks of the library's own making. */
async function makeForeign(messages: number, useChunks: boolean): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let length = 0n;
  const writable = {
    position: () => length,
    write: async (bytes: Uint8Array) => {
      parts.push(bytes.slice());
      length += BigInt(bytes.byteLength);
    },
  };
  const writer = new McapWriter({ writable, useChunks, chunkSize: 500 });
  await writer.start({ profile: '', library: 'another' });
  const schemaId = await writer.registerSchema({
    name: 'thing',
    encoding: 'jsonschema',
    data: new Uint8Array([123, 125]),
  });
  const channelId = await writer.registerChannel({
    schemaId,
    topic: '/thing',
    messageEncoding: 'json',
    metadata: new Map(),
  });
  for (const sequence of range(messages)) {
    const data = new Uint8Array(50).fill(sequence);
    await writer.addMessage({ channelId, sequence, logTime: BigInt(sequence), publishTime: 7n, data });
  }
  await writer.addAttachment({
    name: 'note',
    mediaType: 'text/plain',
    logTime: 1n,
    createTime: 2n,
    data: new Uint8Array(5),
  });
  await writer.addMetadata({ name: 'where', metadata: new Map([['town', 'Köln']]) });
  await writer.end();
  return Buffer.concat(parts);
}

describe('bag info', () => {
  test('says what is in a whole bag', async () => {
    const path = await makeBag(await scratchFolder());
    const info = await bagInfo(path);
    expect(info).toMatchObject({
      complete: true,
      problem: '',
      startNs,
      endNs: startNs + 1_900_000_000n,
      messages: 22,
      topics: [
        { topic: '/bme680/temperature', type: 'sensor_msgs/msg/Temperature', messages: 2 },
        { topic: '/uma8/audio', type: 'foxglove_msgs/msg/RawAudio', messages: 20 },
      ],
      damage: [],
    });
    expect(info.metadata.find(({ name }) => name === 'foxglove')?.values).toEqual({ deviceName: 'car-7' });
    expect(info.bytes).toBe((await stat(path)).size);
    expect(formatBagInfo(info)).toContain('/uma8/audio  foxglove_msgs/msg/RawAudio (cdr)  20  10.0 Hz');
    expect(await bagFiles(join(path, '..'))).toEqual([path]);
  });

  test('reads a cut-off bag to where it is torn, says where, and shows progress', async () => {
    const folder = await scratchFolder();
    const bytes = await readFile(await makeBag(folder));
    const cut = join(folder, 'cut.mcap');
    await writeFile(cut, bytes.subarray(0, Math.floor(bytes.byteLength / 2)));
    const seen: number[] = [];
    const info = await bagInfo(cut, { progress: (read) => seen.push(read) });
    expect(info.complete).toBe(false);
    expect(info.messages).toBeGreaterThanOrEqual(9);
    expect(info.damage).toHaveLength(1);
    expect(info.problem).toContain(`offset ${info.damage[0]?.offset}`);
    expect(seen.at(-1)).toBe(info.bytes);
  });

  test.each([
    ['an empty file', '', 'empty', /0 bytes/],
    [
      'text',
      'Dear diary, nothing hit me today. '.repeat(50),
      'not-mcap',
      /magic 894d434150300d0a at offset 0, found 4465617220646961/,
    ],
    [
      'a rosbag2 SQLite bag',
      'SQLite format 3\0'.padEnd(4096, '\0'),
      'sqlite3',
      /SQLite .* at offset 0: .*\n.*storage_id: mcap.*\n +ros2 bag convert -i .*x.mcap -o to-mcap.yaml\n/,
    ],
    ['a ROS 1 bag', '#ROSBAG V2.0\n', 'not-mcap', /ROS 1 bag/],
  ])('refuses %s and says why', async (_, content, code, message) => {
    const path = join(await scratchFolder(), 'x.mcap');
    await writeFile(path, content, 'latin1');
    await expect(bagInfo(path)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    await expect(bagRecover(path, `${path}.out`)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
    expect(await readdir(join(path, '..'))).toEqual(['x.mcap']);
  });

  test('says which file is not there', async () => {
    await expect(bagInfo('/nowhere/x.mcap')).rejects.toMatchObject({
      code: 'nothing-readable',
      message: /\/nowhere\/x\.mcap.*ENOENT/,
    });
  });
});

describe('bag recover', () => {
  test('keeps everything but the damaged chunks, wherever a bit is flipped', async () => {
    const folder = await scratchFolder();
    const bytes = await readFile(await makeBag(folder, 8));
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: bytes.byteLength * 8 - 1 }), async (bit) => {
        runs += 1;
        const damaged = Buffer.from(bytes);
        damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
        const path = join(folder, `flip_${runs}.mcap`);
        await writeFile(path, damaged);
        const [recovery] = await bagRecover(path, `${path}.out`);
        const kept = sequencesOf(await readFileIndexed(`${path}.out`), '/uma8/audio');
        expect(kept.length).toBeGreaterThanOrEqual(7);
        if (kept.length < 8) expect(recovery?.damage.some(({ offset }) => offset <= bit >> 3)).toBe(true);
        readStream(await readFile(`${path}.out`));
      }),
      { numRuns: 60 },
    );
  });

  test('finds the chunks behind a run of noise over several records', async () => {
    const folder = await scratchFolder();
    const bytes = await readFile(await makeBag(folder, 10));
    bytes.fill(0x5a, 200_000, 360_000);
    await writeFile(join(folder, 'noise.mcap'), bytes);
    const [recovery] = await bagRecover(join(folder, 'noise.mcap'), join(folder, 'out.mcap'));
    const kept = sequencesOf(await readFileIndexed(join(folder, 'out.mcap')), '/uma8/audio');
    expect(kept).toEqual([0, 1, ...kept.slice(2)]);
    expect(kept.slice(-4)).toEqual([6, 7, 8, 9]);
    expect(recovery).toMatchObject({ cutOff: false, messages: kept.length + 1 });
    expect(formatRecovery(recovery as BagRecovery)).toMatch(/lost \d+ bytes at offset \d+/);
  });

  test('rebuilds bags of other writers, with and without chunks, attachments and metadata included', async () => {
    const folder = await scratchFolder();
    for (const useChunks of [true, false]) {
      const bytes = await makeForeign(40, useChunks);
      const path = join(folder, `foreign_${useChunks}.mcap`);
      await writeFile(path, bytes.subarray(0, bytes.byteLength - 30));
      const [recovery] = await bagRecover(path, `${path}.out`);
      expect(recovery).toMatchObject({ messages: 40, topics: [{ topic: '/thing', messages: 40 }] });
      const records = readStream(await readFile(`${path}.out`));
      expect(records.find((record) => record.type === 'Attachment')).toMatchObject({ name: 'note' });
      expect(records.filter((record) => record.type === 'Message').map(({ publishTime }) => publishTime)).toEqual(
        range(40).map(() => 7n),
      );
      const info = await bagInfo(`${path}.out`);
      expect(info).toMatchObject({ complete: true, messages: 40, attachments: [{ name: 'note', bytes: 5 }] });
      expect(info.metadata).toContainEqual({ name: 'where', values: { town: 'Köln' } });
    }
  });

  test('keeps messages of a channel whose definition is gone, under a name that says so', async () => {
    const folder = await scratchFolder();
    const bytes = await readFile(await makeBag(folder, 4));
    const channel = bytes.indexOf('/uma8/audio') - 17;
    expect(bytes[channel]).toBe(4);
    bytes[channel] = 0;
    const cut = bytes.subarray(0, bytes.byteLength - 100);
    await writeFile(join(folder, 'lost.mcap'), cut);
    const [recovery] = await bagRecover(join(folder, 'lost.mcap'), join(folder, 'out.mcap'));
    expect(recovery?.topics.find(({ topic }) => topic.startsWith('/unknown/channel_'))?.messages).toBe(4);
  });

  test('never replaces a file', async () => {
    const folder = await scratchFolder();
    const path = await makeBag(folder, 2);
    await expect(bagRecover(path, path)).rejects.toMatchObject({ code: 'exists' });
    expect((await bagInfo(path)).complete).toBe(true);
  });
});

describe('scanning', () => {
  test('accounts for every byte of any bytes, and never throws', async () => {
    const bag = await makeForeign(12, true);
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc
        .tuple(fc.nat(bag.byteLength), fc.uint8Array({ maxLength: 60 }), fc.nat(bag.byteLength))
        .map(([a, noise, b]) => Buffer.concat([bag.subarray(0, a), noise, bag.subarray(b)])),
    );
    await fc.assert(
      fc.asyncProperty(bytes, async (input) => {
        let offset = 0;
        let ended = false;
        for await (const item of scanRecords(memorySource(input))) {
          expect(item.offset).toBe(offset);
          offset += item.kind === 'damage' ? item.bytes : item.bytes.byteLength;
          ended = endsData(item);
        }
        if (!ended) expect(offset).toBe(input.byteLength);
      }),
      { numRuns: 300 },
    );
  });
});

function endsData(item: ScanItem): boolean {
  return item.kind === 'record' && item.opcode === 0x0f;
}
