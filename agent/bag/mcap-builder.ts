/**
 * Owns the bytes of one MCAP file (specification version 0): turns declarations, chunks and metadata into records in file
 * order, and keeps the indexes, statistics and CRC for the summary at its end. It does no I/O: each method gives the bytes
 * that come next, and forgets them.
 */

import { crc32, zstdCompressSync } from 'node:zlib';
import { type Channel, McapRecordBuilder, type McapTypes, Opcode, type Schema } from '@mcap/core';
import type { ChunkContent, ChunkIndexEntries } from './chunk-draft.ts';
import { joinCrc32 } from './crc-join.ts';

/** Written into each file's header. */
const library = 'fender';
const chunkHeadBytes = 1 + 8 + 8 + 8 + 8 + 4 + 4;

/** A chunk record that is there already, with what must be known of it. */
export interface FinishedChunk {
  readonly bytes: Uint8Array;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly compression: string;
  readonly compressedSize: number;
  readonly uncompressedSize: number;
  readonly index: ChunkIndexEntries;
  /** The CRC of its records where they are the last bytes of the record, not compressed, and checked: they are not read again. */
  readonly checkedCrc?: number;
}

/** A small file inside the bag. Times are UTC nanoseconds. */
export type Attachment = McapTypes.Attachment;

/** Builds one file; see the methods for the order in which they may be called: begin, then anything, then end. */
export class McapBuilder {
  /** Bytes given out so far: where the next record goes. */
  position = 0;
  readonly schemas = new Map<number, Schema>();
  readonly channels = new Map<number, Channel>();
  readonly statistics: McapTypes.Statistics = {
    messageCount: 0n,
    schemaCount: 0,
    channelCount: 0,
    attachmentCount: 0,
    metadataCount: 0,
    chunkCount: 0,
    messageStartTime: 0n,
    messageEndTime: 0n,
    channelMessageCounts: new Map(),
  };
  readonly #records = new McapRecordBuilder();
  readonly #chunkIndexes: McapTypes.ChunkIndex[] = [];
  readonly #attachmentIndexes: McapTypes.AttachmentIndex[] = [];
  readonly #metadataIndexes: McapTypes.MetadataIndex[] = [];
  #dataCrc = 0;
  #timed = false;

  /** Magic and header. */
  begin(profile = 'ros2'): Uint8Array[] {
    this.#records.writeMagic();
    this.#records.writeHeader({ profile, library });
    return this.#given([this.#take()]);
  }

  /** Takes in bytes of the data section that need no index: an existing magic, header, or unknown record. */
  copied(bytes: Uint8Array): Uint8Array[] {
    return this.#given([bytes]);
  }

  /** A schema record, outside any chunk, so that no damaged chunk takes it along. Nothing when it was declared already. */
  schema(schema: Schema): Uint8Array[] {
    if (!this.noteSchema(schema)) return [];
    this.#records.writeSchema(schema);
    return this.#given([this.#take()]);
  }

  /** A channel record, as `schema`; its schema must have been declared. */
  channel(channel: Channel): Uint8Array[] {
    if (!this.noteChannel(channel)) return [];
    this.#records.writeChannel(channel);
    return this.#given([this.#take()]);
  }

  /** Remembers a schema for the summary whose record is written otherwise. False when it was known. */
  noteSchema(schema: Schema): boolean {
    if (this.schemas.has(schema.id)) return false;
    this.schemas.set(schema.id, schema);
    this.statistics.schemaCount += 1;
    return true;
  }

  /** Remembers a channel for the summary whose record is written otherwise. False when it was known. */
  noteChannel(channel: Channel): boolean {
    if (this.channels.has(channel.id)) return false;
    this.channels.set(channel.id, channel);
    this.statistics.channelCount += 1;
    return true;
  }

  /** A chunk record and its message indexes. `zstd` compresses when that saves anything. */
  chunk(content: ChunkContent, compress: 'none' | 'zstd'): Uint8Array[] {
    const plain = content.pieces.length > 64 || compress === 'zstd' ? [Buffer.concat(content.pieces)] : content.pieces;
    let compression = '';
    let pieces: readonly Uint8Array[] = plain;
    if (compress === 'zstd') {
      const packed = zstdCompressSync(plain[0] as Uint8Array);
      if (packed.byteLength < content.byteLength) {
        compression = 'zstd';
        pieces = [packed];
      }
    }
    const compressedSize = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
    const head = chunkHead(content, compression, compressedSize);
    const startOffset = this.position;
    const given =
      compression === ''
        ? [...this.#given([head]), ...this.#summedUp(pieces, content.crc, compressedSize)]
        : this.#given([head, ...pieces]);
    const chunk = { startNs: content.startNs, endNs: content.endNs, compression, compressedSize, index: content.index };
    const indexes = this.#indexChunk(
      { ...chunk, uncompressedSize: content.byteLength },
      startOffset,
      head.byteLength + compressedSize,
    );
    return [...given, ...indexes];
  }

  /** Takes in a chunk record as it is; the first piece given is `chunk.bytes`, the others its message indexes, made anew. */
  copiedChunk(chunk: FinishedChunk): Uint8Array[] {
    const startOffset = this.position;
    const { bytes, checkedCrc, compressedSize } = chunk;
    if (checkedCrc === undefined) {
      this.#given([bytes]);
    } else {
      const recordsAt = bytes.byteLength - compressedSize;
      this.#given([bytes.subarray(0, recordsAt)]);
      this.#summedUp([bytes.subarray(recordsAt)], checkedCrc, compressedSize);
    }
    return [bytes, ...this.#indexChunk(chunk, startOffset, bytes.byteLength)];
  }

  /** A metadata record. */
  metadata(name: string, values: ReadonlyMap<string, string>): Uint8Array[] {
    this.#records.writeMetadata({ name, metadata: new Map(values) });
    return this.copiedMetadata(name, this.#take());
  }

  /** Takes in a metadata record as it is. */
  copiedMetadata(name: string, bytes: Uint8Array): Uint8Array[] {
    this.statistics.metadataCount += 1;
    this.#metadataIndexes.push({ name, offset: BigInt(this.position), length: BigInt(bytes.byteLength) });
    return this.#given([bytes]);
  }

  /** An attachment record. */
  attachment(attachment: Attachment): Uint8Array[] {
    this.#records.writeAttachment(attachment);
    return this.copiedAttachment(attachment, this.#take());
  }

  /** Takes in an attachment record as it is. */
  copiedAttachment(attachment: McapTypes.Attachment, bytes: Uint8Array): Uint8Array[] {
    const { name, mediaType, logTime, createTime, data } = attachment;
    this.statistics.attachmentCount += 1;
    this.#attachmentIndexes.push({
      name,
      mediaType,
      logTime,
      createTime,
      dataSize: BigInt(data.byteLength),
      offset: BigInt(this.position),
      length: BigInt(bytes.byteLength),
    });
    return this.#given([bytes]);
  }

  /** The end of the data, the summary with its offsets, the footer and the closing magic. Nothing may follow. */
  end(): Uint8Array[] {
    this.#records.writeDataEnd({ dataSectionCrc: this.#dataCrc });
    const dataEnd = this.#given([this.#take()]);
    const summaryStart = this.position;
    const groups: [opcode: number, write: () => void][] = [
      [Opcode.SCHEMA, () => this.schemas.forEach((schema) => void this.#records.writeSchema(schema))],
      [Opcode.CHANNEL, () => this.channels.forEach((channel) => void this.#records.writeChannel(channel))],
      [Opcode.STATISTICS, () => void this.#records.writeStatistics(this.statistics)],
      [
        Opcode.METADATA_INDEX,
        () => this.#metadataIndexes.forEach((index) => void this.#records.writeMetadataIndex(index)),
      ],
      [
        Opcode.ATTACHMENT_INDEX,
        () => this.#attachmentIndexes.forEach((index) => void this.#records.writeAttachmentIndex(index)),
      ],
      [Opcode.CHUNK_INDEX, () => this.#chunkIndexes.forEach((index) => void this.#records.writeChunkIndex(index))],
    ];
    const offsets: McapTypes.SummaryOffset[] = [];
    for (const [groupOpcode, write] of groups) {
      const start = this.#records.length;
      write();
      const groupLength = BigInt(this.#records.length - start);
      if (groupLength > 0n) offsets.push({ groupOpcode, groupStart: BigInt(summaryStart + start), groupLength });
    }
    const summaryOffsetStart = summaryStart + this.#records.length;
    for (const offset of offsets) this.#records.writeSummaryOffset(offset);
    const summary = this.#take();

    const footer = {
      summaryStart: BigInt(summaryStart),
      summaryOffsetStart: BigInt(summaryOffsetStart),
      summaryCrc: 0,
    };
    this.#records.writeFooter(footer);
    // The CRC covers the summary and the footer up to the CRC itself (specification, "Footer").
    footer.summaryCrc = crc32(this.#take().subarray(0, -4), crc32(summary));
    this.#records.writeFooter(footer);
    this.#records.writeMagic();
    return [...dataEnd, ...this.#given([summary, this.#take()])];
  }

  #indexChunk(chunk: Omit<FinishedChunk, 'bytes'>, startOffset: number, length: number): Uint8Array[] {
    const messageIndexOffsets = new Map<number, bigint>();
    for (const [channelId, records] of chunk.index) {
      messageIndexOffsets.set(channelId, BigInt(this.position + this.#records.length));
      this.#records.writeMessageIndex({ channelId, records });
      this.#count(channelId, BigInt(records.length));
    }
    const indexes = this.#take();
    const { statistics } = this;
    if (chunk.index.size > 0) {
      const first = !this.#timed;
      this.#timed = true;
      if (first || chunk.startNs < statistics.messageStartTime) statistics.messageStartTime = chunk.startNs;
      if (first || chunk.endNs > statistics.messageEndTime) statistics.messageEndTime = chunk.endNs;
    }
    statistics.chunkCount += 1;
    this.#chunkIndexes.push({
      messageStartTime: chunk.startNs,
      messageEndTime: chunk.endNs,
      chunkStartOffset: BigInt(startOffset),
      chunkLength: BigInt(length),
      messageIndexOffsets,
      messageIndexLength: BigInt(indexes.byteLength),
      compression: chunk.compression,
      compressedSize: BigInt(chunk.compressedSize),
      uncompressedSize: BigInt(chunk.uncompressedSize),
    });
    return this.#given([indexes]);
  }

  #count(channelId: number, messages: bigint): void {
    const counts = this.statistics.channelMessageCounts;
    counts.set(channelId, (counts.get(channelId) ?? 0n) + messages);
    this.statistics.messageCount += messages;
  }

  #take(): Uint8Array {
    const bytes = this.#records.buffer;
    this.#records.reset();
    return bytes;
  }

  /** As `#given`, of pieces whose CRC is known. */
  #summedUp(pieces: readonly Uint8Array[], crc: number, bytes: number): readonly Uint8Array[] {
    this.position += bytes;
    this.#dataCrc = joinCrc32(this.#dataCrc, crc, bytes);
    return pieces;
  }

  #given(pieces: Uint8Array[]): Uint8Array[] {
    for (const piece of pieces) {
      this.position += piece.byteLength;
      this.#dataCrc = crc32(piece, this.#dataCrc);
    }
    return pieces;
  }
}

/** Everything of a chunk record that stands before its records. */
function chunkHead(content: ChunkContent, compression: string, compressedSize: number): Uint8Array {
  const head = new Uint8Array(chunkHeadBytes + compression.length + 8);
  const view = new DataView(head.buffer);
  view.setUint8(0, Opcode.CHUNK);
  view.setBigUint64(1, BigInt(head.byteLength - 9 + compressedSize), true);
  view.setBigUint64(9, content.startNs, true);
  view.setBigUint64(17, content.endNs, true);
  view.setBigUint64(25, BigInt(content.byteLength), true);
  view.setUint32(33, content.crc, true);
  view.setUint32(37, compression.length, true);
  new TextEncoder().encodeInto(compression, head.subarray(chunkHeadBytes));
  view.setBigUint64(chunkHeadBytes + compression.length, BigInt(compressedSize), true);
  return head;
}
