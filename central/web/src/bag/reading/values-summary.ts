/** Sums values up: extremes, mean, deviation, histogram. */
import type { SeriesStatistics } from './bag-model.ts';

const bins = 40;

type ValueStatistics = Pick<SeriesStatistics, 'min' | 'mean' | 'max' | 'deviation' | 'histogram'>;

/** In two passes, so that a small deviation around a large mean stays exact. */
export function valuesOf(values: Float64Array): ValueStatistics {
  if (values.length === 0)
    return { min: Number.NaN, mean: Number.NaN, max: Number.NaN, deviation: Number.NaN, histogram: [] };
  let [min, max, sum] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
  for (const value of values) {
    if (value < min) min = value;
    if (value > max) max = value;
    sum += value;
  }
  const mean = sum / values.length;
  const histogram = new Array<number>(bins).fill(0);
  const scale = max > min ? bins / (max - min) : 0;
  let squares = 0;
  for (const value of values) {
    squares += (value - mean) ** 2;
    const bin = Math.min(bins - 1, Math.floor((value - min) * scale));
    histogram[bin] = (histogram[bin] as number) + 1;
  }
  return { min, mean, max, deviation: Math.sqrt(squares / values.length), histogram };
}
