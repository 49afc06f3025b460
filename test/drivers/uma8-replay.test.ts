/** What replayed sound promises: eight channels untouched, anything else placed before the array, real time kept, bad files left out. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DriverError } from '../../drivers/error.ts';
import { renderToWav } from '../../drivers/uma8/generated/render-to-wav.ts';
import { MICROPHONES, pathsFrom } from '../../drivers/uma8/geometry.ts';
import { pacedSource } from '../../drivers/uma8/paced-source.ts';
import { arrayBlocks } from '../../drivers/uma8/recording-reader.ts';
import { openReplay, type ReplayOptions } from '../../drivers/uma8/replay.ts';
import { wavHeader } from '../../drivers/uma8/wav.ts';

const soxMissing = (() => {
  if (process.env.CI) return false;
  try {
    execFileSync('sox', ['--version'], { stdio: 'ignore' });
    return false;
  } catch {
    return true;
  }
})();
const clips = new URL('../../../shared/data/esc50', import.meta.url).pathname;
const knocks = join(clips, 'door_knock');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fender-replay-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Everything that a replay gives until it ends, or until `atLeast` bytes. */
async function replayed(options: ReplayOptions, atLeast = Number.POSITIVE_INFINITY): Promise<Buffer> {
  const source = await openReplay({ speed: Number.POSITIVE_INFINITY, loop: false, ...options })();
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  await new Promise<void>((resolve, reject) => {
    source.onEnd((error) => (error === null ? resolve() : reject(error)));
    source.onData((piece) => {
      pieces.push(piece.slice());
      bytes += piece.length;
      if (bytes >= atLeast) resolve();
    });
  });
  await source.stop();
  return Buffer.concat(pieces);
}

/** A mono WAV of a tone at `hz`. */
async function tone(path: string, sampleRateHz: number, seconds: number, hz: number): Promise<Int16Array> {
  const pcm = Int16Array.from({ length: seconds * sampleRateHz }, (_, i) =>
    Math.round(12_000 * Math.sin((2 * Math.PI * hz * i) / sampleRateHz)),
  );
  await writeFile(path, Buffer.concat([wavHeader(sampleRateHz, 1, pcm.byteLength), new Uint8Array(pcm.buffer)]));
  return pcm;
}

describe('replayed sound', () => {
  it('is what an 8-channel recording holds, byte for byte, again and again', async () => {
    const path = join(folder, 'eight.wav');
    await renderToWav({ path, seconds: 1.234, seed: 1 });
    const data = (await readFile(path)).subarray(44);
    expect((await replayed({ path })).equals(data)).toBe(true);
    const twice = await replayed({ path, loop: true }, 2 * data.length);
    expect(twice.subarray(0, 2 * data.length).equals(Buffer.concat([data, data]))).toBe(true);
  });

  it('places a mono recording before the array: each microphone hears it at its time', async () => {
    const path = join(folder, 'mono.wav');
    const pcm = await tone(path, 48_000, 1, 700);
    const bytes = await replayed({ path });
    expect(bytes.length).toBe(48_000 * 16);
    const paths = pathsFrom({ x: 2, y: 0, z: 0.3 }, 48_000);
    for (let channel = 0; channel < MICROPHONES.length; channel++) {
      let dot = 0;
      let power = 0;
      const { delayFrames, gain } = paths[channel] as (typeof paths)[number];
      for (let i = 100; i < 47_000; i++) {
        const heard = bytes.readInt16LE((i * 8 + channel) * 2);
        const expected = 12_000 * gain * Math.sin((2 * Math.PI * 700 * (i - delayFrames)) / 48_000);
        dot += heard * expected;
        power += expected * expected;
      }
      expect(dot / power).toBeCloseTo(1, 2);
    }
    expect(pcm.length).toBe(48_000);
  });

  it.skipIf(soxMissing)(`takes other rates and formats through sox${soxMissing ? ' (missing: sox)' : ''}`, async () => {
    await tone(join(folder, 'slow.wav'), 16_000, 1, 440);
    const flac = join(folder, 'slow.flac');
    execFileSync('sox', [join(folder, 'slow.wav'), flac]);
    for (const path of [join(folder, 'slow.wav'), flac]) {
      const bytes = await replayed({ path });
      expect(bytes.length / 16).toBeGreaterThan(47_900);
      expect(bytes.length / 16).toBeLessThan(48_100);
      let crossings = 0;
      for (let i = 1; i < 48_000; i++) {
        if (bytes.readInt16LE((i - 1) * 16) < 0 && bytes.readInt16LE(i * 16) >= 0) crossings++;
      }
      expect(crossings).toBeGreaterThan(435);
      expect(crossings).toBeLessThan(445);
    }
  });

  it.skipIf(soxMissing)('plays a folder in order and leaves out what is no sound', async () => {
    const many = join(folder, 'many');
    await mkdir(join(many, 'below'), { recursive: true });
    await tone(join(many, 'a.wav'), 48_000, 1, 440);
    await writeFile(join(many, 'b.ogg'), 'not sound at all');
    await writeFile(join(many, 'notes.txt'), 'not looked at');
    await tone(join(many, 'below', 'c.wav'), 48_000, 1, 440);
    const skipped: string[] = [];
    const bytes = await replayed({ path: many, onSkip: (file, error) => skipped.push(`${file} ${error.code}`) });
    expect(bytes.length).toBe(2 * 48_000 * 16);
    expect(skipped).toEqual([`${join(many, 'b.ogg')} bad-recording`]);
  });

  it('says what is wrong with a path that has nothing to play', async () => {
    await expect(openReplay({ path: join(folder, 'nothing') })()).rejects.toMatchObject({ code: 'no-recording' });
    const empty = join(folder, 'empty');
    await mkdir(empty);
    await expect(openReplay({ path: empty })()).rejects.toBeInstanceOf(DriverError);
    const path = join(folder, 'header-only.wav');
    await writeFile(path, wavHeader(48_000, 8, 0));
    await expect(replayed({ path, loop: true })).rejects.toMatchObject({ code: 'bad-recording' });
  });

  it('never gives sound before its time, and makes up for a pause', async () => {
    let nowNs = 1_000_000_000n;
    const given: { atNs: bigint; bytes: number }[] = [];
    let left = 40;
    const reader = { read: async () => (left-- > 0 ? new Uint8Array(1000) : null), close: async () => {} };
    // 1000 bytes are 20 ms here; time advances with the real clock, but leaps by 500 ms once.
    const startedNs = process.hrtime.bigint();
    const monotonicNs = () => {
      nowNs = 1_000_000_000n + (process.hrtime.bigint() - startedNs) + (given.length >= 10 ? 500_000_000n : 0n);
      return nowNs;
    };
    const source = pacedSource(reader, { bytesPerS: 50_000, speed: 1, monotonicNs });
    await new Promise<void>((resolve) => {
      source.onEnd(() => resolve());
      source.onData((bytes) => given.push({ atNs: monotonicNs(), bytes: bytes.length }));
    });
    expect(given).toHaveLength(40);
    const firstNs = (given[0] as (typeof given)[number]).atNs;
    for (const [i, { atNs }] of given.entries()) {
      // setTimeout may fire up to a millisecond early.
      if (i !== 10) expect(Number(atNs - firstNs) / 1e6).toBeGreaterThan(i * 20 - 25);
    }
  });

  it('stops at once, also in the middle of a file', async () => {
    const path = join(folder, 'long.wav');
    await renderToWav({ path, seconds: 3, seed: 1 });
    const source = await openReplay({ path })();
    const ended = new Promise<Error | null>((resolve) => source.onEnd(resolve));
    source.onData(() => {});
    await source.stop();
    expect(await ended).toBeNull();
    await source.stop();
  });

  it.skipIf(soxMissing || !existsSync(knocks))(
    `plays the real clips${existsSync(knocks) ? '' : ' (missing: ../shared/data/esc50)'}`,
    async () => {
      const bytes = await replayed({ path: knocks }, 10 * 768_000);
      let peak = 0;
      for (let i = 0; i < bytes.length; i += 2) peak = Math.max(peak, Math.abs(bytes.readInt16LE(i)));
      expect(peak).toBeGreaterThan(3000);
    },
  );

  it('ends sox with the reading', async () => {
    const stop = new AbortController();
    const path = join(folder, 'mono44.wav');
    await tone(path, 44_100, 30, 440);
    const blocks = arrayBlocks(path, 48_000, 2400, 0, stop.signal);
    if (!soxMissing) expect((await blocks.next()).value?.length).toBe(2400 * 16);
    stop.abort();
    await blocks.return(undefined);
  });
});
