/** Owns `fender bag recover`: everything readable of a damaged bag, as a new whole one. The damaged one is never changed. */

import { rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { someBagFiles } from './bag-folder.ts';
import { foundNothing, notMcap, refuseForeign } from './bag-format.ts';
import { FileSource } from './byte-source.ts';
import { counted } from './counted.ts';
import { createDurable } from './durable-file.ts';
import { RecordingError } from './error.ts';
import { type Work, watched, writeNewFile, writeNewFolder } from './new-output.ts';
import type { RebuildReport } from './rebuild.ts';
import { activeSuffix, writeRebuilt } from './repair.ts';
import { isBagFolder, renewMetadata } from './rosbag2-metadata.ts';
import type { Damage } from './scan.ts';

/** What was recovered, and what was not. */
export interface BagRecovery {
  readonly path: string;
  readonly out: string;
  readonly bytes: number;
  readonly chunks: number;
  readonly messages: number;
  readonly topics: readonly { readonly topic: string; readonly messages: number }[];
  /** Runs of bytes that could not be read, in file order (the first 1000), and all of them together. */
  readonly damage: readonly Damage[];
  readonly damagedBytes: number;
  /** Whether the bag was cut off before its end of data. */
  readonly cutOff: boolean;
  /** Why nothing was recovered of this file of a folder; empty otherwise. */
  readonly problem: string;
}

/** Messages of each topic, by name. */
function topicCounts(report: RebuildReport): { topic: string; messages: number }[] {
  const counts = new Map<string, number>();
  for (const channel of report.channels.values()) {
    const messages = Number(report.statistics.channelMessageCounts.get(channel.id) ?? 0n);
    counts.set(channel.topic, (counts.get(channel.topic) ?? 0) + messages);
  }
  return [...counts].map(([topic, messages]) => ({ topic, messages })).sort((a, b) => (a.topic < b.topic ? -1 : 1));
}

/** Rebuilds one file into `partial`, which is to become `out`. */
async function recoverInto(path: string, out: string, partial: string, work: Work): Promise<BagRecovery> {
  const source = await FileSource.open(path);
  try {
    await refuseForeign(source);
    const report = await writeRebuilt(source, partial, createDurable, watched(work));
    if (foundNothing(report)) throw await notMcap(source);
    const { statistics, damage, damagedBytes, ended } = report;
    const messages = Number(statistics.messageCount);
    const counts = { chunks: statistics.chunkCount, messages, topics: topicCounts(report) };
    return { path, out, bytes: source.size, ...counts, damage, damagedBytes, cutOff: !ended, problem: '' };
  } finally {
    await source.close();
  }
}

/**
 * Recovers `path` into the new `out`, reading it once in bounded memory: a file into a file, a folder into a folder with a
 * `metadata.yaml` of its own.
 * @returns what was recovered of each file; in a folder, one that is no bag at all is told in its `problem`.
 * @throws RecordingError `empty`, `not-mcap`, `sqlite3`, `nothing-readable`, `exists`, `no-space`, `write-failed`, `stopped`.
 */
export async function bagRecover(path: string, out: string, work: Work = {}): Promise<BagRecovery[]> {
  const files = await someBagFiles([path]);
  const isFolder = (await stat(path)).isDirectory();
  if (!isFolder) {
    return [await writeNewFile(out, [path], work.force ?? false, (partial) => recoverInto(path, out, partial, work))];
  }
  return writeNewFolder(out, [path], work.force ?? false, isBagFolder, async (folder) => {
    const recoveries: BagRecovery[] = [];
    for (const file of files) recoveries.push(await recoverSegment(file, out, folder, work));
    await renewMetadata(folder);
    return recoveries;
  });
}

async function recoverSegment(file: string, out: string, folder: string, work: Work): Promise<BagRecovery> {
  const name = basename(file).replace(new RegExp(`\\${activeSuffix}$`), '');
  const to = join(out, name);
  const partial = join(folder, name);
  try {
    return await recoverInto(file, to, partial, work);
  } catch (error) {
    const isOfTheFile =
      error instanceof RecordingError && ['empty', 'not-mcap', 'sqlite3', 'too-large'].includes(error.code);
    if (!isOfTheFile) throw error;
    await rm(partial, { force: true });
    const nothing = { bytes: 0, chunks: 0, messages: 0, topics: [], damage: [], damagedBytes: 0, cutOff: true };
    return { path: file, out: to, ...nothing, problem: error.message };
  }
}

/** Whether nothing of a file was lost. */
export function nothingLost({ damage, cutOff, problem }: BagRecovery): boolean {
  return damage.length === 0 && !cutOff && problem === '';
}

/** What `fender bag recover` prints. */
export function formatRecovery(recovery: BagRecovery): string {
  if (recovery.problem !== '') return `Nothing was recovered of ${recovery.problem}\n`;
  const lines = [
    `${recovery.path} → ${recovery.out}: ${counted(recovery.messages, 'message')} in ${counted(recovery.chunks, 'chunk')}`,
  ];
  for (const { topic, messages } of recovery.topics) lines.push(`  ${topic}  ${messages}`);
  if (recovery.cutOff) lines.push('The bag was cut off before its end.');
  for (const { offset, bytes, reason } of recovery.damage)
    lines.push(`  lost ${counted(bytes, 'byte')} at offset ${offset}: ${reason}`);
  if (recovery.damage.length === 0) lines.push('Nothing was lost.');
  return `${lines.join('\n')}\n`;
}
