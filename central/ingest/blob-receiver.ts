/**
 * Receives files in chunks: written at their offsets, made durable, then confirmed as the bytes that central holds from
 * the start without a gap. Chunks may come late, twice, overlapping or out of order; a whole file is verified by its
 * SHA-256 before it counts. Chunks beyond the bounds are dropped and counted: the vehicle sends them again.
 */
import { messageOf } from '../error.ts';
import type { BlobFolder, PartialFile } from '../storage/blob-folder.ts';
import type { BlobIndex } from '../storage/blob-index.ts';
import { mergeRanges, type SequenceRange } from '../storage/ranges.ts';

/** What central tells the vehicle about one file. `error` is empty when all is well. */
export interface BlobReport {
  readonly vehicle: string;
  readonly sha256: string;
  readonly committedBytes: number;
  readonly complete: boolean;
  readonly error: '' | 'hash-mismatch' | 'not-offered' | 'too-large' | 'storage';
}

export interface BlobReceiverParts {
  readonly index: BlobIndex;
  readonly folder: BlobFolder;
  report(report: BlobReport): void;
  /** Called with each chunk dropped or refused, and why. */
  refused(vehicle: string, reason: string, found: string): void;
  failed(error: unknown, vehicle: string, sha256: string): void;
}

export interface BlobLimits {
  /** Largest file in bytes. */
  readonly maxBytes: number;
  /** Chunks of one vehicle waiting to be written, in bytes. */
  readonly maxQueuedBytes: number;
  /** Files open at a time, over all vehicles. */
  readonly maxOpen: number;
}

export const defaultBlobLimits: BlobLimits = {
  maxBytes: 512 * 1024 * 1024,
  maxQueuedBytes: 16 * 1024 * 1024,
  maxOpen: 128,
};

type Job =
  | { readonly kind: 'offer'; readonly bytes: number; readonly mediaType: string }
  | { readonly kind: 'chunk'; readonly offset: number; readonly data: Uint8Array };

interface Receiving {
  readonly vehicle: string;
  readonly sha256: string;
  readonly jobs: Job[];
  working: boolean;
  file: PartialFile | null;
  bytes: number;
  /** Byte ranges written and synced. */
  written: SequenceRange[];
}

const maxJobsPerBlob = 1024;
/** Files of one vehicle being written at a time; vehicles send one after the other. */
const maxBusyPerVehicle = 16;

export class BlobReceiver {
  readonly #parts: BlobReceiverParts;
  readonly #limits: BlobLimits;
  readonly #receiving = new Map<string, Receiving>();
  readonly #queuedBytes = new Map<string, number>();
  readonly #working = new Set<Promise<void>>();
  /** How many files of a vehicle are being written. */
  readonly #busy = new Map<string, number>();

  constructor(parts: BlobReceiverParts, limits: BlobLimits = defaultBlobLimits) {
    this.#parts = parts;
    this.#limits = limits;
  }

  /** Takes an offer: answers with how much of the file is here. `bytes`: its full length. */
  offer(vehicle: string, sha256: string, bytes: number, mediaType: string): void {
    if (bytes > this.#limits.maxBytes) {
      this.#parts.refused(vehicle, 'blob-too-large', `${bytes} bytes, at most ${this.#limits.maxBytes}`);
      this.#parts.report({ vehicle, sha256, committedBytes: 0, complete: false, error: 'too-large' });
      return;
    }
    this.#enqueue(vehicle, sha256, { kind: 'offer', bytes, mediaType }, 0);
  }

  /** Takes a chunk; `data` must not change afterwards. */
  chunk(vehicle: string, sha256: string, offset: number, data: Uint8Array): void {
    const queued = this.#queuedBytes.get(vehicle) ?? 0;
    if (queued + data.byteLength > this.#limits.maxQueuedBytes) {
      this.#parts.refused(vehicle, 'blob-queue-full', `${queued} bytes waiting`);
      return;
    }
    this.#enqueue(vehicle, sha256, { kind: 'chunk', offset, data }, data.byteLength);
  }

  /** Resolves when what was taken has been written and every file is closed. */
  async close(): Promise<void> {
    while (this.#working.size > 0) await Promise.all(this.#working);
    for (const blob of this.#receiving.values()) await blob.file?.close();
    this.#receiving.clear();
  }

  #enqueue(vehicle: string, sha256: string, job: Job, bytes: number): void {
    const key = `${vehicle} ${sha256}`;
    let blob = this.#receiving.get(key);
    const busy = this.#busy.get(vehicle) ?? 0;
    if (blob === undefined && busy >= maxBusyPerVehicle) {
      this.#parts.refused(vehicle, 'blob-queue-full', `${busy} files being written`);
      return;
    }
    if (blob === undefined) {
      blob = { vehicle, sha256, jobs: [], working: false, file: null, bytes: -1, written: [] };
    } else {
      this.#receiving.delete(key); // the map's order is the order of last use
    }
    this.#receiving.set(key, blob);
    if (blob.jobs.length >= maxJobsPerBlob) {
      this.#parts.refused(vehicle, 'blob-queue-full', `${blob.jobs.length} messages waiting`);
      return;
    }
    blob.jobs.push(job);
    this.#queuedBytes.set(vehicle, (this.#queuedBytes.get(vehicle) ?? 0) + bytes);
    if (blob.working) return;
    blob.working = true;
    this.#busy.set(vehicle, busy + 1);
    const work = this.#work(key, blob).finally(() => this.#working.delete(work));
    this.#working.add(work);
  }

  async #work(key: string, blob: Receiving): Promise<void> {
    while (blob.jobs.length > 0) {
      const jobs = blob.jobs.splice(0);
      try {
        await this.#handle(blob, jobs);
      } catch (error) {
        this.#parts.failed(error, blob.vehicle, blob.sha256);
        await this.#forget(blob);
        this.#report(blob, 0, false, 'storage');
      }
      const bytes = jobs.reduce((sum, job) => sum + (job.kind === 'chunk' ? job.data.byteLength : 0), 0);
      const queued = (this.#queuedBytes.get(blob.vehicle) ?? 0) - bytes;
      if (queued > 0) this.#queuedBytes.set(blob.vehicle, queued);
      else this.#queuedBytes.delete(blob.vehicle);
    }
    blob.working = false;
    const busy = (this.#busy.get(blob.vehicle) ?? 1) - 1;
    if (busy > 0) this.#busy.set(blob.vehicle, busy);
    else this.#busy.delete(blob.vehicle);
    if (blob.file === null) this.#receiving.delete(key);
    await this.#closeIdle();
  }

  async #handle(blob: Receiving, jobs: readonly Job[]): Promise<void> {
    const { vehicle, sha256 } = blob;
    const { index } = this.#parts;
    for (const job of jobs) {
      if (job.kind !== 'offer') continue;
      const state = await index.offer(vehicle, sha256, job.bytes, job.mediaType);
      if (blob.bytes !== state.bytes) await this.#forget(blob);
    }
    const state = await index.find(vehicle, sha256);
    if (state === null) return this.#report(blob, 0, false, 'not-offered');
    if (state.complete) {
      await this.#forget(blob);
      return this.#report(blob, state.bytes, true, '');
    }
    if (state.committedBytes === state.bytes && (await this.#parts.folder.has(sha256, state.bytes))) {
      await this.#forget(blob); // it was moved just before central was stopped
      await index.setComplete(vehicle, sha256);
      return this.#report(blob, state.bytes, true, '');
    }
    const file = blob.file ?? (await this.#open(blob, state.bytes, state.committedBytes));
    const wrote = await this.#writeChunks(blob, file, jobs);
    const committed = contiguous(blob.written);
    if (wrote && committed !== state.committedBytes) await index.setCommitted(vehicle, sha256, committed);
    if (committed < blob.bytes) return this.#report(blob, committed, false, '');
    await this.#finish(blob);
  }

  async #open(blob: Receiving, bytes: number, committedBytes: number): Promise<PartialFile> {
    const file = await this.#parts.folder.openPartial(blob.vehicle, blob.sha256);
    blob.file = file;
    blob.bytes = bytes;
    const size = await file.sizeBytes();
    if (size > bytes) await file.truncate(bytes);
    blob.written = committedBytes > 0 && size >= committedBytes ? [[0, committedBytes - 1]] : [];
    return file;
  }

  async #writeChunks(blob: Receiving, file: PartialFile, jobs: readonly Job[]): Promise<boolean> {
    const ranges: SequenceRange[] = [];
    for (const job of jobs) {
      if (job.kind !== 'chunk') continue;
      const end = job.offset + job.data.byteLength;
      if (job.data.byteLength === 0 || end > blob.bytes) {
        const found = `bytes ${job.offset} to ${end} of a file of ${blob.bytes}`;
        this.#parts.refused(blob.vehicle, 'blob-chunk-outside', found);
        continue;
      }
      await file.write(job.offset, job.data);
      ranges.push([job.offset, end - 1]);
    }
    if (ranges.length === 0) return false;
    await file.sync();
    blob.written = mergeRanges([...blob.written, ...ranges]);
    return true;
  }

  async #finish(blob: Receiving): Promise<void> {
    const { vehicle, sha256, bytes } = blob;
    await this.#forget(blob);
    if (await this.#parts.folder.finish(vehicle, sha256)) {
      await this.#parts.index.setComplete(vehicle, sha256);
      this.#report(blob, bytes, true, '');
      return;
    }
    await this.#parts.index.setCommitted(vehicle, sha256, 0);
    await this.#parts.folder.discard(vehicle, sha256);
    this.#report(blob, 0, false, 'hash-mismatch');
  }

  /** Closes the file; what is not confirmed is sent again. */
  async #forget(blob: Receiving): Promise<void> {
    const { file } = blob;
    blob.file = null;
    blob.bytes = -1;
    blob.written = [];
    await file?.close().catch((error: unknown) => {
      this.#parts.failed(`close: ${messageOf(error)}`, blob.vehicle, blob.sha256);
    });
  }

  async #closeIdle(): Promise<void> {
    for (const [key, blob] of this.#receiving) {
      if (this.#receiving.size <= this.#limits.maxOpen) return;
      if (blob.working) continue;
      this.#receiving.delete(key);
      await this.#forget(blob);
    }
  }

  #report(blob: Receiving, committedBytes: number, complete: boolean, error: BlobReport['error']): void {
    this.#parts.report({ vehicle: blob.vehicle, sha256: blob.sha256, committedBytes, complete, error });
  }
}

/** How many bytes from the start are there without a gap. */
function contiguous(written: readonly SequenceRange[]): number {
  const first = written[0];
  return first !== undefined && first[0] === 0 ? first[1] + 1 : 0;
}
