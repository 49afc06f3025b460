/** Cutting the byte stream and telling its time: no frame is ever lost or halved, and audio time follows the frames, not the arrivals. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AudioTimeline } from '../../drivers/uma8/audio-timeline.ts';
import { ChunkCutter } from '../../drivers/uma8/chunk-cutter.ts';
import { readWavFormat, wavHeader } from '../../drivers/uma8/wav.ts';

describe('ChunkCutter', () => {
  it('gives every whole frame exactly once and in order, however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 3000 }),
        fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 9 }),
        (bytes, cuts, chunkFrames, channels) => {
          const cutter = new ChunkCutter(chunkFrames, channels);
          const chunks = [];
          for (let at = 0, i = 0; at < bytes.length; i++) {
            const size = cuts[i % cuts.length] as number;
            chunks.push(...cutter.push(bytes.subarray(at, at + size)));
            at += size;
          }
          expect(chunks.every((chunk) => chunk.frames === chunkFrames)).toBe(true);
          const wholeFrames = Math.floor(bytes.length / (2 * channels));
          expect(cutter.receivedFrames).toBe(wholeFrames);
          const { chunk, droppedBytes } = cutter.finish();
          if (chunk !== null) chunks.push(chunk);
          expect(droppedBytes).toBe(bytes.length % (2 * channels));
          let frames = 0;
          for (const each of chunks) {
            expect(each.firstFrame).toBe(frames);
            expect(each.pcm.length).toBe(each.frames * channels);
            frames += each.frames;
          }
          const all = Buffer.concat(chunks.map((c) => Buffer.from(c.pcm.buffer, 0, c.pcm.byteLength)));
          expect(all.equals(Buffer.from(bytes.subarray(0, wholeFrames * 2 * channels)))).toBe(true);
        },
      ),
    );
  });

  it('hands out arrays that later bytes do not touch', () => {
    const cutter = new ChunkCutter(1, 1);
    const [first] = cutter.push(Uint8Array.of(1, 0));
    cutter.push(Uint8Array.of(2, 0));
    expect(first?.pcm[0]).toBe(1);
  });
});

/** Feeds periods of 6000 frames whose arrivals are late by `latenessMs`, at a true rate off by `ppm`, with `lost` frames missing before period n. */
function feed(
  timeline: AudioTimeline,
  periods: number,
  latenessMs: (period: number) => number,
  ppm = 0,
  lost: (period: number) => number = () => 0,
) {
  const nsPerFrame = (1e9 / 48_000) * (1 + ppm * 1e-6);
  let frames = 0;
  let captured = 0;
  const gaps: number[] = [];
  for (let period = 0; period < periods; period++) {
    captured += 6000 + lost(period);
    frames += 6000;
    const arrival = captured * nsPerFrame + latenessMs(period) * 1e6;
    const gap = timeline.observe(frames, 5_000_000_000n + BigInt(Math.round(arrival)));
    if (gap !== null) gaps.push(gap.gapFrames);
  }
  /** By how many ms the timeline is off for the last frame. */
  const errorMs = (Number(timeline.timeOf(frames) - 5_000_000_000n) - captured * nsPerFrame) / 1e6;
  return { gaps, errorMs };
}

/** Lateness of a loaded machine: mostly below 3 ms, now and then up to 80. */
function jitter(seed: number): (period: number) => number {
  return (period) => {
    const unit = (((Math.sin(period * 12.9898 + seed) * 43758.5453) % 1) + 1) % 1;
    return unit > 0.85 ? unit * 80 : unit * 3;
  };
}

describe('AudioTimeline', () => {
  it('stays within 3 ms of the truth whatever the arrivals’ jitter', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1000 }), fc.integer({ min: 30, max: 400 }), (seed, periods) => {
        const { gaps, errorMs } = feed(new AudioTimeline(48_000), periods, jitter(seed));
        expect(gaps).toEqual([]);
        expect(Math.abs(errorMs)).toBeLessThan(3);
      }),
    );
  });

  it('measures the drift of a crystal', () => {
    for (const ppm of [-180, -20, 0, 35, 200]) {
      const timeline = new AudioTimeline(48_000);
      const { gaps, errorMs } = feed(timeline, 8 * 300, jitter(ppm), ppm);
      expect(gaps).toEqual([]);
      expect(timeline.driftPpm).toBeGreaterThan(ppm - 15);
      expect(timeline.driftPpm).toBeLessThan(ppm + 15);
      expect(Math.abs(errorMs)).toBeLessThan(3);
    }
  });

  it('neither invents gaps nor believes in drift when arrivals wander as a sound server’s do', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1000 }), (seed) => {
        const timeline = new AudioTimeline(48_000);
        const wander = (period: number) => 20 + 18 * Math.sin(period / 37 + seed) + 2 * Math.sin(period * seed);
        const { gaps, errorMs } = feed(timeline, 8 * 120, wander);
        expect(gaps).toEqual([]);
        expect(Math.abs(timeline.driftPpm)).toBeLessThan(80);
        expect(Math.abs(errorMs)).toBeLessThan(10);
      }),
      { numRuns: 30 },
    );
  });

  it('finds lost sound and how much it was', () => {
    const { gaps, errorMs } = feed(
      new AudioTimeline(48_000),
      400,
      (p) => (p % 3) * 0.5,
      0,
      (p) => (p === 200 ? 9600 : 0),
    );
    expect(gaps).toHaveLength(1);
    expect(gaps[0]).toBeGreaterThan(9500);
    expect(gaps[0]).toBeLessThan(9700);
    expect(Math.abs(errorMs)).toBeLessThan(3);
  });

  it('takes back a gap that was mere lateness', () => {
    const late = (period: number) => (period >= 200 && period < 220 ? 90 : 0.5);
    const { gaps, errorMs } = feed(new AudioTimeline(48_000), 400, late);
    expect(gaps).toHaveLength(2);
    expect((gaps[0] as number) + (gaps[1] as number)).toBe(0);
    expect(Math.abs(errorMs)).toBeLessThan(3);
  });

  it('does not take a pause of the reader, made up for afterwards, for lost sound', () => {
    const late = (period: number) => (period >= 200 && period < 203 ? (203 - period) * 125 : 0.5);
    const { gaps, errorMs } = feed(new AudioTimeline(48_000), 400, late);
    expect(gaps).toEqual([]);
    expect(Math.abs(errorMs)).toBeLessThan(3);
  });
});

describe('WAV header', () => {
  it('reads what it wrote, and nothing from other bytes', () => {
    const header = wavHeader(48_000, 8, 160);
    expect(readWavFormat(header, 204)).toEqual({
      sampleRateHz: 48_000,
      channels: 8,
      bitsPerSample: 16,
      pcm: true,
      dataOffset: 44,
      dataBytes: 160,
    });
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void readWavFormat(bytes, bytes.length)));
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 43 }), fc.integer({ min: 0, max: 255 }), (at, value) => {
        const damaged = header.slice();
        damaged[at] = value;
        readWavFormat(damaged, 204);
      }),
    );
  });
});
