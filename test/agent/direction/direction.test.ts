/** What directions promise: the frame they are in, the mount that is taken off, and that nothing is told where nothing can be told. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { ArrayMount } from '../../../agent/direction/array-mount.ts';
import { type Direction, sideOf, wrapDegrees } from '../../../agent/direction/direction.ts';
import { DirectionFinder } from '../../../agent/direction/direction-finder.ts';
import { Fft } from '../../../agent/direction/fft.ts';
import { SoundRing } from '../../../agent/direction/sound-ring.ts';
import { bodyImpact } from '../../../drivers/uma8/generated/body-impact.ts';
import { glassBreak } from '../../../drivers/uma8/generated/glass-break.ts';
import { Random } from '../../../drivers/uma8/generated/random.ts';
import { renderDrive } from '../../../drivers/uma8/generated/render-to-wav.ts';
import { CHANNELS, IMPACT_AT, simulate } from './simulated-array.ts';
import { apartDeg, drawEvent, FLAT, find, LEAD_FRAMES, type SimulatedEvent, timeOf } from './simulated-events.ts';

/** A sound, LEAD_FRAMES before its onset. */
function lead(samples: Float32Array): Float32Array {
  const line = new Float32Array(8_600);
  line.set(samples.subarray(0, line.length - LEAD_FRAMES), LEAD_FRAMES);
  return line;
}

/** An impact 20 dB over the noise from this azimuth. */
function eventFrom(azimuthDeg: number, seed = 1): SimulatedEvent {
  const impact = lead(glassBreak(new Random(seed, 1), 48_000).samples);
  const place = { azimuthDeg, elevationDeg: -10, distanceM: 1.2 };
  const pcm = simulate({ impact, ...place, snrDb: 20, noiseSlope: 0, cabin: false, seed });
  return { pcm, azimuthDeg, onsetFrame: IMPACT_AT + LEAD_FRAMES };
}

function withChannels(event: SimulatedEvent, change: (frame: Int16Array) => void): SimulatedEvent {
  const pcm = event.pcm.slice();
  for (let at = 0; at < pcm.length; at += CHANNELS) change(pcm.subarray(at, at + CHANNELS));
  return { ...event, pcm };
}

function told(direction: Direction | null): Direction {
  if (direction === null) throw new Error('expected a direction, found none');
  return direction;
}

describe('sides', () => {
  it('are quarters of a turn about ahead, left, behind and right', () => {
    expect([0, 45, -45, 360].map(sideOf)).toEqual(['front', 'front', 'front', 'front']);
    expect([46, 90, 134, -270].map(sideOf)).toEqual(['left', 'left', 'left', 'left']);
    expect([-46, -90, -134, 270].map(sideOf)).toEqual(['right', 'right', 'right', 'right']);
    expect([135, 180, -180, -135].map(sideOf)).toEqual(['rear', 'rear', 'rear', 'rear']);
    expect([180, -180, 540, -90, 270, 0].map(wrapDegrees)).toEqual([180, 180, 180, -90, -90, 0]);
  });
});

describe('the transform', () => {
  it('is the discrete Fourier transform', () => {
    const random = new Random(3);
    const [re, im] = [0, 1].map(() => Float64Array.from({ length: 64 }, () => random.normal())) as [
      Float64Array,
      Float64Array,
    ];
    const expected = Array.from({ length: 64 }, (_, k) => {
      let [a, b] = [0, 0];
      for (let n = 0; n < 64; n++) {
        const angle = (-2 * Math.PI * k * n) / 64;
        a += (re[n] as number) * Math.cos(angle) - (im[n] as number) * Math.sin(angle);
        b += (re[n] as number) * Math.sin(angle) + (im[n] as number) * Math.cos(angle);
      }
      return [a, b] as const;
    });
    new Fft(64).forward(re, im);
    for (const [k, [a, b]] of expected.entries()) {
      expect(re[k]).toBeCloseTo(a, 10);
      expect(im[k]).toBeCloseTo(b, 10);
    }
    expect(() => new Fft(48)).toThrow('found 48');
  });
});

describe('the ring of sound', () => {
  it('holds the latest frames with their times, over its edge and over chunks longer than itself', () => {
    const ring = new SoundRing(1_000, 2, 0.1);
    const read = (channel: number, from: number, to: number) => {
      const line = new Float32Array(to - from);
      ring.read(channel, from, line);
      return [...line];
    };
    const chunk = (from: number, frames: number) =>
      Int16Array.from({ length: 2 * frames }, (_, i) => (i % 2 === 0 ? 1 : -1) * (from + (i >> 1)));
    ring.push(chunk(0, 70), 0n);
    ring.push(chunk(70, 70), 70_000_000n);
    expect(ring.held).toEqual([40, 140]);
    expect(read(1, 95, 105)).toEqual([95, 96, 97, 98, 99, 100, 101, 102, 103, 104].map((v) => -v));
    expect(ring.frameAt(100_000_000n)).toBeCloseTo(100, 6);
    ring.push(chunk(140, 250), 140_000_000n);
    expect(ring.held).toEqual([290, 390]);
    expect(read(0, 290, 293)).toEqual([290, 291, 292]);
    // A little is missing: it is silence, and what was before keeps its time.
    ring.push(chunk(450, 10), 450_000_000n);
    expect(read(0, 388, 392)).toEqual([388, 389, 0, 0]);
    expect(read(0, 449, 451)).toEqual([0, 450]);
    // A second is missing: what was before belongs to another time.
    ring.push(chunk(0, 10), 1_390_000_000n);
    expect(ring.held).toEqual([0, 10]);
    expect(ring.frameAt(1_391_000_000n)).toBeCloseTo(1, 6);
  });
});

describe('the direction of an impact', { timeout: 60_000 }, () => {
  it.each([
    [0, 'front'],
    [90, 'left'],
    [-120.5, 'right'],
    [180, 'rear'],
  ] as const)('from %i° is found on the side %s', (azimuth, side) => {
    const direction = told(find(eventFrom(azimuth)).direction);
    expect(apartDeg(direction.azimuthDeg, azimuth)).toBeLessThan(3);
    expect(direction.side).toBe(side);
    expect(direction.confidence).toBeGreaterThan(0.8);
  });

  it('is in the frame of the vehicle, however the board is mounted', () => {
    const event = eventFrom(60);
    const at = (mount: Partial<ArrayMount>) => told(find(event, { ...FLAT, ...mount }).direction).azimuthDeg;
    expect(apartDeg(at({ yawDeg: 90 }), 150)).toBeLessThan(3);
    expect(apartDeg(at({ yawDeg: 170 }), -130)).toBeLessThan(3);
    // The same channels on a board that looks up: its left is the other side.
    expect(apartDeg(at({ facing: 'up' }), -60)).toBeLessThan(3);
    // On a raked board what is ahead and to the side is seen more to the side.
    expect(apartDeg(at({ pitchDeg: 30 }), 60)).toBeLessThan(12);
  });

  it('is found with two capsules dead, another on two channels, and with a microphone anywhere on the eighth', () => {
    const event = eventFrom(-75);
    const dead = withChannels(event, (frame) => frame.fill(0, 2, 4));
    expect(apartDeg(told(find(dead).direction).azimuthDeg, -75)).toBeLessThan(5);
    const random = new Random(9);
    const noisy = withChannels(event, (frame) => {
      frame[7] = random.integer(-20_000, 20_000);
    });
    expect(find(noisy).direction).toEqual(find(event).direction);
    // Told to be unsure, not told, or right: never surely wrong.
    const swapped = withChannels(event, (frame) => {
      [frame[2], frame[3]] = [frame[3] as number, frame[2] as number];
    });
    const { direction } = find(swapped);
    expect(direction === null || direction.confidence < 0.5 || apartDeg(direction.azimuthDeg, -75) < 20).toBe(true);
  });

  it('is not told of two channels, three in a line, silence, a converter at its limits, noise alone, or a time long past', () => {
    const event = eventFrom(20);
    expect(find(withChannels(event, (frame) => frame.fill(0, 2))).direction).toBeNull();
    const inLine = (frame: Int16Array) => {
      frame.fill(0, 2, 4);
      frame.fill(0, 5);
    };
    expect(find(withChannels(event, inLine)).direction).toBeNull();
    expect(find(withChannels(event, (frame) => frame.fill(0))).direction).toBeNull();
    expect(
      find(
        withChannels(event, (frame) =>
          frame.forEach((v, i) => {
            frame[i] = v >= 0 ? 32_767 : -32_768;
          }),
        ),
      ).direction,
    ).toBeNull();
    expect(find({ ...event, onsetFrame: 30_000 - 12_000 }).direction).toBeNull();
    expect(find({ ...event, onsetFrame: -96_000 }).direction).toBeNull();
    expect(find({ ...event, onsetFrame: 960_000 }).direction).toBeNull();
    expect(new DirectionFinder({ sampleRateHz: 48_000, channels: 8, mount: FLAT }).at(timeOf(0))).toBeNull();
  });

  it('is told of mono sound as little as of stereo', () => {
    const mono = { ...eventFrom(0), pcm: eventFrom(0).pcm.filter((_, i) => i % CHANNELS === 0) };
    expect(find(mono, FLAT, 1).direction).toBeNull();
  });
});

describe('directions of many impacts, seed 7', () => {
  const errors = { free: [] as number[], cabin: [] as number[] };
  beforeAll(() => {
    const random = new Random(7, 3);
    for (let i = 0; i < 10; i++) {
      const { samples } = (i % 2 === 0 ? bodyImpact : glassBreak)(random.fork(), 48_000);
      for (const [where, found] of Object.entries(errors)) {
        const cabin = where === 'cabin';
        const event = drawEvent(lead(samples), { snrDb: cabin ? 20 : 10, noiseSlope: cabin ? 1 : 0, cabin }, random);
        const { direction } = find(event);
        found.push(direction === null ? 180 : apartDeg(direction.azimuthDeg, event.azimuthDeg));
      }
    }
    for (const found of Object.values(errors)) found.sort((a, b) => a - b);
  }, 120_000);

  it('are within 5° in the median and 20° for nine of ten, at 10 dB', () => {
    expect(errors.free[5]).toBeLessThan(5);
    expect(errors.free[8]).toBeLessThan(20);
  });

  it('are on the right side for most, between the walls of a cabin', () => {
    expect(errors.cabin[5]).toBeLessThan(10);
  });
});

describe('the generated drive', () => {
  it('says where its impacts sounded, and they are found there', () => {
    const finder = new DirectionFinder({ sampleRateHz: 48_000, channels: 8, mount: FLAT });
    const options = { seed: 12, seconds: 14, eventsPerMinute: 60, minGapS: 0.5, snrDb: [20, 30] as const };
    const errors: number[] = [];
    const waiting: { onsetS: number; azimuthDeg: number }[] = [];
    for (const block of renderDrive({ ...options, confusersPerMinute: 0 })) {
      finder.push(block.pcm, timeOf(block.firstFrame));
      waiting.push(...block.truth);
      while (waiting[0] !== undefined && waiting[0].onsetS < block.firstFrame / 48_000 - 0.5) {
        const { onsetS, azimuthDeg } = waiting.shift() as (typeof waiting)[number];
        const direction = finder.at(timeOf(Math.round(onsetS * 48_000)));
        errors.push(direction === null ? 180 : apartDeg(direction.azimuthDeg, azimuthDeg));
      }
    }
    expect(errors.length).toBeGreaterThan(5);
    expect(errors.sort((a, b) => a - b)[errors.length >> 1]).toBeLessThan(5);
  }, 60_000);
});
