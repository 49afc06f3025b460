/** Reads sound messages: foxglove's RawAudio as plain 16-bit samples, and Fender's CompressedAudio, each message a FLAC stream. */
import { expectPlainCdr } from './cdr-head.ts';
import { flacDecoder } from './flac.ts';

/** Interleaved samples of one message. */
export interface SoundBlock {
  readonly samples: Int16Array;
  readonly channels: number;
  readonly rateHz: number;
  /** When its first frame was heard, by the message itself: nanoseconds. */
  readonly stampNs: bigint;
}

/** What stands before and behind the samples. */
interface SoundFields {
  readonly bytes: Uint8Array;
  readonly format: string;
  readonly rateHz: number;
  readonly channels: number;
  readonly stampNs: bigint;
}

const soundTypes: ReadonlySet<string> = new Set(['foxglove_msgs/msg/RawAudio', 'fender_msgs/msg/CompressedAudio']);

export function isSound(type: string): boolean {
  return soundTypes.has(type);
}

/**
 * Decodes a message of `type`, CDR 1 of either byte order. Loads what it needs first.
 * @throws Error for messages that are damaged or of another format.
 */
export async function soundReader(type: string): Promise<(data: Uint8Array) => SoundBlock> {
  if (type === 'foxglove_msgs/msg/RawAudio') return readRawAudio;
  const decodeFlac = await flacDecoder();
  return (data) => {
    const { bytes, format, rateHz, channels, stampNs } = readFields(data);
    if (format !== 'flac') throw new Error(`expected sound in flac, found '${format}'`);
    const decoded = decodeFlac(bytes);
    if (decoded.channels !== channels) throw new Error(`expected ${channels} channels, found ${decoded.channels}`);
    return { samples: decoded.samples, channels, rateHz, stampNs };
  };
}

function readRawAudio(data: Uint8Array): SoundBlock {
  const { bytes, format, rateHz, channels, stampNs } = readFields(data);
  if (format !== 'pcm-s16') throw new Error(`expected sound in pcm-s16, found '${format}'`);
  const frames = Math.floor(bytes.byteLength / 2 / channels);
  // Copied, so that it lies on an even address and the chunk around it can go.
  const samples = new Int16Array(frames * channels);
  new Uint8Array(samples.buffer).set(bytes.subarray(0, samples.byteLength));
  return { samples, channels, rateHz, stampNs };
}

/** Both types begin alike: time, bytes, format, rate, channels; alignment counts from behind the 4-byte head. */
function readFields(data: Uint8Array): SoundFields {
  expectPlainCdr(data);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const need = (end: number) => {
    if (end > data.byteLength) throw new Error(`expected sound of ${end} bytes, found ${data.byteLength}`);
  };
  const align = (at: number) => (at + 3) & ~3;
  need(16);
  const little = (view.getUint8(1) & 1) === 1;
  const length = view.getUint32(12, little);
  const formatAt = align(16 + length);
  need(formatAt + 4);
  const formatBytes = view.getUint32(formatAt, little);
  const rateAt = align(formatAt + 4 + formatBytes);
  need(rateAt + 8);
  const [rateHz, channels] = [view.getUint32(rateAt, little), view.getUint32(rateAt + 4, little)];
  if (rateHz < 1_000 || rateHz > 1_000_000) throw new Error(`expected a sample rate in Hz, found ${rateHz}`);
  if (channels < 1 || channels > 64) throw new Error(`expected 1 to 64 channels, found ${channels}`);
  const format = new TextDecoder().decode(data.subarray(formatAt + 4, formatAt + 4 + Math.max(0, formatBytes - 1)));
  const stampNs = BigInt(view.getInt32(4, little)) * 1_000_000_000n + BigInt(view.getUint32(8, little));
  return { bytes: data.subarray(16, 16 + length), format, rateHz, channels, stampNs };
}
