/** Owns reading a file from front to back while what was read is worked on: the next window is on its way before it is asked for. */

import type { ByteSource } from './byte-source.ts';

/** Two of these are in memory. Larger ones cost memory that has to be cleared, smaller ones round trips. */
const defaultWindowBytes = 2 * 1024 * 1024;

/** A window of the source that was read, or is being read. */
interface Window {
  readonly offset: number;
  readonly end: number;
  readonly bytes: Promise<Uint8Array>;
}

/** A source for reads that go forward, however large they are; reads elsewhere are right, and slower. */
export class ReadAhead implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #source: ByteSource;
  readonly #windowBytes: number;
  #bytes = new Uint8Array(0);
  #offset = 0;
  #next: Window | null = null;

  /** The source must outlive this one, whose last read ahead may end after the last read: see `settled`. */
  constructor(source: ByteSource, windowBytes = defaultWindowBytes) {
    this.name = source.name;
    this.size = source.size;
    this.#source = source;
    this.#windowBytes = windowBytes;
  }

  /** Resolves when nothing is being read any more, so that the source may be closed. */
  async settled(): Promise<void> {
    await this.#next?.bytes.catch(() => {});
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const end = Math.min(this.size, offset + length);
    if (end <= offset) return new Uint8Array(0);
    if (end - offset > this.#windowBytes) return this.#source.read(offset, end - offset);
    const held = this.#offset + this.#bytes.byteLength;
    if (offset >= this.#offset && end <= held) return this.#bytes.subarray(offset - this.#offset, end - this.#offset);
    const next = this.#next;
    if (next === null || offset < this.#offset || offset >= next.end || next.offset !== held) {
      await this.#start(offset);
      return this.#bytes.subarray(0, end - offset);
    }
    const bytes = await next.bytes;
    const before = offset < next.offset ? this.#bytes.subarray(offset - this.#offset) : new Uint8Array(0);
    this.#take(next, bytes);
    if (before.byteLength === 0) return this.read(offset, length);
    return Buffer.concat([before, bytes.subarray(0, end - next.offset)]);
  }

  /** Reads a window at an offset that was not expected. */
  async #start(offset: number): Promise<void> {
    await this.settled();
    const window = this.#fetch(offset);
    this.#take(window, await window.bytes);
  }

  #take(window: Window, bytes: Uint8Array): void {
    this.#bytes = bytes as Uint8Array<ArrayBuffer>;
    this.#offset = window.offset;
    this.#next = window.end < this.size ? this.#fetch(window.end) : null;
  }

  #fetch(offset: number): Window {
    const end = Math.min(this.size, offset + this.#windowBytes);
    const bytes = this.#source.read(offset, end - offset);
    // Nobody may ever ask for it.
    bytes.catch(() => {});
    return { offset, end, bytes };
  }
}
