import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { AgentError } from '../../../agent/error.ts';
import { type DecodeFlac, openFlacDecoder } from '../../../agent/sound/flac-decoder.ts';
import { type EncodeFlac, openFlacEncoder } from '../../../agent/sound/flac-encoder.ts';
import { renderDrive } from '../../../drivers/uma8/generated/render-to-wav.ts';

const hasFlac = spawnSync('flac', ['--version']).status === 0;
if (!hasFlac && process.env.CI) throw new Error("Debian's flac is missing: .ci/run installs it");

let encode: EncodeFlac;
let decodeFlac: DecodeFlac;
beforeAll(async () => {
  encode = await openFlacEncoder();
  decodeFlac = await openFlacDecoder();
});

/** Sounds of all kinds, by frame, channel and a seed: silence, the largest numbers, noise, tones, single clicks, gaps. */
const kinds: Readonly<Record<string, (frame: number, channel: number, seed: number) => number>> = {
  silence: () => 0,
  // libflacjs looks for runs of the bytes 0 and 255 in what libFLAC gives, and leaves some of them out.
  'bytes of 0, 255 and their neighbours': (frame, channel, seed) => {
    const random = Math.imul(frame * 8 + channel + seed, 0x9e3779b1) >>> 8;
    const bytes = [0, 0, 255, 255, 1, 254, 127, 128];
    return (((bytes[random & 7] as number) | ((bytes[(random >> 3) & 7] as number) << 8)) << 16) >> 16;
  },
  'full scale, alternating': (frame) => (frame % 2 === 0 ? 32_767 : -32_768),
  'full scale, held': (frame, channel) => ((frame >> 7) % 2 === channel % 2 ? 32_767 : -32_768),
  noise: (frame, channel, seed) => (Math.imul(frame * 8 + channel + seed, 0x9e3779b1) >> 7) % 32_768,
  'quiet noise': (frame, channel, seed) => (Math.imul(frame * 8 + channel + seed, 0x85ebca6b) >> 29) % 4,
  tone: (frame, channel, seed) => Math.round(12_000 * Math.sin((frame * (channel + 1)) / (5 + (seed % 50)))),
  'multiples of 16': (frame, channel) => 16 * Math.round(900 * Math.sin((frame + channel) / 9)),
  clicks: (frame, channel, seed) => ((frame + channel * 31 + seed) % 997 === 0 ? -30_000 : 0),
  'tone with gaps': (frame, channel, seed) =>
    (frame + seed) % 1500 < 300 ? 0 : Math.round(9000 * Math.sin(frame / (7 + channel))),
};

function soundOf(kind: string, frames: number, channels: number, seed: number): Int16Array {
  const sample = kinds[kind] as (frame: number, channel: number, seed: number) => number;
  return Int16Array.from({ length: frames * channels }, (_, index) =>
    sample(Math.floor(index / channels), index % channels, seed),
  );
}

const anySound = fc.record({
  kind: fc.constantFrom(...Object.keys(kinds)),
  frames: fc.oneof(
    fc.integer({ min: 1, max: 40 }),
    fc.constantFrom(1600, 4410, 4800, 9600),
    fc.integer({ min: 1, max: 12_000 }),
  ),
  channels: fc.integer({ min: 1, max: 8 }),
  rateHz: fc.constantFrom(16_000, 44_100, 48_000),
  seed: fc.nat(1_000_000),
});

function bytesOf(pcm: Int16Array): Buffer {
  return Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength);
}

const rawFormat = ['--force-raw-format', '--endian=little', '--sign=signed'];

/** What Debian's flac makes of a stream, its MD5 checked. */
function decodedByFlac(stream: Uint8Array): Buffer {
  const { stdout, stderr, status } = spawnSync('flac', ['-d', '-s', '-c', ...rawFormat, '-'], {
    input: stream,
    maxBuffer: 2 ** 26,
  });
  expect(stderr.toString()).toBe('');
  expect(status).toBe(0);
  return stdout;
}

describe('sound that was encoded as FLAC', () => {
  test('is decoded to the same samples, bit for bit', () => {
    fc.assert(
      fc.property(anySound, ({ kind, frames, channels, rateHz, seed }) => {
        const pcm = soundOf(kind, frames, channels, seed);
        const sound = decodeFlac(encode(pcm, channels, rateHz));
        expect(Buffer.compare(bytesOf(sound.pcm), bytesOf(pcm))).toBe(0);
        expect([sound.channels, sound.sampleRateHz]).toEqual([channels, rateHz]);
      }),
      { numRuns: 250 },
    );
  });

  test('is decoded alike for every number of channels and kind of sound in chunks of 100 ms', () => {
    for (const kind of Object.keys(kinds)) {
      for (const rateHz of [16_000, 44_100, 48_000]) {
        for (let channels = 1; channels <= 8; channels += 1) {
          const pcm = soundOf(kind, rateHz / 10, channels, 3);
          expect(Buffer.compare(bytesOf(decodeFlac(encode(pcm, channels, rateHz)).pcm), bytesOf(pcm))).toBe(0);
        }
      }
    }
  });

  test.skipIf(!hasFlac)("is decoded to the same samples by Debian's flac, which finds the MD5 right", () => {
    fc.assert(
      fc.property(anySound, ({ kind, frames, channels, rateHz, seed }) => {
        const pcm = soundOf(kind, frames, channels, seed);
        expect(Buffer.compare(decodedByFlac(encode(pcm, channels, rateHz)), bytesOf(pcm))).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  test('takes at least 1.35 times less than zstd-3 of a generated drive', async () => {
    const { zstdCompressSync } = await import('node:zlib');
    let flacBytes = 0;
    let zstdBytes = 0;
    for (const { pcm } of renderDrive({ seed: 11, seconds: 3 })) {
      const stream = encode(pcm, 8, 48_000);
      expect(Buffer.compare(bytesOf(decodeFlac(stream).pcm), bytesOf(pcm))).toBe(0);
      flacBytes += stream.byteLength;
      zstdBytes += zstdCompressSync(bytesOf(pcm)).byteLength;
    }
    expect(zstdBytes / flacBytes).toBeGreaterThan(1.35);
  });
});

describe('the decoder', () => {
  test.skipIf(!hasFlac)("reads what Debian's flac encodes at its lowest and its highest levels", () => {
    fc.assert(
      fc.property(
        anySound,
        fc.constantFrom('-0', '-5', '-8', '-l32'),
        ({ kind, frames, channels, rateHz, seed }, level) => {
          const pcm = soundOf(kind, frames, channels, seed);
          const format = [...rawFormat, `--channels=${channels}`, '--bps=16', `--sample-rate=${rateHz}`];
          const args = ['-s', '-c', '--lax', level, ...format, '-'];
          const { stdout } = spawnSync('flac', args, { input: bytesOf(pcm), maxBuffer: 2 ** 26 });
          expect(Buffer.compare(bytesOf(decodeFlac(stdout).pcm), bytesOf(pcm))).toBe(0);
        },
      ),
      { numRuns: 40 },
    );
  });

  test('never takes damaged sound for whole, and refuses it with an error of its own', () => {
    const pcm = soundOf('tone', 1600, 2, 5);
    const stream = encode(pcm, 2, 16_000);
    fc.assert(
      fc.property(
        fc.nat(stream.byteLength - 1),
        fc.integer({ min: 1, max: 255 }),
        fc.nat(stream.byteLength),
        (at, flip, end) => {
          const damaged = stream.slice(0, Math.max(at + 1, end));
          damaged[at] = (damaged[at] as number) ^ flip;
          try {
            const sound = decodeFlac(damaged);
            // What is left unprotected, the sizes of blocks and frames, says nothing of the samples.
            expect(Buffer.compare(bytesOf(sound.pcm), bytesOf(pcm))).toBe(0);
            expect([sound.channels, sound.sampleRateHz]).toEqual([2, 16_000]);
          } catch (error) {
            if (!(error instanceof AgentError)) throw error;
            expect(error.message).toMatch(/^FLAC: expected .* found /);
          }
        },
      ),
      { numRuns: 1500 },
    );
  });

  test('refuses a few bytes that ask for gigabytes, and what is no FLAC', () => {
    const stream = encode(new Int16Array(16), 1, 48_000);
    const huge = stream.slice();
    huge[22] = 255;
    expect(() => decodeFlac(huge)).toThrow(/at most 33554432 samples .*, found 4278190096/);
    const silence = encode(new Int16Array(4096 * 8), 8, 48_000);
    // It says neither how long it is nor what its samples are.
    const head = silence.slice(0, 42).fill(0, 22);
    const bomb = Buffer.concat([head, ...Array<Uint8Array>(1025).fill(silence.subarray(42))]);
    expect(bomb.byteLength).toBeLessThan(100_000);
    expect(() => decodeFlac(bomb)).toThrow(/at most 33554432 samples .*, found more/);
    for (const bytes of [new Uint8Array(0), new Uint8Array(100), Buffer.from('fLaC'), stream.slice(0, 43)]) {
      expect(() => decodeFlac(bytes)).toThrow(AgentError);
    }
  });
});

test('the encoder refuses what FLAC cannot hold', () => {
  expect(() => encode(new Int16Array(18), 9, 48_000)).toThrow(/no stream of 2 frames of 9 channels/);
  expect(() => encode(new Int16Array(0), 1, 48_000)).toThrow(AgentError);
  expect(() => encode(new Int16Array(7), 2, 48_000)).toThrow(AgentError);
});
