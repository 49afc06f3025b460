/** What is known of one MCAP file before any of its messages is read: topics, where its chunks are, and what is wrong with it. */
import { McapIndexedReader, McapRecordBuilder, McapStreamReader, type McapTypes } from '@mcap/core';
import { BagError, type BagFault, faultOf } from './bag-error.ts';
import type { ByteSource } from './byte-source.ts';
import { decompressor, maxChunkBytes } from './decompress.ts';
import { type FilePart, inOurWords } from './library-errors.ts';

/** A chunk, or a run of records outside chunks, in a file. */
export interface ChunkPlace {
  readonly offset: number;
  /** With everything that belongs to it, in bytes. */
  length: number;
  startNs: bigint;
  endNs: bigint;
  /** Channels with messages in it; null when the file does not say. */
  channels: readonly number[] | null;
  /** Records outside chunks. */
  readonly plain: boolean;
}

/** An attachment or metadata record. */
export interface NamedPlace {
  readonly name: string;
  readonly offset: number;
  readonly length: number;
}

export interface FileIndex {
  readonly source: ByteSource;
  readonly channels: Map<number, McapTypes.Channel>;
  readonly schemas: Map<number, McapTypes.Schema>;
  readonly chunks: ChunkPlace[];
  /** Messages by channel; what a file does not tell is missing. */
  readonly counts: Map<number, number>;
  readonly attachments: NamedPlace[];
  readonly metadata: NamedPlace[];
  readonly faults: BagFault[];
}

const recordHeadBytes = 9;
const magicBytes = 8;
/** With its head: start of the summary, start of its offsets, CRC. */
const footerBytes = recordHeadBytes + 8 + 8 + 4;

/** A chunk of more messages is damaged: each costs memory, however small it is. */
const mostMessages = 1_000_000;

/** The channels as records: the library's reader wants to have met a channel before its messages. */
export function channelRecords(channels: ReadonlyMap<number, McapTypes.Channel>): Uint8Array {
  const builder = new McapRecordBuilder();
  for (const channel of channels.values()) builder.writeChannel(channel);
  return builder.buffer.slice();
}

/**
 * The schemas, channels and messages inside a chunk, or in a run of plain records, checked by their CRC. Others are left out: a
 * packed chunk may hold millions of empty ones.
 * @param known the records of channels that may be declared elsewhere in the file.
 * @param given the chunk's bytes, where they are there already.
 * @throws BagError with the chunk's offset.
 */
export async function readChunk(
  source: ByteSource,
  place: ChunkPlace,
  known: Uint8Array,
  given?: Uint8Array,
): Promise<McapTypes.TypedMcapRecord[]> {
  const bytes = given ?? (await source.read(place.offset, place.length));
  try {
    const compression = place.plain ? '' : compressionOf(bytes);
    const decompress = await decompressor(compression);
    const reader = new McapStreamReader({
      noMagicPrefix: true,
      decompressHandlers: {
        [compression]: (packed, declared) => {
          if (declared > BigInt(maxChunkBytes)) {
            throw new Error(`expected a chunk of at most ${maxChunkBytes} bytes, found one of ${declared}`);
          }
          return decompress(packed, Number(declared));
        },
      },
    });
    const records: McapTypes.TypedMcapRecord[] = [];
    reader.append(known);
    while (reader.nextRecord() !== undefined);
    reader.append(bytes);
    for (let record = reader.nextRecord(); record !== undefined; record = reader.nextRecord()) {
      if (record.type === 'Message' || record.type === 'Schema' || record.type === 'Channel') records.push(record);
      if (records.length > mostMessages) throw new Error(`expected at most ${mostMessages} messages, found more`);
    }
    if (reader.bytesRemaining() > 0)
      throw new Error(`expected whole records, found ${reader.bytesRemaining()} bytes of one`);
    return records;
  } catch (error) {
    const { message } = inOurWords(faultOf(error, source.name).message);
    throw new BagError(source.name, place.offset, `the chunk is damaged: ${message}`, recoverCure);
  }
}

/** What saves the rest of a damaged bag. */
export const recoverCure = '`fender bag recover` writes everything readable of it into a new bag.';

/** The name of the compression in a chunk record. */
function compressionOf(chunk: Uint8Array): string {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  const at = recordHeadBytes + 8 + 8 + 8 + 4;
  if (chunk.byteLength < at + 4) throw new Error(`expected a chunk record, found ${chunk.byteLength} bytes`);
  const length = view.getUint32(at, true);
  if (length > 64) throw new Error(`expected the name of a compression, found a text of ${length} bytes`);
  return new TextDecoder().decode(chunk.subarray(at + 4, at + 4 + length));
}

/** What is read at once of a file's end: of a recording of sound, with chunks of 100 ms, all of its index. */
function tailBytes(size: number): number {
  return Math.min(size, Math.max(4096, Math.min(1024 * 1024, Math.ceil(size / 512))));
}

/**
 * The index that a finished file ends with. Null with the reason when there is none that can be trusted; then the file has to be
 * scanned.
 */
export async function readSummary(source: ByteSource): Promise<{ index: FileIndex } | { problem: BagFault }> {
  const tailStart = source.size - tailBytes(source.size);
  let tail: Uint8Array = new Uint8Array();
  try {
    tail = await source.read(tailStart, source.size - tailStart);
    const reader = await McapIndexedReader.Initialize({
      readable: {
        size: async () => BigInt(source.size),
        read: async (from, count) => {
          const [offset, length] = [Number(from), Number(count)];
          if (offset < tailStart || offset + length > source.size) return source.read(offset, length);
          return tail.subarray(offset - tailStart, offset - tailStart + length);
        },
      },
    });
    const index = indexOf(source, reader);
    const messages = Number(reader.statistics?.messageCount ?? 0n);
    if (index.chunks.length === 0 && messages > 0) throw new Error('expected an index of chunks, found none');
    return { index };
  } catch (error) {
    const fault = faultOf(error, source.name);
    const { message, part } = inOurWords(fault.message);
    const offset = fault.offset ?? (part === null ? null : offsetOf(part, source.size, tail));
    return { problem: { file: source.name, offset, message, cure: recoverCure } };
  }
}

/** Where a part of a file begins, by the end of it; null where that does not tell. */
function offsetOf(part: FilePart, size: number, tail: Uint8Array): number | null {
  if (part === 'header') return Math.min(magicBytes, size);
  if (part === 'end') return Math.max(0, size - magicBytes);
  const footer = size - magicBytes - footerBytes;
  if (part === 'footer' || tail.byteLength < magicBytes + footerBytes) return Math.max(0, footer);
  const view = new DataView(tail.buffer, tail.byteOffset + tail.byteLength - magicBytes - footerBytes);
  const start = Number(view.getBigUint64(recordHeadBytes, true));
  return start > 0 && start < footer ? start : footer;
}

function indexOf(source: ByteSource, reader: McapIndexedReader): FileIndex {
  const dataEnd = Number(reader.dataEndOffset);
  const within = (what: string, offset: bigint, length: bigint) => {
    if (offset + length <= BigInt(dataEnd)) return;
    throw new BagError(source.name, Number(offset), `expected ${what} before offset ${dataEnd}, found it reach beyond`);
  };
  const chunks = reader.chunkIndexes.map((chunk): ChunkPlace => {
    within('a chunk', chunk.chunkStartOffset, chunk.chunkLength);
    return {
      offset: Number(chunk.chunkStartOffset),
      length: Number(chunk.chunkLength),
      startNs: chunk.messageStartTime,
      endNs: chunk.messageEndTime,
      channels: chunk.messageIndexOffsets.size === 0 ? null : [...chunk.messageIndexOffsets.keys()],
      plain: false,
    };
  });
  const placeOf = ({ name, offset, length }: McapTypes.AttachmentIndex | McapTypes.MetadataIndex): NamedPlace => {
    within('an attachment', offset, length);
    return { name, offset: Number(offset), length: Number(length) };
  };
  const counts = [...(reader.statistics?.channelMessageCounts ?? [])];
  return {
    source,
    channels: new Map(reader.channelsById),
    schemas: new Map(reader.schemasById),
    chunks,
    counts: new Map(counts.map(([id, count]) => [id, Number(count)])),
    attachments: reader.attachmentIndexes.map(placeOf),
    metadata: reader.metadataIndexes.map(placeOf),
    faults: [],
  };
}

/** Reads one attachment or metadata record, checked by its CRC. @throws BagError with its offset. */
export async function readNamed(source: ByteSource, place: NamedPlace): Promise<McapTypes.TypedMcapRecord | undefined> {
  const bytes = await source.read(place.offset, place.length);
  try {
    const reader = new McapStreamReader({ noMagicPrefix: true });
    reader.append(bytes);
    return reader.nextRecord();
  } catch (error) {
    const { message } = inOurWords(faultOf(error, source.name).message);
    throw new BagError(source.name, place.offset, `${place.name} is damaged: ${message}`, recoverCure);
  }
}
