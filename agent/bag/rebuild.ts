/**
 * Owns making a whole MCAP file from what can be read of another: copies every sound record as it is, makes indexes,
 * statistics and summary anew, and says what was lost. Where the bytes go is up to the sink.
 */

import { isDeepStrictEqual } from 'node:util';
import { type McapTypes, Opcode } from '@mcap/core';
import { openSummary } from './bag-summary.ts';
import type { ByteSource } from './byte-source.ts';
import { ChunkDraft, type ChunkIndexEntries } from './chunk-draft.ts';
import { RecordingError } from './error.ts';
import { type Attachment, McapBuilder } from './mcap-builder.ts';
import {
  type ChunkRecords,
  indexMessages,
  parseRecordBytes,
  type RawMessage,
  readChunkRecords,
  readMessage,
} from './mcap-records.ts';
import { type Damage, type ScanItem, scanRecords } from './scan.ts';

/** Where a rebuilt file goes, in order and without gaps. */
export interface RebuildSink {
  /** Bytes that stand in the source at `sourceOffset`, for `position` of the new file. */
  copy(bytes: Uint8Array, position: number, sourceOffset: number): Promise<void>;
  /** Bytes made anew. */
  fresh(pieces: readonly Uint8Array[], position: number): Promise<void>;
  /** Told of each message in chunks that is kept, in file order; its data is a view. */
  message?(channel: McapTypes.Channel, type: string, message: RawMessage): void;
  /** What a file that was not whole gets before its end, where it has no attachment of that name. */
  closing?(): readonly Attachment[];
}

/** Called now and then with how many bytes of the source were read. */
export type Progress = (readBytes: number, totalBytes: number) => void;

/** What was found on the way. */
export interface RebuildReport {
  readonly statistics: McapTypes.Statistics;
  readonly channels: ReadonlyMap<number, McapTypes.Channel>;
  readonly schemas: ReadonlyMap<number, McapTypes.Schema>;
  readonly metadata: readonly McapTypes.Metadata[];
  readonly compressions: ReadonlySet<string>;
  /** Runs of bytes that were left out, in file order; at most 1000 are listed. */
  readonly damage: readonly Damage[];
  readonly damagedBytes: number;
  /** Channels that messages name and no record defines: kept under the topic `/unknown/channel_<id>`. */
  readonly undefinedChannels: readonly number[];
  /** Whether the source had an end of data, so was not cut off. */
  readonly ended: boolean;
  /** Where messages stand in the source, in file order. */
  readonly blocks: readonly MessageBlock[];
  /** Attachment records of the source. */
  readonly attachments: readonly AttachmentPlace[];
  /** Profile of the header, empty without one. */
  readonly profile: string;
}

/** A run of bytes with messages in it: a chunk record, or message records outside chunks one behind the other. */
export interface MessageBlock {
  readonly kind: 'chunk' | 'messages';
  readonly offset: number;
  readonly bytes: number;
  /** UTC nanoseconds of the first and the last message in it. */
  readonly startNs: bigint;
  readonly endNs: bigint;
}

/** Where an attachment record stands. */
export interface AttachmentPlace {
  readonly name: string;
  readonly mediaType: string;
  readonly offset: number;
  /** Of the whole record. */
  readonly bytes: number;
  readonly dataBytes: number;
}

const maxListedDamage = 1000;
const maxDraftBytes = 256 * 1024;
const progressEveryBytes = 4 * 1024 * 1024;
/** Message records outside chunks are read again in runs of about this size. */
const maxBlockBytes = 1024 * 1024;
/** What is remembered of a file (definitions, indexes, metadata) may take about this much memory: over 500 000 chunks. */
const maxHeldBytes = 512 * 1024 * 1024;
const heldPerRecord = 600;
const heldPerChannel = 150;

/** Definitions of channels that are known from elsewhere than the data section. */
interface Definitions {
  readonly schemas: ReadonlyMap<number, McapTypes.Schema>;
  readonly channels: ReadonlyMap<number, McapTypes.Channel>;
}

/** Told of the messages of each chunk, by channel, in file order. */
export type ObserveMessages = (index: ChunkIndexEntries, channels: ReadonlyMap<number, McapTypes.Channel>) => void;

class Rebuild {
  readonly builder = new McapBuilder();
  readonly damage: Damage[] = [];
  readonly metadata: McapTypes.Metadata[] = [];
  readonly compressions = new Set<string>();
  readonly undefinedChannels: number[] = [];
  readonly blocks: MessageBlock[] = [];
  readonly attachments: AttachmentPlace[] = [];
  damagedBytes = 0;
  ended = false;
  profile = '';
  #heldBytes = 0;
  readonly #sink: RebuildSink;
  readonly #known: Definitions;
  readonly #observe: ObserveMessages;
  #draft = new ChunkDraft();
  #begun = false;
  #magic: Uint8Array | null = null;

  constructor(sink: RebuildSink, known: Definitions, observe: ObserveMessages) {
    this.#sink = sink;
    this.#known = known;
    this.#observe = observe;
  }

  async take(item: ScanItem): Promise<void> {
    if (item.kind === 'damage') {
      this.lost(item);
    } else if (item.kind === 'magic') {
      this.#magic = item.bytes.slice();
    } else if (item.kind === 'record' && item.opcode === Opcode.HEADER && !this.#begun) {
      await this.#begin(item.bytes, item.offset);
    } else {
      if (!this.#begun) await this.#begin(null, 0);
      await (item.kind === 'chunk' ? this.#chunk(item) : this.#record(item));
    }
  }

  async finish(): Promise<void> {
    if (!this.#begun) await this.#begin(null, 0);
    await this.#closeDraft();
    if (this.damage.length > 0 || !this.ended) {
      for (const attachment of this.#sink.closing?.() ?? []) {
        if (this.attachments.some(({ name }) => name === attachment.name)) continue;
        await this.#fresh(() => this.builder.attachment(attachment));
      }
      await this.#fresh(() => this.builder.metadata('fender.repair', this.#found()));
    }
    await this.#fresh(() => this.builder.end());
  }

  lost({ offset, bytes, reason }: Damage): void {
    this.damagedBytes += bytes;
    if (this.damage.length < maxListedDamage) this.damage.push({ offset, bytes, reason });
  }

  /** What a reader of the new file should know of the old one. */
  #found(): Map<string, string> {
    const { chunkCount, messageCount } = this.builder.statistics;
    return new Map([
      ['cut_off', String(!this.ended)],
      ['damaged_bytes', String(this.damagedBytes)],
      [
        'damage',
        this.damage
          .slice(0, 10)
          .map(({ offset, bytes, reason }) => `${bytes}@${offset}: ${reason}`)
          .join('; '),
      ],
      ['recovered_chunks', String(chunkCount)],
      ['recovered_messages', String(messageCount)],
    ]);
  }

  async #begin(header: Uint8Array | null, offset: number): Promise<void> {
    this.#begun = true;
    if (this.#magic === null || header === null || !this.#parses(header, offset)) {
      return this.#fresh(() => this.builder.begin());
    }
    const parsed = parseRecordBytes(header);
    if (parsed.type === 'Header') this.profile = parsed.profile;
    await this.#copy(this.#magic, 0, () => this.builder.copied(this.#magic as Uint8Array));
    await this.#copy(header, offset, () => this.builder.copied(header));
  }

  async #chunk(item: Extract<ScanItem, { kind: 'chunk' }>): Promise<void> {
    const { head, bytes, offset } = item;
    this.compressions.add(head.compression);
    if (item.records === null) {
      return this.lost({
        offset,
        bytes: bytes.byteLength,
        reason: `compression '${head.compression}' is not supported`,
      });
    }
    const records = readChunkRecords(item.records);
    if (records.brokenAt !== null) {
      return this.lost({
        offset,
        bytes: bytes.byteLength,
        reason: `no record at byte ${records.brokenAt} of the chunk`,
      });
    }
    await this.#closeDraft();
    for (const schema of records.schemas) this.builder.noteSchema(schema);
    for (const channel of records.channels) this.builder.noteChannel(channel);
    const index = indexMessages(records);
    this.#hold(heldPerRecord + heldPerChannel * index.size);
    this.blocks.push({ kind: 'chunk', offset, bytes: bytes.byteLength, startNs: head.startNs, endNs: head.endNs });
    for (const channelId of index.keys()) await this.#define(channelId);
    this.#observe(index, this.builder.channels);
    this.#tellMessages(records);
    const position = this.builder.position;
    const [copied, ...indexes] = this.builder.copiedChunk({
      bytes,
      startNs: head.startNs,
      endNs: head.endNs,
      compression: head.compression,
      compressedSize: head.recordsBytes,
      uncompressedSize: head.uncompressedSize,
      index,
      ...(head.compression === '' && head.crc !== 0 && { checkedCrc: head.crc }),
    });
    await this.#sink.copy(copied as Uint8Array, position, offset);
    await this.#sink.fresh(indexes, position + bytes.byteLength);
  }

  #tellMessages({ messages }: ChunkRecords): void {
    if (this.#sink.message === undefined) return;
    const { channels, schemas } = this.builder;
    for (const { message } of messages) {
      const channel = channels.get(message.channelId);
      if (channel !== undefined) this.#sink.message(channel, schemas.get(channel.schemaId)?.name ?? '', message);
    }
  }

  async #record({ opcode, bytes, offset }: Extract<ScanItem, { kind: 'record' }>): Promise<void> {
    if (opcode === Opcode.MESSAGE_INDEX || opcode === Opcode.HEADER) return;
    if (opcode === Opcode.DATA_END) {
      this.ended = true;
    } else if (opcode === Opcode.MESSAGE) {
      const message = readMessage(bytes);
      this.#extendBlock(offset, bytes.byteLength, message.logTimeNs);
      await this.#define(message.channelId);
      if (this.#draft.byteLength + bytes.byteLength > maxDraftBytes) await this.#closeDraft();
      this.#draft.add(
        message.channelId,
        message.sequence,
        message.logTimeNs,
        message.data.slice(),
        message.publishTimeNs,
      );
    } else if (opcode >= 0x80) {
      await this.#copy(bytes, offset, () => this.builder.copied(bytes));
    } else {
      await this.#parsed(bytes, offset);
    }
  }

  async #parsed(bytes: Uint8Array, offset: number): Promise<void> {
    const record = this.#parses(bytes, offset);
    if (record === null) return;
    if (record.type === 'Schema' || record.type === 'Channel') this.#hold(heldPerRecord + bytes.byteLength);
    if (this.#contradicts(record)) {
      this.lost({ offset, bytes: bytes.byteLength, reason: `${record.type} differs from the one in the summary` });
    } else if (record.type === 'Schema') {
      if (this.builder.noteSchema(record)) await this.#copy(bytes, offset, () => this.builder.copied(bytes));
    } else if (record.type === 'Channel') {
      if (this.builder.noteChannel(record)) await this.#copy(bytes, offset, () => this.builder.copied(bytes));
    } else if (record.type === 'Metadata') {
      this.#hold(heldPerRecord + bytes.byteLength);
      this.metadata.push(record);
      await this.#copy(bytes, offset, () => this.builder.copiedMetadata(record.name, bytes));
    } else if (record.type === 'Attachment') {
      const { name, mediaType, data } = record;
      this.#hold(heldPerRecord);
      this.attachments.push({ name, mediaType, offset, bytes: bytes.byteLength, dataBytes: data.byteLength });
      await this.#copy(bytes, offset, () => this.builder.copiedAttachment(record, bytes));
    } else {
      this.lost({ offset, bytes: bytes.byteLength, reason: `${record.type} record in the data section` });
    }
  }

  #parses(bytes: Uint8Array, offset: number): McapTypes.TypedMcapRecord | null {
    try {
      return parseRecordBytes(bytes);
    } catch (cause) {
      this.lost({ offset, bytes: bytes.byteLength, reason: (cause as Error).message });
      return null;
    }
  }

  /** @throws RecordingError `too-large` when what must be remembered of a file would not fit into memory. */
  #hold(bytes: number): void {
    this.#heldBytes += bytes;
    if (this.#heldBytes <= maxHeldBytes) return;
    throw new RecordingError(
      'too-large',
      `expected indexes and definitions of at most ${maxHeldBytes} bytes, found more after ${this.blocks.length} chunks: cut the file first`,
    );
  }

  /** Joins a message outside chunks to those right before it. */
  #extendBlock(offset: number, bytes: number, timeNs: bigint): void {
    const last = this.blocks.at(-1);
    if (last?.kind === 'messages' && last.offset + last.bytes === offset && last.bytes < maxBlockBytes) {
      const startNs = timeNs < last.startNs ? timeNs : last.startNs;
      const endNs = timeNs > last.endNs ? timeNs : last.endNs;
      this.blocks[this.blocks.length - 1] = { ...last, bytes: last.bytes + bytes, startNs, endNs };
      return;
    }
    this.#hold(heldPerRecord);
    this.blocks.push({ kind: 'messages', offset, bytes, startNs: timeNs, endNs: timeNs });
  }

  /** Definitions have no CRC where they stand; the summary, which repeats them, has one, and was checked. */
  #contradicts(record: McapTypes.TypedMcapRecord): boolean {
    if (record.type !== 'Schema' && record.type !== 'Channel') return false;
    const known = (record.type === 'Schema' ? this.#known.schemas : this.#known.channels).get(record.id);
    return known !== undefined && !isDeepStrictEqual({ ...known, type: '' }, { ...record, type: '' });
  }

  /** Sees to it that a channel stands in the new file before its messages. */
  async #define(channelId: number): Promise<void> {
    if (this.builder.channels.has(channelId)) return;
    let channel = this.#known.channels.get(channelId);
    if (channel === undefined) {
      this.undefinedChannels.push(channelId);
      channel = {
        id: channelId,
        schemaId: 0,
        topic: `/unknown/channel_${channelId}`,
        messageEncoding: '',
        metadata: new Map(),
      };
    }
    const schema = this.#known.schemas.get(channel.schemaId);
    const defined =
      schema === undefined && !this.builder.schemas.has(channel.schemaId) ? { ...channel, schemaId: 0 } : channel;
    if (schema !== undefined) await this.#fresh(() => this.builder.schema(schema));
    await this.#fresh(() => this.builder.channel(defined));
  }

  async #closeDraft(): Promise<void> {
    if (this.#draft.messageCount === 0) return;
    const draft = this.#draft;
    this.#observe(draft.index, this.builder.channels);
    this.#hold(heldPerRecord + heldPerChannel * draft.index.size);
    this.#draft = new ChunkDraft();
    await this.#fresh(() => this.builder.chunk(draft, 'none'));
  }

  async #copy(bytes: Uint8Array, sourceOffset: number, build: () => Uint8Array[]): Promise<void> {
    const { position } = this.builder;
    build();
    await this.#sink.copy(bytes, position, sourceOffset);
  }

  async #fresh(build: () => Uint8Array[]): Promise<void> {
    const { position } = this.builder;
    const pieces = build();
    if (pieces.length > 0) await this.#sink.fresh(pieces, position);
  }
}

/** Definitions from an intact summary: they name the channels whose records were damaged. */
async function knownDefinitions(source: ByteSource): Promise<Definitions> {
  const opened = await openSummary(source);
  if ('problem' in opened) return { schemas: new Map(), channels: new Map() };
  return { schemas: opened.reader.schemasById, channels: opened.reader.channelsById };
}

/**
 * Reads `source` once, front to back, and gives a whole file to `sink`.
 * @throws what the sink throws, and errors of reading.
 */
export async function rebuild(
  source: ByteSource,
  sink: RebuildSink,
  progress: Progress = () => {},
  observe: ObserveMessages = () => {},
): Promise<RebuildReport> {
  const work = new Rebuild(sink, await knownDefinitions(source), observe);
  let reported = 0;
  for await (const item of scanRecords(source, (offset) => progress(offset, source.size))) {
    await work.take(item);
    const read = item.offset + (item.kind === 'damage' ? item.bytes : item.bytes.byteLength);
    if (read - reported < progressEveryBytes) continue;
    reported = read;
    progress(read, source.size);
  }
  await work.finish();
  progress(source.size, source.size);
  const { statistics, channels, schemas } = work.builder;
  const { metadata, compressions, damage, damagedBytes, undefinedChannels, ended, blocks, attachments, profile } = work;
  const lists = { metadata, compressions, damage, undefinedChannels, blocks, attachments };
  return { statistics, channels, schemas, damagedBytes, ended, profile, ...lists };
}
