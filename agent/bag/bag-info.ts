/** Owns `fender bag info`: what is in a bag, from its summary when it is whole, from a scan of all of it when it is not. */

import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { McapIndexedReader, McapTypes } from '@mcap/core';
import { foundNothing, notMcap, refuseForeign } from './bag-recover.ts';
import { openSummary } from './bag-summary.ts';
import { FileSource } from './byte-source.ts';
import { RecordingError } from './error.ts';
import { parseRecordBytes } from './mcap-records.ts';
import { type Progress, type RebuildSink, rebuild } from './rebuild.ts';
import type { Damage } from './scan.ts';

/** One topic of a bag. */
interface BagTopic {
  readonly topic: string;
  readonly type: string;
  readonly messages: number;
}

/** What is in one MCAP file. */
export interface BagInfo {
  readonly path: string;
  readonly bytes: number;
  /** Whether it ends as it should. What follows is from a scan if not. */
  readonly complete: boolean;
  /** Why it is not complete, with the offset where that is known; empty otherwise. */
  readonly problem: string;
  /** UTC nanoseconds of the first and the last message; null without messages. */
  readonly startNs: bigint | null;
  readonly endNs: bigint | null;
  readonly messages: number;
  readonly chunks: number;
  readonly attachments: number;
  readonly compressions: readonly string[];
  readonly topics: readonly BagTopic[];
  readonly metadata: readonly { readonly name: string; readonly values: Readonly<Record<string, string>> }[];
  readonly damage: readonly Damage[];
}

const nowhere: RebuildSink = { copy: async () => {}, fresh: async () => {} };

function topicsOf(
  channels: ReadonlyMap<number, McapTypes.Channel>,
  schemas: ReadonlyMap<number, McapTypes.Schema>,
  statistics: McapTypes.Statistics | undefined,
): BagTopic[] {
  return [...channels.values()]
    .map(({ id, topic, schemaId }) => ({
      topic,
      type: schemas.get(schemaId)?.name ?? '',
      messages: Number(statistics?.channelMessageCounts.get(id) ?? 0n),
    }))
    .sort((a, b) => (a.topic < b.topic ? -1 : 1));
}

function timesOf(statistics: McapTypes.Statistics): { startNs: bigint | null; endNs: bigint | null } {
  if (statistics.messageCount === 0n) return { startNs: null, endNs: null };
  return { startNs: statistics.messageStartTime, endNs: statistics.messageEndTime };
}

function metadataOf(records: readonly McapTypes.Metadata[]): BagInfo['metadata'] {
  return records.map(({ name, metadata }) => ({ name, values: Object.fromEntries(metadata) }));
}

async function readMetadata(source: FileSource, reader: McapIndexedReader): Promise<McapTypes.Metadata[]> {
  const found: McapTypes.Metadata[] = [];
  for (const { offset, length } of reader.metadataIndexes) {
    const record = parseRecordBytes(await source.read(Number(offset), Number(length)));
    if (record.type === 'Metadata') found.push(record);
  }
  return found;
}

/**
 * What is in the MCAP file `path`, finished or not. A file without a good summary is read whole, in bounded memory.
 * @throws RecordingError `empty`, `not-mcap`, `nothing-readable`.
 */
export async function bagInfo(path: string, progress?: Progress): Promise<BagInfo> {
  const source = await FileSource.open(path);
  try {
    await refuseForeign(source);
    const opened = await openSummary(source);
    if ('reader' in opened && opened.reader.statistics !== undefined) {
      const { statistics, channelsById, schemasById, chunkIndexes, attachmentIndexes } = opened.reader;
      const metadata = await readMetadata(source, opened.reader).catch(() => null);
      if (metadata !== null) {
        return {
          path,
          bytes: source.size,
          complete: true,
          problem: '',
          ...timesOf(statistics),
          messages: Number(statistics.messageCount),
          chunks: statistics.chunkCount,
          attachments: attachmentIndexes.length,
          compressions: [...new Set(chunkIndexes.map((index) => index.compression))],
          topics: topicsOf(channelsById, schemasById, statistics),
          metadata: metadataOf(metadata),
          damage: [],
        };
      }
    }
    const report = await rebuild(source, nowhere, progress);
    if (foundNothing(report)) throw await notMcap(source);
    const { statistics, damage } = report;
    const problem = 'problem' in opened ? opened.problem : 'no statistics in the summary';
    return {
      path,
      bytes: source.size,
      complete: false,
      problem: damage[0] === undefined ? problem : `${problem}; first damage at offset ${damage[0].offset}`,
      ...timesOf(statistics),
      messages: Number(statistics.messageCount),
      chunks: statistics.chunkCount,
      attachments: statistics.attachmentCount,
      compressions: [...report.compressions],
      topics: topicsOf(report.channels, report.schemas, statistics),
      metadata: metadataOf(report.metadata),
      damage,
    };
  } finally {
    await source.close();
  }
}

/** The segments of a recording's folder, in order; or the file itself. @throws RecordingError `nothing-readable`. */
export async function bagFiles(path: string): Promise<string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const names = (await readdir(path)).filter((name) => /\.mcap(\.active)?$/.test(name));
    const collator = new Intl.Collator('en', { numeric: true });
    return names.sort(collator.compare).map((name) => join(path, name));
  } catch (cause) {
    throw new RecordingError('nothing-readable', `${path}: expected a file or a folder of segments`, { cause });
  }
}

function formatTime(ns: bigint | null): string {
  if (ns === null) return '–';
  const seconds = ns / 1_000_000_000n;
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${String(ns % 1_000_000_000n).padStart(9, '0')}Z`;
}

/** What `fender bag info` prints. */
export function formatBagInfo(info: BagInfo): string {
  const durationS = info.startNs === null || info.endNs === null ? 0 : Number(info.endNs - info.startNs) / 1e9;
  const lines = [
    `path        ${info.path}`,
    `size        ${info.bytes} bytes, ${info.chunks} chunks (${info.compressions.map((name) => name || 'plain').join(', ')})`,
    `complete    ${info.complete ? 'yes' : `no: ${info.problem}`}`,
    `start       ${formatTime(info.startNs)}`,
    `end         ${formatTime(info.endNs)} (${durationS.toFixed(3)} s)`,
    `messages    ${info.messages}`,
  ];
  for (const { topic, type, messages } of info.topics) lines.push(`  ${topic}  ${type}  ${messages}`);
  for (const { name, values } of info.metadata) {
    lines.push(`metadata    ${name}`);
    for (const [key, value] of Object.entries(values)) lines.push(`  ${key}: ${value}`);
  }
  for (const { offset, bytes, reason } of info.damage)
    lines.push(`damage      ${bytes} bytes at offset ${offset}: ${reason}`);
  return `${lines.join('\n')}\n`;
}
