import { expect, test } from 'vitest';
import { memorySource } from '../../../agent/bag/byte-source.ts';
import { ChunkDraft } from '../../../agent/bag/chunk-draft.ts';
import { McapBuilder } from '../../../agent/bag/mcap-builder.ts';
import { readRecordHead, recordHeadBytes } from '../../../agent/bag/mcap-records.ts';
import { scanRecords } from '../../../agent/bag/scan.ts';

/** Where the CRC stands in a chunk record, in bytes from its start. */
const crcOffset = 33;

/** Bytes of a chunk record with eight messages and its indexes behind it. */
function chunk(firstSequence: number, hasCrc: boolean): { record: Buffer; indexes: Buffer } {
  const draft = new ChunkDraft();
  for (let sequence = firstSequence; sequence < firstSequence + 8; sequence += 1) {
    draft.add(1, sequence, BigInt(sequence) * 1000n, new Uint8Array(20).fill(sequence));
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

test('a whole chunk without a CRC is kept as it is', async () => {
  const plain = chunk(0, false);
  const items = await scan(Buffer.concat([start, plain.record, plain.indexes, whole.record]));
  expect(items.map(({ kind }) => kind)).toEqual(['magic', 'record', 'chunk', 'record', 'chunk']);
});
