/** What the array's device loop promises when the stream of sound misbehaves, with an in-memory stream in place of arecord. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { DriverError } from '../../drivers/error.ts';
import type { AudioChunk, Diagnostic } from '../../drivers/sample.ts';
import { Uma8Device, type Uma8Options } from '../../drivers/uma8/device.ts';
import { faultCure } from '../../drivers/uma8/fault-cure.ts';
import type { SoundSource } from '../../drivers/uma8/sound-source.ts';
import { testClock } from './test-clock.ts';

/** A stream that gives what the test tells it to. */
class MemorySource implements SoundSource {
  stopped = false;
  listening = false;
  #data: (bytes: Uint8Array) => void = () => {};
  #end: (error: Error | null) => void = () => {};

  onData(listener: (bytes: Uint8Array) => void): void {
    this.#data = listener;
    this.listening = true;
  }

  onEnd(listener: (error: Error | null) => void): void {
    this.#end = listener;
  }

  async stop(): Promise<void> {
    this.stopped = true;
  }

  give(bytes: number): void {
    this.#data(new Uint8Array(bytes).fill(1));
  }

  giveBytes(bytes: Uint8Array): void {
    this.#data(bytes);
  }

  end(error: Error | null): void {
    this.#end(error);
  }
}

const QUICK: Partial<Uma8Options> = { firstBackoffMs: 5, mostBackoffMs: 10, silenceMs: 300, startMs: 300 };
const CHUNK_BYTES = 4800 * 16;

/** Runs a device whose openings are taken from `open`, until `script` is done. */
async function withDevice(
  options: Partial<Uma8Options>,
  open: (attempt: number) => SoundSource,
  script: (heard: { chunks: AudioChunk[]; diagnostics: Diagnostic[] }) => Promise<void>,
  clock = testClock(),
) {
  const heard = { chunks: [] as AudioChunk[], diagnostics: [] as Diagnostic[] };
  const stop = new AbortController();
  let attempt = 0;
  const device = new Uma8Device(
    { ...QUICK, ...options },
    { open: async () => open(attempt++), clock },
    { sample: (chunk) => heard.chunks.push(chunk), diagnostic: (d) => heard.diagnostics.push(d) },
  );
  const running = device.run(stop.signal);
  try {
    await script(heard);
  } finally {
    stop.abort();
    await running;
  }
  return heard;
}

/** Waits for `condition`, doing `step` again and again meanwhile. */
async function until(condition: () => boolean, step: () => void = () => {}): Promise<void> {
  for (let i = 0; i < 2000 && !condition(); i++) {
    step();
    await delay(5);
  }
  expect(condition()).toBe(true);
}

/** Codes that are computed, beside those that stand at a `new DriverError`. */
const COMPUTED = ['device-busy', 'device-missing', 'no-permission', 'wrong-format', 'unplugged', 'exited'].concat([
  'short-rate',
  'excess-rate',
  'gap',
  'digital-silence',
  'failed',
]);

/** The codes of the faults that the array can have. */
function faultCodes(): string[] {
  const folder = new URL('../../drivers/uma8/', import.meta.url);
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const text = files.map((name) => readFileSync(new URL(name, folder), 'utf8')).join('\n');
  const thrown = [...text.matchAll(/new DriverError\(\s*'([a-z-]+)'/g)].map(([, code]) => code as string);
  return [...new Set([...thrown, ...COMPUTED])];
}

it('every fault of the array has a cure', () => {
  expect(faultCodes().length).toBeGreaterThan(15);
  for (const code of faultCodes()) expect(faultCure(code), code).not.toBe('');
});

describe('Uma8Device', () => {
  it('cuts the stream into 100 ms chunks with the time of their first frame', async () => {
    const source = new MemorySource();
    const { chunks } = await withDevice(
      {},
      () => source,
      async (heard) => {
        await until(() => source.listening);
        source.give(CHUNK_BYTES);
        for (let i = 0; i < 7; i++) source.give(CHUNK_BYTES / 2);
        await until(() => heard.chunks.length >= 4);
      },
    );
    expect(chunks[1]).toMatchObject({ firstFrame: 4800n, sampleRateHz: 48_000, channels: 8, frames: 4800 });
    expect(chunks[1]?.pcm.length).toBe(4800 * 8);
    expect(chunks[1]?.stamp.monotonicNs).toBeGreaterThan(chunks[0]?.stamp.monotonicNs as bigint);
    expect(source.stopped).toBe(true);
  });

  it('says why the stream does not open and how to cure it, and goes on trying', async () => {
    const source = new MemorySource();
    const { diagnostics } = await withDevice(
      {},
      (attempt) => {
        if (attempt < 3) throw new DriverError('device-busy', 'expected the device to be free');
        return source;
      },
      async (heard) => {
        await until(() => {
          source.give(CHUNK_BYTES);
          return heard.chunks.length > 0;
        });
      },
    );
    expect(diagnostics.map((d) => d.code)).toEqual(['device-busy', 'ok']);
    expect(diagnostics[0]).toMatchObject({ source: 'uma8', level: 'error', message: 'expected the device to be free' });
    expect(diagnostics[0]?.cure).not.toBe('');
    expect(diagnostics[1]?.values.restarts).toBe(3);
  });

  it('gives out the whole frames before a break, never half a frame, and measures what was lost in between', async () => {
    const sources = [new MemorySource(), new MemorySource()] as const;
    const { chunks, diagnostics } = await withDevice(
      { firstBackoffMs: 150 },
      (attempt) => sources[Math.min(attempt, 1) as 0 | 1],
      async (heard) => {
        await until(
          () => heard.chunks.length > 0,
          () => sources[0].give(CHUNK_BYTES),
        );
        const before = heard.chunks.length;
        sources[0].give(16 * 10 + 7);
        sources[0].end(new DriverError('exited', 'it went away'));
        await until(() => heard.chunks.length > before);
        await until(
          () => heard.diagnostics.some((d) => d.code === 'gap'),
          () => sources[1].give(CHUNK_BYTES),
        );
      },
    );
    const last = chunks.findIndex((chunk) => chunk.frames === 10);
    expect(last).toBeGreaterThan(0);
    expect(chunks[last + 1]).toMatchObject({ firstFrame: 0n, frames: 4800 });
    const gap = diagnostics.find((d) => d.code === 'gap');
    expect(gap?.values).toMatchObject({ gaps: 1, dropped_bytes: 7 });
    expect(gap?.values.lost_frames).toBeGreaterThan(0);
    expect(diagnostics.map((d) => d.code)).toContain('exited');
  });

  it('stamps both streams by their own frames, and measures the gap between them to the frame', async () => {
    const sources = [new MemorySource(), new MemorySource()] as const;
    const real = testClock();
    let nowNs = 1_000_000_000_000n;
    const clock = { ...real, monotonicNs: () => nowNs, now: () => real.at(nowNs) };
    const chunks: AudioChunk[] = [];
    const diagnostics: Diagnostic[] = [];
    const stop = new AbortController();
    let attempt = 0;
    const running = new Uma8Device(
      { ...QUICK, silenceMs: 60_000, startMs: 60_000 },
      { open: async () => sources[Math.min(attempt++, 1) as 0 | 1], clock },
      { sample: (chunk) => chunks.push(chunk), diagnostic: (d) => diagnostics.push(d) },
    ).run(stop.signal);
    const play = async (source: MemorySource, count: number) => {
      await until(() => source.listening);
      for (let i = 0; i < count; i++) {
        nowNs += 100_000_000n;
        source.give(CHUNK_BYTES);
      }
    };
    const startedNs = nowNs;
    await play(sources[0], 12);
    sources[0].end(new DriverError('exited', 'it went away'));
    nowNs += 2_000_000_000n;
    await play(sources[1], 3);
    stop.abort();
    await running;
    const offsetsMs = chunks.map(({ stamp }) => Number(stamp.monotonicNs - startedNs) / 1e6);
    expect(offsetsMs).toEqual([...Array(12).keys(), 32, 33, 34].map((n) => n * 100));
    expect(diagnostics.find(({ code }) => code === 'gap')?.values).toMatchObject({
      gaps: 1,
      lost_frames: 96_000,
      last_gap_ns: '2000000000',
    });
  });

  it('replaces a stream that gives nothing, and one that stops giving', async () => {
    const sources: MemorySource[] = [];
    const { diagnostics } = await withDevice(
      {},
      () => sources[sources.push(new MemorySource()) - 1] as MemorySource,
      async (heard) => {
        await until(() => heard.diagnostics.some((d) => d.code === 'no-sound'));
        await until(() => sources.length > 1);
        // Sound for long enough that the opening was good, then silence.
        await until(
          () => heard.diagnostics.some((d) => d.code === 'ok'),
          () => sources.at(-1)?.give(CHUNK_BYTES),
        );
        await until(() => heard.diagnostics.some((d) => d.code === 'stalled'));
      },
    );
    expect(diagnostics.find((d) => d.code === 'stalled')?.level).toBe('stale');
    expect(sources.slice(0, -1).every((source) => source.stopped)).toBe(true);
  });

  it.each([
    [768, null],
    [320, 'short-rate'],
    [1000, 'excess-rate'],
  ])('judges the byte rate of 8 channels at 48 kHz: %i bytes a millisecond', async (bytesPerMs, code) => {
    const source = new MemorySource();
    const real = testClock();
    let nowNs = 1_000_000_000_000n;
    const startedNs = nowNs;
    const clock = { ...real, monotonicNs: () => nowNs, now: () => real.at(nowNs) };
    const isFault = (d: Diagnostic) => d.code.endsWith('-rate');
    // A fault may take longer on a busy machine, where checks are left out.
    const mostNs = code === null ? 1_500_000_000n : 60_000_000_000n;
    const { diagnostics } = await withDevice(
      { rateWindowMs: 250 },
      () => source,
      async (heard) => {
        await until(() => source.listening);
        await until(
          () => heard.diagnostics.some(isFault) || nowNs - startedNs > mostNs,
          () => {
            nowNs += 10_000_000n;
            source.give(10 * bytesPerMs);
          },
        );
      },
      clock,
    );
    const fault = diagnostics.find(isFault);
    expect(fault?.code ?? null).toBe(code);
    if (fault === undefined) return;
    expect(fault.level).toBe('error');
    expect(fault.message).toMatch(`expected 768000 bytes/s, found ${1000 * bytesPerMs} for`);
  });

  it('names the channels that give nothing but zeros', async () => {
    const source = new MemorySource();
    const chunk = new Uint8Array(CHUNK_BYTES);
    for (let i = 0; i < chunk.length; i += 16) chunk[i + 4] = 1;
    const { diagnostics } = await withDevice(
      {},
      () => source,
      async (heard) => {
        await until(() => source.listening);
        await until(
          () => heard.diagnostics.length > 0,
          () => source.giveBytes(chunk),
        );
      },
    );
    expect(diagnostics[0]).toMatchObject({ code: 'ok', values: { silent_channels: '0 1 3 4 5 6 7' } });
  });
});
