/**
 * Uploads files by their hash, one at a time: offer, chunks within a window, on from wherever central says it holds the
 * file. Small windows and an idle check leave the line to events.
 */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { StoredBlob } from './blob-table.ts';
import type { Outbox } from './outbox.ts';
import { encodeFrame, encodeMessage } from './wire/frame.ts';
import { blobChunkTopic, blobOfferTopic } from './wire/topics.ts';
import { BlobOfferSchema, type BlobStatus } from './wire/wire_pb.js';

/** What a connection offers to a blob sender. */
export interface BlobTransport {
  /** Whether a chunk sent now would hold up no event. */
  isIdle(): boolean;
  /** Sends at QoS 1; resolves true when the broker has it, false when it was not sent. */
  publish(topic: string, payload: Uint8Array): Promise<boolean>;
}

export interface BlobLimits {
  /** Bytes in one chunk, at most 128 KiB. */
  readonly chunkBytes: number;
  /** Chunks that central has not yet confirmed. */
  readonly windowChunks: number;
  /** Silence after which the file is offered again, in ms; doubles up to 30 s. */
  readonly ackTimeoutMs: number;
}

export interface BlobProgress {
  readonly sha256: string;
  readonly bytes: number;
  readonly ackedBytes: number;
}

/** Chunks that the broker has not yet confirmed: what may stand before an event in the line. */
const maxUnconfirmedChunks = 2;
const maxMismatches = 3;
const maxBackoffMs = 30_000;
const idlePollMs = 20;
/** How long a file that central keeps refusing is left alone, in ms. */
const setBackMs = 600_000;

interface Upload {
  readonly blob: StoredBlob;
  committed: number;
  next: number;
  unconfirmed: number;
  /** False until central has answered the offer. */
  answered: boolean;
  complete: boolean;
  mismatch: boolean;
  silences: number;
  lastWordMs: number;
}

export class BlobSender {
  uploadedBlobs = 0;
  #upload: Upload | null = null;
  #wake: (() => void) | null = null;
  readonly #outbox: Outbox;
  readonly #vehicle: string;
  readonly #limits: BlobLimits;
  readonly #onStored: (blob: StoredBlob) => void;
  readonly #mismatches = new Map<string, number>();
  readonly #setBackUntilMs = new Map<string, number>();
  /** Files settled here whose removal from the list is not durable yet. */
  readonly #removing = new Set<string>();

  constructor(outbox: Outbox, vehicle: string, limits: BlobLimits, onStored: (blob: StoredBlob) => void) {
    this.#outbox = outbox;
    this.#vehicle = vehicle;
    this.#limits = limits;
    this.#onStored = onStored;
  }

  /** The file on its way, or null. */
  get progress(): BlobProgress | null {
    if (this.#upload === null) return null;
    const { blob, committed } = this.#upload;
    return { sha256: blob.sha256, bytes: blob.bytes, ackedBytes: committed };
  }

  /** Something was committed, or the line is free: look again. */
  wake(): void {
    this.#wake?.();
  }

  /** Central's word on a file. */
  handleStatus(status: BlobStatus): void {
    const upload = this.#upload;
    if (upload === null || status.sha256 !== upload.blob.sha256) return;
    const committed = Math.min(Number(status.committedBytes), upload.blob.bytes);
    if (!upload.answered || committed < upload.committed) upload.next = committed;
    if (committed !== upload.committed || !upload.answered) upload.silences = 0;
    upload.committed = committed;
    upload.next = Math.max(upload.next, committed);
    upload.answered = true;
    upload.complete = status.complete;
    upload.mismatch = status.error !== '';
    upload.lastWordMs = performance.now();
    if (!upload.complete) void this.#outbox.blobProgress(status.sha256, committed);
    this.wake();
  }

  /** Uploads what there is until `signal` aborts; troubles with single files are declared, never thrown. */
  async run(transport: BlobTransport, signal: AbortSignal): Promise<void> {
    const wake = (): void => this.wake();
    signal.addEventListener('abort', wake);
    try {
      while (!signal.aborted) {
        const blob = this.#outbox.nextBlob(this.#skipped());
        if (blob === null) await this.#wait(1000);
        else await this.#uploadOne(blob, transport, signal);
      }
    } finally {
      signal.removeEventListener('abort', wake);
    }
  }

  #skipped(): ReadonlySet<string> {
    const nowMs = performance.now();
    for (const [sha256, untilMs] of this.#setBackUntilMs) if (untilMs <= nowMs) this.#setBackUntilMs.delete(sha256);
    return new Set([...this.#setBackUntilMs.keys(), ...this.#removing]);
  }

  /**
   * Takes a file off the list, because central has all of it or (with `reason`) for good. Until that is durable, which a
   * disk that refuses puts off, the file is left alone; nothing waits, so that a connection can end.
   */
  #remove(blob: StoredBlob, reason: string | null): void {
    const { sha256 } = blob;
    this.#mismatches.delete(sha256);
    this.#removing.add(sha256);
    this.#outbox
      .removeBlob(sha256, reason)
      .then(() => {
        if (reason !== null) return;
        this.uploadedBlobs += 1;
        this.#onStored(blob);
      })
      .catch(() => this.#leaveAlone(sha256))
      .finally(() => this.#removing.delete(sha256));
  }

  #leaveAlone(sha256: string): void {
    this.#setBackUntilMs.set(sha256, performance.now() + setBackMs);
  }

  async #uploadOne(blob: StoredBlob, transport: BlobTransport, signal: AbortSignal): Promise<void> {
    let file: FileHandle;
    try {
      file = await open(blob.path, 'r');
    } catch (error) {
      // Only a file that is gone is given up: too many open files, or a disk that cannot be read now, may pass.
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') this.#remove(blob, 'file-missing');
      else this.#leaveAlone(blob.sha256);
      return;
    }
    try {
      const { size } = await file.stat();
      if (size === blob.bytes) await this.#transfer(blob, file, transport, signal);
      else this.#remove(blob, 'file-changed');
    } catch {
      // A disk that cannot be read now: other files go first.
      this.#leaveAlone(blob.sha256);
    } finally {
      this.#upload = null;
      await file.close();
    }
  }

  async #transfer(blob: StoredBlob, file: FileHandle, transport: BlobTransport, signal: AbortSignal): Promise<void> {
    const upload: Upload = {
      blob,
      committed: 0,
      next: 0,
      unconfirmed: 0,
      answered: false,
      complete: false,
      mismatch: false,
      silences: 0,
      lastWordMs: Number.NEGATIVE_INFINITY,
    };
    this.#upload = upload;
    let seenBlobs = this.#outbox.blobsAdded;
    while (!signal.aborted) {
      if (upload.complete) return this.#remove(blob, null);
      if (seenBlobs !== this.#outbox.blobsAdded) {
        seenBlobs = this.#outbox.blobsAdded;
        if (this.#isOutranked(blob)) return;
      }
      if (upload.mismatch) {
        if (!(await this.#startAgain(upload))) return;
      }
      const silentMs = performance.now() - upload.lastWordMs;
      const patienceMs = Math.min(maxBackoffMs, this.#limits.ackTimeoutMs * 2 ** Math.min(upload.silences, 8));
      if (silentMs >= patienceMs) await this.#offer(upload, transport);
      else if (!(await this.#sendChunk(upload, file, transport)))
        await this.#wait(this.#pauseMs(upload, patienceMs - silentMs));
    }
  }

  /** Whether a file of a higher class came meanwhile: it goes first, and this one goes on after it. */
  #isOutranked(blob: StoredBlob): boolean {
    const first = this.#outbox.nextBlob(this.#skipped());
    return first !== null && first.priority !== blob.priority;
  }

  /** While only the line is busy it is looked at often; otherwise a word from central or the timeout ends the pause. */
  #pauseMs(upload: Upload, patienceMs: number): number {
    return this.#mayChunk(upload) ? idlePollMs : patienceMs;
  }

  async #offer(upload: Upload, transport: BlobTransport): Promise<void> {
    const { sha256, bytes, mediaType } = upload.blob;
    if (upload.lastWordMs !== Number.NEGATIVE_INFINITY) upload.silences += 1;
    upload.answered = false;
    upload.lastWordMs = performance.now();
    const offer = encodeMessage(BlobOfferSchema, { sha256, bytes: BigInt(bytes), mediaType });
    await transport.publish(blobOfferTopic(this.#vehicle, sha256), offer);
  }

  #mayChunk(upload: Upload): boolean {
    const { chunkBytes, windowChunks } = this.#limits;
    return (
      upload.answered &&
      upload.next < upload.blob.bytes &&
      upload.next - upload.committed < windowChunks * chunkBytes &&
      upload.unconfirmed < maxUnconfirmedChunks
    );
  }

  async #sendChunk(upload: Upload, file: FileHandle, transport: BlobTransport): Promise<boolean> {
    if (!this.#mayChunk(upload) || !transport.isIdle()) return false;
    const offset = upload.next;
    const buffer = Buffer.allocUnsafe(Math.min(this.#limits.chunkBytes, upload.blob.bytes - offset));
    const { bytesRead } = await file.read(buffer, 0, buffer.byteLength, offset);
    if (bytesRead === 0 || upload.next !== offset) return false;
    upload.next = offset + bytesRead;
    upload.unconfirmed += 1;
    const topic = blobChunkTopic(this.#vehicle, upload.blob.sha256, offset);
    // Clips are compressed already where that pays: level 0.
    void transport.publish(topic, encodeFrame(buffer.subarray(0, bytesRead), 0)).then(() => {
      upload.unconfirmed -= 1;
      this.wake();
    });
    return true;
  }

  /** Central found another hash: begin at 0, unless the file here is to blame or it happens again and again. */
  async #startAgain(upload: Upload): Promise<boolean> {
    const { blob } = upload;
    const count = (this.#mismatches.get(blob.sha256) ?? 0) + 1;
    this.#mismatches.set(blob.sha256, count);
    if ((await hashOf(blob.path)) !== blob.sha256) {
      this.#remove(blob, 'file-changed');
      return false;
    }
    if (count >= maxMismatches) {
      this.#mismatches.delete(blob.sha256);
      this.#leaveAlone(blob.sha256);
      return false;
    }
    Object.assign(upload, { committed: 0, next: 0, mismatch: false, answered: false });
    upload.lastWordMs = Number.NEGATIVE_INFINITY;
    return true;
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(done, Math.max(1, Math.min(ms, maxBackoffMs)));
      function done(): void {
        clearTimeout(timer);
        resolve();
      }
      this.#wake = done;
    });
  }
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of createReadStream(path)) hash.update(part);
  return hash.digest('hex');
}
