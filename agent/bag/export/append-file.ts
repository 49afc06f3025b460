/** Owns a new file that grows at its end, with bytes at its start that may be written again. */

import { createDurable, type DurableHandle, writeFully } from '../durable-file.ts';

/** One new file. Methods must not overlap. */
export class AppendFile {
  /** Bytes in it. */
  bytes = 0;
  readonly #handle: DurableHandle;

  private constructor(handle: DurableHandle) {
    this.#handle = handle;
  }

  /** @throws the system's error. */
  static async create(path: string): Promise<AppendFile> {
    return new AppendFile(await createDurable(path));
  }

  async append(bytes: Uint8Array): Promise<void> {
    this.bytes += await writeFully(this.#handle, [bytes], this.bytes);
  }

  /** Writes over bytes that are there already. */
  async replace(bytes: Uint8Array, position: number): Promise<void> {
    await writeFully(this.#handle, [bytes], position);
  }

  /** Brings everything to the disk. */
  async finish(): Promise<void> {
    await this.#handle.datasync();
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}
