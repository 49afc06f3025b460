/** Owns random reading of a file that may be cut off anywhere, in bounded memory. */

import { constants, type Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { RecordingError, systemCode } from './error.ts';

/** Bytes that can be read anywhere. */
export interface ByteSource {
  /** What messages call it: a path. */
  readonly name: string;
  /** Size in bytes when it was opened. */
  readonly size: number;
  /** Up to `length` bytes from `offset`; fewer only at the end. The receiver owns them, and must not write into them. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** Bytes in memory, for tests and small files. */
export function memorySource(bytes: Uint8Array, name = 'memory'): ByteSource {
  return {
    name,
    size: bytes.byteLength,
    read: async (offset, length) => bytes.subarray(offset, Math.min(bytes.byteLength, offset + length)),
  };
}

const defaultWindowBytes = 1024 * 1024;

/** The name that an unfinished segment gets when it is whole; any other name as it is. */
export function finalName(path: string): string {
  return path.replace(/\.mcap\.active$/, '.mcap');
}

/** Whether a name says that a recorder writes the file, or was stopped before it could end it. */
export function isUnfinished(path: string): boolean {
  return finalName(path) !== path;
}

/** What an unfinished file is, for people. */
export const unfinishedText = "still being written, or left by a power cut and repaired at the agent's next start";

async function openAsNamedNow(path: string): Promise<FileHandle> {
  // Without O_NONBLOCK, opening a pipe waits for somebody to write into it.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK;
  try {
    return await open(path, flags);
  } catch (error) {
    if (finalName(path) === path || systemCode(error) !== 'ENOENT') throw error;
    return open(finalName(path), flags);
  }
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'a folder';
  if (stats.isFIFO()) return 'a named pipe';
  if (stats.isSocket()) return 'a socket';
  return 'a device';
}

/** A file, read through one window of 1 MiB: near reads cost no system call. */
export class FileSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #handle: FileHandle;
  readonly #windowBytes: number;
  #window = new Uint8Array(0);
  #windowOffset = 0;

  private constructor(name: string, size: number, handle: FileHandle, windowBytes: number) {
    this.name = name;
    this.size = size;
    this.#handle = handle;
    this.#windowBytes = windowBytes;
  }

  /**
   * Opens a regular file; anything else could block for ever, or never end. A segment that got its final name since it was listed is
   * opened by that.
   * @param windowBytes how much is read at once: less when the reads are small and far apart.
   * @throws RecordingError `nothing-readable` when the file cannot be opened.
   */
  static async open(path: string, windowBytes = defaultWindowBytes): Promise<FileSource> {
    let handle: FileHandle | undefined;
    try {
      handle = await openAsNamedNow(path);
      const stats = await handle.stat();
      if (!stats.isFile()) {
        throw new RecordingError('nothing-readable', `${path}: expected a regular file, found ${kindOf(stats)}`);
      }
      return new FileSource(path, stats.size, handle, windowBytes);
    } catch (cause) {
      await handle?.close();
      if (cause instanceof RecordingError) throw cause;
      throw new RecordingError('nothing-readable', `${path}: expected a readable file, found ${systemCode(cause)}`, {
        cause,
      });
    }
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const end = Math.min(this.size, offset + length);
    if (end <= offset) return new Uint8Array(0);
    if (end - offset > this.#windowBytes) return this.#readFully(offset, end - offset);
    const inWindow = offset >= this.#windowOffset && end <= this.#windowOffset + this.#window.byteLength;
    if (!inWindow) {
      this.#window = await this.#readFully(offset, Math.min(this.#windowBytes, this.size - offset));
      this.#windowOffset = offset;
    }
    return this.#window.subarray(offset - this.#windowOffset, end - this.#windowOffset);
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async #readFully(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const { bytesRead } = await this.#handle.read(bytes, done, length - done, offset + done);
      if (bytesRead === 0) return bytes.subarray(0, done);
      done += bytesRead;
    }
    return bytes;
  }
}
