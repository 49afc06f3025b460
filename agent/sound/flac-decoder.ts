/**
 * Decodes FLAC streams of 16-bit sound (RFC 9639), whole ones in memory, with every checksum of them checked. It shares no code
 * with the encoder, so that each proves the other.
 */

import { AgentError } from '../error.ts';
import { BitReader } from './bit-reader.ts';

/** 16-bit sound of one stream. */
export interface FlacSound {
  /** [frames × channels], interleaved. */
  readonly pcm: Int16Array<ArrayBuffer>;
  readonly channels: number;
  readonly sampleRateHz: number;
}

const marker = 0x664c6143;
const streamInfoBytes = 34;
const sampleBits = 16;
/** 64 MiB of samples: 87 s of eight channels. A few hostile bytes could otherwise ask for any amount. */
const maxSamples = 2 ** 25;

const wrong = (expected: string, found: string, offset: number): AgentError =>
  new AgentError('sound-file', `FLAC: expected ${expected} at byte ${offset}, found ${found}`);

/** CRC of `width` bits with the generator `polynomial`, for each byte value. */
function crcTable(width: 8 | 16, polynomial: number): Uint16Array {
  const top = 1 << (width - 1);
  const mask = 2 ** width - 1;
  return Uint16Array.from({ length: 256 }, (_, byte) => {
    let crc = byte << (width - 8);
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & top) === 0 ? crc << 1 : (crc << 1) ^ polynomial;
    return crc & mask;
  });
}

/** x⁸ + x² + x + 1 and x¹⁶ + x¹⁵ + x² + 1 (RFC 9639, 9.1.8 and 9.3). */
const crc8Table = crcTable(8, 0x07);
const crc16Table = crcTable(16, 0x8005);

function crc8(bytes: Uint8Array, from: number, to: number): number {
  let crc = 0;
  for (let index = from; index < to; index += 1) crc = crc8Table[crc ^ (bytes[index] as number)] as number;
  return crc;
}

function crc16(bytes: Uint8Array, from: number, to: number): number {
  let crc = 0;
  for (let index = from; index < to; index += 1) {
    crc = ((crc << 8) & 0xffff) ^ (crc16Table[(crc >> 8) ^ (bytes[index] as number)] as number);
  }
  return crc;
}

interface StreamInfo {
  readonly sampleRateHz: number;
  readonly channels: number;
  /** Samples of each channel; 0 when the stream does not say. */
  readonly frames: number;
  readonly firstFrameOffset: number;
}

/** The stream's marker and metadata blocks (RFC 9639, 8). */
function readStreamInfo(bytes: Uint8Array): StreamInfo {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength < 8 + streamInfoBytes || view.getUint32(0) !== marker || (view.getUint8(4) & 0x7f) !== 0) {
    throw wrong('a FLAC stream with its STREAMINFO', `${bytes.byteLength} other bytes`, 0);
  }
  const packed = view.getUint32(18);
  const channels = ((packed >>> 9) & 7) + 1;
  const bits = ((packed >>> 4) & 31) + 1;
  if (bits !== sampleBits) throw wrong(`${sampleBits} bits a sample`, `${bits}`, 20);
  const frames = (packed & 15) * 2 ** 32 + view.getUint32(22);
  let offset = 4;
  for (let last = false; !last; ) {
    if (offset + 4 > bytes.byteLength) throw wrong('a metadata block', 'the end', offset);
    last = view.getUint8(offset) >= 0x80;
    offset += 4 + (view.getUint32(offset) & 0xffffff);
  }
  return { sampleRateHz: packed >>> 12, channels, frames, firstFrameOffset: offset };
}

interface FrameHead {
  readonly blockFrames: number;
  readonly channels: number;
  /** Which of two channels is the side channel: 8 left and side, 9 side and right, 10 mid and side; below 8 none. */
  readonly assignment: number;
}

/** A frame's header with its CRC-8 (RFC 9639, 9.1). */
function readFrameHead(bits: BitReader, bytes: Uint8Array, offset: number): FrameHead {
  const sync = bits.unsigned(15);
  if (sync !== 0x7ffc) throw wrong('a frame', `0x${sync.toString(16)}`, offset);
  bits.unsigned(1);
  const sizeCode = bits.unsigned(4);
  const rateCode = bits.unsigned(4);
  const assignment = bits.unsigned(4);
  const depthCode = bits.unsigned(3);
  if (bits.unsigned(1) !== 0 || sizeCode === 0 || rateCode === 15 || assignment > 10) {
    throw wrong('a frame header', 'a reserved value', offset);
  }
  if (depthCode !== 0 && depthCode !== 4) throw wrong(`${sampleBits} bits a sample`, `depth ${depthCode}`, offset);
  const ones = Math.clz32(~(bits.unsigned(8) << 24));
  if (ones === 1 || ones > 7) throw wrong('a coded number', `${ones} leading ones`, offset);
  for (let more = 1; more < ones; more += 1) bits.unsigned(8);
  let blockFrames = 256 * 2 ** (sizeCode - 8);
  if (sizeCode === 1) blockFrames = 192;
  else if (sizeCode < 6) blockFrames = 144 * 2 ** sizeCode;
  else if (sizeCode < 8) blockFrames = bits.unsigned(8 * (sizeCode - 5)) + 1;
  if (rateCode >= 12) bits.unsigned(rateCode === 12 ? 8 : 16);
  const end = bits.byteOffset;
  const crc = crc8(bytes, offset, end);
  const found = bits.unsigned(8);
  if (found !== crc) throw wrong(`the header's CRC ${crc}`, `${found}`, end);
  return { blockFrames, channels: assignment < 8 ? assignment + 1 : 2, assignment };
}

/** Residuals of a subframe, behind its `order` first samples (RFC 9639, 9.2.7). */
function readResiduals(bits: BitReader, samples: Int32Array, frames: number, order: number): void {
  const method = bits.unsigned(2);
  if (method > 1) throw wrong('a coding of residuals', `${method}`, bits.byteOffset);
  const parameterBits = method === 0 ? 4 : 5;
  const partitions = 2 ** bits.unsigned(4);
  const partitionFrames = frames / partitions;
  if (!Number.isInteger(partitionFrames) || partitionFrames < order) {
    throw wrong('partitions that fill the block', `${partitions} of ${frames} frames`, bits.byteOffset);
  }
  for (let partition = 0; partition < partitions; partition += 1) {
    const from = partition === 0 ? order : partition * partitionFrames;
    const to = (partition + 1) * partitionFrames;
    const parameter = bits.unsigned(parameterBits);
    if (parameter < 2 ** parameterBits - 1) {
      bits.rice(samples, from, to, parameter);
    } else {
      const width = bits.unsigned(5);
      for (let index = from; index < to; index += 1) samples[index] = bits.signed(width);
    }
  }
}

/** Coefficients of the fixed predictors by their order (RFC 9639, 9.2.5). */
const fixedCoefficients = [[], [1], [2, -1], [3, -3, 1], [4, -6, 4, -1]] as const;

/** Adds what is predicted of each sample, from `coefficients.length` on, to its residual. Sums stay below 2⁵³: exact as doubles. */
function addPrediction(samples: Int32Array, frames: number, coefficients: readonly number[], shift: number): void {
  const order = coefficients.length;
  const scale = 2 ** -shift;
  for (let index = order; index < frames; index += 1) {
    let sum = 0;
    for (let lag = 0; lag < order; lag += 1) {
      sum += (coefficients[lag] as number) * (samples[index - 1 - lag] as number);
    }
    samples[index] = (samples[index] as number) + Math.floor(sum * scale);
  }
}

/** One channel of one frame (RFC 9639, 9.2): `frames` samples of `width` bits. */
function readSubframe(bits: BitReader, samples: Int32Array, frames: number, width: number): void {
  const header = bits.unsigned(8);
  const wasted = (header & 1) === 0 ? 0 : bits.unary() + 1;
  const type = header >> 1;
  const depth = width - wasted;
  if (header >= 0x80 || depth < 1) throw wrong('a subframe', `0x${header.toString(16)}`, bits.byteOffset);
  if (type === 0) {
    samples.fill(bits.signed(depth), 0, frames);
  } else if (type === 1) {
    for (let index = 0; index < frames; index += 1) samples[index] = bits.signed(depth);
  } else if (type >= 8 && type <= 12) {
    const order = type - 8;
    for (let index = 0; index < order; index += 1) samples[index] = bits.signed(depth);
    readResiduals(bits, samples, frames, order);
    addPrediction(samples, frames, fixedCoefficients[order] ?? [], 0);
  } else if (type >= 32) {
    const order = type - 31;
    for (let index = 0; index < order; index += 1) samples[index] = bits.signed(depth);
    const precision = bits.unsigned(4) + 1;
    const shift = bits.signed(5);
    if (precision === 16 || shift < 0) throw wrong('a linear predictor', 'a reserved value', bits.byteOffset);
    const coefficients = Array.from({ length: order }, () => bits.signed(precision));
    readResiduals(bits, samples, frames, order);
    addPrediction(samples, frames, coefficients, shift);
  } else {
    throw wrong('a subframe', `type ${type}`, bits.byteOffset);
  }
  if (wasted > 0) for (let index = 0; index < frames; index += 1) samples[index] = (samples[index] as number) << wasted;
}

/** Makes left and right of what two channels carry (RFC 9639, 4.2). */
function joinStereo(assignment: number, frames: number, first: Int32Array, second: Int32Array): void {
  for (let index = 0; index < frames; index += 1) {
    const a = first[index] as number;
    const b = second[index] as number;
    if (assignment === 8) {
      second[index] = a - b;
    } else if (assignment === 9) {
      first[index] = a + b;
    } else {
      const mid = 2 * a + (b & 1);
      first[index] = (mid + b) >> 1;
      second[index] = (mid - b) >> 1;
    }
  }
}

/** Blocks of one frame, [channel][frame]; kept between frames, so that only the first one makes them. */
class Frames {
  readonly blocks: Int32Array[];
  readonly #bytes: Uint8Array;
  readonly #channels: number;

  constructor(bytes: Uint8Array, channels: number) {
    this.#bytes = bytes;
    this.#channels = channels;
    this.blocks = Array.from({ length: channels }, () => new Int32Array(4608));
  }

  /** Reads the frame at an offset into the blocks; says how many samples of each channel, and where it ends. */
  read(offset: number): { readonly frames: number; readonly end: number } {
    const bytes = this.#bytes;
    const bits = new BitReader(bytes, offset);
    const { blockFrames, channels, assignment } = readFrameHead(bits, bytes, offset);
    if (channels !== this.#channels) throw wrong(`${this.#channels} channels`, `${channels}`, offset);
    for (let channel = 0; channel < channels; channel += 1) {
      if ((this.blocks[channel] as Int32Array).length < blockFrames) this.blocks[channel] = new Int32Array(blockFrames);
      const side = (channel === 1 && (assignment === 8 || assignment === 10)) || (channel === 0 && assignment === 9);
      readSubframe(bits, this.blocks[channel] as Int32Array, blockFrames, side ? sampleBits + 1 : sampleBits);
    }
    bits.align();
    const end = bits.byteOffset;
    const crc = crc16(bytes, offset, end);
    const found = bits.unsigned(16);
    if (found !== crc) throw wrong(`the frame's CRC ${crc}`, `${found}`, end);
    if (assignment >= 8) {
      joinStereo(assignment, blockFrames, this.blocks[0] as Int32Array, this.blocks[1] as Int32Array);
    }
    return { frames: blockFrames, end: end + 2 };
  }
}

/**
 * Decodes a whole FLAC stream of 16-bit sound and at most 2²⁵ samples.
 * @throws AgentError `sound-file` with the offset, when it is anything else, cut off or damaged.
 */
export function decodeFlac(bytes: Uint8Array): FlacSound {
  const { sampleRateHz, channels, frames: told, firstFrameOffset } = readStreamInfo(bytes);
  if (told * channels > maxSamples) throw wrong(`at most ${maxSamples} samples`, `${told * channels}`, 18);
  const source = new Frames(bytes, channels);
  let pcm = new Int16Array(told * channels);
  let done = 0;
  for (let offset = firstFrameOffset; offset < bytes.byteLength; ) {
    const { frames, end } = source.read(offset);
    const samples = (done + frames) * channels;
    if (samples > maxSamples) throw wrong(`at most ${maxSamples} samples`, 'more', offset);
    if (samples > pcm.length) {
      const larger = new Int16Array(told > 0 ? samples : samples * 2);
      larger.set(pcm.subarray(0, done * channels));
      pcm = larger;
    }
    for (let channel = 0; channel < channels; channel += 1) {
      const block = source.blocks[channel] as Int32Array;
      for (let index = 0, at = done * channels + channel; index < frames; index += 1, at += channels) {
        pcm[at] = block[index] as number;
      }
    }
    done += frames;
    offset = end;
  }
  if (told > 0 && told !== done) throw wrong(`${told} frames of sound`, `${done}`, bytes.byteLength);
  return { pcm: done * channels === pcm.length ? pcm : pcm.slice(0, done * channels), channels, sampleRateHz };
}
