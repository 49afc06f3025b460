import { expect, test } from 'vitest';
import { memorySource } from '../../../agent/bag/byte-source.ts';
import { ChunkDraft } from '../../../agent/bag/chunk-draft.ts';
import { McapBuilder } from '../../../agent/bag/mcap-builder.ts';
import { readRecordHead, recordHeadBytes } from '../../../agent/bag/mcap-records.ts';
import { scanRecords } from '../../../agent/bag/scan.ts';

/** Where the CRC stands in a chunk record, in bytes from its start. */
const crcOffset = 33;

/** Bytes of a chunk record with some messages and its indexes behind it. */
function chunk(
  firstSequence: number,
  hasCrc: boolean,
  { messages = 8, messageBytes = 20 } = {},
): { record: Buffer; indexes: Buffer } {
  const draft = new ChunkDraft();
  for (let sequence = firstSequence; sequence < firstSequence + messages; sequence += 1) {
    draft.add(1, sequence, BigInt(sequence) * 1000n, new Uint8Array(messageBytes).fill(sequence));
  }
  const bytes = Buffer.concat(new McapBuilder().chunk(draft, 'none'));
  const end = recordHeadBytes + (readRecordHead(bytes)?.contentBytes ?? 0);
  const record = bytes.subarray(0, end);
  if (!hasCrc) record.writeUInt32LE(0, crcOffset);
  return { record, indexes: bytes.subarray(end) };
}

async function scan(bytes: Uint8Array): Promise<{ kind: string; offset: number; bytes: number; reason?: string }[]> {
  const found: { kind: string; offset: number; bytes: number; reason?: string }[] = [];
  for await (const item of scanRecords(memorySource(bytes))) {
    const length = typeof item.bytes === 'number' ? item.bytes : item.bytes.byteLength;
    const reason = item.kind === 'damage' ? { reason: item.reason } : {};
    found.push({ kind: item.kind, offset: item.offset, bytes: length, ...reason });
  }
  return found;
}

const start = Buffer.concat(new McapBuilder().begin());
const headerBytes = start.byteLength - 8;
const cutAt = 120;
const whole = chunk(8, true);

test.each([true, false])('a cut chunk takes no whole chunk behind it along (it has a CRC: %s)', async (hasCrc) => {
  const cut = chunk(0, hasCrc).record;
  const bytes = Buffer.concat([start, cut.subarray(0, cutAt), whole.record, whole.indexes, whole.record]);
  const items = await scan(bytes);
  const at = start.byteLength;
  const reason = hasCrc ? /^chunk CRC/ : /^no record at byte \d+ of the chunk$/;
  expect(items).toEqual([
    { kind: 'magic', offset: 0, bytes: 8 },
    { kind: 'record', offset: 8, bytes: headerBytes },
    { kind: 'damage', offset: at, bytes: cutAt, reason: expect.stringMatching(reason) },
    { kind: 'chunk', offset: at + cutAt, bytes: whole.record.byteLength },
    { kind: 'record', offset: at + cutAt + whole.record.byteLength, bytes: whole.indexes.byteLength },
    { kind: 'chunk', offset: bytes.byteLength - whole.record.byteLength, bytes: whole.record.byteLength },
  ]);
});

test('a chunk without a CRC that was cut in its one message takes no whole chunk behind it along', async () => {
  const cut = chunk(0, false, { messages: 1, messageBytes: 300 }).record;
  const bytes = Buffer.concat([start, cut.subarray(0, cutAt), whole.record, whole.indexes]);
  const at = start.byteLength;
  expect((await scan(bytes)).slice(2)).toEqual([
    { kind: 'damage', offset: at, bytes: cutAt, reason: 'record that reaches into a chunk' },
    { kind: 'chunk', offset: at + cutAt, bytes: whole.record.byteLength },
    { kind: 'record', offset: at + cutAt + whole.record.byteLength, bytes: whole.indexes.byteLength },
  ]);
});

test('messages that damage pushed past the end of their chunk are not taken for messages outside chunks', async () => {
  const { record, indexes } = chunk(0, true);
  const headBytes = 49;
  const messageBytes = (record.byteLength - headBytes) / 8;
  // The first message twice: the last one now stands behind the chunk.
  const pushed = Buffer.concat([record.subarray(0, headBytes + messageBytes), record.subarray(headBytes), indexes]);
  const items = await scan(Buffer.concat([start, pushed, whole.record, whole.indexes]));
  const at = start.byteLength;
  expect(items.slice(2)).toEqual([
    { kind: 'damage', offset: at, bytes: record.byteLength, reason: expect.stringMatching(/^chunk CRC/) },
    {
      kind: 'damage',
      offset: at + record.byteLength,
      bytes: messageBytes,
      reason: 'message behind a damaged chunk that may be from it',
    },
    { kind: 'record', offset: at + record.byteLength + messageBytes, bytes: indexes.byteLength },
    { kind: 'chunk', offset: at + pushed.byteLength, bytes: whole.record.byteLength },
    { kind: 'record', offset: at + pushed.byteLength + whole.record.byteLength, bytes: whole.indexes.byteLength },
  ]);
});

test('messages outside chunks are kept behind a damaged chunk whose indexes are there', async () => {
  const { record, indexes } = chunk(0, true);
  const open = record.subarray(49);
  const damaged = Buffer.from(record);
  damaged[100] = (damaged[100] as number) ^ 1;
  const items = await scan(Buffer.concat([start, damaged, indexes, open]));
  expect(items.map(({ kind }) => kind)).toEqual(['magic', 'record', 'damage', 'record', ...Array(8).fill('record')]);
});

test('a whole chunk without a CRC is kept as it is', async () => {
  const plain = chunk(0, false);
  const items = await scan(Buffer.concat([start, plain.record, plain.indexes, whole.record]));
  expect(items.map(({ kind }) => kind)).toEqual(['magic', 'record', 'chunk', 'record', 'chunk']);
});
