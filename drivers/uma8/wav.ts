/**
 * Owns the RIFF WAVE header: writing one for 16-bit PCM, and finding format and samples in a file's first bytes. Follows the
 * Multimedia Programming Interface and Data Specifications 1.0 and WAVE_FORMAT_EXTENSIBLE.
 */

const FORMAT_PCM = 1;
const FORMAT_EXTENSIBLE = 0xfffe;

/** The 44 bytes before `dataBytes` bytes of interleaved 16-bit samples. Sizes saturate at 4 GiB, as streamed files' do. */
export function wavHeader(sampleRateHz: number, channels: number, dataBytes: number): Uint8Array {
  const header = new DataView(new ArrayBuffer(44));
  const text = (at: number, value: string) => {
    for (let i = 0; i < value.length; i++) header.setUint8(at + i, value.charCodeAt(i));
  };
  text(0, 'RIFF');
  header.setUint32(4, Math.min(0xffffffff, dataBytes + 36), true);
  text(8, 'WAVEfmt ');
  header.setUint32(16, 16, true);
  header.setUint16(20, FORMAT_PCM, true);
  header.setUint16(22, channels, true);
  header.setUint32(24, sampleRateHz, true);
  header.setUint32(28, sampleRateHz * channels * 2, true);
  header.setUint16(32, channels * 2, true);
  header.setUint16(34, 16, true);
  text(36, 'data');
  header.setUint32(40, Math.min(0xffffffff, dataBytes), true);
  return new Uint8Array(header.buffer);
}

/** Where the samples of a WAVE file are and what they are. */
export interface WavFormat {
  readonly sampleRateHz: number;
  readonly channels: number;
  readonly bitsPerSample: number;
  /** Whether samples are integers (PCM); false for floats and compressed formats. */
  readonly pcm: boolean;
  readonly dataOffset: number;
  /** As the header says, not beyond `fileBytes`. */
  readonly dataBytes: number;
}

/** Reads the header in `bytes` (a file's beginning, 64 KiB is plenty) of a file of `fileBytes`; null when it is not a WAVE file. */
export function readWavFormat(bytes: Uint8Array, fileBytes: number): WavFormat | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tag = (at: number) => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (bytes.length < 12 || tag(0) !== 'RIFF' || tag(8) !== 'WAVE') return null;
  let format: Omit<WavFormat, 'dataOffset' | 'dataBytes'> | null = null;
  let at = 12;
  while (at + 8 <= bytes.length) {
    const size = view.getUint32(at + 4, true);
    if (tag(at) === 'fmt ' && size >= 16 && at + 24 <= bytes.length) {
      const code = view.getUint16(at + 8, true);
      const sub =
        code === FORMAT_EXTENSIBLE && size >= 26 && at + 34 <= bytes.length ? view.getUint16(at + 32, true) : code;
      format = {
        pcm: sub === FORMAT_PCM,
        channels: view.getUint16(at + 10, true),
        sampleRateHz: view.getUint32(at + 12, true),
        bitsPerSample: view.getUint16(at + 22, true),
      };
    } else if (tag(at) === 'data') {
      if (format === null) return null;
      return { ...format, dataOffset: at + 8, dataBytes: Math.min(size, Math.max(0, fileBytes - at - 8)) };
    }
    at += 8 + size + (size % 2);
  }
  return null;
}
