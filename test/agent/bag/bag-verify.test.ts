import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { McapWriter } from '@mcap/core';
import { describe, expect, test } from 'vitest';
import { bagVerify, formatCheck } from '../../../agent/bag/bag-check.ts';
import { formatBagInfo, infoOf } from '../../../agent/bag/bag-info.ts';
import { type FileCheck, verifySource } from '../../../agent/bag/bag-verify.ts';
import { memorySource } from '../../../agent/bag/byte-source.ts';
import { renewMetadata } from '../../../agent/bag/rosbag2-metadata.ts';
import { type ScanItem, scanRecords } from '../../../agent/bag/scan.ts';
import { range } from '../recording/recording-fixtures.ts';
import { scratchFolder } from '../recording/scratch-folder.ts';
import { driveMessages, madeBag, soundMessage } from './bag-fixtures.ts';

const whole = madeBag(driveMessages(3));
const verify = (bytes: Uint8Array): Promise<FileCheck> => verifySource(memorySource(bytes, 'drive.mcap'));
const errorsOf = ({ findings }: FileCheck): string[] =>
  findings.filter(({ severity }) => severity === 'error').map(({ code }) => code);

/** A copy with bytes changed at an offset. */
function changed(bytes: Uint8Array, offset: number, value: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[offset] = (copy[offset] as number) ^ value;
  return copy;
}

/** A copy whose data section has its right CRC again, so that only what was changed is wrong. */
function withDataCrc(bytes: Buffer): Buffer {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const summaryStart = Number(view.getBigUint64(bytes.byteLength - 28, true));
  view.setUint32(summaryStart - 4, crc32(bytes.subarray(0, summaryStart - 13)), true);
  return bytes;
}

async function firstSoundChunk(): Promise<Extract<ScanItem, { kind: 'chunk' }>> {
  for await (const item of scanRecords(memorySource(whole))) {
    if (item.kind === 'chunk' && item.head.compression === '') return item;
  }
  throw new Error('expected a chunk of sound, found none');
}

describe('bag verify of a file', () => {
  test('finds nothing wrong in a whole bag, and counts what is in it', async () => {
    const check = await verify(whole);
    expect(errorsOf(check)).toEqual([]);
    expect(check).toMatchObject({ messages: 40, missing: {}, errors: 0, bytes: whole.byteLength });
  });

  test('finds something wherever a byte is changed', async () => {
    let missed = 0;
    for (let offset = 0; offset < whole.byteLength; offset += 397) {
      const check = await verify(changed(whole, offset, 0x40)).catch(() => null);
      if (check !== null && check.errors === 0) missed += 1;
    }
    expect(missed).toBe(0);
  });

  test('names the offset of a damaged chunk', async () => {
    const { offset } = await firstSoundChunk();
    const [finding] = (await verify(changed(whole, offset + 200, 1))).findings;
    const message = expect.stringContaining('chunk CRC');
    expect(finding).toMatchObject({ severity: 'error', code: 'damage', offset, message });
  });

  test.each([
    ['a chunk’s times', 9, 'chunk-times'],
    ['a message index', -1, 'message-index'],
  ])('finds %s wrong though every CRC is right', async (_, from, code) => {
    const chunk = await firstSoundChunk();
    const offset = from < 0 ? chunk.offset + chunk.bytes.byteLength + 9 + 6 : chunk.offset + from;
    expect(errorsOf(await verify(withDataCrc(changed(whole, offset, 1))))).toContain(code);
  });

  test('finds a summary that tells of other data, with its CRC right', async () => {
    const other = madeBag(driveMessages(2));
    const start = (bytes: Buffer): number => Number(bytes.readBigUInt64LE(bytes.byteLength - 28));
    const summary = Buffer.from(other.subarray(start(other)));
    summary.writeBigUInt64LE(BigInt(start(whole)), summary.byteLength - 28);
    summary.writeUInt32LE(crc32(summary.subarray(0, -12)), summary.byteLength - 12);
    const codes = errorsOf(await verify(Buffer.concat([whole.subarray(0, start(whole)), summary])));
    expect(codes).toContain('statistics');
    expect(codes).toContain('chunk-index');
    expect(codes).not.toContain('summary-crc');
  });

  test('finds messages missing by their sequence, and a cut-off end', async () => {
    const holes = [0, 1, 2, 3, 7, 8, 9, 10].map((index) => soundMessage(index));
    const bytes = madeBag(holes);
    expect(await verify(bytes)).toMatchObject({ missing: { '/uma8/audio': 3 }, errors: 1 });
    expect(errorsOf(await verify(bytes.subarray(0, -300)))).toContain('cut-off');
  });

  test('follows one sequence through sound that is FLAC in part', async () => {
    const flac = { topic: '/uma8/audio/flac', type: 'fender_msgs/msg/CompressedAudio' };
    const sounds = range(20).map((index) => ({ ...soundMessage(index), ...(index % 3 > 0 && flac) }));
    expect(await verify(madeBag(sounds))).toMatchObject({ missing: {}, errors: 0 });
    const holes = sounds.filter((_, index) => index !== 10 && index !== 11);
    expect(await verify(madeBag(holes))).toMatchObject({ missing: { '/uma8/audio': 2 }, errors: 1 });
  });

  test('lets pass what others write by the rules: no CRCs, no summary, no chunks, no message indexes', async () => {
    for (const options of [
      { useChunks: false },
      { useMessageIndex: false },
      { useSummaryOffsets: false, useChunkIndex: false },
      { repeatSchemas: false, repeatChannels: false, useStatistics: false },
    ]) {
      const parts: Uint8Array[] = [];
      const position = (): bigint => parts.reduce((sum, part) => sum + BigInt(part.byteLength), 0n);
      const write = async (part: Uint8Array): Promise<void> => void parts.push(part.slice());
      const writer = new McapWriter({ writable: { position, write }, chunkSize: 200, ...options });
      await writer.start({ profile: '', library: 'another' });
      const channelId = await writer.registerChannel({
        schemaId: 0,
        topic: '/a',
        messageEncoding: 'json',
        metadata: new Map(),
      });
      for (const sequence of range(20)) {
        const logTime = BigInt(sequence);
        await writer.addMessage({ channelId, sequence, logTime, publishTime: 0n, data: new Uint8Array(30) });
      }
      await writer.end();
      expect(await verify(Buffer.concat(parts)), JSON.stringify(options)).toMatchObject({ errors: 0, messages: 20 });
    }
  });
});

describe('an unfinished segment', () => {
  const sourceOf = (bytes: Uint8Array) => memorySource(bytes, 'drive_0.mcap.active');

  test('is told to be one, with what is half written or zeros at its end, and is no error', async () => {
    const { offset, bytes } = await firstSoundChunk();
    const cut = offset + bytes.byteLength + 20;
    for (const end of [
      Buffer.from(whole.subarray(0, cut)),
      Buffer.concat([whole.subarray(0, cut - 20), Buffer.alloc(5000)]),
    ]) {
      const check = await verifySource(sourceOf(end));
      expect(errorsOf(check)).toEqual([]);
      expect(check.findings.filter(({ code }) => code === 'unfinished')).toHaveLength(2);
      const info = await infoOf(sourceOf(end));
      expect(info).toMatchObject({ complete: false, unfinished: true });
      expect(formatBagInfo(info)).toMatch(/complete +no: still being written, or left by a power cut and repaired/);
      expect(formatBagInfo(info)).not.toContain('cure');
    }
    const zeros = await verifySource(sourceOf(Buffer.concat([whole.subarray(0, cut - 20), Buffer.alloc(5000)])));
    expect(zeros.findings.map(({ message }) => message).join()).toContain(
      `zeros from offset ${cut - 20} to the end of the file: opcode 0 is none`,
    );
  });

  test('alone or empty in the folder of a recording is no error either', async () => {
    const folder = join(await scratchFolder(), 'drive');
    await mkdir(folder);
    await writeFile(join(folder, 'drive_0.mcap.active'), whole.subarray(0, (await firstSoundChunk()).offset));
    await writeFile(join(folder, 'drive_1.mcap.active'), '');
    const check = await bagVerify(folder);
    expect(check.errors).toBe(0);
    expect(formatCheck(check)).toContain('drive_1.mcap.active offset 0: empty: still being written');
    expect(formatCheck(check)).not.toContain('recover');
  });

  test('that is damaged before its end is damaged', async () => {
    const { offset, bytes } = await firstSoundChunk();
    const damaged = changed(whole.subarray(0, offset + 3 * bytes.byteLength), offset + 200, 1);
    expect(errorsOf(await verifySource(sourceOf(damaged)))).toContain('damage');
    expect(await infoOf(sourceOf(damaged))).toMatchObject({ complete: false, unfinished: false });
  });
});

describe('a damaged summary', () => {
  const summaryStart = Number(whole.readBigUInt64LE(whole.byteLength - 28));

  test('is reported once, with the cure as it can be copied into a shell', async () => {
    const path = join(await scratchFolder(), "it's a drive.mcap");
    for (const offset of [summaryStart, summaryStart + 1, whole.byteLength - 37, whole.byteLength - 30]) {
      await writeFile(path, changed(whole, offset, 0x80));
      const check = await bagVerify(path);
      expect(check.errors, `offset ${offset}`).toBeGreaterThan(0);
      expect(check.errors, `offset ${offset}`).toBeLessThan(4);
      expect(formatCheck(check)).toContain("drive.mcap' NEW.mcap` writes all that is readable");
      expect(formatCheck(check)).toContain("/it'\\''s a drive.mcap'");
    }
  });

  test('is told by bag info with what was expected, what was found, and where', async () => {
    const problem = async (bytes: Uint8Array): Promise<string> => (await infoOf(memorySource(bytes))).problem;
    const size = whole.byteLength;
    expect(await problem(changed(whole, summaryStart + 100, 1))).toMatch(
      new RegExp(`^CRC of the summary at offset ${summaryStart}: expected [0-9a-f]{8}, found [0-9a-f]{8}$`),
    );
    expect(await problem(changed(whole, size - 33, 1))).toBe(
      `expected a Footer record at offset ${size - 37}, found opcode 2 with a length of ${2n ** 24n + 20n} bytes`,
    );
    expect(await problem(changed(whole, size - 1, 0xff))).toBe(
      `expected the closing magic 894d434150300d0a at offset ${size - 8}, found 894d434150300df5`,
    );
    expect(await problem(Buffer.concat([whole, Buffer.alloc(8)]))).toContain(`at offset ${size}, found zeros`);
  });
});

describe('bag verify of a folder', () => {
  test('follows sequences over segments, and holds metadata.yaml against the files', async () => {
    const folder = join(await scratchFolder(), 'drive');
    await mkdir(folder);
    const sounds = (from: number, to: number) => range(to - from, from).map((index) => soundMessage(index));
    await writeFile(join(folder, 'drive_0.mcap'), madeBag(sounds(0, 10)));
    await writeFile(join(folder, 'drive_1.mcap'), madeBag(sounds(10, 20)));
    const without = await bagVerify(folder);
    expect(formatCheck(without)).toContain('expected metadata.yaml');
    await renewMetadata(folder);
    expect(await bagVerify(folder)).toMatchObject({ errors: 0, findings: [] });

    await writeFile(join(folder, 'drive_1.mcap'), madeBag(sounds(12, 20)));
    const gap = await bagVerify(folder);
    expect(gap.findings.map(({ code }) => code)).toContain('sequence-gap');
    expect(formatCheck(gap)).toContain('message_count: the files have 18, metadata.yaml says 20');

    await rename(join(folder, 'drive_1.mcap'), join(folder, 'drive_2.mcap'));
    await writeFile(join(folder, 'drive_3.mcap'), 'no bag');
    const other = formatCheck(await bagVerify(folder));
    expect(other).toContain('names drive_1.mcap, which is not there');
    expect(other).toContain('does not name drive_2.mcap');
    expect(other).toContain('drive_3.mcap offset 0');
  });
});
