import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type McapTypes, Opcode } from '@mcap/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ChannelTable } from '../../../agent/bag/channel-table.ts';
import { ChunkDraft } from '../../../agent/bag/chunk-draft.ts';
import { McapBuilder } from '../../../agent/bag/mcap-builder.ts';
import { readRecordHead, recordHeadBytes } from '../../../agent/bag/mcap-records.ts';
import { repairSegment } from '../../../agent/bag/repair.ts';
import { repairRecordings } from '../../../agent/recording/repair-recordings.ts';
import {
  range,
  readFileIndexed,
  readIndexed,
  readStream,
  sequencesOf,
  sound,
  temperature,
} from '../recording/recording-fixtures.ts';
import { scratchFolder } from '../recording/scratch-folder.ts';

interface MadeSegment {
  readonly bytes: Buffer;
  /** Where each chunk record ends, and how many messages are in the file up to there. */
  readonly chunkEnds: readonly { readonly end: number; readonly messages: number }[];
}

/** A segment as the recorder writes it, small enough to be cut at every byte: tiny sound, one compressed slow chunk in three. */
function makeSegment(chunks: number, frames = 12): MadeSegment {
  const builder = new McapBuilder();
  const channels = new ChannelTable();
  const pieces = [...builder.begin(), ...builder.metadata('foxglove', new Map([['deviceName', 'car-7']]))];
  const chunkEnds: { end: number; messages: number }[] = [];
  let messages = 0;
  for (const index of range(chunks)) {
    const slow = index % 3 === 1;
    const draft = new ChunkDraft();
    const added = slow
      ? range(20, index * 20).map(temperature)
      : range(2, index * 2).map((item) => sound(item, frames, 2));
    for (const message of added) {
      const { channel, schema } = channels.entry(message.topic, message.type);
      pieces.push(...builder.schema(schema), ...builder.channel(channel));
      draft.add(channel.id, message.sequence, message.stamp.capturedAtNs, message.data);
    }
    const chunk = builder.chunk(draft, slow ? 'zstd' : 'none');
    const before = Buffer.concat(pieces).byteLength;
    pieces.push(...chunk);
    messages += added.length;
    const head = readRecordHead(Buffer.concat(chunk));
    chunkEnds.push({ end: before + recordHeadBytes + (head?.contentBytes ?? 0), messages });
  }
  pieces.push(...builder.end());
  return { bytes: Buffer.concat(pieces), chunkEnds };
}

/** Where records start and end, chunks taken as one. */
function boundaries(bytes: Buffer): number[] {
  const found = [0, 8];
  for (let offset = 8; offset < bytes.byteLength - 8; ) {
    offset += recordHeadBytes + (readRecordHead(bytes, offset)?.contentBytes ?? 0);
    found.push(offset);
  }
  return found;
}

async function repairBytes(
  folder: string,
  bytes: Uint8Array,
): Promise<{ messages: number; outcome: string; file: Buffer }> {
  const path = join(folder, 'cut.mcap.active');
  await writeFile(path, bytes);
  const report = await repairSegment(path);
  expect(report.problem).toBe('');
  const file = await readFile(report.path);
  return { messages: report.messages, outcome: report.outcome, file };
}

describe('a segment cut off anywhere', () => {
  const made = makeSegment(7);
  const ends = new Set(boundaries(made.bytes).flatMap((offset) => [offset - 1, offset, offset + 1, offset + 9]));
  const cuts = range(made.bytes.byteLength + 1).filter((cut) => cut % 173 === 0 || ends.has(cut));

  test(`is repaired in place to all of its whole chunks (${cuts.length} cuts)`, async () => {
    const folder = await scratchFolder();
    for (const cut of cuts) {
      const expected = made.chunkEnds.findLast(({ end }) => end <= cut)?.messages ?? 0;
      const { messages, outcome, file } = await repairBytes(folder, made.bytes.subarray(0, cut));
      expect({ cut, messages, outcome }).toEqual({ cut, messages: expected, outcome: 'completed-in-place' });
      expect((await readIndexed(file)).length).toBe(expected);
      readStream(file);
      expect((await readdir(folder)).sort()).toEqual(['cut.mcap']);
    }
  });

  test('is repaired by a second repair when the first was cut off itself', async () => {
    const folder = await scratchFolder();
    const cut = (made.chunkEnds[4]?.end ?? 0) + 20;
    const { file } = await repairBytes(folder, made.bytes.subarray(0, cut));
    for (let again = made.chunkEnds[4]?.end ?? 0; again <= file.byteLength; again += 97) {
      const second = await repairBytes(folder, file.subarray(0, again));
      expect(second.messages).toBe(made.chunkEnds[4]?.messages);
      readStream(second.file);
    }
  });

  test('with zeros or noise behind the cut, as file systems leave them, is repaired alike', async () => {
    const folder = await scratchFolder();
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: made.bytes.byteLength }),
        fc.oneof(
          fc.uint8Array({ maxLength: 400 }),
          fc.nat(5000).map((length) => new Uint8Array(length)),
        ),
        async (cut, tail) => {
          const torn = Buffer.concat([made.bytes.subarray(0, cut), tail]);
          // Zeros may be just what was cut off.
          let same = cut;
          while (same < torn.byteLength && torn[same] === made.bytes[same]) same += 1;
          const expected = made.chunkEnds.findLast(({ end }) => end <= same)?.messages ?? 0;
          const { messages, file } = await repairBytes(folder, torn);
          expect(messages).toBe(expected);
          expect((await readIndexed(file)).length).toBe(expected);
          readStream(file);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('says in the file what was lost', async () => {
    const folder = await scratchFolder();
    const cut = (made.chunkEnds[2]?.end ?? 0) - 5;
    const { file } = await repairBytes(folder, made.bytes.subarray(0, cut));
    const record = readStream(file).find((item) => item.type === 'Metadata' && item.name === 'fender.repair');
    const values = Object.fromEntries((record as McapTypes.Metadata).metadata);
    expect(values).toMatchObject({ cut_off: 'true', recovered_chunks: '2', recovered_messages: '22' });
  });
});

describe('a segment damaged in its middle', () => {
  const made = makeSegment(7);

  test('is written anew without the damaged chunk, and every other chunk is kept', async () => {
    const folder = await scratchFolder();
    const bytes = Buffer.from(made.bytes);
    const inChunk = (made.chunkEnds[3]?.end ?? 0) - 10;
    bytes[inChunk] = (bytes[inChunk] as number) ^ 0x10;
    const { messages, outcome, file } = await repairBytes(folder, bytes);
    const damaged = (made.chunkEnds[3]?.messages ?? 0) - (made.chunkEnds[2]?.messages ?? 0);
    expect({ messages, outcome }).toEqual({
      messages: (made.chunkEnds.at(-1)?.messages ?? 0) - damaged,
      outcome: 'rewritten',
    });
    readStream(file);
    expect((await readIndexed(file)).length).toBe(messages);
    expect(await readdir(folder)).toEqual(['cut.mcap']);
  });
});

describe('the repair at start', () => {
  test('leaves no unfinished file in any recording, renews metadata.yaml, and reports each', async () => {
    const folder = await scratchFolder();
    const { bytes, chunkEnds } = makeSegment(6);
    for (const name of ['one', 'two', 'now']) await mkdir(join(folder, name));
    await writeFile(join(folder, 'one/one_0.mcap'), bytes);
    await writeFile(join(folder, 'one/one_1.mcap.active'), bytes.subarray(0, (chunkEnds[3]?.end ?? 0) + 1));
    await writeFile(join(folder, 'one/metadata.yaml.partial'), 'half');
    await writeFile(join(folder, 'two/two_0.mcap.active'), '');
    await writeFile(join(folder, 'now/now_0.mcap.active'), bytes.subarray(0, 100));

    const reports = await repairRecordings(folder, (name) => name === 'now');
    expect(reports.map(({ path, outcome, messages }) => ({ path, outcome, messages }))).toEqual([
      { path: join(folder, 'one/one_1.mcap'), outcome: 'completed-in-place', messages: chunkEnds[3]?.messages },
      { path: join(folder, 'two/two_0.mcap'), outcome: 'completed-in-place', messages: 0 },
    ]);
    expect((await readdir(join(folder, 'one'))).sort()).toEqual(['metadata.yaml', 'one_0.mcap', 'one_1.mcap']);
    expect(await readdir(join(folder, 'now'))).toEqual(['now_0.mcap.active']);
    const yaml = parse(await readFile(join(folder, 'one/metadata.yaml'), 'utf8'));
    expect(yaml.rosbag2_bagfile_information).toMatchObject({
      relative_file_paths: ['one_0.mcap', 'one_1.mcap'],
      message_count: (chunkEnds[5]?.messages ?? 0) + (chunkEnds[3]?.messages ?? 0),
    });
    expect(sequencesOf(await readFileIndexed(join(folder, 'one/one_1.mcap')), '/uma8/audio')).toEqual([
      0, 1, 4, 5, 6, 7,
    ]);
    expect(await repairRecordings(folder, (name) => name === 'now')).toEqual([]);

    // A segment that was removed to make room is not promised to `ros2 bag` any more.
    await rm(join(folder, 'one/one_0.mcap'));
    await repairRecordings(folder, (name) => name === 'now');
    const after = parse(await readFile(join(folder, 'one/metadata.yaml'), 'utf8'));
    expect(after.rosbag2_bagfile_information).toMatchObject({ relative_file_paths: ['one_1.mcap'] });
  });
});

test('definitions stand outside chunks, so that no damaged chunk takes them along', () => {
  const { bytes } = makeSegment(3);
  const found: number[] = [];
  for (let offset = 8; offset < bytes.byteLength - 8; ) {
    const head = readRecordHead(bytes, offset);
    found.push(head?.opcode ?? 0);
    offset += recordHeadBytes + (head?.contentBytes ?? 0);
  }
  expect(found.indexOf(Opcode.CHANNEL)).toBeLessThan(found.indexOf(Opcode.CHUNK));
});
