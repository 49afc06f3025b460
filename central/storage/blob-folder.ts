/**
 * Files by content: finished ones under `blobs/<first two digits>/<sha256>`, unfinished ones under
 * `partial/<vehicle>/<sha256>`. A file appears among the finished ones whole, verified and durable, or not at all.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CentralError, messageOf } from '../error.ts';

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** An unfinished file, open for writing at any place. */
export class PartialFile {
  readonly #handle: FileHandle;
  readonly path: string;

  constructor(handle: FileHandle, path: string) {
    this.#handle = handle;
    this.path = path;
  }

  /** Writes all of `bytes` at `offset`; not durable before `sync`. */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    let done = 0;
    while (done < bytes.byteLength) {
      const { bytesWritten } = await this.#handle.write(bytes, done, bytes.byteLength - done, offset + done);
      if (bytesWritten === 0) throw new CentralError('blob', `${this.path}: expected to write, wrote 0 bytes`);
      done += bytesWritten;
    }
  }

  /** Resolves when everything written so far survives a power cut. */
  async sync(): Promise<void> {
    await this.#handle.datasync();
  }

  async sizeBytes(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  async truncate(bytes: number): Promise<void> {
    await this.#handle.truncate(bytes);
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/** The file store in a folder; the same shape will be had over an object store. */
export class BlobFolder {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Where a finished file is, whether or not it is there. `sha256`: 64 lower-case hex digits. */
  pathOf(sha256: string): string {
    return join(this.#folder, 'blobs', sha256.slice(0, 2), sha256);
  }

  #partialPath(vehicle: string, sha256: string): string {
    return join(this.#folder, 'partial', vehicle, sha256);
  }

  /** Whether the finished file is there with this length. */
  async has(sha256: string, bytes: number): Promise<boolean> {
    try {
      return (await stat(this.pathOf(sha256))).size === bytes;
    } catch {
      return false;
    }
  }

  /** Opens (or makes) the unfinished file, keeping what is in it. */
  async openPartial(vehicle: string, sha256: string): Promise<PartialFile> {
    const path = this.#partialPath(vehicle, sha256);
    await mkdir(dirname(path), { recursive: true });
    let handle: FileHandle;
    try {
      handle = await open(path, 'r+');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      handle = await open(path, 'w+');
      await syncFolder(dirname(path));
    }
    return new PartialFile(handle, path);
  }

  /** Throws the unfinished file away. */
  async discard(vehicle: string, sha256: string): Promise<void> {
    await rm(this.#partialPath(vehicle, sha256), { force: true });
  }

  /**
   * Verifies a whole, synced file and moves it among the finished ones. False when its SHA-256 is another: the caller
   * starts over. The file must be closed.
   */
  async finish(vehicle: string, sha256: string): Promise<boolean> {
    const partial = this.#partialPath(vehicle, sha256);
    const found = await hashOf(partial);
    if (found !== sha256) return false;
    const path = this.pathOf(sha256);
    const folder = dirname(path);
    if ((await mkdir(folder, { recursive: true })) !== undefined) await syncFolder(this.#folder);
    await rename(partial, path);
    await syncFolder(folder);
    await syncFolder(dirname(folder));
    await syncFolder(dirname(partial));
    return true;
  }
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const piece of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(piece as Buffer);
  } catch (cause) {
    throw new CentralError('blob', `${path}: expected to read it, ${messageOf(cause)}`, { cause, retryable: true });
  }
  return hash.digest('hex');
}
