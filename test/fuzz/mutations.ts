/** Owns damaging MCAP files with a seed: blindly, and knowing the layout, so that the damage gets past lengths and CRCs. */

import { crc32, zstdCompressSync } from 'node:zlib';
import { openChunk, readChunkHead, readRecordHead, recordHeadBytes } from '../../agent/bag/mcap-records.ts';

/** Random numbers from a seed (mulberry32). */
export type Random = () => number;

export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A whole number from 0 to `below` − 1. */
export function below(random: Random, limit: number): number {
  return Math.floor(random() * limit);
}

/** One of `values`, of which there must be some. */
export function pick<T>(random: Random, values: readonly T[]): T {
  return values[below(random, values.length)] as T;
}

/** Where a record is. */
interface Place {
  readonly opcode: number;
  readonly offset: number;
  readonly end: number;
}

/** The records of a file by their lengths, the summary's too, as far as they go. */
function places(bytes: Buffer): Place[] {
  const found: Place[] = [];
  let offset = 8;
  for (;;) {
    const head = readRecordHead(bytes, offset);
    if (head === null) return found;
    const end = offset + recordHeadBytes + head.contentBytes;
    if (end > bytes.byteLength) return found;
    found.push({ opcode: head.opcode, offset, end });
    offset = end;
  }
}

const hugeSizes = [
  0n,
  1n,
  0xffn,
  0xffffn,
  0x7fffffffn,
  0xffffffffn,
  2n ** 40n,
  2n ** 53n,
  2n ** 60n,
  2n ** 63n,
  2n ** 64n - 1n,
];

/** A damaged copy, and which of the original's bytes are not as they were: the spans that a reader may fail to read. */
export interface Mutation {
  readonly name: string;
  readonly bytes: Buffer;
  /** Bytes of the original that stand unchanged at their own offset in the copy, from the start up to here. */
  readonly sameUntil: number;
}

type Mutate = (bytes: Buffer, random: Random) => Buffer;

const flipBits: Mutate = (bytes, random) => {
  for (let count = 1 + below(random, 8); count > 0; count -= 1) {
    const at = below(random, bytes.byteLength);
    bytes[at] = (bytes[at] as number) ^ (1 << below(random, 8));
  }
  return bytes;
};

const setBytes: Mutate = (bytes, random) => {
  const at = below(random, bytes.byteLength);
  const value = pick(random, [0, 0xff, below(random, 256)]);
  return bytes.fill(value, at, Math.min(bytes.byteLength, at + 1 + below(random, 200)));
};

const truncate: Mutate = (bytes, random) => bytes.subarray(0, below(random, bytes.byteLength));

const splice: Mutate = (bytes, random) => {
  const [from, to] = [below(random, bytes.byteLength), below(random, bytes.byteLength)];
  const length = below(random, 2000);
  return Buffer.concat([
    bytes.subarray(0, to),
    bytes.subarray(from, from + length),
    bytes.subarray(to + below(random, 2) * length),
  ]);
};

const insertNoise: Mutate = (bytes, random) => {
  const at = below(random, bytes.byteLength);
  const noise = Buffer.from(Array.from({ length: below(random, 300) }, () => below(random, 256)));
  return Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]);
};

/** What needs no knowledge of the format. */
export const blindMutations: Readonly<Record<string, Mutate>> = {
  'flip bits': flipBits,
  'set bytes': setBytes,
  truncate,
  splice,
  'insert noise': insertNoise,
};

const changeOpcode: Mutate = (bytes, random) => {
  const place = pick(random, places(bytes));
  bytes[place.offset] = pick(random, [below(random, 17), 0x80, 0xff, below(random, 256)]);
  return bytes;
};

const changeLength: Mutate = (bytes, random) => {
  const place = pick(random, places(bytes));
  const length = bytes.readBigUInt64LE(place.offset + 1);
  const near = BigInt.asUintN(64, length + BigInt(below(random, 40) - 20));
  bytes.writeBigUInt64LE(pick(random, [...hugeSizes, near, BigInt(bytes.byteLength)]), place.offset + 1);
  return bytes;
};

/** Any number inside a record: lengths of texts and maps, offsets, times, counts. */
const changeField: Mutate = (bytes, random) => {
  const place = pick(random, places(bytes));
  const room = place.end - place.offset - recordHeadBytes;
  if (room < 8) return bytes;
  const at = place.offset + recordHeadBytes + below(random, Math.min(room - 7, 80));
  if (random() < 0.5) bytes.writeBigUInt64LE(pick(random, hugeSizes), at);
  else bytes.writeUInt32LE(Number(pick(random, hugeSizes) & 0xffffffffn), at);
  return bytes;
};

const dropRecord: Mutate = (bytes, random) => {
  const { offset, end } = pick(random, places(bytes));
  return Buffer.concat([bytes.subarray(0, offset), bytes.subarray(end)]);
};

const repeatRecord: Mutate = (bytes, random) => {
  const all = places(bytes);
  const [{ offset, end }, to] = [pick(random, all), pick(random, all)];
  return Buffer.concat([bytes.subarray(0, to.offset), bytes.subarray(offset, end), bytes.subarray(to.offset)]);
};

/** Changes what is in a chunk and puts its CRC, and its compression, right again. */
const changeChunk: Mutate = (bytes, random) => {
  const chunks = places(bytes).filter(({ opcode }) => opcode === 6);
  if (chunks.length === 0) return bytes;
  const { offset, end } = pick(random, chunks);
  const record = bytes.subarray(offset, end);
  const recordHead = readRecordHead(record);
  const head = recordHead === null ? null : readChunkHead(record, recordHead);
  const opened = head === null ? null : openChunk(record, head);
  if (head === null || opened === null || !('records' in opened)) return bytes;
  const inner = Buffer.from(opened.records);
  const changed = pick(random, [flipBits, setBytes, changeInner, changeInner])(inner, random);
  return Buffer.concat([bytes.subarray(0, offset), chunkOf(changed, head, random), bytes.subarray(end)]);
};

const changeInner: Mutate = (bytes, random) => {
  let offset = 0;
  for (let skip = below(random, 6); skip > 0; skip -= 1) {
    const head = readRecordHead(bytes, offset);
    if (head === null || offset + recordHeadBytes + head.contentBytes >= bytes.byteLength) break;
    offset += recordHeadBytes + head.contentBytes;
  }
  if (offset + recordHeadBytes + 12 > bytes.byteLength) return bytes;
  const at = pick(random, [1, recordHeadBytes, recordHeadBytes + 2, recordHeadBytes + 4]);
  bytes.writeBigUInt64LE(pick(random, hugeSizes), offset + at);
  return bytes;
};

/** A chunk record of `records`, whose sizes may lie. */
function chunkOf(
  records: Buffer,
  head: { startNs: bigint; endNs: bigint; compression: string },
  random: Random,
): Buffer {
  const stored = head.compression === 'zstd' ? zstdCompressSync(records) : records;
  const name = Buffer.from(head.compression === 'lz4' ? '' : head.compression);
  const bytes = Buffer.alloc(49 + name.byteLength + stored.byteLength);
  bytes[0] = 6;
  bytes.writeBigUInt64LE(BigInt(bytes.byteLength - 9), 1);
  bytes.writeBigUInt64LE(head.startNs, 9);
  bytes.writeBigUInt64LE(head.endNs, 17);
  const lie = random() < 0.1 && name.byteLength > 0;
  bytes.writeBigUInt64LE(lie ? pick(random, hugeSizes) : BigInt(records.byteLength), 25);
  bytes.writeUInt32LE(random() < 0.2 ? 0 : crc32(records), 33);
  bytes.writeUInt32LE(name.byteLength, 37);
  name.copy(bytes, 41);
  bytes.writeBigUInt64LE(BigInt(stored.byteLength), 41 + name.byteLength);
  stored.copy(bytes, 49 + name.byteLength);
  return bytes;
}

/** A few hundred bytes that unpack to 64 MiB of zeros, or of the smallest messages there are. */
const addBomb: Mutate = (bytes, random) => {
  const chunk = random() < 0.5 ? bombs.zeros : bombs.messages;
  const to = pick(random, places(bytes)).offset;
  return Buffer.concat([bytes.subarray(0, to), chunk, bytes.subarray(to)]);
};

function bombOf(records: Buffer): Buffer {
  return chunkOf(records, { startNs: 0n, endNs: 0n, compression: 'zstd' }, () => 0.5);
}

let madeBombs: { zeros: Buffer; messages: Buffer } | undefined;
const bombs = {
  get zeros(): Buffer {
    return this.made.zeros;
  },
  get messages(): Buffer {
    return this.made.messages;
  },
  get made(): { zeros: Buffer; messages: Buffer } {
    if (madeBombs === undefined) {
      const message = Buffer.alloc(31);
      message[0] = 5;
      message.writeBigUInt64LE(22n, 1);
      madeBombs = { zeros: bombOf(Buffer.alloc(64 << 20)), messages: bombOf(Buffer.alloc(31 << 18, message)) };
    }
    return madeBombs;
  },
};

/** Puts the CRCs of summary and data right, so that what was changed there is believed. */
const fixCrcs: Mutate = (bytes) => {
  if (bytes.byteLength < 60) return bytes;
  const footer = bytes.byteLength - 37;
  const start = Number(bytes.readBigUInt64LE(footer + 9));
  if (start <= 21 || start > footer) return bytes;
  bytes.writeUInt32LE(crc32(bytes.subarray(start, footer + 25)), footer + 25);
  if (bytes[start - 13] === 0x0f) bytes.writeUInt32LE(crc32(bytes.subarray(0, start - 13)), start - 4);
  return bytes;
};

const kinds: readonly [name: string, share: number, mutate: Mutate][] = [
  ['flip bits', 4, flipBits],
  ['set bytes', 3, setBytes],
  ['truncate', 4, truncate],
  ['splice', 3, splice],
  ['insert noise', 2, insertNoise],
  ['change opcode', 3, changeOpcode],
  ['change length', 5, changeLength],
  ['change field', 8, changeField],
  ['drop record', 2, dropRecord],
  ['repeat record', 2, repeatRecord],
  ['change chunk, CRC right', 6, changeChunk],
  ['bomb', 0.004, addBomb],
];
const shares = kinds.reduce((sum, [, share]) => sum + share, 0);

/** Damages a copy of `original` in one to three ways. */
export function mutate(original: Buffer, random: Random): Mutation {
  let bytes: Buffer = Buffer.from(original);
  const names: string[] = [];
  for (let count = pick(random, [1, 1, 1, 2, 3]); count > 0 && bytes.byteLength > 40; count -= 1) {
    let at = random() * shares;
    const [name, , change] = kinds.find(([, share]) => {
      at -= share;
      return at < 0;
    }) ?? ['flip bits', 1, flipBits];
    if (places(bytes).length === 0 && /record|opcode|length|field|bomb|chunk/.test(name)) continue;
    bytes = change(Buffer.from(bytes), random);
    names.push(name);
  }
  if (random() < 0.3) {
    bytes = fixCrcs(Buffer.from(bytes), random);
    names.push('CRCs right');
  }
  let sameUntil = 0;
  while (sameUntil < original.byteLength && original[sameUntil] === bytes[sameUntil]) sameUntil += 1;
  return { name: names.join(', '), bytes, sameUntil };
}
