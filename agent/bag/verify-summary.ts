/** Owns checking the end of an MCAP file, summary and footer, against the data section that was read before. */

import { isDeepStrictEqual } from 'node:util';
import { crc32 } from 'node:zlib';
import { type McapTypes, Opcode } from '@mcap/core';
import type { ByteSource } from './byte-source.ts';
import type { FindingList } from './finding.ts';
import { foundHead, magicBytes, parseRecordBytes, readRecordHead, recordHeadBytes } from './mcap-records.ts';

/** What a chunk record was found to be. */
export interface ChunkFacts {
  readonly offset: number;
  readonly bytes: number;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly compression: string;
  readonly recordsBytes: number;
  readonly uncompressedSize: number;
}

/** What the data section was found to hold; attachments and metadata by their offsets. */
export interface DataFacts {
  readonly chunks: ChunkFacts[];
  readonly attachments: Map<number, { bytes: number; dataBytes: number; record: McapTypes.Attachment }>;
  readonly metadata: Map<number, { bytes: number; name: string }>;
  readonly schemas: Map<number, McapTypes.Schema>;
  readonly channels: Map<number, McapTypes.Channel>;
  readonly counts: Map<number, bigint>;
  messageCount: bigint;
  startNs: bigint | null;
  endNs: bigint | null;
}

const footerBytes = recordHeadBytes + 20;
const maxSummaryBytes = 256 * 1024 * 1024;

class SummaryVerifier {
  readonly #facts: DataFacts;
  readonly #findings: FindingList;
  readonly #start: number;
  readonly #chunks: ReadonlyMap<number, ChunkFacts>;
  readonly #indexed = { chunks: new Set<number>(), attachments: new Set<number>(), metadata: new Set<number>() };
  readonly #groups = new Map<number, { start: number; bytes: number }>();
  readonly #offsets: { offset: number; record: McapTypes.SummaryOffset }[] = [];
  /** Opcodes whose records stand apart. */
  readonly #scattered = new Set<number>();
  #statistics: McapTypes.Statistics | null = null;
  /** Whether there was something that is no record of a summary. */
  #broken = false;

  constructor(start: number, facts: DataFacts, findings: FindingList) {
    this.#start = start;
    this.#facts = facts;
    this.#findings = findings;
    this.#chunks = new Map(facts.chunks.map((chunk) => [chunk.offset, chunk]));
  }

  /** Takes the summary's records one by one. */
  take(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.byteLength) {
      const head = readRecordHead(bytes, at);
      const end = at + recordHeadBytes + (head?.contentBytes ?? 0);
      const offset = this.#start + at;
      if (head === null || end > bytes.byteLength) {
        const found = head === null ? foundHead(bytes.subarray(at)) : `one of ${end - at} bytes, which ends behind it`;
        this.#unreadable(offset, `expected a record of the summary, found ${found}`);
        return;
      }
      this.#record(bytes.subarray(at, end), offset);
      if (this.#broken) return;
      const group = this.#groups.get(head.opcode);
      if (group === undefined) this.#groups.set(head.opcode, { start: offset, bytes: end - at });
      else if (group.start + group.bytes === offset) group.bytes += end - at;
      else if (head.opcode !== Opcode.SUMMARY_OFFSET && !this.#scattered.has(head.opcode)) {
        this.#scattered.add(head.opcode);
        this.#findings.error('summary', offset, `records of opcode ${head.opcode} do not stand together`);
      }
      at = end;
    }
  }

  #record(bytes: Uint8Array, offset: number): void {
    let record: McapTypes.TypedMcapRecord;
    try {
      record = parseRecordBytes(bytes);
    } catch (cause) {
      this.#unreadable(offset, (cause as Error).message);
      return;
    }
    if (record.type === 'Schema') this.#repeated('schema', record, this.#facts.schemas.get(record.id), offset);
    else if (record.type === 'Channel') this.#repeated('channel', record, this.#facts.channels.get(record.id), offset);
    else if (record.type === 'ChunkIndex') this.#chunkIndex(record, offset);
    else if (record.type === 'AttachmentIndex') this.#attachmentIndex(record, offset);
    else if (record.type === 'MetadataIndex') this.#metadataIndex(record, offset);
    else if (record.type === 'SummaryOffset') this.#offsets.push({ offset, record });
    else if (record.type === 'Statistics') {
      this.#statistics = record;
      this.#compare('statistics', offset, this.#statisticsPairs(record));
    } else {
      const found = record.type === 'Unknown' ? `opcode ${record.opcode}` : `a ${record.type} record`;
      this.#unreadable(offset, `expected a record of the summary, found ${found}`);
    }
  }

  /** What is behind it cannot be believed, and is not told. */
  #unreadable(offset: number, text: string): void {
    this.#broken = true;
    this.#findings.error('summary', offset, text);
  }

  finish(): void {
    if (this.#broken) return;
    const { chunks, attachments, metadata } = this.#facts;
    const lacks = (code: string, name: string, all: Iterable<number>, indexed: ReadonlySet<number>): void => {
      if (indexed.size === 0) {
        const [first] = all;
        if (first !== undefined) this.#findings.note(code, first, `no ${name} in the summary`);
        return;
      }
      for (const offset of all) {
        if (!indexed.has(offset)) this.#findings.error(code, offset, `not in the ${name} of the summary`);
      }
    };
    lacks(
      'chunk-index',
      'chunk indexes',
      chunks.map(({ offset }) => offset),
      this.#indexed.chunks,
    );
    lacks('attachment-index', 'attachment indexes', attachments.keys(), this.#indexed.attachments);
    lacks('metadata-index', 'metadata indexes', metadata.keys(), this.#indexed.metadata);
    if (this.#statistics === null) this.#findings.note('statistics', this.#start, 'no statistics in the summary');
    for (const { offset, record } of this.#offsets) {
      const group = this.#groups.get(record.groupOpcode);
      // Some writers name a group that they left out.
      if (group === undefined && record.groupLength === 0n) continue;
      this.#compare('summary-offset', offset, [
        [`start of opcode ${record.groupOpcode}`, BigInt(group?.start ?? -1), record.groupStart],
        [`bytes of opcode ${record.groupOpcode}`, BigInt(group?.bytes ?? -1), record.groupLength],
      ]);
    }
  }

  #repeated<T extends { type: string }>(code: string, record: T, known: object | undefined, offset: number): void {
    if (known === undefined) this.#findings.note(code, offset, `a ${code} that stands in the summary alone`);
    else if (!isDeepStrictEqual({ ...known, type: '' }, { ...record, type: '' })) {
      this.#findings.error(code, offset, `${code} differs from the one in the data section`);
    }
  }

  #statisticsPairs(record: McapTypes.Statistics): [string, unknown, unknown][] {
    const { chunks, attachments, metadata, schemas, channels, counts, messageCount, startNs, endNs } = this.#facts;
    const withMessages = (map: ReadonlyMap<number, bigint>): string =>
      [...map]
        .filter(([, count]) => count > 0n)
        .sort(([a], [b]) => a - b)
        .map(([id, count]) => `${id}: ${count}`)
        .join(', ');
    return [
      ['messages', messageCount, record.messageCount],
      ['schemas', schemas.size, record.schemaCount],
      ['channels', channels.size, record.channelCount],
      ['attachments', attachments.size, record.attachmentCount],
      ['metadata records', metadata.size, record.metadataCount],
      ['chunks', chunks.length, record.chunkCount],
      ['first message', startNs ?? 0n, record.messageStartTime],
      ['last message', endNs ?? 0n, record.messageEndTime],
      ['messages of each channel', withMessages(counts), withMessages(record.channelMessageCounts)],
    ];
  }

  #chunkIndex(record: McapTypes.ChunkIndex, offset: number): void {
    const at = Number(record.chunkStartOffset);
    const chunk = this.#chunks.get(at);
    if (chunk === undefined) {
      this.#findings.error('chunk-index', offset, `expected a chunk at offset ${at}, found none`);
      return;
    }
    if (this.#indexed.chunks.has(at))
      this.#findings.error('chunk-index', offset, `a second index of the chunk at ${at}`);
    this.#indexed.chunks.add(at);
    this.#compare('chunk-index', offset, [
      [`bytes of the chunk at ${at}`, BigInt(chunk.bytes), record.chunkLength],
      [`first message of the chunk at ${at}`, chunk.startNs, record.messageStartTime],
      [`last message of the chunk at ${at}`, chunk.endNs, record.messageEndTime],
      [`compression of the chunk at ${at}`, chunk.compression, record.compression],
      [`stored bytes of the chunk at ${at}`, BigInt(chunk.recordsBytes), record.compressedSize],
      [`unpacked bytes of the chunk at ${at}`, BigInt(chunk.uncompressedSize), record.uncompressedSize],
    ]);
    const indexStart = BigInt(chunk.offset + chunk.bytes);
    for (const [channelId, indexOffset] of record.messageIndexOffsets) {
      if (indexOffset >= indexStart && indexOffset < indexStart + record.messageIndexLength) continue;
      const text = `message index of channel ${channelId}: expected behind the chunk at ${at}, found offset ${indexOffset}`;
      this.#findings.error('chunk-index', offset, text);
    }
  }

  #attachmentIndex(record: McapTypes.AttachmentIndex, offset: number): void {
    const at = Number(record.offset);
    const found = this.#facts.attachments.get(at);
    if (found === undefined) {
      this.#findings.error('attachment-index', offset, `expected an attachment at offset ${at}, found none`);
      return;
    }
    this.#indexed.attachments.add(at);
    this.#compare('attachment-index', offset, [
      ['bytes', BigInt(found.bytes), record.length],
      ['bytes of data', BigInt(found.dataBytes), record.dataSize],
      ['name', found.record.name, record.name],
      ['media type', found.record.mediaType, record.mediaType],
      ['log time', found.record.logTime, record.logTime],
      ['create time', found.record.createTime, record.createTime],
    ]);
  }

  #metadataIndex(record: McapTypes.MetadataIndex, offset: number): void {
    const at = Number(record.offset);
    const found = this.#facts.metadata.get(at);
    if (found === undefined) {
      this.#findings.error('metadata-index', offset, `expected metadata at offset ${at}, found none`);
      return;
    }
    this.#indexed.metadata.add(at);
    this.#compare('metadata-index', offset, [
      ['bytes', BigInt(found.bytes), record.length],
      ['name', found.name, record.name],
    ]);
  }

  #compare(code: string, offset: number, pairs: readonly [what: string, inData: unknown, said: unknown][]): void {
    for (const [what, inData, said] of pairs) {
      if (inData !== said)
        this.#findings.error(code, offset, `${what}: the data has ${String(inData)}, the summary says ${String(said)}`);
    }
  }
}

/** Checks everything behind the DataEnd record, which ends at `dataEnd`. */
export async function verifySummary(
  source: ByteSource,
  dataEnd: number,
  facts: DataFacts,
  findings: FindingList,
): Promise<void> {
  const bytes = await source.read(dataEnd, Math.min(source.size - dataEnd, maxSummaryBytes));
  const footerAt = bytes.byteLength - footerBytes - magicBytes.byteLength;
  if (dataEnd + bytes.byteLength < source.size) {
    findings.error(
      'summary',
      dataEnd,
      `expected a summary of at most ${maxSummaryBytes} bytes, found ${source.size - dataEnd}`,
    );
    return;
  }
  const closing = bytes.subarray(Math.max(0, bytes.byteLength - magicBytes.byteLength));
  if (footerAt < 0 || Buffer.compare(closing, magicBytes) !== 0) {
    findings.error('cut-off', source.size, 'expected the closing magic at the end of the file, found other bytes');
    return;
  }
  const footer = bytes.subarray(footerAt, footerAt + footerBytes);
  if (readRecordHead(footer)?.opcode !== Opcode.FOOTER) {
    findings.error(
      'footer',
      dataEnd + footerAt,
      `expected a Footer record before the closing magic, found ${foundHead(footer)}`,
    );
    return;
  }
  const view = new DataView(footer.buffer, footer.byteOffset, footer.byteLength);
  const [summaryStart, offsetStart] = [view.getBigUint64(9, true), view.getBigUint64(17, true)];
  const crc = view.getUint32(25, true);
  if (summaryStart === 0n) {
    findings.note('no-summary', dataEnd + footerAt, 'the file has no summary: readers must read all of it');
    if (footerAt > 0) findings.error('summary', dataEnd, `expected the footer, found ${footerAt} other bytes`);
    return;
  }
  if (summaryStart !== BigInt(dataEnd)) {
    findings.error('footer', dataEnd + footerAt, `summary: expected at offset ${dataEnd}, found ${summaryStart}`);
  }
  if (crc === 0) findings.note('no-crc', dataEnd + footerAt, 'the summary has no CRC');
  else {
    const found = crc32(bytes.subarray(0, footerAt + footerBytes - 4));
    if (found !== crc) {
      findings.error(
        'summary-crc',
        dataEnd,
        `CRC of the summary: expected ${crc.toString(16)}, found ${found.toString(16)}`,
      );
    }
  }
  const verifier = new SummaryVerifier(dataEnd, facts, findings);
  verifier.take(bytes.subarray(0, footerAt));
  verifier.finish();
  const insideSummary = offsetStart >= summaryStart && offsetStart <= BigInt(dataEnd + footerAt);
  if (offsetStart !== 0n && !insideSummary) {
    findings.error(
      'footer',
      dataEnd + footerAt,
      `summary offsets: expected inside the summary, found offset ${offsetStart}`,
    );
  }
}
