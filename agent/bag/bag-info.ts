/** Owns `fender bag info`: what is in a bag, from its summary when it is whole, from a scan of all of it when it is not. */

import type { McapTypes } from '@mcap/core';
import { type BagIndex, indexBag } from './bag-index.ts';
import { type ByteSource, FileSource } from './byte-source.ts';
import type { ChunkIndexEntries } from './chunk-draft.ts';
import { counted } from './counted.ts';
import { parseRecordBytes, readRecordHead, recordHeadBytes } from './mcap-records.ts';
import { stopIfAsked, type Work, watched } from './new-output.ts';
import type { Damage } from './scan.ts';
import { recoverCure } from './shell-word.ts';
import { earliest, isoTime, latest } from './time-span.ts';
import { type TopicTimesSummary, TopicTimesTable } from './topic-times.ts';

/** One topic of a bag. */
export interface BagTopic extends TopicTimesSummary {
  readonly topic: string;
  readonly type: string;
  /** How the messages are laid out: `cdr`. */
  readonly encoding: string;
  /** What the recorder says was lost: `gap=0 queue=12 space=0 write=0`; empty when it says nothing. */
  readonly loss: string;
}

/** What is in one MCAP file. */
export interface BagInfo {
  readonly path: string;
  readonly bytes: number;
  /** Whether it ends as it should. What follows is from a scan if not. */
  readonly complete: boolean;
  /** Whether that is only because it is being written, or was left so by a power cut. */
  readonly unfinished: boolean;
  /** Why it is not complete, with the offset where that is known; empty otherwise. */
  readonly problem: string;
  readonly profile: string;
  /** UTC nanoseconds of the first and the last message; null without messages. */
  readonly startNs: bigint | null;
  readonly endNs: bigint | null;
  readonly messages: number;
  readonly chunks: number;
  readonly compressions: readonly string[];
  readonly topics: readonly BagTopic[];
  readonly attachments: readonly { readonly name: string; readonly mediaType: string; readonly bytes: number }[];
  readonly metadata: readonly { readonly name: string; readonly values: Readonly<Record<string, string>> }[];
  readonly damage: readonly Damage[];
}

/** Message indexes of a chunk may take this much; an index that claims more is not read. */
const maxIndexBytes = 16 * 1024 * 1024;
/** Message indexes are small and far apart. */
const indexWindowBytes = 4096;

function timesOf(statistics: McapTypes.Statistics): { startNs: bigint | null; endNs: bigint | null } {
  if (statistics.messageCount === 0n) return { startNs: null, endNs: null };
  return { startNs: statistics.messageStartTime, endNs: statistics.messageEndTime };
}

/** Reads the message indexes behind a chunk. Null when there are none, or they do not stand there. */
async function readMessageIndexes(source: ByteSource, chunk: McapTypes.ChunkIndex): Promise<ChunkIndexEntries | null> {
  const length = Number(chunk.messageIndexLength);
  if (length === 0 || length > maxIndexBytes) return null;
  const bytes = await source.read(Number(chunk.chunkStartOffset + chunk.chunkLength), length);
  const index: ChunkIndexEntries = new Map();
  let offset = 0;
  while (offset < bytes.byteLength) {
    const head = readRecordHead(bytes, offset);
    const end = offset + recordHeadBytes + (head?.contentBytes ?? 0);
    if (head === null || end > bytes.byteLength) return null;
    const record = parseRecordBytes(bytes.subarray(offset, end));
    if (record.type !== 'MessageIndex') return null;
    if (record.records.length > 0) index.set(record.channelId, record.records);
    offset = end;
  }
  return offset === length ? index : null;
}

/** The times of a whole file's messages from its message indexes; null when it has none that can be believed. */
async function timesFromIndexes(source: ByteSource, index: BagIndex, work: Work): Promise<TopicTimesTable | null> {
  const table = new TopicTimesTable();
  const topicOf = (channelId: number): string => index.channels.get(channelId)?.topic ?? '';
  let counted = 0n;
  for (const [done, chunk] of index.chunkIndexes.entries()) {
    const entries = await readMessageIndexes(source, chunk).catch(() => null);
    if (entries === null) return null;
    for (const list of entries.values()) counted += BigInt(list.length);
    table.add(entries, topicOf);
    if (done % 1000 === 0) watched(work)(done, index.chunkIndexes.length);
  }
  stopIfAsked(work.signal);
  return counted === index.statistics.messageCount ? table : null;
}

function topicsOf(index: BagIndex, times: TopicTimesTable | null): BagTopic[] {
  const loss = new Map(
    index.metadata.filter(({ name }) => name === 'fender.loss').flatMap(({ metadata }) => [...metadata]),
  );
  const topics = new Map<string, BagTopic>();
  for (const { id, topic, schemaId, messageEncoding } of index.channels.values()) {
    const counted = Number(index.statistics.channelMessageCounts.get(id) ?? 0n);
    const messages = counted + (topics.get(topic)?.messages ?? 0);
    const unknown = {
      firstNs: null,
      lastNs: null,
      rateHz: null,
      periodNs: null,
      outOfOrder: 0,
      gaps: 0,
      longestGaps: [],
    };
    topics.set(topic, {
      ...(times?.topics.get(topic)?.summary() ?? unknown),
      topic,
      type: index.schemas.get(schemaId)?.name ?? '',
      encoding: messageEncoding,
      messages,
      loss: loss.get(topic) ?? '',
    });
  }
  return [...topics.values()].sort((a, b) => (a.topic < b.topic ? -1 : 1));
}

/**
 * What is in the bytes of one MCAP file, finished or not. A file without a good summary is read whole, in bounded memory; of a
 * good one the indexes alone.
 * @throws RecordingError `empty`, `not-mcap`, `sqlite3`, `too-large`, `stopped`; errors of reading.
 */
export async function infoOf(source: ByteSource, work: Work = {}): Promise<BagInfo> {
  const scanned = new TopicTimesTable();
  const index = await indexBag(source, watched(work), (entries, channels) =>
    scanned.add(entries, (channelId) => channels.get(channelId)?.topic ?? ''),
  );
  const times = index.indexed ? await timesFromIndexes(source, index, work) : scanned;
  return {
    path: source.name,
    bytes: source.size,
    complete: index.complete,
    unfinished: index.unfinished,
    problem: index.problem,
    profile: index.profile,
    ...timesOf(index.statistics),
    messages: Number(index.statistics.messageCount),
    chunks: index.statistics.chunkCount,
    compressions: index.compressions,
    topics: topicsOf(index, times),
    attachments: index.attachments.map(({ name, mediaType, dataBytes }) => ({ name, mediaType, bytes: dataBytes })),
    metadata: index.metadata.map(({ name, metadata }) => ({ name, values: Object.fromEntries(metadata) })),
    damage: index.damage,
  };
}

/** As `infoOf`, of the file `path`. @throws RecordingError also `nothing-readable`. */
export async function bagInfo(path: string, work: Work = {}): Promise<BagInfo> {
  const source = await FileSource.open(path, indexWindowBytes);
  try {
    return await infoOf(source, work);
  } finally {
    await source.close();
  }
}

function formatTime(ns: bigint | null): string {
  return ns === null ? '–' : isoTime(ns);
}

function formatSeconds(ns: bigint): string {
  return `${(Number(ns) / 1e9).toFixed(3)} s`;
}

function formatTopic(topic: BagTopic): string[] {
  const rate = topic.rateHz === null ? '' : `  ${topic.rateHz.toFixed(topic.rateHz < 10 ? 3 : 1)} Hz`;
  const lines = [`  ${topic.topic}  ${topic.type || '–'} (${topic.encoding})  ${topic.messages}${rate}`];
  if (topic.firstNs !== null) lines.push(`    ${formatTime(topic.firstNs)} to ${formatTime(topic.lastNs)}`);
  if (topic.outOfOrder > 0) lines.push(`    ${counted(topic.outOfOrder, 'message')} behind later ones`);
  if (topic.gaps > 0) {
    const longest = topic.longestGaps.map(
      ({ fromNs, durationNs }) => `${formatSeconds(durationNs)} after ${formatTime(fromNs)}`,
    );
    lines.push(`    ${counted(topic.gaps, 'gap')}; longest: ${longest.join(', ')}`);
  }
  if (topic.loss !== '') lines.push(`    lost: ${topic.loss}`);
  return lines;
}

/** What `fender bag info` prints. */
export function formatBagInfo(info: BagInfo): string {
  const spanNs = info.startNs === null || info.endNs === null ? 0n : info.endNs - info.startNs;
  const compressions = info.compressions.map((name) => name || 'plain').join(', ') || 'none';
  const lines = [
    `path        ${info.path}`,
    `size        ${counted(info.bytes, 'byte')}, ${counted(info.chunks, 'chunk')} (${compressions}), profile ${info.profile || 'none'}`,
    `complete    ${info.complete ? 'yes' : `no: ${info.problem}`}`,
    `start       ${formatTime(info.startNs)}`,
    `end         ${formatTime(info.endNs)} (${formatSeconds(spanNs)})`,
    `messages    ${info.messages}`,
    ...info.topics.flatMap(formatTopic),
  ];
  for (const { name, mediaType, bytes } of info.attachments) {
    lines.push(`attachment  ${name}  ${mediaType}  ${bytes} bytes`);
  }
  for (const { name, values } of info.metadata) {
    lines.push(`metadata    ${name}`);
    for (const [key, value] of Object.entries(values)) lines.push(`  ${key}: ${value}`);
  }
  for (const { offset, bytes, reason } of info.damage)
    lines.push(
      `${info.unfinished ? 'unfinished' : 'damage    '}  ${counted(bytes, 'byte')} at offset ${offset}: ${reason}`,
    );
  if (!info.complete && !info.unfinished) lines.push(`cure        ${recoverCure(info.path)}`);
  return `${lines.join('\n')}\n`;
}

/** What several segments of one recording come to. */
export function formatTotal(infos: readonly BagInfo[]): string {
  const startNs = earliest(infos.map((info) => info.startNs));
  const endNs = latest(infos.map((info) => info.endNs));
  const topics = new Map<string, number>();
  for (const { topic, messages } of infos.flatMap((info) => info.topics)) {
    topics.set(topic, (topics.get(topic) ?? 0) + messages);
  }
  const bytes = infos.reduce((sum, info) => sum + info.bytes, 0);
  const messages = infos.reduce((sum, info) => sum + info.messages, 0);
  const lines = [
    `all ${counted(infos.length, 'segment')}: ${counted(messages, 'message')}, ${counted(bytes, 'byte')}, ${formatTime(startNs)} to ${formatTime(endNs)}`,
    ...[...topics].map(([topic, count]) => `  ${topic}  ${count}`),
  ];
  return `${lines.join('\n')}\n`;
}
