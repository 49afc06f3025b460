/** Loads libFLAC (libflacjs, WebAssembly), and says what of it is used. */

import { createRequire } from 'node:module';

/** What is used of libflacjs; its own types describe more. Numbers of coders are addresses, 0 where there is no memory. */
export interface LibFlac {
  isReady(): boolean;
  on(event: 'ready', listener: () => void): void;
  create_libflac_encoder(
    sampleRateHz: number,
    channels: number,
    bits: number,
    level: number,
    frames: number,
    verify: boolean,
    blockFrames: number,
  ): number;
  init_encoder_stream(
    encoder: number,
    write: (bytes: Uint8Array) => void,
    metadata: (info?: { readonly md5sum: string }) => void,
  ): number;
  FLAC__stream_encoder_process_interleaved(encoder: number, samples: Int32Array, frames: number): boolean | number;
  FLAC__stream_encoder_finish(encoder: number): boolean | number;
  FLAC__stream_encoder_delete(encoder: number): void;
  create_libflac_decoder(checkMd5: boolean): number;
  /** None of the listeners may throw: nothing of the library would be tidied up. */
  init_decoder_stream(
    decoder: number,
    read: (maxBytes: number) => { buffer: Uint8Array; readDataLength: number; error: boolean },
    write: (channels: readonly Uint8Array[], head: FrameHead) => boolean,
    error: (code: number, message: string) => void,
    metadata: (info?: StreamInfo) => void,
  ): number;
  FLAC__stream_decoder_process_until_end_of_stream(decoder: number): boolean | number;
  /** Frees everything of it, also after an error. */
  FLAC__stream_decoder_delete(decoder: number): void;
}

/** What a frame says of its sound. */
export interface FrameHead {
  readonly bitsPerSample: number;
  readonly sampleRate: number;
  readonly channels: number;
}

/**
 * What a stream says of its sound; `total_samples` are frames, 0 where it does not say, and of 36 bits the last 32, with a sign; `md5sum`
 * is in hexadecimal.
 */
export interface StreamInfo extends FrameHead {
  readonly total_samples: number;
  readonly md5sum: string;
}

/**
 * The library, ready; its heap has 16 MiB, of which little is used. It looks for `fetch` to load its code, and fails with Node's, which
 * knows no files: so it finds none, in the one turn in which it looks. @throws what hinders it from loading.
 */
export async function loadLibFlac(): Promise<LibFlac> {
  const kept = globalThis.fetch;
  let library: LibFlac;
  try {
    (globalThis as { fetch?: unknown }).fetch = undefined;
    const require = createRequire(import.meta.url);
    library = require('libflacjs')('min.wasm') as LibFlac;
  } finally {
    globalThis.fetch = kept;
  }
  if (!library.isReady()) await new Promise<void>((resolve) => library.on('ready', resolve));
  return library;
}
