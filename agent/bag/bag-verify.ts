/**
 * Owns `fender bag verify` of one file: reads every byte once and holds all that the file says of itself against what is in it.
 * Rules are those of the MCAP specification, version 0.
 */

import { isDeepStrictEqual } from 'node:util';
import { crc32 } from 'node:zlib';
import { type McapTypes, Opcode } from '@mcap/core';
import { compressedAudioType, plainTopicOf } from '../sound/raw-audio.ts';
import { foundNothing, notMcap, refuseForeign } from './bag-format.ts';
import { type ByteSource, isUnfinished, unfinishedText } from './byte-source.ts';
import { counted } from './counted.ts';
import { type Finding, FindingList } from './finding.ts';
import {
  type ChunkRecords,
  parseRecordBytes,
  type RawMessage,
  readChunkRecords,
  readMessage,
  recordHeadBytes,
} from './mcap-records.ts';
import { mergeMetadata, readBeginnings } from './merge-metadata.ts';
import { type Work, watched } from './new-output.ts';
import { type ScanItem, scanRecords } from './scan.ts';
import { SequenceCheck } from './sequence-check.ts';
import { type ChunkFacts, type DataFacts, verifySummary } from './verify-summary.ts';

/** What a check of one file found. */
export interface FileCheck {
  readonly path: string;
  readonly bytes: number;
  readonly messages: number;
  readonly chunks: number;
  readonly errors: number;
  readonly findings: readonly Finding[];
  /** Messages missing by the sequence numbers, by topic. */
  readonly missing: Readonly<Record<string, number>>;
  /** For the check of `metadata.yaml`: messages and type of each topic, and the span of time. */
  readonly topics: ReadonlyMap<string, { readonly type: string; readonly messages: number }>;
  readonly startNs: bigint | null;
  readonly endNs: bigint | null;
}

/** Sequences of topics, carried from one segment of a recording to the next. */
export type TopicSequences = Map<string, SequenceCheck>;

const pieceBytes = 1024 * 1024;
const maxChunks = 2_000_000;

class FileVerifier {
  readonly findings: FindingList;
  readonly missing = new Map<string, number>();
  readonly #source: ByteSource;
  readonly #sequences: TopicSequences;
  readonly #facts: DataFacts = {
    chunks: [],
    attachments: new Map(),
    metadata: new Map(),
    schemas: new Map(),
    channels: new Map(),
    counts: new Map(),
    messageCount: 0n,
    startNs: null,
    endNs: null,
  };
  /** Log times at which recordings begin that were merged into the file. */
  readonly #beginnings: bigint[] = [];
  #crc = 0;
  /** The chunk whose message indexes may follow, with what they should say. */
  #current: { facts: ChunkFacts; records: ChunkRecords; seen: Set<number> } | null = null;
  #lastTimeNs = 0n;
  /** Chunks that start before an earlier one ends; the offset of the first. */
  #overlaps: { chunks: number; readonly offset: number; longestNs: bigint } | null = null;
  #header = false;
  #anyDamage = false;
  #dataEnd: number | null = null;

  constructor(source: ByteSource, sequences: TopicSequences) {
    this.#source = source;
    this.#sequences = sequences;
    this.findings = new FindingList(source.name);
  }

  async verify(work: Work): Promise<FileCheck> {
    const report = watched(work);
    let reported = 0;
    for await (const item of scanRecords(this.#source, (offset) => report(offset, this.#source.size))) {
      await this.#take(item);
      if (item.offset - reported < 4 * pieceBytes) continue;
      reported = item.offset;
      report(item.offset, this.#source.size);
    }
    this.#closeChunk();
    this.#noteOverlaps();
    if (this.#dataEnd === null && isUnfinished(this.#source.name)) {
      this.findings.note('unfinished', this.#source.size, unfinishedText);
    } else if (this.#dataEnd === null) {
      this.findings.error('cut-off', this.#source.size, 'expected a DataEnd record, found the end of the file');
    } else {
      await verifySummary(this.#source, this.#dataEnd, this.#facts, this.findings);
    }
    report(this.#source.size, this.#source.size);
    return this.#result();
  }

  /** Whether nothing of a bag was found. */
  get empty(): boolean {
    const { chunks, channels, schemas } = this.#facts;
    const statistics = { chunkCount: chunks.length, channelCount: channels.size, schemaCount: schemas.size };
    return foundNothing({ statistics, ended: this.#dataEnd !== null } as Parameters<typeof foundNothing>[0]);
  }

  #result(): FileCheck {
    const topics = new Map<string, { type: string; messages: number }>();
    for (const { id, topic, schemaId } of this.#facts.channels.values()) {
      const messages = Number(this.#facts.counts.get(id) ?? 0n) + (topics.get(topic)?.messages ?? 0);
      topics.set(topic, { type: this.#facts.schemas.get(schemaId)?.name ?? '', messages });
    }
    return {
      path: this.#source.name,
      bytes: this.#source.size,
      messages: Number(this.#facts.messageCount),
      chunks: this.#facts.chunks.length,
      errors: this.findings.errors,
      findings: this.findings.list(),
      missing: Object.fromEntries(this.missing),
      topics,
      startNs: this.#facts.startNs,
      endNs: this.#facts.endNs,
    };
  }

  async #take(item: ScanItem): Promise<void> {
    if (item.kind === 'record' && item.opcode === Opcode.DATA_END) return this.#endOfData(item);
    if (item.kind === 'damage') {
      this.#anyDamage = true;
      this.#closeChunk();
      const text = `${counted(item.bytes, 'byte')}: ${item.reason}`;
      // A record that is half written, and zeros of a power cut: the repair leaves them out.
      const isTail = isUnfinished(this.#source.name) && item.offset + item.bytes === this.#source.size;
      if (isTail) this.findings.note('unfinished', item.offset, text);
      else this.findings.error('damage', item.offset, text);
      return;
    }
    this.#crc = crc32(item.bytes, this.#crc);
    if (item.kind === 'magic') return;
    if (!this.#header && !(item.kind === 'record' && item.opcode === Opcode.HEADER)) {
      this.findings.error('header', item.offset, 'expected a Header record first, found another');
    }
    this.#header = true;
    if (item.kind === 'chunk') this.#chunk(item);
    else this.#record(item.opcode, item.bytes, item.offset);
  }

  #endOfData({ bytes, offset }: { bytes: Uint8Array; offset: number }): void {
    this.#closeChunk();
    this.#dataEnd = offset + bytes.byteLength;
    const expected = new DataView(bytes.buffer, bytes.byteOffset).getUint32(recordHeadBytes, true);
    if (expected === 0) {
      this.findings.note('no-crc', offset, 'the data section has no CRC');
    } else if (!this.#anyDamage && expected !== this.#crc) {
      const text = `CRC of the data section: expected ${expected.toString(16)}, found ${this.#crc.toString(16)}`;
      this.findings.error('data-crc', offset, text);
    }
  }

  #chunk(item: Extract<ScanItem, { kind: 'chunk' }>): void {
    this.#closeChunk();
    const { head, bytes, offset } = item;
    const { startNs, endNs, compression, recordsBytes, uncompressedSize } = head;
    const facts: ChunkFacts = {
      offset,
      bytes: bytes.byteLength,
      startNs,
      endNs,
      compression,
      recordsBytes,
      uncompressedSize,
    };
    if (this.#facts.chunks.length < maxChunks) this.#facts.chunks.push(facts);
    if (head.crc === 0 && uncompressedSize > 0) this.findings.note('no-crc', offset, 'chunk without a CRC');
    if (item.records === null) {
      this.findings.error(
        'compression',
        offset,
        `compression '${compression}' is not known: the chunk was not looked into`,
      );
      return;
    }
    const records = readChunkRecords(item.records);
    if (records.brokenAt !== null) {
      this.findings.error(
        'chunk-records',
        offset,
        `expected a record at byte ${records.brokenAt} of the chunk, found none`,
      );
    }
    for (const schema of records.schemas) this.#schema(schema, offset);
    for (const channel of records.channels) this.#channel(channel, offset);
    this.#chunkTimes(facts, records);
    for (const { message } of records.messages) this.#message(message, offset);
    this.#current = { facts, records, seen: new Set() };
  }

  #chunkTimes({ offset, startNs, endNs }: ChunkFacts, { messages }: ChunkRecords): void {
    let [first, last] = [0n, 0n];
    for (const [index, { message }] of messages.entries()) {
      if (index === 0 || message.logTimeNs < first) first = message.logTimeNs;
      if (index === 0 || message.logTimeNs > last) last = message.logTimeNs;
    }
    if (startNs !== first || endNs !== last) {
      this.findings.error(
        'chunk-times',
        offset,
        `expected messages from ${startNs} to ${endNs} ns, found ${first} to ${last}`,
      );
    }
    if (messages.length > 0 && first < this.#lastTimeNs) {
      const backNs = this.#lastTimeNs - first;
      this.#overlaps ??= { chunks: 0, offset, longestNs: 0n };
      this.#overlaps.chunks += 1;
      if (backNs > this.#overlaps.longestNs) this.#overlaps.longestNs = backNs;
    }
    if (last > this.#lastTimeNs) this.#lastTimeNs = last;
  }

  #noteOverlaps(): void {
    if (this.#overlaps === null) return;
    const { chunks, offset, longestNs } = this.#overlaps;
    const text = `${counted(chunks, 'chunk')} ${chunks === 1 ? 'starts' : 'start'} before an earlier one ends, by up to ${longestNs} ns: readers must sort`;
    this.findings.note('chunk-order', offset, text);
  }

  #record(opcode: number, bytes: Uint8Array, offset: number): void {
    if (opcode === Opcode.MESSAGE_INDEX) {
      this.#messageIndex(bytes, offset);
      return;
    }
    this.#closeChunk();
    if (opcode === Opcode.MESSAGE) this.#message(readMessage(bytes), offset);
    else if (opcode !== Opcode.HEADER && opcode < 0x80) this.#definition(bytes, offset);
  }

  #definition(bytes: Uint8Array, offset: number): void {
    let record: McapTypes.TypedMcapRecord;
    try {
      record = parseRecordBytes(bytes);
    } catch (cause) {
      this.findings.error('record', offset, (cause as Error).message);
      return;
    }
    if (record.type === 'Schema') this.#schema(record, offset);
    else if (record.type === 'Channel') this.#channel(record, offset);
    else if (record.type === 'Attachment')
      this.#facts.attachments.set(offset, {
        bytes: bytes.byteLength,
        record: { ...record, data: new Uint8Array() },
        dataBytes: record.data.byteLength,
      });
    else if (record.type === 'Metadata') this.#metadata(record, bytes.byteLength, offset);
    else this.findings.error('record', offset, `${record.type} record in the data section`);
  }

  #metadata({ name, metadata }: McapTypes.Metadata, bytes: number, offset: number): void {
    this.#facts.metadata.set(offset, { bytes, name });
    if (name === mergeMetadata) this.#beginnings.push(...readBeginnings(metadata));
  }

  #schema(schema: McapTypes.Schema, offset: number): void {
    const known = this.#facts.schemas.get(schema.id);
    if (schema.id === 0) this.findings.error('schema', offset, 'schema number 0, which stands for none');
    else if (known === undefined) this.#facts.schemas.set(schema.id, schema);
    else if (!isDeepStrictEqual({ ...known, type: '' }, { ...schema, type: '' })) {
      this.findings.error(
        'schema',
        offset,
        `schema ${schema.id} ('${schema.name}') differs from an earlier one of that number`,
      );
    }
  }

  #channel(channel: McapTypes.Channel, offset: number): void {
    const known = this.#facts.channels.get(channel.id);
    if (known === undefined) this.#facts.channels.set(channel.id, channel);
    else if (!isDeepStrictEqual({ ...known, type: '' }, { ...channel, type: '' })) {
      this.findings.error(
        'channel',
        offset,
        `channel ${channel.id} (${channel.topic}) differs from an earlier one of that number`,
      );
    }
    if (channel.schemaId !== 0 && !this.#facts.schemas.has(channel.schemaId)) {
      this.findings.error(
        'channel',
        offset,
        `${channel.topic}: expected schema ${channel.schemaId} before its channel, found none`,
      );
    }
  }

  #message({ channelId, sequence, logTimeNs }: RawMessage, offset: number): void {
    const facts = this.#facts;
    const channel = facts.channels.get(channelId);
    if (channel === undefined) {
      this.findings.error('message', offset, `message of channel ${channelId}, which no record before it defines`);
    }
    facts.messageCount += 1n;
    facts.counts.set(channelId, (facts.counts.get(channelId) ?? 0n) + 1n);
    if (facts.startNs === null || logTimeNs < facts.startNs) facts.startNs = logTimeNs;
    if (facts.endNs === null || logTimeNs > facts.endNs) facts.endNs = logTimeNs;
    const topic = channel === undefined ? `/unknown/channel_${channelId}` : this.#countedTopic(channel);
    let check = this.#sequences.get(topic);
    if (check === undefined) {
      check = new SequenceCheck();
      this.#sequences.set(topic, check);
    }
    const gap = check.add(sequence, logTimeNs, this.#beginnings);
    if (gap === null) return;
    this.missing.set(topic, (this.missing.get(topic) ?? 0) + gap.missing);
    const text = `${topic}: ${counted(gap.missing, 'message')} ${gap.missing === 1 ? 'is' : 'are'} missing between sequence ${gap.after} and ${gap.before}`;
    this.findings.error('sequence-gap', offset, text);
  }

  /** The topic whose sequence a channel's messages have: sound that is FLAC in part has one sequence through both. */
  #countedTopic({ topic, schemaId }: McapTypes.Channel): string {
    return this.#facts.schemas.get(schemaId)?.name === compressedAudioType ? plainTopicOf(topic) : topic;
  }

  /** A message index stands behind its chunk and lists the messages of one channel. */
  #messageIndex(bytes: Uint8Array, offset: number): void {
    const current = this.#current;
    if (current === null) {
      this.findings.error('message-index', offset, 'message index that follows no chunk');
      return;
    }
    let record: McapTypes.TypedMcapRecord;
    try {
      record = parseRecordBytes(bytes);
    } catch (cause) {
      this.findings.error('message-index', offset, (cause as Error).message);
      return;
    }
    if (record.type !== 'MessageIndex') return;
    const key = ([timeNs, at]: readonly [bigint, bigint]): string => `${timeNs} ${at}`;
    const expected = new Set<string>();
    for (const { offset: at, message } of current.records.messages) {
      if (message.channelId === record.channelId) expected.add(key([message.logTimeNs, BigInt(at)]));
    }
    const wrong = record.records.filter((entry) => !expected.has(key(entry)));
    if (wrong.length > 0 || record.records.length !== expected.size) {
      const text = `message index of channel ${record.channelId}: expected ${expected.size} entries, found ${record.records.length}, of them ${wrong.length} that point at no such message`;
      this.findings.error('message-index', offset, text);
    }
    current.seen.add(record.channelId);
  }

  #closeChunk(): void {
    const current = this.#current;
    this.#current = null;
    if (current === null) return;
    const channels = new Set(current.records.messages.map(({ message }) => message.channelId));
    const without = [...channels].filter((id) => !current.seen.has(id));
    if (without.length === 0) return;
    const text = `no message index for ${without.length === channels.size ? 'any channel' : `channels ${without.join(', ')}`} of the chunk`;
    if (current.seen.size > 0) this.findings.error('message-index', current.facts.offset, text);
    else this.findings.note('message-index', current.facts.offset, text);
  }
}

/**
 * Checks every record, CRC, index and statistic of an MCAP file in bounded memory.
 * @param sequences of the segments before it; changed.
 * @throws RecordingError `empty`, `not-mcap`, `sqlite3`, `stopped`; errors of reading. What is wrong in the file is a finding.
 */
export async function verifySource(
  source: ByteSource,
  work: Work = {},
  sequences: TopicSequences = new Map(),
): Promise<FileCheck> {
  await refuseForeign(source);
  const verifier = new FileVerifier(source, sequences);
  const check = await verifier.verify(work);
  if (verifier.empty) throw await notMcap(source);
  return check;
}
