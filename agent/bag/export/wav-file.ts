/**
 * Owns writing 16-bit sound of any length into one WAVE file: RIFF while it is under 4 GiB, then RF64 (EBU Tech 3306), for whose
 * sizes room is kept in a JUNK chunk from the start.
 */

import { AppendFile } from './append-file.ts';

const formatExtensible = 0xfffe;
/** KSDATAFORMAT_SUBTYPE_PCM behind its first two bytes. */
const pcmGuidTail = Uint8Array.from([0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]);
const headerBytes = 12 + 8 + 28 + 8 + 40 + 8;
const silence = new Uint8Array(1024 * 1024);
const largestRiff = 0xffffffff;

/** The bytes before `dataBytes` bytes of samples: RIFF, or RF64 when that cannot tell the size. */
export function wavHeader(sampleRateHz: number, channels: number, dataBytes: number): Uint8Array {
  const bytes = new Uint8Array(headerBytes);
  const view = new DataView(bytes.buffer);
  const tag = (at: number, text: string): void => void new TextEncoder().encodeInto(text, bytes.subarray(at));
  const riffBytes = headerBytes - 8 + dataBytes + (dataBytes % 2);
  const isLarge = riffBytes > largestRiff;
  tag(0, isLarge ? 'RF64' : 'RIFF');
  view.setUint32(4, isLarge ? largestRiff : riffBytes, true);
  tag(8, 'WAVE');
  tag(12, isLarge ? 'ds64' : 'JUNK');
  view.setUint32(16, 28, true);
  if (isLarge) {
    view.setBigUint64(20, BigInt(riffBytes), true);
    view.setBigUint64(28, BigInt(dataBytes), true);
    view.setBigUint64(36, BigInt(dataBytes / (2 * channels)), true);
  }
  tag(48, 'fmt ');
  view.setUint32(52, 40, true);
  view.setUint16(56, formatExtensible, true);
  view.setUint16(58, channels, true);
  view.setUint32(60, sampleRateHz, true);
  view.setUint32(64, sampleRateHz * channels * 2, true);
  view.setUint16(68, channels * 2, true);
  view.setUint16(70, 16, true);
  view.setUint16(72, 22, true);
  view.setUint16(74, 16, true);
  view.setUint16(80, 1, true);
  bytes.set(pcmGuidTail, 82);
  tag(96, 'data');
  view.setUint32(100, isLarge ? largestRiff : dataBytes, true);
  return bytes;
}

/** One new WAVE file. Methods must not overlap. */
export class WavFile {
  readonly sampleRateHz: number;
  readonly channels: number;
  /** Frames written. */
  frames = 0;
  readonly #file: AppendFile;

  private constructor(file: AppendFile, sampleRateHz: number, channels: number) {
    this.#file = file;
    this.sampleRateHz = sampleRateHz;
    this.channels = channels;
  }

  static async create(path: string, sampleRateHz: number, channels: number): Promise<WavFile> {
    const file = await AppendFile.create(path);
    try {
      await file.append(wavHeader(sampleRateHz, channels, 0));
      return new WavFile(file, sampleRateHz, channels);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Adds whole frames, interleaved. */
  async append(pcm: Int16Array): Promise<void> {
    await this.#file.append(new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength));
    this.frames += pcm.length / this.channels;
  }

  async appendSilence(frames: number): Promise<void> {
    let left = frames * this.channels * 2;
    while (left > 0) {
      const piece = silence.subarray(0, Math.min(left, silence.byteLength));
      await this.#file.append(piece);
      left -= piece.byteLength;
    }
    this.frames += frames;
  }

  /** Writes the sizes into the header, and everything to the disk. */
  async finish(): Promise<void> {
    await this.#file.replace(wavHeader(this.sampleRateHz, this.channels, this.#file.bytes - headerBytes), 0);
    await this.#file.finish();
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
