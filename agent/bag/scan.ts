/**
 * Owns finding the records of an MCAP file that may be cut off, half written or damaged: reads it once from front to back
 * in bounded memory, gives every record that is whole, and says which bytes are not and why.
 */

import { Opcode } from '@mcap/core';
import type { ByteSource } from './byte-source.ts';
import {
  type ChunkHead,
  fieldsFill,
  foundHead,
  magicBytes,
  openChunk,
  type RecordHead,
  readChunkHead,
  readChunkRecords,
  readRecordHead,
  recordHeadBytes,
} from './mcap-records.ts';

/** A run of bytes that is no whole record. */
export interface Damage {
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly bytes: number;
  readonly reason: string;
}

/** What a scan finds, in file order. The bytes are the whole record with its head. */
export type ScanItem =
  | { readonly kind: 'magic'; readonly offset: 0; readonly bytes: Uint8Array }
  | { readonly kind: 'record'; readonly opcode: number; readonly offset: number; readonly bytes: Uint8Array }
  | {
      readonly kind: 'chunk';
      readonly offset: number;
      readonly bytes: Uint8Array;
      readonly head: ChunkHead;
      /** Decompressed and checked; null when the compression is not supported here. */
      readonly records: Uint8Array | null;
    }
  | ({ readonly kind: 'damage' } & Damage);

/** Larger records are skipped as damage: no memory bound could hold otherwise. */
const maxRecordBytes = 256 * 1024 * 1024;
/** This many records in a row must be plausible before a run of damage is taken as over. */
const chainLength = 3;
const searchWindowBytes = 1024 * 1024;
const chunkProbeBytes = 64;
/** More private records in a row are taken for noise. */
const maxPrivateRecords = 64;
/**
 * Made bytes can look like the head of a large record everywhere: a search reads them in vain until they come to this many
 * times the file's size; after that it looks at records up to `freelyReadBytes` alone.
 */
const searchBudget = 8;
const freelyReadBytes = 64 * 1024;

/** Told of the offset that a search has come to. */
export type OnSearch = (offset: number) => void;

/** All searches of one scan. */
interface Search {
  readonly source: ByteSource;
  readonly onSearch: OnSearch;
  /** Bytes of what looked like records and were none. */
  readInVainBytes: number;
  /** Where the last search for a chunk began, and the chunk that it found. */
  lastChunk: { readonly from: number; readonly at: number } | null;
}

/**
 * Scans a file's data section. Ends after the record that ends it (DataEnd) or at the end of the bytes; the summary is not read.
 * Whatever the bytes are, it does not throw, except for errors of reading.
 * @param onSearch told now and then where the search for the end of a run of damage is.
 */
export async function* scanRecords(source: ByteSource, onSearch: OnSearch = () => {}): AsyncGenerator<ScanItem> {
  const search: Search = { source, onSearch, readInVainBytes: 0, lastChunk: null };
  let offset = 0;
  const magic = await source.read(0, magicBytes.byteLength);
  if (Buffer.compare(magic, magicBytes) === 0) {
    yield { kind: 'magic', offset: 0, bytes: magic };
    offset = magicBytes.byteLength;
  }
  let sawChunk = false;
  let mayBeInChunk = false;
  while (offset < source.size) {
    const found = await believable(search, await recordAt(search, offset, sawChunk), mayBeInChunk);
    if ('item' in found) {
      yield found.item;
      offset += found.item.bytes.byteLength;
      sawChunk ||= found.item.kind === 'chunk';
      mayBeInChunk &&= found.item.kind === 'record' && isChunkContent(found.item.opcode);
      if (found.item.kind === 'record' && found.item.opcode === Opcode.DATA_END) return;
      continue;
    }
    const { reason, framedEnd, isChunk } = found;
    mayBeInChunk ||= isChunk === true;
    // Messages in the open count only in a file without chunks: those of a damaged chunk have nothing that vouches for them.
    sawChunk ||= isChunk === true || (await nextChunk(search, offset + 1)) < source.size;
    let next = framedEnd;
    if (next === null || !(await plausibleAt(source, next))) {
      next = await findRecord(search, offset + 1, sawChunk ? 'records' : 'records and messages');
    } else if (sawChunk) {
      // A length that lies may lead over whole chunks.
      next = Math.min(next, await nextChunk(search, offset + 1));
    }
    yield { kind: 'damage', offset, bytes: next - offset, reason };
    offset = next;
  }
}

type Found =
  | { item: Exclude<ScanItem, { kind: 'damage' }> }
  | { reason: string; framedEnd: number | null; isChunk?: boolean };

/**
 * What was found, unless what stands around it speaks against it.
 * @param mayBeInChunk whether there was a damaged chunk, and nothing since that stands outside chunks alone.
 */
async function believable(search: Search, found: Found, mayBeInChunk: boolean): Promise<Found> {
  if (!('item' in found)) return found;
  const { item } = found;
  if (mayBeInChunk && item.kind === 'record' && item.opcode === Opcode.MESSAGE) {
    // Damage may have pushed a chunk's messages past its end.
    return { reason: 'message behind a damaged chunk that may be from it', framedEnd: null };
  }
  return (await hidesChunk(search, item)) ? { reason: 'record that reaches into a chunk', framedEnd: null } : found;
}

/** Whether records of this kind stand in chunks. */
function isChunkContent(opcode: number): boolean {
  return opcode === Opcode.SCHEMA || opcode === Opcode.CHANNEL || opcode === Opcode.MESSAGE;
}

/** Whether a whole chunk begins inside what has no CRC, and whose length there is reason to doubt: then that lies. */
async function hidesChunk(search: Search, item: Exclude<ScanItem, { kind: 'damage' }>): Promise<boolean> {
  if (item.kind === 'magic' || (item.kind === 'chunk' && item.head.crc !== 0)) return false;
  if (item.kind === 'record' && item.opcode === Opcode.DATA_END) return false;
  const end = item.offset + item.bytes.byteLength;
  const isStrange = item.kind === 'record' && (summaryOpcodes.has(item.opcode) || !fieldsFill(item.bytes, item.opcode));
  if (!isStrange && (await plausibleAt(search.source, end))) return false;
  return (await nextChunk(search, item.offset + 1)) < end;
}

/**
 * The whole record at an offset, or why there is none; `framedEnd` is where the next would start if its length is true.
 * @param sawChunk whether the file has chunks, as far as was read.
 */
async function recordAt(search: Search, offset: number, sawChunk: boolean): Promise<Found> {
  const { source } = search;
  const left = source.size - offset;
  const probe = await source.read(offset, recordHeadBytes);
  if (left < recordHeadBytes) return { reason: `cut off: ${left} bytes, a record has at least 9`, framedEnd: null };
  const head = readRecordHead(probe);
  if (head === null) {
    const isZero = probe.every((byte) => byte === 0);
    const found = isZero ? await zerosAt(source, offset) : foundHead(probe);
    return { reason: `expected a record, found ${found}`, framedEnd: null };
  }
  const length = recordHeadBytes + head.contentBytes;
  if (length > left) {
    const isChunk =
      head.opcode === Opcode.CHUNK && readChunkHead(await source.read(offset, chunkProbeBytes), head) !== null;
    return { reason: `cut off: expected a record of ${length} bytes, found ${left}`, framedEnd: null, isChunk };
  }
  const framedEnd = offset + length;
  if (length > maxRecordBytes)
    return { reason: `record of ${length} bytes, the limit is ${maxRecordBytes}`, framedEnd };
  const bytes = await source.read(offset, length);
  if (bytes.byteLength < length) return { reason: 'cut off while reading', framedEnd: null };
  if (head.opcode === Opcode.DATA_END && !(await endsData(search, framedEnd, sawChunk))) {
    return { reason: 'end of data with no summary behind it', framedEnd: null };
  }
  // Nothing else vouches for these lengths.
  const isDoubtful = head.opcode >= 0x80 || summaryOpcodes.has(head.opcode) || !fieldsFill(bytes, head.opcode);
  if (isDoubtful && !(await plausibleAt(source, framedEnd))) {
    return { reason: `record of ${length} bytes whose content has another length`, framedEnd: null };
  }
  return head.opcode === Opcode.CHUNK
    ? wholeChunk(bytes, offset, head)
    : { item: { kind: 'record', opcode: head.opcode, offset, bytes } };
}

const zeroWindowBytes = 1024 * 1024;
/** Further on nobody counts them. */
const maxZeroBytes = 256 * 1024 * 1024;

/** The zeros from an offset on, which a power cut leaves where bytes had not come to the disk, in words. */
async function zerosAt(source: ByteSource, from: number): Promise<string> {
  let end = from;
  while (end < source.size && end - from < maxZeroBytes) {
    const window = await source.read(end, zeroWindowBytes);
    const length = window.findIndex((byte) => byte !== 0);
    end += length < 0 ? window.byteLength : length;
    if (length >= 0 || window.byteLength === 0) break;
  }
  const upTo = end >= source.size ? 'the end of the file' : `offset ${end}`;
  return `zeros from offset ${from} to ${upTo}: opcode 0 is none`;
}

function wholeChunk(bytes: Uint8Array, offset: number, recordHead: RecordHead): Found {
  const framedEnd = offset + bytes.byteLength;
  const head = readChunkHead(bytes, recordHead);
  // Then none of them can be believed, the record's neither.
  if (head === null) return { reason: 'chunk whose lengths contradict each other', framedEnd: null };
  if (head.uncompressedSize > maxRecordBytes) {
    return { reason: `chunk of ${head.uncompressedSize} bytes, the limit is ${maxRecordBytes}`, framedEnd };
  }
  const opened = openChunk(bytes, head);
  if ('problem' in opened && !opened.unsupported) return { reason: opened.problem, framedEnd, isChunk: true };
  if (head.crc === 0 && 'records' in opened) {
    // Then only the records in it vouch for its length: without that, it may reach over chunks that are whole.
    const { brokenAt } = readChunkRecords(opened.records);
    if (brokenAt !== null) return { reason: `no record at byte ${brokenAt} of the chunk`, framedEnd, isChunk: true };
  }
  return { item: { kind: 'chunk', offset, bytes, head, records: 'records' in opened ? opened.records : null } };
}

/**
 * Whether a record can start here, or the file ends here, with or without its closing magic. Half of all bytes are opcodes of
 * private records: those count when something else is plausible behind them.
 */
async function plausibleAt(source: ByteSource, from: number): Promise<boolean> {
  let offset = from;
  for (let count = 0; count < maxPrivateRecords; count += 1) {
    const left = source.size - offset;
    if (left === 0) return true;
    const probe = await source.read(offset, recordHeadBytes);
    if (left === magicBytes.byteLength) return Buffer.compare(probe, magicBytes) === 0;
    const head = readRecordHead(probe);
    if (head === null || recordHeadBytes + head.contentBytes > left) return false;
    if (head.opcode <= Opcode.MAX) return true;
    offset += recordHeadBytes + head.contentBytes;
  }
  return false;
}

/** Records that stand in the summary alone. */
const summaryOpcodes: ReadonlySet<number> = new Set([
  Opcode.FOOTER,
  Opcode.CHUNK_INDEX,
  Opcode.ATTACHMENT_INDEX,
  Opcode.STATISTICS,
  Opcode.METADATA_INDEX,
  Opcode.SUMMARY_OFFSET,
]);

/** Records that stand in the data section alone. */
const dataOpcodes: ReadonlySet<number> = new Set([
  Opcode.HEADER,
  Opcode.MESSAGE,
  Opcode.CHUNK,
  Opcode.MESSAGE_INDEX,
  Opcode.ATTACHMENT,
  Opcode.METADATA,
  Opcode.DATA_END,
]);

/**
 * Whether the data ends before `from`, where a summary should start: it does if a summary goes from there to the end of the file,
 * and if there is something like one and no chunk, or in a file without chunks no message, behind it.
 */
async function endsData(search: Search, from: number, sawChunk: boolean): Promise<boolean> {
  const { source } = search;
  let offset = from;
  let sawMessage = false;
  while (offset + recordHeadBytes <= source.size) {
    const head = readRecordHead(await source.read(offset, recordHeadBytes));
    if (head === null && offset === from) return false;
    if (head === null || dataOpcodes.has(head.opcode)) {
      sawMessage = head?.opcode === Opcode.MESSAGE;
      break;
    }
    offset += recordHeadBytes + head.contentBytes;
    // With the closing magic behind it.
    if (head.opcode === Opcode.FOOTER && offset + magicBytes.byteLength === source.size) return true;
  }
  if (sawMessage && !sawChunk) return false;
  return (await nextChunk(search, from)) === source.size;
}

/** Where the next whole chunk at or behind `from` is. What one search found holds for all that start before it. */
async function nextChunk(search: Search, from: number): Promise<number> {
  const { lastChunk } = search;
  if (lastChunk !== null && from >= lastChunk.from && from <= lastChunk.at) return lastChunk.at;
  const at = await findRecord(search, from, 'chunks');
  search.lastChunk = { from, at };
  return at;
}

/** Opcodes that a search looks at: all of the format but the header's. */
const firstSought = Opcode.FOOTER as number;
const lastSought = Opcode.MAX as number;

/** What a search looks for: chunks whose content is right; or other records in a row, too; or also messages outside chunks. */
type Wanted = 'chunks' | 'records' | 'records and messages';

/**
 * The next offset at or behind `from` where records go on: a chunk whose content is right, or several plausible records in a
 * row. Without any, the source's size. Messages count only in files without chunks: those inside a damaged chunk stay lost,
 * because nothing can vouch for them.
 */
async function findRecord(search: Search, from: number, wanted: Wanted): Promise<number> {
  const { source, onSearch } = search;
  for (let start = from; start < source.size; start += searchWindowBytes) {
    onSearch(start);
    const window = await source.read(start, searchWindowBytes + chunkProbeBytes);
    const end = Math.min(window.byteLength, searchWindowBytes);
    for (let index = 0; index < end; index += 1) {
      const opcode = window[index] as number;
      if (opcode < firstSought || opcode > lastSought) continue;
      if (opcode !== Opcode.CHUNK && wanted === 'chunks') continue;
      if (opcode === Opcode.MESSAGE && wanted !== 'records and messages') continue;
      // A record is shorter than 2³² bytes here, so half of its length field is zero: cheap to see, rare in sound.
      if (window[index + 5] !== 0 || window[index + 6] !== 0 || window[index + 7] !== 0 || window[index + 8] !== 0)
        continue;
      const head = readRecordHead(window, index);
      if (head === null || start + index + recordHeadBytes + head.contentBytes > source.size) continue;
      if (opcode === Opcode.CHUNK && readChunkHead(window.subarray(index, index + chunkProbeBytes), head) === null)
        continue;
      if (await recordsGoOn(search, start + index, wanted)) return start + index;
    }
  }
  return source.size;
}

async function recordsGoOn(search: Search, from: number, wanted: Wanted): Promise<boolean> {
  const { source } = search;
  let offset = from;
  for (let count = 0; count < chainLength; count += 1) {
    if (offset === source.size) return count > 1;
    const head = readRecordHead(await source.read(offset, recordHeadBytes));
    const isLarge = head !== null && head.contentBytes > freelyReadBytes;
    if (isLarge && head.opcode !== Opcode.CHUNK) {
      // Reading a large record to its end is dear: first see whether one could follow. A chunk vouches for itself.
      if (!(await plausibleAt(source, offset + recordHeadBytes + head.contentBytes))) return false;
    }
    if (isLarge && search.readInVainBytes > searchBudget * source.size) return false;
    // Searches in a search would cost the square of the file: an end of data counts only when a summary is right behind it.
    const isEnd = head?.opcode === Opcode.DATA_END;
    if (isEnd) return head.contentBytes === 4 && (await plausibleAt(source, offset + recordHeadBytes + 4));
    const found = await recordAt(search, offset, true);
    if (!('item' in found)) {
      search.readInVainBytes += head?.contentBytes ?? 0;
      return false;
    }
    if (found.item.kind === 'chunk') return true;
    if (found.item.kind === 'record') {
      if (found.item.opcode === Opcode.MESSAGE && wanted !== 'records and messages') return false;
      if (found.item.opcode >= 0x80) return false;
    }
    offset += found.item.bytes.byteLength;
  }
  return true;
}
