import { describe, expect, test } from 'vitest';
import { activePower, assembled, loudestBlow, meanPower, mixAtSnr, withoutSilentEnds } from '../../models/mixing.ts';
import { SeededRandom } from '../../models/seeded-random.ts';

const RATE = 8000;

function noise(seconds: number, level: number, seed: string): Float32Array {
  const random = new SeededRandom(seed);
  return Float32Array.from({ length: Math.round(seconds * RATE) }, () => random.between(-level, level));
}

/** Silence with a decaying knock at each of the seconds. */
function knocks(seconds: number, atS: readonly number[], level = 0.5): Float32Array {
  return Float32Array.from({ length: Math.round(seconds * RATE) }, (_, i) =>
    atS.reduce((sum, at) => {
      const t = i / RATE - at;
      return sum + (t < 0 ? 0 : level * Math.exp(-t / 0.02) * Math.cos(2 * Math.PI * 700 * t));
    }, 0),
  );
}

function difference(mixed: Float32Array, clip: Float32Array): Float32Array {
  return mixed.map((sample, i) => sample - (clip[i] ?? 0));
}

describe('mixing a clip into a background', () => {
  test.each([20, 10, 0, -5])('makes the active part %d dB louder than the background', (snrDb) => {
    const clip = knocks(2, [0.7], 0.05);
    const mixed = mixAtSnr(clip, noise(1.3, 0.1, 'under'), { snrDb, sampleRateHz: RATE, offset: 77 });
    const under = meanPower(difference(mixed, clip));
    expect(10 * Math.log10(activePower(clip, RATE) / under)).toBeCloseTo(snrDb, 0);
    expect(mixed.length).toBe(clip.length);
  });

  test('reckons a steady sound by all of it, a knock by its loud blocks alone', () => {
    const steady = noise(1, 0.2, 'steady');
    expect(activePower(steady, RATE) / meanPower(steady)).toBeCloseTo(1, 6);
    expect(activePower(knocks(2, [0.5]), RATE)).toBeGreaterThan(10 * meanPower(knocks(2, [0.5])));
  });

  test('never exceeds full scale, and leaves the clip alone where there is nothing to mix', () => {
    const loud = mixAtSnr(knocks(1, [0.2], 0.95), noise(1, 1, 'loud'), { snrDb: -5, sampleRateHz: RATE, offset: 0 });
    expect(loud.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0)).toBeCloseTo(1, 6);
    const clip = knocks(1, [0.2]);
    expect(mixAtSnr(clip, new Float32Array(100), { snrDb: 0, sampleRateHz: RATE, offset: 3 })).toEqual(clip);
    expect(mixAtSnr(clip, new Float32Array(0), { snrDb: 0, sampleRateHz: RATE, offset: 3 })).toEqual(clip);
  });

  test('does not count digital silence at the ends of a background', () => {
    const padded = new Float32Array(3 * RATE);
    padded.set(noise(1, 0.1, 'padded'), RATE);
    expect(withoutSilentEnds(padded).length).toBeLessThanOrEqual(RATE);
    expect(withoutSilentEnds(new Float32Array(5)).length).toBe(0);
  });
});

describe('an assembled background', () => {
  const sounds = ['a', 'b', 'c'].map((seed) => async () => noise(3, 0.3, seed));

  async function heard(seconds: number, seed: string): Promise<number[]> {
    const samples: number[] = [];
    for await (const piece of assembled(sounds, seconds, { sampleRateHz: RATE, random: new SeededRandom(seed) })) {
      samples.push(...piece);
    }
    return samples;
  }

  test('is as long as asked, the same for a seed, another for another', async () => {
    const first = await heard(20, 'x');
    expect(first.length).toBe(20 * RATE);
    expect(await heard(20, 'x')).toEqual(first);
    expect(await heard(20, 'y')).not.toEqual(first);
  });

  test('is empty when there is nothing to make it of, instead of searching for ever', async () => {
    const short = [async () => new Float32Array(10)];
    const random = new SeededRandom('short');
    for await (const piece of assembled(short, 5, { sampleRateHz: RATE, random })) expect(piece).toBeNull();
    for await (const piece of assembled([], 5, { sampleRateHz: RATE, random })) expect(piece).toBeNull();
  });
});

test('the loudest blow of a clip begins where it begins, and ends before the next one', () => {
  const first = knocks(3, [0.4]).map((sample) => 0.3 * sample);
  const next = knocks(3, [1.5], 0.4);
  const clip = knocks(3, [1.2]).map((sample, i) => sample + (first[i] ?? 0) + (next[i] ?? 0));
  const blow = loudestBlow(clip, RATE, 1);
  expect(blow?.samples.length).toBeGreaterThan(0.1 * RATE);
  expect(blow?.samples.length).toBeLessThan(0.31 * RATE);
  expect(Math.abs(blow?.samples[2] ?? 0)).toBeGreaterThan(0.1);
  expect(loudestBlow(new Float32Array(8000), RATE, 1)).toBeNull();
});
