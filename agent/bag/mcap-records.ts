/**
 * Owns the raw layout of MCAP records (specification version 0): which bytes can be a record at all, what a chunk's head
 * says, and which records are inside it. It trusts nothing: what it reads may be half written or damaged.
 */

import { crc32, zstdDecompressSync } from 'node:zlib';
import { MCAP_MAGIC, McapStreamReader, type McapTypes, Opcode } from '@mcap/core';
import type { ChunkIndexEntries } from './chunk-draft.ts';
import { decompressLz4 } from './lz4-frame.ts';

/** Opcode and length. */
export const recordHeadBytes = 9;
export const magicBytes = Uint8Array.from(MCAP_MAGIC);
/** First opcode of those that the specification leaves to applications. */
const firstPrivateOpcode = 0x80;

/** Shortest possible content of each record kind. */
const minContentBytes: Readonly<Record<number, number>> = {
  [Opcode.HEADER]: 8,
  [Opcode.FOOTER]: 20,
  [Opcode.SCHEMA]: 14,
  [Opcode.CHANNEL]: 16,
  [Opcode.MESSAGE]: 22,
  [Opcode.CHUNK]: 40,
  [Opcode.MESSAGE_INDEX]: 6,
  [Opcode.CHUNK_INDEX]: 64,
  [Opcode.ATTACHMENT]: 36,
  [Opcode.ATTACHMENT_INDEX]: 48,
  [Opcode.STATISTICS]: 46,
  [Opcode.METADATA]: 8,
  [Opcode.METADATA_INDEX]: 20,
  [Opcode.SUMMARY_OFFSET]: 17,
  [Opcode.DATA_END]: 4,
};

/** A record's opcode and the length of its content in bytes. */
export interface RecordHead {
  readonly opcode: number;
  readonly contentBytes: number;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The record head at `offset`, or null when no record can start so: unknown opcode, or content too short for its kind. */
export function readRecordHead(bytes: Uint8Array, offset = 0): RecordHead | null {
  if (offset + recordHeadBytes > bytes.byteLength) return null;
  const opcode = bytes[offset] as number;
  const view = viewOf(bytes);
  // Lengths over 2⁵³ are no lengths.
  if (view.getUint32(offset + 5, true) > 0x1fffff) return null;
  const contentBytes = view.getUint32(offset + 5, true) * 2 ** 32 + view.getUint32(offset + 1, true);
  if (opcode >= firstPrivateOpcode) return { opcode, contentBytes };
  const min = minContentBytes[opcode];
  if (min === undefined || contentBytes < min) return null;
  if (opcode === Opcode.FOOTER && contentBytes !== 20) return null;
  if (opcode === Opcode.DATA_END && contentBytes !== 4) return null;
  return { opcode, contentBytes };
}

/** What stands where a record was expected and none can start, in words. */
export function foundHead(bytes: Uint8Array): string {
  if (bytes.byteLength < recordHeadBytes) return `${bytes.byteLength} bytes, a record has at least ${recordHeadBytes}`;
  const opcode = bytes[0] as number;
  const view = viewOf(bytes);
  if (opcode === 0 && bytes.subarray(0, recordHeadBytes).every((byte) => byte === 0)) return 'zeros: opcode 0 is none';
  if (opcode < firstPrivateOpcode && minContentBytes[opcode] === undefined) return `opcode ${opcode}, which is none`;
  return `opcode ${opcode} with a length of ${view.getBigUint64(1, true)} bytes`;
}

/** What a chunk says of itself before its records. */
export interface ChunkHead {
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly uncompressedSize: number;
  readonly crc: number;
  readonly compression: string;
  /** Where its records start, in bytes from the record's start, and how many bytes they are as stored. */
  readonly recordsOffset: number;
  readonly recordsBytes: number;
}

/**
 * Reads the head of a chunk record.
 * @param bytes at least the first 64 bytes of the record, or all of it.
 * @returns null when the lengths in it contradict each other.
 */
export function readChunkHead(bytes: Uint8Array, head: RecordHead): ChunkHead | null {
  const view = viewOf(bytes);
  if (bytes.byteLength < 49) return null;
  const nameBytes = view.getUint32(37, true);
  if (nameBytes > 15 || bytes.byteLength < 49 + nameBytes) return null;
  const recordsBytes = Number(view.getBigUint64(41 + nameBytes, true));
  if (recordsBytes !== head.contentBytes - 40 - nameBytes) return null;
  const uncompressedSize = Number(view.getBigUint64(25, true));
  if (nameBytes === 0 && uncompressedSize !== recordsBytes) return null;
  return {
    startNs: view.getBigUint64(9, true),
    endNs: view.getBigUint64(17, true),
    uncompressedSize,
    crc: view.getUint32(33, true),
    compression: new TextDecoder().decode(bytes.subarray(41, 41 + nameBytes)),
    recordsOffset: 49 + nameBytes,
    recordsBytes,
  };
}

/** Decompresses zstd to exactly `size` bytes. @throws when it is damaged or larger. */
function decompressZstd(bytes: Uint8Array, size: number): Uint8Array {
  const plain = zstdDecompressSync(bytes, { maxOutputLength: Math.max(1, size) });
  if (plain.byteLength !== size) throw new Error(`zstd: expected ${size} bytes, found ${plain.byteLength}`);
  return plain;
}

const decompressors: Readonly<Record<string, (bytes: Uint8Array, size: number) => Uint8Array>> = {
  zstd: decompressZstd,
  lz4: decompressLz4,
};

/** A chunk that unpacks to more is damage: no memory bound could hold otherwise. */
export const maxChunkBytes = 256 * 1024 * 1024;
/** So is one with more messages: each costs memory, however small it is. */
const maxChunkMessages = 1_000_000;

/** What @mcap/core's readers need to read chunks: the two compressions that the format knows, with a bound. */
export const decompressHandlers: McapTypes.DecompressHandlers = {
  zstd: (bytes, size) => decompressZstd(bytes, boundedSize(size)),
  lz4: (bytes, size) => decompressLz4(bytes, boundedSize(size)),
};

function boundedSize(size: bigint): number {
  if (size > BigInt(maxChunkBytes))
    throw new Error(`expected a chunk of at most ${maxChunkBytes} bytes, found ${size}`);
  return Number(size);
}

/**
 * The records of a whole chunk record, decompressed and checked against its CRC (a CRC of 0 means that there is none).
 * @returns the records, or what is wrong; `unsupported` when the compression is one that is not known here.
 */
export function openChunk(
  bytes: Uint8Array,
  head: ChunkHead,
): { records: Uint8Array } | { problem: string; unsupported: boolean } {
  const stored = bytes.subarray(head.recordsOffset, head.recordsOffset + head.recordsBytes);
  let records = stored;
  const decompress = Object.hasOwn(decompressors, head.compression) ? decompressors[head.compression] : undefined;
  if (decompress !== undefined) {
    if (head.uncompressedSize > maxChunkBytes) {
      return { problem: `chunk of ${head.uncompressedSize} bytes, the limit is ${maxChunkBytes}`, unsupported: false };
    }
    try {
      records = decompress(stored, head.uncompressedSize);
    } catch (cause) {
      return { problem: `chunk does not decompress: ${(cause as Error).message}`, unsupported: false };
    }
  } else if (head.compression !== '') {
    return { problem: `compression '${head.compression}' is not supported`, unsupported: true };
  }
  const found = crc32(records);
  if (head.crc !== 0 && found !== head.crc) {
    const problem = `chunk CRC: expected ${head.crc.toString(16)}, found ${found.toString(16)}`;
    return { problem, unsupported: false };
  }
  return { records };
}

/** A message inside decompressed chunk records; `data` is a view into them. */
export interface RawMessage {
  readonly channelId: number;
  readonly sequence: number;
  readonly logTimeNs: bigint;
  readonly publishTimeNs: bigint;
  readonly data: Uint8Array;
}

/** What is in a chunk: definitions, and messages with their offsets. */
export interface ChunkRecords {
  readonly schemas: McapTypes.Schema[];
  readonly channels: McapTypes.Channel[];
  readonly messages: { readonly offset: number; readonly message: RawMessage }[];
  /** Offset of the first bytes that are no record, or null when all are. */
  readonly brokenAt: number | null;
}

/** Reads one message record's content. */
export function readMessage(record: Uint8Array): RawMessage {
  const view = viewOf(record);
  return {
    channelId: view.getUint16(9, true),
    sequence: view.getUint32(11, true),
    logTimeNs: view.getBigUint64(15, true),
    publishTimeNs: view.getBigUint64(23, true),
    data: record.subarray(31),
  };
}

/**
 * Parses one whole record that is no message, footer or chunk, with the library.
 * @throws when it is malformed, or `record` is not exactly one record: an index may name a length that is not the record's.
 */
export function parseRecordBytes(record: Uint8Array): McapTypes.TypedMcapRecord {
  const head = readRecordHead(record);
  const length = recordHeadBytes + (head?.contentBytes ?? 0);
  if (head !== null && length !== record.byteLength) {
    throw new Error(`expected a record of ${record.byteLength} bytes, found one of ${length}`);
  }
  const reader = new McapStreamReader({ noMagicPrefix: true });
  reader.append(record);
  const parsed = reader.nextRecord();
  if (parsed === undefined) throw new Error('record is cut off');
  return parsed;
}

/** Walks through decompressed chunk records. Never throws: it stops at what is no record and says where. */
export function readChunkRecords(records: Uint8Array): ChunkRecords {
  const found: ChunkRecords & { brokenAt: number | null } = { schemas: [], channels: [], messages: [], brokenAt: null };
  let offset = 0;
  while (offset < records.byteLength) {
    const head = readRecordHead(records, offset);
    const end = offset + recordHeadBytes + (head?.contentBytes ?? 0);
    if (head === null || end > records.byteLength) return { ...found, brokenAt: offset };
    const record = records.subarray(offset, end);
    if (head.opcode === Opcode.MESSAGE) {
      if (found.messages.length === maxChunkMessages) return { ...found, brokenAt: offset };
      found.messages.push({ offset, message: readMessage(record) });
    } else if (head.opcode === Opcode.SCHEMA || head.opcode === Opcode.CHANNEL) {
      try {
        const parsed = parseRecordBytes(record);
        if (parsed.type === 'Schema') found.schemas.push(parsed);
        else if (parsed.type === 'Channel') found.channels.push(parsed);
      } catch {
        return { ...found, brokenAt: offset };
      }
    }
    offset = end;
  }
  return found;
}

/** The message index of a chunk's messages, in the order in which a writer makes it. */
export function indexMessages(records: ChunkRecords): ChunkIndexEntries {
  const index: ChunkIndexEntries = new Map();
  for (const { offset, message } of records.messages) {
    const entry: [bigint, bigint] = [message.logTimeNs, BigInt(offset)];
    const entries = index.get(message.channelId);
    if (entries === undefined) index.set(message.channelId, [entry]);
    else entries.push(entry);
  }
  return index;
}

/** The length-prefixed fields of records that consist of them, behind this many bytes of fixed fields. */
const prefixedFields: Readonly<Record<number, { fixedBytes: number; fields: number }>> = {
  [Opcode.HEADER]: { fixedBytes: 0, fields: 2 },
  [Opcode.SCHEMA]: { fixedBytes: 2, fields: 3 },
  [Opcode.CHANNEL]: { fixedBytes: 4, fields: 3 },
  [Opcode.MESSAGE_INDEX]: { fixedBytes: 2, fields: 1 },
  [Opcode.METADATA]: { fixedBytes: 0, fields: 2 },
};

/**
 * Whether the fields of a whole record end where the record ends. Longer records are allowed, but nobody writes them: with no
 * record behind it, one that is longer has a damaged length.
 */
export function fieldsFill(record: Uint8Array, opcode: number): boolean {
  if (opcode === Opcode.ATTACHMENT) return attachmentFills(record);
  const layout = prefixedFields[opcode];
  if (layout === undefined) return true;
  const view = viewOf(record);
  let offset = recordHeadBytes + layout.fixedBytes;
  for (let field = 0; field < layout.fields; field += 1) {
    if (offset + 4 > record.byteLength) return false;
    offset += 4 + view.getUint32(offset, true);
  }
  return offset === record.byteLength;
}

/** As `fieldsFill`: two times, two texts, the data behind its 64-bit length, and a CRC. */
function attachmentFills(record: Uint8Array): boolean {
  const view = viewOf(record);
  let offset = recordHeadBytes + 16;
  for (let field = 0; field < 2; field += 1) {
    if (offset + 4 > record.byteLength) return false;
    offset += 4 + view.getUint32(offset, true);
  }
  return offset + 8 <= record.byteLength && offset + 12 + Number(view.getBigUint64(offset, true)) === record.byteLength;
}
