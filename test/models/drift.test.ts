import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  averagePairwiseDistance,
  binCentres,
  driftDistances,
  HistogramCounter,
  hellinger,
  kullbackLeibler,
} from '../../models/drift.ts';

const counts = fc.array(fc.nat(1000), { minLength: 8, maxLength: 8 }).filter((all) => all.some((n) => n > 0));
const centres = [0, 1, 2, 3, 4, 5, 6, 7];

/** By its definition: the mean over all pairs. */
function pairwise(p: number[], q: number[]): number {
  const [pSum, qSum] = [p, q].map((all) => all.reduce((a, b) => a + b)) as [number, number];
  let sum = 0;
  p.forEach((a, i) => {
    q.forEach((b, j) => {
      sum += (a / pSum) * (b / qSum) * Math.abs((centres[i] as number) - (centres[j] as number));
    });
  });
  return sum;
}

describe('the distances of two histograms', () => {
  test('are 0 for the same shares, and only for those', () => {
    fc.assert(
      fc.property(counts, fc.integer({ min: 1, max: 9 }), (p, factor) => {
        const q = p.map((n) => n * factor);
        expect(hellinger(p, q)).toBeCloseTo(0, 7);
        expect(averagePairwiseDistance(p, q, centres)).toBeCloseTo(0, 12);
        expect(kullbackLeibler(p, p)).toBe(0);
      }),
    );
    const other = driftDistances([1, 2], [2, 1], [0, 1, 2]);
    expect(Math.min(...Object.values(other))).toBeGreaterThan(0.01);
  });

  test('are as large as can be, and finite, when nothing is in common', () => {
    expect(hellinger([5, 0, 0], [0, 0, 3])).toBe(1);
    expect(kullbackLeibler([500, 0, 0], [0, 0, 300])).toBeLessThan(10);
    // One value at 1 dB, the other at 4 dB: 2 × 3 dB, and nothing within either.
    expect(averagePairwiseDistance([5, 0, 0, 0], [0, 0, 0, 2], [1, 2, 3, 4])).toBe(6);
  });

  test('stay in their ranges, and the symmetric ones are symmetric', () => {
    fc.assert(
      fc.property(counts, counts, (p, q) => {
        const there = driftDistances(p, q, [...centres, 8]);
        const back = driftDistances(q, p, [...centres, 8]);
        expect(there.hellinger).toBeLessThanOrEqual(1);
        expect(Math.min(...Object.values(there))).toBeGreaterThanOrEqual(0);
        expect(back.hellinger).toBeCloseTo(there.hellinger, 12);
        expect(back.average_pairwise).toBeCloseTo(there.average_pairwise, 12);
      }),
    );
  });

  test('count every pair of values as the definition of the average pairwise distance does', () => {
    fc.assert(
      fc.property(counts, counts, (p, q) => {
        const expected = 2 * pairwise(p, q) - pairwise(p, p) - pairwise(q, q);
        expect(averagePairwiseDistance(p, q, centres)).toBeCloseTo(expected, 9);
      }),
    );
  });

  test('of an empty histogram are not a number, and of other bins an error', () => {
    expect(Object.values(driftDistances([0, 0], [1, 2], [0, 1, 2]))).toEqual([Number.NaN, Number.NaN, Number.NaN]);
    expect(() => hellinger([1], [1, 2])).toThrow(/same bins, found 1 and 2/);
    expect(() => averagePairwiseDistance([1, 2], [1, 2], [1])).toThrow(RangeError);
  });
});

describe('a histogram counter', () => {
  test('puts each value into its bin, what lies beyond the ends into the outer ones', () => {
    const counter = new HistogramCounter([0, 1, 2, 4]);
    for (const value of [-5, 0, 0.999, 1, 2, 3.9, 4, 99, Number.POSITIVE_INFINITY, Number.NaN]) counter.add(value);
    expect(counter.counts()).toEqual([3, 1, 5]);
    expect(counter.total()).toBe(9);
    counter.reset();
    expect(counter.counts()).toEqual([0, 0, 0]);
    expect(binCentres(counter.edges)).toEqual([0.5, 1.5, 3]);
  });

  test('refuses edges that do not ascend', () => {
    expect(() => new HistogramCounter([0, 2, 2])).toThrow(/ascending edges/);
    expect(() => new HistogramCounter([1])).toThrow(RangeError);
  });
});
