import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { recallAtFpr, rocAuc } from '../../models/metrics.ts';

const scored = fc.array(fc.tuple(fc.integer({ min: 0, max: 8 }), fc.boolean()), { minLength: 2, maxLength: 60 });
const both = scored.filter((pairs) => pairs.some(([, p]) => p) && pairs.some(([, p]) => !p));

describe('roc_auc', () => {
  test('has the values of worked examples', () => {
    expect(rocAuc([0.1, 0.4, 0.35, 0.8], [false, false, true, true])).toBe(0.75);
    expect(rocAuc([1, 2, 3, 4], [false, false, true, true])).toBe(1);
    expect(rocAuc([4, 3, 2, 1], [false, false, true, true])).toBe(0);
    expect(rocAuc([5, 5, 5], [true, false, true])).toBe(0.5);
    expect(rocAuc([1, 2, 2, 3], [false, true, false, true])).toBe(0.875);
  });

  test('is null without both kinds, and refuses NaN and unequal lengths', () => {
    expect(rocAuc([1, 2], [true, true])).toBeNull();
    expect(rocAuc([], [])).toBeNull();
    expect(() => rocAuc([Number.NaN, 1], [true, false])).toThrow(/NaN at score 0/);
    expect(() => rocAuc([1], [true, false])).toThrow(/found 2 for 1/);
  });

  test('equals the share of pairs in the right order, and turns over with the scores', () => {
    fc.assert(
      fc.property(both, (pairs) => {
        const scores = pairs.map(([s]) => s);
        const truth = pairs.map(([, p]) => p);
        let wins = 0;
        let count = 0;
        for (const [s, p] of pairs) {
          for (const [t, q] of pairs) {
            if (p && !q) {
              count++;
              wins += s > t ? 1 : s === t ? 0.5 : 0;
            }
          }
        }
        const auc = rocAuc(scores, truth) as number;
        expect(auc).toBeCloseTo(wins / count, 12);
        const reversed = rocAuc(
          scores.map((s) => -s),
          truth,
        );
        expect(reversed).toBeCloseTo(1 - auc, 12);
      }),
    );
  });
});

describe('recall_at_fpr', () => {
  test('counts only what the affordable false alarms allow, ties falling on one side', () => {
    const negatives = Array.from({ length: 20 }, (_, i) => i);
    const scores = [...negatives, 19.5, 18.5, 18, 3];
    const truth = [...negatives.map(() => false), true, true, true, true];
    expect(recallAtFpr(scores, truth, 0)).toBe(0.25);
    expect(recallAtFpr(scores, truth, 0.05)).toBe(0.5);
    expect(recallAtFpr(scores, truth, 0.1)).toBe(0.75);
    expect(recallAtFpr(scores, truth, 1)).toBe(1);
    expect(recallAtFpr([1], [true], 0.1)).toBeNull();
  });

  test('is the best recall over all thresholds within the rate, and grows with it', () => {
    fc.assert(
      fc.property(both, fc.double({ min: 0, max: 1, noNaN: true }), (pairs, fpr) => {
        const scores = pairs.map(([s]) => s);
        const truth = pairs.map(([, p]) => p);
        const positives = truth.filter(Boolean).length;
        const negatives = truth.length - positives;
        let best = 0;
        for (const threshold of [...scores, 100]) {
          const alarms = pairs.filter(([s, p]) => !p && s >= threshold).length;
          if (alarms / negatives <= fpr + 1e-12) {
            best = Math.max(best, pairs.filter(([s, p]) => p && s >= threshold).length / positives);
          }
        }
        const recall = recallAtFpr(scores, truth, fpr) as number;
        expect(recall).toBeCloseTo(best, 12);
        expect(recallAtFpr(scores, truth, Math.min(1, fpr + 0.1))).toBeGreaterThanOrEqual(recall);
      }),
    );
  });
});
