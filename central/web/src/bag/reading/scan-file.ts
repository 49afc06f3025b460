/**
 * Makes the index of a file that has none: one that is still being written, was cut off, or whose end is damaged. Walks from
 * record to record, in bounded memory; behind damage it goes on at the next chunk.
 */
import { type McapTypes, Opcode } from '@mcap/core';
import { BagError, type BagFault } from './bag-error.ts';
import type { ByteSource } from './byte-source.ts';
import { maxChunkBytes } from './decompress.ts';
import { type ChunkPlace, channelRecords, type FileIndex, readChunk, recoverCure } from './file-index.ts';

const recordHeadBytes = 9;
const largestWindowBytes = 4 * 1024 * 1024;
const smallestWindowBytes = 16 * 1024;
/** A schema, a channel or a name is never larger. */
const largestSmallRecord = 4 * 1024 * 1024;
const longestRunBytes = 1024 * 1024;
/** Behind damage, chunks are looked for this far, and as often. */
const farthestSearch = 64 * 1024 * 1024;
const mostDamage = 40;
/** Opcode, length, start, end, plain size, CRC, name of the compression (`zstd` at most), size of the records. */
const chunkHeadBytes = 9 + 8 + 8 + 8 + 4 + 4 + 4 + 8;
/** A recording of a day in chunks of 100 ms. */
const mostChunks = 1_000_000;

/** A part of the file in memory; wide where records are small, narrow where they are skipped. */
class FileWindow {
  readonly #source: ByteSource;
  #start = 0;
  #bytes: Uint8Array = new Uint8Array();
  #width = largestWindowBytes;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  async read(offset: number, length: number): Promise<DataView> {
    const end = this.#start + this.#bytes.byteLength;
    if (offset < this.#start || offset + length > end) {
      const skipped = offset - end;
      if (skipped > this.#width) this.#width = Math.max(smallestWindowBytes, this.#width / 4);
      else this.#width = Math.min(largestWindowBytes, this.#width * 2);
      const wanted = Math.max(length, this.#width);
      this.#bytes = await this.#source.read(offset, Math.min(wanted, Math.max(length, this.#source.size - offset)));
      this.#start = offset;
    }
    return new DataView(this.#bytes.buffer, this.#bytes.byteOffset + offset - this.#start, length);
  }
}

/**
 * @param reason why the file is scanned; becomes a fault of the index.
 * @throws BagError when there is not one whole chunk.
 */
export async function scanFile(
  source: ByteSource,
  reason: BagFault,
  onProgress: (done: number, total: number) => void,
): Promise<FileIndex> {
  const scan = new Scan(source);
  const damage: BagFault[] = [];
  let offset: number | null = 8;
  for (let record = 0; offset !== null && offset < source.size; record += 1) {
    if (record % 512 === 0) onProgress(offset, source.size);
    try {
      const length = await scan.record(offset);
      if (length === null) break;
      offset += length;
    } catch (error) {
      if (!(error instanceof BagError)) throw error;
      damage.push(error.fault);
      offset = damage.length > mostDamage ? null : await nextChunk(source, (error.fault.offset ?? offset) + 1);
    }
  }
  await scan.chunkEnded();
  const [first] = damage;
  if (scan.index.chunks.length === 0) {
    const found = first ?? reason;
    throw new BagError(source.name, found.offset, `nothing in it can be read: ${found.message}`);
  }
  if (first === undefined) {
    const message = `it has no usable index (${reason.message}${unfinished(source.name)}) and was read through`;
    scan.index.faults.push({ ...reason, message });
  }
  scan.index.faults.unshift(...damage.map((fault) => ({ ...fault, cure: recoverCure })));
  return scan.index;
}

/**
 * The next place behind damage where a chunk begins, as far as its head tells: fields that fit each other, and a compression that
 * is known. Null when there is none near.
 */
async function nextChunk(source: ByteSource, fromOffset: number): Promise<number | null> {
  const end = Math.min(source.size, fromOffset + farthestSearch);
  for (let offset = fromOffset; offset + chunkHeadBytes <= end; offset += largestWindowBytes) {
    const length = Math.min(largestWindowBytes + chunkHeadBytes, source.size - offset);
    const bytes = await source.read(offset, length);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = bytes.indexOf(Opcode.CHUNK); at >= 0; at = bytes.indexOf(Opcode.CHUNK, at + 1)) {
      if (at + chunkHeadBytes > length) break;
      if (isChunkHead(view, at, source.size - offset - at)) return offset + at;
    }
  }
  return null;
}

function isChunkHead(view: DataView, at: number, left: number): boolean {
  const length = view.getBigUint64(at + 1, true);
  if (length > BigInt(left - recordHeadBytes) || length < 40n) return false;
  if (view.getBigUint64(at + 9, true) > view.getBigUint64(at + 17, true)) return false;
  if (view.getBigUint64(at + 25, true) > BigInt(maxChunkBytes)) return false;
  const nameBytes = view.getUint32(at + 37, true);
  if (nameBytes !== 0 && nameBytes !== 3 && nameBytes !== 4) return false;
  const name = String.fromCharCode(...Array.from({ length: nameBytes }, (_, byte) => view.getUint8(at + 41 + byte)));
  if (!['', 'lz4', 'zstd'].includes(name)) return false;
  return view.getBigUint64(at + 41 + nameBytes, true) + 40n + BigInt(nameBytes) === length;
}

/** Why a file whose name says so is not whole; empty for others. */
function unfinished(name: string): string {
  return /\.active$/i.test(name) ? '; it is still being written, or was left by a power cut' : '';
}

/** Whether there is nothing but zeros from `fromOffset` to the end; false where that is too much to look at. */
async function isZeroFrom(source: ByteSource, fromOffset: number): Promise<boolean> {
  if (source.size - fromOffset > farthestSearch) return false;
  for (let offset = fromOffset; offset < source.size; offset += largestWindowBytes) {
    const bytes = await source.read(offset, Math.min(largestWindowBytes, source.size - offset));
    if (bytes.some((byte) => byte !== 0)) return false;
  }
  return true;
}

class Scan {
  readonly index: FileIndex;
  readonly #source: ByteSource;
  readonly #window: FileWindow;
  /** The chunk whose message indexes are being read. */
  #chunk: ChunkPlace | null = null;
  #indexed: number[] = [];

  constructor(source: ByteSource) {
    this.#source = source;
    this.#window = new FileWindow(source);
    const maps = { channels: new Map(), schemas: new Map(), counts: new Map() };
    this.index = { source, ...maps, chunks: [], attachments: [], metadata: [], faults: [] };
  }

  /** Takes in the record at `offset`. Null when it ends the data. @throws BagError when there is none. */
  async record(offset: number): Promise<number | null> {
    const { size, name } = this.#source;
    if (offset + recordHeadBytes > size) {
      const found = `expected ${recordHeadBytes} bytes, found ${size - offset}${unfinished(name)}`;
      this.#broken(offset, `the file ends in the middle of a record: ${found}`);
    }
    const head = await this.#window.read(offset, recordHeadBytes);
    const opcode = head.getUint8(0);
    const length = recordHeadBytes + Number(head.getBigUint64(1, true));
    if (opcode === 0 || (opcode > Opcode.DATA_END && opcode < 0x80)) {
      if (opcode === 0 && (await isZeroFrom(this.#source, offset))) {
        const why = unfinished(name) || '; a power cut or an unfinished copy leaves a file like that';
        this.#broken(
          offset,
          `expected a record, found ${size - offset} bytes of 0x00, up to the end of the file${why}`,
        );
      }
      const kind = `0x${opcode.toString(16).padStart(2, '0')}`;
      this.#broken(
        offset,
        `expected a record of a kind from 0x01 to 0x0f, found the unknown kind ${kind}${unfinished(name)}`,
      );
    }
    if (offset + length > size) {
      const found = `expected ${length} bytes, found ${size - offset}${unfinished(name)}`;
      this.#broken(offset, `the file ends in the middle of a record: ${found}`);
    }
    if (opcode !== Opcode.MESSAGE_INDEX) await this.chunkEnded();
    if (opcode === Opcode.DATA_END || opcode === Opcode.FOOTER) return null;
    if (opcode === Opcode.CHUNK) await this.#takeChunk(offset, length);
    else if (opcode === Opcode.MESSAGE_INDEX) await this.#takeMessageIndex(offset, length);
    else if (opcode === Opcode.MESSAGE) await this.#takeMessage(offset, length);
    else if (opcode === Opcode.SCHEMA || opcode === Opcode.CHANNEL) await this.#takeDefinition(offset, length);
    else if (opcode === Opcode.ATTACHMENT) await this.#takeNamed(this.index.attachments, offset, length, 16);
    else if (opcode === Opcode.METADATA) await this.#takeNamed(this.index.metadata, offset, length, 0);
    return length;
  }

  /** The chunk before is over: what its message indexes did not tell is looked up in it. */
  async chunkEnded(): Promise<void> {
    const chunk = this.#chunk;
    this.#chunk = null;
    if (chunk === null) return;
    if (this.#indexed.length > 0 && this.#indexed.every((id) => this.index.channels.has(id))) {
      chunk.channels = this.#indexed;
      return;
    }
    try {
      const ids = new Map<number, number>();
      for (const record of await readChunk(this.#source, chunk, channelRecords(this.index.channels))) {
        if (record.type === 'Message') ids.set(record.channelId, (ids.get(record.channelId) ?? 0) + 1);
        else this.#define(record);
      }
      chunk.channels = [...ids.keys()];
      if (this.#indexed.length === 0) for (const [id, messages] of ids) this.#count(id, messages);
    } catch (error) {
      if (!(error instanceof BagError)) throw error;
      this.index.faults.push(error.fault);
      this.index.chunks.splice(this.index.chunks.indexOf(chunk), 1);
    }
  }

  #broken(offset: number, message: string): never {
    throw new BagError(this.#source.name, offset, message);
  }

  async #takeChunk(offset: number, length: number): Promise<void> {
    if (length < recordHeadBytes + 40) this.#broken(offset, `expected a chunk, found a record of ${length} bytes`);
    if (this.index.chunks.length >= mostChunks) this.#broken(offset, `found more than ${mostChunks} chunks`);
    const view = await this.#window.read(offset + recordHeadBytes, 16);
    const [startNs, endNs] = [view.getBigUint64(0, true), view.getBigUint64(8, true)];
    if (endNs < startNs)
      this.#broken(offset, `expected a chunk, found one that ends at ${endNs} before its start ${startNs}`);
    this.#chunk = { offset, length, startNs, endNs, channels: null, plain: false };
    this.#indexed = [];
    this.index.chunks.push(this.#chunk);
  }

  async #takeMessageIndex(offset: number, length: number): Promise<void> {
    if (this.#chunk === null || length < recordHeadBytes + 6) return;
    const view = await this.#window.read(offset + recordHeadBytes, 6);
    const [id, bytes] = [view.getUint16(0, true), view.getUint32(2, true)];
    if (bytes === 0) return;
    this.#indexed.push(id);
    this.#count(id, bytes / 16);
  }

  async #takeMessage(offset: number, length: number): Promise<void> {
    if (length < recordHeadBytes + 22) this.#broken(offset, `expected a message, found a record of ${length} bytes`);
    const view = await this.#window.read(offset + recordHeadBytes, 14);
    const [id, logNs] = [view.getUint16(0, true), view.getBigUint64(6, true)];
    this.#count(id, 1);
    const run = this.index.chunks.at(-1);
    if (run?.plain && run.offset + run.length === offset && run.length + length <= longestRunBytes) {
      run.length += length;
      if (logNs < run.startNs) run.startNs = logNs;
      if (logNs > run.endNs) run.endNs = logNs;
      if (!run.channels?.includes(id)) run.channels = [...(run.channels ?? []), id];
      return;
    }
    if (this.index.chunks.length >= mostChunks) this.#broken(offset, `found more than ${mostChunks} runs of messages`);
    this.index.chunks.push({ offset, length, startNs: logNs, endNs: logNs, channels: [id], plain: true });
  }

  async #takeDefinition(offset: number, length: number): Promise<void> {
    if (length > largestSmallRecord) this.#broken(offset, `expected a definition, found a record of ${length} bytes`);
    const place = { offset, length, startNs: 0n, endNs: 0n, channels: null, plain: true };
    const bytes = await this.#window.read(offset, length);
    const copy = new Uint8Array(bytes.buffer, bytes.byteOffset, length).slice();
    for (const record of await readChunk(this.#source, place, new Uint8Array(), copy)) this.#define(record);
  }

  #define(record: McapTypes.TypedMcapRecord): void {
    if (record.type === 'Schema') this.index.schemas.set(record.id, record);
    else if (record.type === 'Channel') this.index.channels.set(record.id, record);
  }

  async #takeNamed(list: FileIndex['metadata'], offset: number, length: number, nameAt: number): Promise<void> {
    const head = recordHeadBytes + nameAt + 4;
    if (length < head) return;
    const nameBytes = (await this.#window.read(offset + head - 4, 4)).getUint32(0, true);
    if (nameBytes > 1024 || head + nameBytes > length) return;
    const view = await this.#window.read(offset + head, nameBytes);
    list.push({ name: new TextDecoder().decode(view), offset, length });
  }

  #count(id: number, messages: number): void {
    this.index.counts.set(id, (this.index.counts.get(id) ?? 0) + messages);
  }
}
