/** Owns `fender bag recover`: everything readable of a damaged bag, as a new whole one. The damaged file is never changed. */

import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FileSource } from './byte-source.ts';
import { createDurable, syncFolder } from './durable-file.ts';
import { RecordingError, systemCode } from './error.ts';
import { magicBytes } from './mcap-records.ts';
import type { Progress, RebuildReport } from './rebuild.ts';
import { writeRebuilt } from './repair.ts';
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
}

const foreignFormats: readonly [start: string, name: string][] = [
  [
    'SQLite format 3\0',
    'a SQLite database (a rosbag2 bag of the sqlite3 storage: `ros2 bag convert` makes MCAP of it)',
  ],
  ['#ROSBAG V2.0', 'a ROS 1 bag (`mcap convert` makes MCAP of it)'],
];

/** Throws when there is nothing in the file, or it is of another kind. `empty` and `not-mcap` name path and offset. */
export async function refuseForeign(source: FileSource): Promise<void> {
  if (source.size === 0) throw new RecordingError('empty', `${source.name}: expected an MCAP file, found 0 bytes`);
  const start = await source.read(0, 16);
  const text = Buffer.from(start).toString('latin1');
  const known = foreignFormats.find(([magic]) => text.startsWith(magic));
  if (known !== undefined) {
    throw new RecordingError('not-mcap', `${source.name}: expected an MCAP file, found ${known[1]} at offset 0`);
  }
}

/** The error of a file in which no record of MCAP was found. */
export async function notMcap(source: FileSource): Promise<RecordingError> {
  const found = Buffer.from(await source.read(0, 8)).toString('hex');
  const expected = Buffer.from(magicBytes).toString('hex');
  return new RecordingError(
    'not-mcap',
    `${source.name}: expected the MCAP magic ${expected} at offset 0, found ${found}, and no record in ${source.size} bytes`,
  );
}

/** Whether a rebuild found anything of a bag. */
export function foundNothing(report: RebuildReport): boolean {
  const { statistics } = report;
  return statistics.chunkCount === 0 && statistics.channelCount === 0 && statistics.schemaCount === 0 && !report.ended;
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

/**
 * Recovers `path` into the new file `out`, reading it once in bounded memory.
 * @throws RecordingError `empty`, `not-mcap`, `nothing-readable`, `exists` (there is an `out` already), `no-space`, `write-failed`.
 */
export async function bagRecover(path: string, out: string, progress?: Progress): Promise<BagRecovery> {
  const source = await FileSource.open(path);
  const partial = `${out}.partial`;
  try {
    await refuseForeign(source);
    // Reserves the name, so that nothing that exists is ever replaced.
    await (await createDurable(out)).close();
    const report = await writeRebuilt(source, partial, createDurable, progress).catch(async (error: unknown) => {
      await rm(out, { force: true });
      throw error;
    });
    if (foundNothing(report)) {
      await rm(out, { force: true });
      throw await notMcap(source);
    }
    await rename(partial, out);
    await syncFolder(dirname(out));
    const { statistics, damage, damagedBytes, ended } = report;
    const messages = Number(statistics.messageCount);
    const counts = { chunks: statistics.chunkCount, messages, topics: topicCounts(report) };
    return { path, out, bytes: source.size, ...counts, damage, damagedBytes, cutOff: !ended };
  } catch (error) {
    await rm(partial, { force: true });
    if (error instanceof RecordingError) throw error;
    const code = systemCode(error);
    if (code === 'EEXIST')
      throw new RecordingError('exists', `${out}: expected no such file, found one`, { cause: error });
    if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') {
      throw new RecordingError('no-space', `${out}: no space left`, { cause: error, retryable: true });
    }
    throw new RecordingError('write-failed', `${out}: ${code}: ${(error as Error).message}`, { cause: error });
  } finally {
    await source.close();
  }
}

/** What `fender bag recover` prints. */
export function formatRecovery(recovery: BagRecovery): string {
  const lines = [`${recovery.path} → ${recovery.out}: ${recovery.messages} messages in ${recovery.chunks} chunks`];
  for (const { topic, messages } of recovery.topics) lines.push(`  ${topic}  ${messages}`);
  if (recovery.cutOff) lines.push('The bag was cut off before its end.');
  for (const { offset, bytes, reason } of recovery.damage)
    lines.push(`  lost ${bytes} bytes at offset ${offset}: ${reason}`);
  if (recovery.damage.length === 0) lines.push('Nothing was lost.');
  return `${lines.join('\n')}\n`;
}
