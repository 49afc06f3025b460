import { describe, expect, test } from 'vitest';
import { Ambience, relativeToAll, relativeToBefore } from '../../models/ambience.ts';
import type { ModelDescription } from '../../models/description.ts';
import { testDescription } from './description.ts';

const ambience = { weight: 0.5, usual: -8, span_s: 5, assumed_s: 1 };
const description: ModelDescription = { ...testDescription(), events: { ambience } };

/** A window that is so sure of an impact, three quarters of it a body's. */
const sure = (p: number) => [1 - p, 0.75 * p, 0.25 * p];
const stream = (...surenesses: number[]) => Float32Array.from(surenesses.flatMap(sure));
const surenesses = (scores: Float32Array) =>
  Array.from({ length: scores.length / 3 }, (_, i) => (scores[3 * i + 1] ?? 0) + (scores[3 * i + 2] ?? 0));

describe('scores beside the ambience', () => {
  test('fall where something raps all the time, and stay where a blow comes out of what is usual', () => {
    const usual = 1 / (1 + Math.exp(8));
    const rapping = surenesses(relativeToBefore(stream(...Array<number>(40).fill(0.6)), description));
    expect(rapping[0]).toBeCloseTo(0.6, 5);
    expect(rapping.at(-1)).toBeLessThan(0.05);
    const quiet = surenesses(relativeToBefore(stream(...Array<number>(39).fill(usual), 0.6), description));
    expect(quiet.at(-1)).toBeCloseTo(0.6, 5);
    const calm = surenesses(relativeToBefore(stream(...Array<number>(39).fill(usual / 10), 0.6), description));
    expect(calm.at(-1)).toBeGreaterThan(0.8);
  });

  test('forget what lies before the span', () => {
    const usual = 1 / (1 + Math.exp(8));
    const later = [...Array<number>(20).fill(usual), 0.6];
    const without = surenesses(relativeToBefore(stream(...later), description));
    const rapping = surenesses(relativeToBefore(stream(...Array<number>(40).fill(0.6), ...later), description));
    expect(rapping[40]).toBeLessThan(usual / 10);
    expect(rapping.at(-1)).toBe(without.at(-1));
  });

  test('forget a stream that has ended', () => {
    const heard = new Ambience(description);
    for (let i = 0; i < 40; i++) heard.relative(Float32Array.from(sure(0.6)));
    const held = heard.relative(Float32Array.from(sure(0.6)));
    heard.reset();
    expect(surenesses(heard.relative(Float32Array.from(sure(0.6))))[0]).toBeCloseTo(0.6, 5);
    expect(surenesses(held)[0]).toBeLessThan(0.05);
  });

  test('still add up to one, in the same order of labels, for the surest and the least sure window', () => {
    const scores = Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1, 0.5, 0.3, 0.2, 1e-9, 0.6, 0.4);
    for (const relative of [relativeToBefore(scores, description), relativeToAll(scores, description)]) {
      for (let at = 0; at < relative.length; at += 3) {
        const [background = 0, body = 0, glass = 0] = relative.subarray(at, at + 3);
        expect(background + body + glass).toBeCloseTo(1, 5);
        expect(Math.sign(body - glass)).toBe(Math.sign((scores[at + 1] ?? 0) - (scores[at + 2] ?? 0)));
        expect(Math.min(background, body, glass)).toBeGreaterThanOrEqual(0);
      }
    }
  });

  test('of a clip are beside the whole of it: where it begins does not count', () => {
    const clip = [0.001, 0.002, 0.7, 0.004, 0.0005];
    const there = surenesses(relativeToAll(stream(...clip), description)).reverse();
    const back = surenesses(relativeToAll(stream(...clip.reverse()), description));
    expect(back).toEqual(there);
  });

  test('of a clip of little but a blow stay what they are', () => {
    const short = surenesses(relativeToAll(stream(0.9, 0.9, 0.9), description));
    for (const value of short) expect(value).toBeCloseTo(0.9, 5);
  });

  test('do not remember a window whose scores are no numbers', () => {
    const unassuming: ModelDescription = { ...description, events: { ambience: { ...ambience, assumed_s: 0 } } };
    const clip = stream(0.001, 0.9, 0.002, 0.3);
    const broken = Float32Array.of(...stream(0.001, 0.9), Number.NaN, Number.NaN, Number.NaN, ...stream(0.002, 0.3));
    for (const relative of [relativeToAll, relativeToBefore]) {
      const expected = surenesses(relative(clip, unassuming));
      const found = surenesses(relative(broken, unassuming));
      expect(found.filter((value) => !Number.isNaN(value))).toEqual(expected);
    }
  });

  test("are the model's own where its description says nothing of an ambience", () => {
    const scores = stream(0.2, 0.9);
    expect(relativeToBefore(scores, testDescription())).toBe(scores);
    expect(relativeToAll(scores, testDescription())).toBe(scores);
    expect(new Ambience(testDescription()).relative(scores)).toBe(scores);
  });
});
