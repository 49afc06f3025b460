/** What generated sound promises: the same for the same seed, true to its truth list, and in space as the array's geometry says. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderDrive, renderToWav } from '../../drivers/uma8/generated/render-to-wav.ts';
import { Scene, type SceneOptions, type TruthEntry } from '../../drivers/uma8/generated/scene.ts';
import { openGenerated } from '../../drivers/uma8/generated/source.ts';
import { MICROPHONES, pathsFrom } from '../../drivers/uma8/geometry.ts';
import { Bus } from '../../drivers/uma8/placement.ts';
import { readWavFormat } from '../../drivers/uma8/wav.ts';

/** A whole scene in memory: planar channels, −1 to 1, with its truth. */
function scene(options: SceneOptions & { seconds: number }) {
  const blocks = [...renderDrive(options)];
  const frames = blocks.reduce((sum, block) => sum + block.pcm.length / 8, 0);
  const channels = MICROPHONES.map(() => new Float64Array(frames));
  for (const { pcm, firstFrame } of blocks) {
    for (let i = 0; i < pcm.length; i++) {
      (channels[i % 8] as Float64Array)[firstFrame + Math.floor(i / 8)] = (pcm[i] as number) / 32_768;
    }
  }
  const truth = blocks.flatMap((block) => block.truth);
  const confusers = blocks.flatMap((block) => block.confusers);
  return {
    channels,
    truth,
    confusers,
    pcm: blocks.map((block) => Buffer.from(block.pcm.buffer).toString('base64')).join(),
  };
}

function rms(samples: Float64Array, beginS: number, endS: number): number {
  const part = samples.subarray(Math.round(beginS * 48_000), Math.round(endS * 48_000));
  return Math.sqrt(part.reduce((sum, v) => sum + v * v, 0) / Math.max(1, part.length));
}

/** Share of the energy's change, sample to sample, in the energy: near 0 for bass, 2 for white noise, 4 at the very top. */
function brightness(samples: Float64Array, entry: TruthEntry): number {
  let change = 0;
  let energy = 1e-12;
  for (let i = Math.round(entry.onsetS * 48_000) + 1; i < Math.round(entry.endS * 48_000); i++) {
    change += ((samples[i] as number) - (samples[i - 1] as number)) ** 2;
    energy += (samples[i] as number) ** 2;
  }
  return change / energy;
}

describe('generated sound', () => {
  it('is the same for the same seed and another for another', () => {
    const options = { seed: 42, seconds: 6, eventsPerMinute: 40 };
    const first = scene(options);
    const second = scene(options);
    expect(second.pcm).toBe(first.pcm);
    expect(second.truth).toEqual(first.truth);
    expect(scene({ ...options, seed: 43 }).pcm).not.toBe(first.pcm);
  });

  it('rises at each onset of its truth and is quiet between impacts', () => {
    const { channels, truth } = scene({
      seed: 3,
      seconds: 40,
      background: 'none',
      eventsPerMinute: 30,
      snrDb: [25, 45],
      confusersPerMinute: 0,
    });
    const centre = channels[0] as Float64Array;
    expect(truth.length).toBeGreaterThan(8);
    for (const [i, entry] of truth.entries()) {
      expect(entry.endS).toBeGreaterThan(entry.onsetS);
      if (entry.endS > 39) continue;
      const before = rms(centre, entry.onsetS - 0.3, entry.onsetS - 0.01);
      const during = rms(centre, entry.onsetS, Math.min(entry.endS, entry.onsetS + 0.1));
      expect(during).toBeGreaterThan(8 * before);
      const next = truth[i + 1];
      if (next) expect(next.onsetS - entry.endS).toBeGreaterThan(1.5);
    }
  });

  it('makes glass brighter than the body, by far', () => {
    const { channels, truth } = scene({
      seed: 5,
      seconds: 45,
      background: 'none',
      eventsPerMinute: 40,
      minGapS: 0.5,
      snrDb: [40, 50],
      confusersPerMinute: 0,
    });
    const median = (label: string) => {
      const values = truth.filter((e) => e.label === label).map((e) => brightness(channels[0] as Float64Array, e));
      return values.sort((a, b) => a - b)[values.length >> 1] as number;
    };
    expect(median('glass_break')).toBeGreaterThan(5 * median('body_impact'));
  });

  it('has both labels, many kinds, harmless sounds apart from the truth, and the signal-to-noise ratio asked for', () => {
    const { truth, confusers } = scene({
      seed: 8,
      seconds: 40,
      eventsPerMinute: 30,
      minGapS: 0.1,
      snrDb: [12, 14],
      confusersPerMinute: 12,
    });
    expect(new Set(truth.map((e) => e.label))).toEqual(new Set(['body_impact', 'glass_break']));
    expect(new Set(truth.map((e) => e.kind)).size).toBeGreaterThan(4);
    expect(confusers.length).toBeGreaterThan(2);
    expect(truth.every((e) => e.snrDb >= 12 && e.snrDb <= 14)).toBe(true);
  });

  it('drives without impacts when none are wanted, moving but never silent or clipped', () => {
    const { channels, truth } = scene({ seed: 9, seconds: 20, eventsPerMinute: 0, confusersPerMinute: 0 });
    expect(truth).toEqual([]);
    for (const channel of channels) {
      expect(rms(channel, 0, 20)).toBeGreaterThan(1e-4);
      expect(Math.max(...channel.subarray(0, 100_000))).toBeLessThan(0.9);
    }
  });

  it('reaches the microphones with the delays of their places', () => {
    const source = { x: -1, y: 0.5, z: 0.2 };
    const paths = pathsFrom(source, 48_000);
    const bus = new Bus(2000, paths);
    const mics = MICROPHONES.map(() => new Float32Array(2000));
    // A slow enough bump, so that its centre of gravity shows fractions of a frame.
    const bump = Float32Array.from({ length: 2000 }, (_, i) => Math.exp(-(((i - 1000) / 30) ** 2)));
    bus.addTo(mics, bump);
    for (const [m, mic] of mics.entries()) {
      const mass = mic.reduce((sum, v) => sum + v, 0);
      const centre = mic.reduce((sum, v, i) => sum + v * i, 0) / mass;
      expect(centre - 1000).toBeCloseTo(paths[m]?.delayFrames as number, 2);
    }
    const distance = (m: number) => {
      const mic = MICROPHONES[m] as (typeof MICROPHONES)[number];
      return Math.hypot(source.x - mic.x, source.y - mic.y, source.z - mic.z);
    };
    const apart = ((distance(1) - distance(4)) / 343.2) * 48_000;
    expect((paths[1]?.delayFrames as number) - (paths[4]?.delayFrames as number)).toBeCloseTo(apart, 6);
  });

  it('gives each microphone noise of its own', () => {
    const { channels } = scene({ seed: 4, seconds: 2, background: 'none', eventsPerMinute: 0, confusersPerMinute: 0 });
    const [a, b] = [channels[0], channels[5]] as [Float64Array, Float64Array];
    const dot = a.reduce((sum, v, i) => sum + v * (b[i] as number), 0);
    expect(Math.abs(dot / (a.length * rms(a, 0, 2) * rms(b, 0, 2)))).toBeLessThan(0.05);
  });
});

describe('generated sound outside memory', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fender-render-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('is written as an 8-channel WAV with a CSV of its impacts', async () => {
    const path = join(folder, 'a.wav');
    const csvPath = join(folder, 'a.csv');
    const { truth, frames } = await renderToWav({ path, csvPath, seconds: 5.55, seed: 2, eventsPerMinute: 60 });
    const bytes = await readFile(path);
    expect(frames).toBe(266_400);
    expect(readWavFormat(bytes, bytes.length)).toMatchObject({
      channels: 8,
      sampleRateHz: 48_000,
      dataBytes: 266_400 * 16,
    });
    expect(bytes.length).toBe(44 + 266_400 * 16);
    const [head, ...lines] = (await readFile(csvPath, 'utf8')).trimEnd().split('\n');
    expect(head).toBe('label,onset_s,end_s');
    expect(lines).toHaveLength(truth.length);
    expect(lines[0]).toMatch(/^(body_impact|glass_break),\d+\.\d{3},\d+\.\d{3}$/);
  });

  it('comes from its own process as the same samples, with the truth told', async () => {
    const options = { seed: 21, eventsPerMinute: 120, minGapS: 0.1 };
    const told: TruthEntry[] = [];
    const open = openGenerated({
      ...options,
      speed: Number.POSITIVE_INFINITY,
      onTruth: (truth) => told.push(...truth),
    });
    const source = await open();
    const wanted = 3 * 768_000;
    const pieces: Uint8Array[] = [];
    let got = 0;
    await new Promise<void>((resolve, reject) => {
      source.onEnd((error) => reject(error ?? new Error('ended early')));
      source.onData((bytes) => {
        pieces.push(bytes.slice());
        got += bytes.length;
        if (got >= wanted) resolve();
      });
    });
    source.onEnd(() => {});
    await source.stop();
    const local = new Scene(options);
    const expected = Buffer.concat(Array.from({ length: 30 }, () => Buffer.from(local.next().pcm.buffer)));
    expect(Buffer.concat(pieces).subarray(0, wanted).equals(expected)).toBe(true);
    expect(told[0]).toEqual([...renderDrive({ ...options, seconds: 10 })].flatMap((block) => block.truth)[0]);
  });
});
