import { expect, test } from 'vitest';
import { bootstrap } from '../../models/bootstrap.ts';
import { figuresOf, intervalsOf } from '../../models/evaluation-figures.ts';
import { SeededRandom } from '../../models/seeded-random.ts';

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

test('an interval covers the true mean about 95 times in 100, and is that of the normal distribution', () => {
  let covered = 0;
  const widths: number[] = [];
  for (let trial = 0; trial < 200; trial++) {
    const random = new SeededRandom(`trial ${trial}`);
    const values = Array.from({ length: 60 }, () => random.unit());
    const { of } = bootstrap([values], (drawn) => ({ of: mean(drawn) }), { count: 300, seed: trial });
    const [low, high] = of ?? [1, 0];
    covered += low <= 0.5 && high >= 0.5 ? 1 : 0;
    widths.push(high - low);
  }
  expect(covered).toBeGreaterThanOrEqual(180);
  expect(covered).toBeLessThanOrEqual(199);
  expect(mean(widths)).toBeCloseTo((2 * 1.96 * Math.sqrt(1 / 12)) / Math.sqrt(60), 2);
});

test('strata keep their sizes, a seed repeats, and a figure that is mostly missing has no interval', () => {
  const strata = [
    [1, 1, 1],
    [0, 0],
  ];
  const figures = (drawn: readonly number[]) => ({ ones: drawn.filter((each) => each === 1).length, none: null });
  const once = bootstrap(strata, figures, { count: 200, seed: 3 });
  expect(once).toEqual({ ones: [3, 3], none: null });
  const random = new SeededRandom('values');
  const values = Array.from({ length: 30 }, () => random.unit());
  const means = (seed: number) => bootstrap([values], (drawn) => ({ of: mean(drawn) }), { count: 100, seed });
  expect(means(1)).toEqual(means(1));
  expect(means(1)).not.toEqual(means(2));
});

test('intervals of clip figures hold the figures, and are narrower with more clips', () => {
  const clips = (count: number) => {
    const random = new SeededRandom(`clips ${count}`);
    return Array.from({ length: count }, (_, i) => {
      const group = i % 5 === 0 ? 'impact' : 'background';
      const score = random.unit() ** (group === 'impact' ? 0.5 : 2);
      const detected_as = score > 0.5 ? 'body_impact' : 'none';
      const label = group === 'impact' ? 'body_impact' : null;
      return {
        file: `${i}`,
        fold: '1',
        class: group,
        group,
        score,
        scores: {},
        kind: 'body_impact',
        detected_as,
        label,
      };
    });
  };
  const width = (count: number) => {
    const made = clips(count);
    const intervals = intervalsOf([made.map((clip) => [clip])], { count: 300, seed: 1 });
    const [low, high] = intervals.roc_auc ?? [1, 0];
    expect(figuresOf(made).roc_auc).toBeGreaterThanOrEqual(low);
    expect(figuresOf(made).roc_auc).toBeLessThanOrEqual(high);
    expect(Object.keys(intervals.recall_at_fpr)).toEqual(['0.02', '0.05', '0.1']);
    expect(intervals.kind_accuracy).toEqual([1, 1]);
    return high - low;
  };
  expect(width(400)).toBeLessThan(width(50));
  // Clips are drawn with all that was made of them: saying the same four times makes nothing surer.
  const made = clips(100);
  const options = { count: 300, seed: 1 };
  const once = intervalsOf([made.map((clip) => [clip])], options);
  expect(intervalsOf([made.map((clip) => [clip, clip, clip, clip])], options)).toEqual(once);
});
