/** Series of numbers over time: history and live samples joined, values looked up, ranges summed up. All pure. */
import type { LivePoint } from '../api/live-store.ts';
import type { HistoryField } from '../api/types.ts';

export interface Series {
  /** Milliseconds since 1970 (vehicle pages) or seconds from the clip's start (event pages), rising. */
  readonly t: readonly number[];
  readonly mean: readonly (number | null)[];
  /** Present where values are summed up in buckets. */
  readonly min?: readonly (number | null)[];
  readonly max?: readonly (number | null)[];
}

const scaled = (values: readonly (number | null)[], scale: number) =>
  values.map((value) => (value === null ? null : value * scale));

/**
 * History from `fromMs` on with the live points after its end, all values multiplied by `scale`. A live point that
 * lacks the field is left out.
 */
export function joinSeries(
  history: HistoryField | undefined,
  live: readonly LivePoint[],
  field: string,
  fromMs: number,
  scale: number,
): Series {
  const t = [...(history?.t ?? [])];
  const min = scaled(history?.min ?? [], scale);
  const mean = scaled(history?.mean ?? [], scale);
  const max = scaled(history?.max ?? [], scale);
  const end = t.at(-1) ?? Number.NEGATIVE_INFINITY;
  for (const point of live) {
    const value = point.values[field];
    if (point.t <= end || value === undefined) continue;
    const shown = value === null ? null : value * scale;
    t.push(point.t);
    min.push(shown);
    mean.push(shown);
    max.push(shown);
  }
  const first = t.findIndex((at) => at >= fromMs);
  if (first <= 0) return first === 0 ? { t, min, mean, max } : { t: [], min: [], mean: [], max: [] };
  return { t: t.slice(first), min: min.slice(first), mean: mean.slice(first), max: max.slice(first) };
}

/** The index of the time nearest to `at`; -1 for an empty series. */
export function nearestIndex(t: readonly number[], at: number): number {
  let low = 0;
  let high = t.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((t[middle] ?? 0) < at) low = middle + 1;
    else high = middle;
  }
  const before = t[low - 1];
  const after = t[low];
  return before !== undefined && after !== undefined && at - before < after - at
    ? low - 1
    : Math.min(low, t.length - 1);
}

/** The value nearest to `at`, when it is no farther away than `reach`; null otherwise. */
export function valueAt(series: Series, at: number, reach: number): number | null {
  const index = nearestIndex(series.t, at);
  const t = series.t[index];
  return t === undefined || Math.abs(t - at) > reach ? null : (series.mean[index] ?? null);
}

/** The newest value that is one. */
export function newestValue(series: Series): number | null {
  return series.mean.findLast((value) => value !== null) ?? null;
}

/** The usual distance between neighbouring points (the median); 0 for less than two. */
export function usualStep(t: readonly number[]): number {
  const steps = t.slice(1).map((at, index) => at - (t[index] ?? at));
  steps.sort((a, b) => a - b);
  return steps[steps.length >> 1] ?? 0;
}

/**
 * Points for a line chart, `[t, value]`, with a break (a null) where neighbours are more than `gap` apart, so that an
 * outage is not drawn as a straight line.
 */
export function linePoints(
  t: readonly number[],
  values: readonly (number | null)[],
  gap: number,
): [number, number | null][] {
  const points: [number, number | null][] = [];
  t.forEach((at, index) => {
    const before = t[index - 1];
    if (before !== undefined && at - before > gap) points.push([before + 1, null]);
    points.push([at, values[index] ?? null]);
  });
  return points;
}

/**
 * The value axis of a plot: the range of all values, but never narrower than ten of the last shown digit, so that noise
 * does not look like news; with a margin of a tenth on each side. `[0, 1]` without any value.
 */
export function valueRange(values: readonly (readonly (number | null)[])[], digits: number): readonly [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const row of values) {
    for (const value of row) {
      if (value === null) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  if (low > high) return [0, 1];
  const least = 10 ** (1 - digits);
  const missing = Math.max(0, least - (high - low)) / 2;
  const margin = (high - low + 2 * missing) / 10;
  const bottom = low - missing - margin;
  return [low >= 0 ? Math.max(0, bottom) : bottom, high + missing + margin];
}
