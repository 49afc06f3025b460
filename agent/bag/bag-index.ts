/**
 * Owns where everything of one MCAP file is: from its summary when that can be believed, else from reading all of it. It is what
 * every tool that reads messages starts from.
 */

import { type McapIndexedReader, type McapTypes, Opcode } from '@mcap/core';
import { foundNothing, notMcap, refuseForeign } from './bag-format.ts';
import { openSummary } from './bag-summary.ts';
import { type ByteSource, isUnfinished, unfinishedText } from './byte-source.ts';
import { magicBytes, parseRecordBytes, readChunkHead, readRecordHead, recordHeadBytes } from './mcap-records.ts';
import {
  type AttachmentPlace,
  type MessageBlock,
  type ObserveMessages,
  type Progress,
  type RebuildReport,
  type RebuildSink,
  rebuild,
} from './rebuild.ts';
import type { Damage } from './scan.ts';

/** What is where in one MCAP file. */
export interface BagIndex {
  /** What messages call the file: its path. */
  readonly name: string;
  readonly bytes: number;
  /** Whether it ends as it should. Everything here is from a scan of all of it if not. */
  readonly complete: boolean;
  /** Whether it is not complete because it is being written, or was left so by a power cut: no more is wrong with it. */
  readonly unfinished: boolean;
  /** Whether the summary told all this; else the file was read whole. */
  readonly indexed: boolean;
  /** Why it is not complete, with the offset where that is known; empty otherwise. */
  readonly problem: string;
  readonly profile: string;
  readonly statistics: McapTypes.Statistics;
  readonly schemas: ReadonlyMap<number, McapTypes.Schema>;
  readonly channels: ReadonlyMap<number, McapTypes.Channel>;
  /** In file order. */
  readonly blocks: readonly MessageBlock[];
  /** Chunk indexes of the summary; empty when it was not believed. */
  readonly chunkIndexes: readonly McapTypes.ChunkIndex[];
  readonly metadata: readonly McapTypes.Metadata[];
  readonly attachments: readonly AttachmentPlace[];
  readonly compressions: readonly string[];
  readonly damage: readonly Damage[];
  readonly damagedBytes: number;
}

const nowhere: RebuildSink = { copy: async () => {}, fresh: async () => {} };
const maxMetadataBytes = 64 * 1024 * 1024;

/**
 * Finds what is in an MCAP file, finished or not. A file without a good summary is read whole, in bounded memory.
 * @param observe told of all messages when the file is read whole.
 * @throws RecordingError `empty`, `not-mcap`, `sqlite3`, `too-large`; errors of reading.
 */
export async function indexBag(source: ByteSource, progress?: Progress, observe?: ObserveMessages): Promise<BagIndex> {
  await refuseForeign(source);
  const opened = await openSummary(source);
  const problem = 'problem' in opened ? opened.problem : await whyNotIndexed(source, opened.reader);
  if ('reader' in opened && problem === '') {
    const metadata = await readMetadata(source, opened.reader).catch(() => null);
    if (metadata !== null) return fromSummary(source, opened.reader, metadata);
  }
  const report = await rebuild(source, nowhere, progress, observe);
  if (foundNothing(report)) throw await notMcap(source);
  const whole = 'reader' in opened || (await endsWithoutSummary(source));
  return fromScan(source, report, whole ? '' : problem);
}

/** Whether a file ends as it should, with a footer that says that there is no summary. */
async function endsWithoutSummary(source: ByteSource): Promise<boolean> {
  const footerBytes = recordHeadBytes + 20;
  const end = await source.read(Math.max(0, source.size - footerBytes - magicBytes.byteLength), 64);
  if (readRecordHead(end)?.opcode !== Opcode.FOOTER) return false;
  const noSummary = end.subarray(recordHeadBytes, recordHeadBytes + 8).every((byte) => byte === 0);
  return noSummary && Buffer.compare(end.subarray(footerBytes), magicBytes) === 0;
}

/** Why a summary that can be read does not tell where all messages are; empty when it does. */
async function whyNotIndexed(source: ByteSource, reader: McapIndexedReader): Promise<string> {
  const { statistics, chunkIndexes } = reader;
  if (statistics === undefined) return 'no statistics in the summary';
  if (statistics.chunkCount !== chunkIndexes.length) return 'the summary lacks chunk indexes';
  if (chunkIndexes.length === 0 && statistics.messageCount > 0n) return 'messages outside chunks';
  if (statistics.attachmentCount !== reader.attachmentIndexes.length) return 'the summary lacks attachment indexes';
  if (statistics.metadataCount !== reader.metadataIndexes.length) return 'the summary lacks metadata indexes';
  // A summary may be whole and yet belong to other data: the last chunk shows it.
  const last = chunkIndexes.at(-1);
  if (last !== undefined && !(await isChunkThere(source, last))) return 'the summary names chunks that are not there';
  return (await hasAttachments(source, reader)) ? '' : 'the summary names attachments that are not there';
}

async function isChunkThere(source: ByteSource, { chunkStartOffset }: McapTypes.ChunkIndex): Promise<boolean> {
  const probe = await source.read(Number(chunkStartOffset), 64);
  const head = readRecordHead(probe);
  return head !== null && readChunkHead(probe, head) !== null;
}

/** Whether all attachments are where the summary says, and as long: they are copied by that. */
async function hasAttachments(source: ByteSource, { attachmentIndexes }: McapIndexedReader): Promise<boolean> {
  const places = attachmentIndexes.map(({ offset, length }) => ({ offset: Number(offset), length: Number(length) }));
  for (const { offset, length } of places.sort((a, b) => a.offset - b.offset)) {
    const head = readRecordHead(await source.read(offset, recordHeadBytes));
    if (head?.opcode !== Opcode.ATTACHMENT || recordHeadBytes + head.contentBytes !== length) return false;
  }
  return true;
}

async function readMetadata(source: ByteSource, reader: McapIndexedReader): Promise<McapTypes.Metadata[]> {
  const found: McapTypes.Metadata[] = [];
  let bytes = 0;
  for (const { offset, length } of reader.metadataIndexes) {
    bytes += Number(length);
    if (bytes > maxMetadataBytes) throw new Error('too much metadata');
    const record = parseRecordBytes(await source.read(Number(offset), Number(length)));
    if (record.type !== 'Metadata') throw new Error(`no metadata at offset ${offset}`);
    found.push(record);
  }
  return found;
}

function fromSummary(source: ByteSource, reader: McapIndexedReader, metadata: McapTypes.Metadata[]): BagIndex {
  const { chunkIndexes, attachmentIndexes, channelsById, schemasById } = reader;
  const blocks = chunkIndexes.map((index) => ({
    kind: 'chunk' as const,
    offset: Number(index.chunkStartOffset),
    bytes: Number(index.chunkLength),
    startNs: index.messageStartTime,
    endNs: index.messageEndTime,
  }));
  return {
    name: source.name,
    bytes: source.size,
    complete: true,
    unfinished: false,
    indexed: true,
    problem: '',
    profile: reader.header.profile,
    statistics: reader.statistics as McapTypes.Statistics,
    schemas: schemasById,
    channels: channelsById,
    blocks: blocks.sort((a, b) => a.offset - b.offset),
    chunkIndexes,
    metadata,
    attachments: attachmentIndexes.map(({ name, mediaType, offset, length, dataSize }) => ({
      name,
      mediaType,
      offset: Number(offset),
      bytes: Number(length),
      dataBytes: Number(dataSize),
    })),
    compressions: [...new Set(chunkIndexes.map((index) => index.compression))],
    damage: [],
    damagedBytes: 0,
  };
}

function fromScan(source: ByteSource, report: RebuildReport, summaryProblem: string): BagIndex {
  const { damage } = report;
  const found = damage.length > 0 ? 'damaged' : report.ended ? '' : 'cut off before its end of data';
  // Its last bytes may be half a record, or zeros where a power cut came first.
  const isTail = damage.every(({ offset, bytes }) => offset + bytes === source.size);
  const unfinished = isUnfinished(source.name) && !report.ended && isTail;
  const problem = unfinished ? unfinishedText : summaryProblem === '' ? found : summaryProblem;
  return {
    name: source.name,
    bytes: source.size,
    complete: problem === '',
    unfinished,
    indexed: false,
    problem: damage[0] === undefined || unfinished ? problem : `${problem}; first damage at offset ${damage[0].offset}`,
    profile: report.profile,
    statistics: report.statistics,
    schemas: report.schemas,
    channels: report.channels,
    blocks: report.blocks,
    chunkIndexes: [],
    metadata: report.metadata,
    attachments: report.attachments,
    compressions: [...report.compressions],
    damage,
    damagedBytes: report.damagedBytes,
  };
}
