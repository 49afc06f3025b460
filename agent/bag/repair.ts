/**
 * Owns what happens to a segment that a power cut or a crash left unfinished: its whole chunks become a whole file under its
 * final name. Usually that costs one read and a few kilobytes written in place, among them the overview that the recorder had not come
 * to write (without sound that is FLAC); a file damaged in its middle is written anew, without one.
 * Being interrupted itself does no harm: the file keeps its unfinished name until it is whole and on the disk.
 */

import { rm } from 'node:fs/promises';
import type { McapTypes } from '@mcap/core';
import { levelsOf } from '../sound/levels.ts';
import { Overview } from '../sound/overview.ts';
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
import type { Attachment } from './mcap-builder.ts';
import type { RawMessage } from './mcap-records.ts';
import { ReadAhead } from './read-ahead.ts';
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
  readonly #overview = new Overview();

  constructor(source: ByteSource) {
    this.#source = source;
  }

  message({ topic }: McapTypes.Channel, type: string, { logTimeNs, data }: RawMessage): void {
    const levels = levelsOf(topic, type, data);
    if (levels !== null) this.#overview.add(levels, logTimeNs);
  }

  closing(): readonly Attachment[] {
    const attachment = this.#overview.attachment();
    return attachment === null ? [] : [attachment];
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

/** So much is gathered before it is written. */
const writeBytes = 2 * 1024 * 1024;
/** So much is written before it is brought to the disk: what waits for the end would have to be waited for then. */
const syncBytes = 32 * 1024 * 1024;

/** Writes a rebuilt file from front to back, in large pieces and while the next are made. */
class WritingSink implements RebuildSink {
  readonly #handle: DurableHandle;
  #pieces: Uint8Array[] = [];
  #position = 0;
  #bytes = 0;
  #unsyncedBytes = 0;
  #writing: Promise<void> = Promise.resolve();
  #syncing: Promise<void> = Promise.resolve();

  constructor(handle: DurableHandle) {
    this.#handle = handle;
  }

  copy(bytes: Uint8Array, position: number): Promise<void> {
    return this.fresh([bytes], position);
  }

  async fresh(pieces: readonly Uint8Array[], position: number): Promise<void> {
    if (this.#bytes === 0) this.#position = position;
    for (const piece of pieces) {
      this.#pieces.push(piece);
      this.#bytes += piece.byteLength;
    }
    if (this.#bytes >= writeBytes) await this.#write();
  }

  /** Resolves when everything is on the disk. @throws the system's error. */
  async finish(): Promise<void> {
    await this.#write();
    await this.#writing;
    await this.#syncing;
    await this.#handle.datasync();
  }

  /** Resolves when nothing is under way, whatever became of it, so that the file may be closed. */
  async settled(): Promise<void> {
    await Promise.allSettled([this.#writing, this.#syncing]);
  }

  /** Begins to write what was gathered, when the write before it has ended. */
  async #write(): Promise<void> {
    await this.#writing;
    if (this.#unsyncedBytes >= syncBytes) {
      await this.#syncing;
      this.#syncing = this.#handle.datasync();
      this.#syncing.catch(() => {});
      this.#unsyncedBytes = 0;
    }
    const pieces = this.#pieces;
    this.#unsyncedBytes += this.#bytes;
    this.#pieces = [];
    this.#bytes = 0;
    this.#writing = writeFully(this.#handle, pieces, this.#position).then(() => {});
    this.#writing.catch(() => {});
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
  const sink = new WritingSink(handle);
  const ahead = new ReadAhead(source);
  try {
    const report = await rebuild(ahead, sink, progress);
    await sink.finish();
    return report;
  } finally {
    await ahead.settled();
    await sink.settled();
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
    const completion = await planCompletion(source, progress);
    if (completion !== null) {
      await complete(activePath, completion);
      await renameDurably(activePath, finalPath);
      return reportOf(finalPath, 'completed-in-place', completion.report);
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

/** How a file becomes whole where it is: its first `keptBytes` stay, and `tail` follows them. */
export interface Completion {
  readonly keptBytes: number;
  readonly tail: readonly Uint8Array[];
  readonly report: RebuildReport;
}

/** What completes a file that was cut off; null when it is damaged in its middle and must be written anew. */
export async function planCompletion(source: ByteSource, progress?: Progress): Promise<Completion | null> {
  const ahead = new ReadAhead(source);
  const sink = new InPlaceSink(ahead);
  try {
    const report = await rebuild(ahead, sink, progress);
    return { keptBytes: Math.min(source.size, sink.divergedAt ?? sink.end), tail: sink.tail, report };
  } catch (error) {
    if (error instanceof NeedsRewrite) return null;
    throw error;
  } finally {
    await ahead.settled();
  }
}

async function complete(path: string, { keptBytes, tail }: Completion): Promise<void> {
  const handle = await openDurable(path);
  try {
    await handle.truncate(keptBytes);
    await writeFully(handle, tail, keptBytes);
    await handle.datasync();
  } finally {
    await handle.close();
  }
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
