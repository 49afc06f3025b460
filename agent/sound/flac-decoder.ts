/** Decodes FLAC streams of 16-bit sound, whole ones in memory, with libFLAC (libflacjs, WebAssembly). */

import { createHash } from 'node:crypto';
import { AgentError } from '../error.ts';
import { type FrameHead, type LibFlac, loadLibFlac, type StreamInfo } from './flac-library.ts';

/** 16-bit sound of one stream. */
export interface FlacSound {
  /** [frames × channels], interleaved. */
  readonly pcm: Int16Array<ArrayBuffer>;
  readonly channels: number;
  readonly sampleRateHz: number;
}

/**
 * Decodes a whole FLAC stream of 16-bit sound and at most 2²⁵ samples.
 * @throws AgentError `sound-file` with the offset that was reached, when it is anything else, cut off or damaged. What shows that are
 * the checksums of its frames, and the number of samples and their MD5 in its STREAMINFO; a stream without these may end too soon.
 */
export type DecodeFlac = (bytes: Uint8Array) => FlacSound;

const sampleBits = 16;
/** The MD5 of a stream that was not known when its STREAMINFO was written (RFC 9639, 8.2). */
const unknownMd5 = '0'.repeat(32);
/** 64 MiB of samples: 87 s of eight channels. A few hostile bytes could otherwise ask for any amount. */
const maxSamples = 2 ** 25;

/** The decoder, ready. @throws what hinders libFLAC from loading. */
export async function openFlacDecoder(): Promise<DecodeFlac> {
  const library = await loadLibFlac();
  return (bytes) => decode(library, bytes);
}

/** One stream on its way through libFLAC; what is wrong first is kept. */
class Decoding {
  problem = '';
  info: StreamInfo | null = null;
  /** Samples by block and channel, as bytes. */
  readonly blocks: (readonly Uint8Array[])[] = [];
  frames = 0;
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  refuse(expected: string, found: string): void {
    this.problem ||= `FLAC: expected ${expected} before byte ${this.#offset}, found ${found}`;
  }

  read(maxBytes: number): { buffer: Uint8Array; readDataLength: number; error: boolean } {
    const buffer = this.#bytes.subarray(this.#offset, this.#offset + maxBytes);
    this.#offset += buffer.byteLength;
    return { buffer, readDataLength: buffer.byteLength, error: this.problem !== '' };
  }

  begin(info: StreamInfo): void {
    this.info ??= info;
    const { bitsPerSample, channels, total_samples } = this.info;
    if (bitsPerSample !== sampleBits) this.refuse(`${sampleBits} bits a sample`, `${bitsPerSample}`);
    const samples = (total_samples >>> 0) * channels;
    if (samples > maxSamples) this.refuse(`at most ${maxSamples} samples`, `${samples}`);
  }

  /** @returns false when nothing more is wanted. */
  add(block: readonly Uint8Array[], { bitsPerSample, channels, sampleRate }: FrameHead): boolean {
    const { info } = this;
    const found = `${channels} channels of ${bitsPerSample} bits at ${sampleRate} Hz`;
    if (info === null) {
      this.refuse('the STREAMINFO', `a frame of ${found}`);
    } else if (bitsPerSample !== sampleBits || channels !== info.channels || sampleRate !== info.sampleRate) {
      this.refuse(`${info.channels} channels of ${sampleBits} bits at ${info.sampleRate} Hz`, found);
    }
    this.frames += (block[0]?.byteLength ?? 0) / 2;
    if (this.frames * channels > maxSamples) this.refuse(`at most ${maxSamples} samples`, 'more');
    if (this.problem !== '') return false;
    this.blocks.push(block);
    return true;
  }

  /** The sound, when all of it went well. */
  sound(): FlacSound {
    const { info, frames } = this;
    if (info === null) {
      this.refuse('a FLAC stream with its STREAMINFO', `${this.#bytes.byteLength} other bytes`);
      throw this.#error();
    }
    const { channels, sampleRate, total_samples, md5sum } = info;
    if (total_samples !== 0 && total_samples !== frames) this.refuse(`${total_samples} frames of sound`, `${frames}`);
    if (this.problem !== '') throw this.#error();
    const pcm = interleaved(this.blocks, frames, channels);
    // Not left to libFLAC: this also proves the way out of it.
    const md5 = createHash('md5').update(new Uint8Array(pcm.buffer)).digest('hex');
    if (md5sum !== unknownMd5 && md5sum !== md5) {
      this.refuse(`samples with the MD5 ${md5sum}`, md5);
      throw this.#error();
    }
    return { pcm, channels, sampleRateHz: sampleRate };
  }

  #error(): AgentError {
    return new AgentError('sound-file', this.problem);
  }
}

function decode(library: LibFlac, bytes: Uint8Array): FlacSound {
  const decoding = new Decoding(bytes);
  const decoder = library.create_libflac_decoder(false);
  if (decoder === 0) throw new AgentError('sound-file', 'FLAC: expected room for a decoder, found none');
  try {
    const status = library.init_decoder_stream(
      decoder,
      (maxBytes) => decoding.read(maxBytes),
      (block, head) => decoding.add(block, head),
      (_code, message) => decoding.refuse('a whole stream', message),
      (info) => info && decoding.begin(info),
    );
    if (status === 0) library.FLAC__stream_decoder_process_until_end_of_stream(decoder);
    else decoding.refuse('a decoder', `status ${status}`);
  } finally {
    library.FLAC__stream_decoder_delete(decoder);
  }
  return decoding.sound();
}

/** [frames × channels] of samples by block and channel. */
function interleaved(
  blocks: readonly (readonly Uint8Array[])[],
  frames: number,
  channels: number,
): Int16Array<ArrayBuffer> {
  const pcm = new Int16Array(frames * channels);
  let start = 0;
  for (const block of blocks) {
    for (const [channel, { buffer, byteOffset, byteLength }] of block.entries()) {
      const samples = new Int16Array(buffer, byteOffset, byteLength / 2);
      for (let index = 0, at = start + channel; index < samples.length; index += 1, at += channels) {
        pcm[at] = samples[index] as number;
      }
    }
    start += ((block[0] as Uint8Array).byteLength / 2) * channels;
  }
  return pcm;
}
