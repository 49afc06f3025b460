/**
 * Owns the way to the bytes of one file: HTTP range requests, or slices of a file that the viewer's user has chosen. Both count
 * what they read, and refuse what nothing here needs at once, so that damaged lengths cannot fill the memory.
 */
import { BagError } from './bag-error.ts';

/** Random access to one file. */
export interface ByteSource {
  readonly name: string;
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset`.
   * @throws BagError outside the file, above `maxReadBytes`, or when they cannot be had.
   */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** Where a file is; `bytes` is its size, where whoever lists the files knows it. */
export type BagFile =
  | { readonly name: string; readonly url: string; readonly bytes?: number }
  | { readonly name: string; readonly blob: Blob };

/** The most that is read at once: no chunk and no summary of a sane recording is larger. */
const maxReadBytes = 128 * 1024 * 1024;

const headBytes = 4096;

/** What was read since the start, for the page to show. */
export const reading = { bytes: 0, requests: 0 };

// Taken at once: the FLAC library wraps the global one.
const fetchBytes = globalThis.fetch.bind(globalThis);

/** @throws BagError when the file is not there. */
export function openSource(file: BagFile): Promise<ByteSource> {
  if ('blob' in file) return Promise.resolve(new BlobSource(file.name, file.blob));
  const { name, url, bytes } = file;
  return bytes === undefined ? HttpSource.open(name, url) : Promise.resolve(new HttpSource(name, url, bytes));
}

function checkRange(source: ByteSource, offset: number, length: number): void {
  if (length > maxReadBytes) {
    throw new BagError(
      source.name,
      offset,
      `expected a record of at most ${maxReadBytes} bytes, found one of ${length}`,
    );
  }
  if (offset < 0 || length < 0 || offset + length > source.size) {
    throw new BagError(
      source.name,
      offset,
      `expected ${length} bytes, found the end of the file after ${Math.max(0, source.size - offset)}`,
    );
  }
}

class BlobSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #blob: Blob;

  constructor(name: string, blob: Blob) {
    this.name = name;
    this.size = blob.size;
    this.#blob = blob;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    checkRange(this, offset, length);
    let buffer: ArrayBuffer;
    try {
      buffer = await this.#blob.slice(offset, offset + length).arrayBuffer();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new BagError(this.name, offset, `the file can no longer be read: ${why}`, 'Open the file again.');
    }
    reading.bytes += length;
    reading.requests += 1;
    return new Uint8Array(buffer);
  }
}

class HttpSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #url: string;
  /** Its first bytes, which are looked at several times. */
  #head: Promise<Uint8Array> | null;

  constructor(name: string, url: string, size: number, head: Uint8Array | null = null) {
    this.name = name;
    this.#url = url;
    this.size = size;
    this.#head = head && Promise.resolve(head);
  }

  /** Learns the size with the first bytes. */
  static async open(name: string, url: string): Promise<HttpSource> {
    const response = await ask(name, url, 0, headBytes - 1);
    const head = response.status === 206 ? new Uint8Array(await response.arrayBuffer()) : new Uint8Array();
    if (response.status !== 206) await response.body?.cancel();
    const total = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1];
    if (response.status === 416 || (response.status === 200 && response.headers.get('content-length') === '0')) {
      return new HttpSource(name, url, Number(total ?? 0), head);
    }
    if (response.status !== 206 || total === undefined) {
      throw new BagError(name, null, `expected a server that sends parts of files, found status ${response.status}`);
    }
    reading.bytes += head.byteLength;
    reading.requests += 1;
    return new HttpSource(name, url, Number(total), head);
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    checkRange(this, offset, length);
    const headLength = Math.min(headBytes, this.size);
    if (offset + length > headLength) return this.#ask(offset, length);
    this.#head ??= this.#ask(0, headLength);
    return (await this.#head).slice(offset, offset + length);
  }

  async #ask(offset: number, length: number): Promise<Uint8Array> {
    if (length === 0) return new Uint8Array();
    const response = await ask(this.name, this.#url, offset, offset + length - 1);
    const bytes = response.status === 206 ? new Uint8Array(await response.arrayBuffer()) : new Uint8Array();
    if (bytes.byteLength !== length) {
      const found = `status ${response.status} with ${bytes.byteLength} bytes`;
      throw new BagError(this.name, offset, `expected ${length} bytes, found ${found}`, 'Load the page again.');
    }
    reading.bytes += length;
    reading.requests += 1;
    return bytes;
  }
}

async function ask(name: string, url: string, first: number, last: number): Promise<Response> {
  let response: Response;
  try {
    response = await fetchBytes(url, { headers: { range: `bytes=${first}-${last}` } });
  } catch {
    throw new BagError(name, first, 'the server does not answer', 'Is it still running? Load the page again.');
  }
  if (response.ok || response.status === 416) return response;
  const body = (await response.json().catch(() => null)) as { error?: { message?: string } } | null;
  throw new BagError(name, null, body?.error?.message ?? `the server answers with status ${response.status}`);
}
