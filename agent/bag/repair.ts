/**
 * Owns what happens to a segment that a power cut or a crash left unfinished: its whole chunks become a whole file under its
 * final name. Usually that costs one read and a few kilobytes written in place; a file damaged in its middle is written anew.
 * Being interrupted itself does no harm: the file keeps its unfinished name until it is whole and on the disk.
 */

import { rm } from 'node:fs/promises';
import { type ByteSource, FileSource } from './byte-source.ts';
import {
  type CreateDurable,
  createDurable,
  type DurableHandle,
  openDurable,
  renameDurably,
  writeFully,
} from './durable-file.ts';
import { systemCode } from './error.ts';
import { type Progress, type RebuildReport, type RebuildSink, rebuild } from './rebuild.ts';
import type { Damage } from './scan.ts';

/** Ends the name of a segment that is being written. */
export const activeSuffix = '.active';
const rewriteSuffix = '.repairing';

/** What a repair did to one segment. */
export interface RepairReport {
  /** The file's final name; the unfinished one when the repair failed. */
  readonly path: string;
  readonly outcome: 'completed-in-place' | 'rewritten' | 'failed';
  readonly chunks: number;
  readonly messages: number;
  /** Bytes that were no whole record: what a power cut tore. */
  readonly lostBytes: number;
  readonly damage: readonly Damage[];
  /** Why it failed, empty otherwise. */
  readonly problem: string;
}

/** Thrown inside to leave the in-place way. */
class NeedsRewrite extends Error {}

/** Lets pass what stands in the file already, and keeps what must be written behind the last of it. */
class InPlaceSink implements RebuildSink {
  readonly tail: Uint8Array[] = [];
  divergedAt: number | null = null;
  /** Where the whole file ends. */
  end = 0;
  readonly #source: ByteSource;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  async copy(bytes: Uint8Array, position: number, sourceOffset: number): Promise<void> {
    this.end = position + bytes.byteLength;
    if (this.divergedAt !== null || position !== sourceOffset) throw new NeedsRewrite();
  }

  async fresh(pieces: readonly Uint8Array[], position: number): Promise<void> {
    const bytes = Buffer.concat(pieces);
    this.end = position + bytes.byteLength;
    if (this.divergedAt === null) {
      const there = await this.#source.read(position, bytes.byteLength);
      if (Buffer.compare(there, bytes) === 0) return;
      this.divergedAt = position;
    }
    this.tail.push(bytes);
  }
}

/** Writes a rebuilt file from front to back. */
class WritingSink implements RebuildSink {
  readonly #handle: DurableHandle;
  constructor(handle: DurableHandle) {
    this.#handle = handle;
  }
  async copy(bytes: Uint8Array, position: number): Promise<void> {
    await writeFully(this.#handle, [bytes], position);
  }
  async fresh(pieces: readonly Uint8Array[], position: number): Promise<void> {
    await writeFully(this.#handle, pieces, position);
  }
}

/** Builds the whole file beside the damaged one. */
export async function writeRebuilt(
  source: ByteSource,
  path: string,
  create: CreateDurable = createDurable,
  progress?: Progress,
): Promise<RebuildReport> {
  const handle = await create(path);
  try {
    const report = await rebuild(source, new WritingSink(handle), progress);
    await handle.datasync();
    return report;
  } finally {
    await handle.close();
  }
}

/**
 * Makes an unfinished segment whole and gives it its final name (`activePath` without its `.active`).
 * Never rejects: what the world does to it is in the report's `problem`, and the unfinished file is kept for another try.
 */
export async function repairSegment(activePath: string, progress?: Progress): Promise<RepairReport> {
  const finalPath = activePath.slice(0, -activeSuffix.length);
  let source: FileSource | undefined;
  try {
    source = await FileSource.open(activePath);
    const inPlace = await tryInPlace(source, activePath, progress);
    if (inPlace !== null) {
      await renameDurably(activePath, finalPath);
      return reportOf(finalPath, 'completed-in-place', inPlace);
    }
    const rewritten = `${finalPath}${rewriteSuffix}`;
    await rm(rewritten, { force: true });
    const report = await writeRebuilt(source, rewritten, createDurable, progress);
    await renameDurably(rewritten, finalPath);
    await rm(activePath, { force: true });
    return reportOf(finalPath, 'rewritten', report);
  } catch (cause) {
    const problem = `${activePath}: ${systemCode(cause)}: ${(cause as Error).message}`;
    return { path: activePath, outcome: 'failed', chunks: 0, messages: 0, lostBytes: 0, damage: [], problem };
  } finally {
    await source?.close();
  }
}

async function tryInPlace(source: FileSource, path: string, progress?: Progress): Promise<RebuildReport | null> {
  const sink = new InPlaceSink(source);
  let report: RebuildReport;
  try {
    report = await rebuild(source, sink, progress);
  } catch (error) {
    if (error instanceof NeedsRewrite) return null;
    throw error;
  }
  const handle = await openDurable(path);
  try {
    await handle.truncate(Math.min(source.size, sink.divergedAt ?? sink.end));
    if (sink.divergedAt !== null) await writeFully(handle, sink.tail, sink.divergedAt);
    await handle.datasync();
  } finally {
    await handle.close();
  }
  return report;
}

function reportOf(path: string, outcome: RepairReport['outcome'], report: RebuildReport): RepairReport {
  return {
    path,
    outcome,
    chunks: report.statistics.chunkCount,
    messages: Number(report.statistics.messageCount),
    lostBytes: report.damagedBytes,
    damage: report.damage,
    problem: '',
  };
}
