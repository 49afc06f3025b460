import { describe, expect, test } from 'vitest';
import { FEATURE_EDGES, inputFeatures, SCORE_EDGES } from '../../models/features.ts';

const RATE = 48_000;

describe('the input features of a window', () => {
  test('of a full-scale sine are its level, crest, crossings and treble', () => {
    const sine = Float32Array.from({ length: RATE }, (_, i) => Math.sin((2 * Math.PI * 1000 * (i + 0.5)) / RATE));
    const features = inputFeatures(sine, RATE);
    expect(features.rms_dbfs).toBeCloseTo(-3.0103, 4);
    expect(features.crest_db).toBeCloseTo(3.0103, 1);
    expect(Math.abs(features.zero_crossings_per_s - 2000)).toBeLessThanOrEqual(1);
    // The power of a sine's differences is (2 sin(π f / rate))² of its own.
    expect(features.treble_db).toBeCloseTo(20 * Math.log10(2 * Math.sin((Math.PI * 1000) / RATE)), 2);
  });

  test('of silence, of nothing and of a constant are finite', () => {
    for (const window of [new Float32Array(100), new Float32Array(0)]) {
      expect(inputFeatures(window, RATE)).toEqual({
        rms_dbfs: -120,
        crest_db: 0,
        zero_crossings_per_s: 0,
        treble_db: 0,
      });
    }
    const constant = inputFeatures(new Float32Array(100).fill(-0.5), RATE);
    expect(constant.rms_dbfs).toBeCloseTo(-6.0206, 4);
    expect(constant.crest_db).toBeCloseTo(0, 9);
    expect(constant.zero_crossings_per_s).toBe(0);
    expect(constant.treble_db).toBeLessThan(-100);
  });

  test('count zero as positive, and a blow by its crest', () => {
    expect(inputFeatures(Float32Array.from([0, -1, 0, -1]), 4).zero_crossings_per_s).toBe(3);
    const click = new Float32Array(10_000);
    click[5000] = -1;
    expect(inputFeatures(click, RATE).crest_db).toBeCloseTo(40, 6);
  });

  test('have bins as the training has them', () => {
    expect([...FEATURE_EDGES.rms_dbfs].slice(0, 3)).toEqual([-120, -114, -108]);
    expect(FEATURE_EDGES.crest_db.at(-1)).toBe(60);
    expect(FEATURE_EDGES.zero_crossings_per_s[1]).toBe(1000);
    expect(FEATURE_EDGES.treble_db.slice(0, 2)).toEqual([-60, -57]);
    expect(FEATURE_EDGES.treble_db.at(-1)).toBe(6);
    expect(SCORE_EDGES.length).toBe(21);
    expect(SCORE_EDGES[3]).toBe(0.15);
  });
});
