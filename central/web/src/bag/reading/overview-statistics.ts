/** Sums a series up from the recorded overview, to its whole periods; pauses come from the index of chunks, which is finer. */
import type { SeriesKey, SeriesStatistics } from './bag-model.ts';
import type { OverviewPart } from './overview.ts';
import type { Track } from './track.ts';
import { valuesOf } from './values-summary.ts';

/** One period of the overview, joined over the files that have something in it. */
interface Period {
  readonly startS: number;
  readonly endS: number;
  count: number;
  sum: number;
  squares: number;
  min: number;
  max: number;
}

/** Between two messages, s. */
interface Pause {
  readonly fromS: number;
  readonly toS: number;
}

/** Of the periods that lie whole in the span. */
export function overviewStatistics(
  key: SeriesKey,
  track: Track,
  parts: readonly OverviewPart[],
  fromS: number,
  toS: number,
): SeriesStatistics {
  const periods = joined(parts).filter(({ startS, endS }) => startS >= fromS - 1e-9 && endS <= toS + 1e-9);
  const filled = periods.filter(({ count }) => count > 0);
  const usualS = track.kind === 'sound' ? track.blockS : usualDistance(filled);
  const pauses = usualS === null ? [] : pausesBetweenChunks(track, usualS, fromS, toS);
  if (usualS !== null) pauses.push(...emptyPeriods(periods, pauses));
  let [count, sum, squares, min, max] = [0, 0, 0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const period of filled) {
    count += period.count;
    sum += period.sum;
    squares += period.squares;
    min = Math.min(min, period.min);
    max = Math.max(max, period.max);
  }
  const mean = count > 0 ? sum / count : Number.NaN;
  const isSound = track.kind === 'sound';
  const seen = filled.map((one) => (isSound ? 10 * Math.log10(one.squares / one.count + 1e-12) : one.sum / one.count));
  return {
    key,
    basis: 'overview',
    share: 1,
    count,
    rateHz: steadyRate(filled, pauses, track),
    gaps: usualS === null ? null : pauses.length,
    longestS: pauses.length === 0 ? null : Math.max(...pauses.map((pause) => pause.toS - pause.fromS)),
    missing: null,
    min: count > 0 ? min : Number.NaN,
    mean,
    max: count > 0 ? max : Number.NaN,
    deviation: Math.sqrt(Math.max(0, squares / count - mean ** 2)),
    histogram: valuesOf(Float64Array.from(seen)).histogram,
    histogramOf: isSound ? 'levels' : 'means',
  };
}

/** All periods in order of time: a second in which one segment ends and the next begins is in both, and is one here. */
function joined(parts: readonly OverviewPart[]): Period[] {
  const periods = new Map<string, Period>();
  for (const { startS, periodS, count, min, max, mean, meanSquare } of parts) {
    for (let at = 0; at < mean.length; at += 1) {
      const beginS = startS + at * periodS;
      const name = `${Math.round(beginS * 1e6)} ${periodS}`;
      const period = periods.get(name) ?? {
        startS: beginS,
        endS: beginS + periodS,
        count: 0,
        sum: 0,
        squares: 0,
        min: Number.POSITIVE_INFINITY,
        max: Number.NEGATIVE_INFINITY,
      };
      periods.set(name, period);
      const weight = count[at] as number;
      if (!(weight > 0)) continue;
      period.count += weight;
      period.sum += (mean[at] as number) * weight;
      period.squares += (meanSquare[at] as number) * weight;
      period.min = Math.min(period.min, min[at] as number);
      period.max = Math.max(period.max, max[at] as number);
    }
  }
  return [...periods.values()].sort((one, other) => one.startS - other.startS);
}

/** Of messages that come more than once in a period; null for rarer ones, whose pauses the overview does not tell. */
function usualDistance(filled: readonly Period[]): number | null {
  const counts = Float64Array.from(filled, ({ count }) => count).toSorted();
  const usual = counts[counts.length >> 1] ?? 0;
  const [first] = filled;
  return first === undefined || usual < 2 ? null : (first.endS - first.startS) / usual;
}

/** Where the next chunk begins later than the next message should, both in the span. */
function pausesBetweenChunks(track: Track, usualS: number, fromS: number, toS: number): Pause[] {
  const pauses: Pause[] = [];
  let lastS = Number.POSITIVE_INFINITY;
  track.starts.forEach((startS, at) => {
    if (lastS >= fromS && startS < toS && startS - lastS > 1.5 * usualS) pauses.push({ fromS: lastS, toS: startS });
    const endS = track.ends[at] as number;
    lastS = lastS === Number.POSITIVE_INFINITY ? endS : Math.max(lastS, endS);
  });
  return pauses;
}

/** Runs of periods with nothing in them between others, as chunks may hold more than a period; those in a known pause apart. */
function emptyPeriods(periods: readonly Period[], known: readonly Pause[]): Pause[] {
  const found: Pause[] = [];
  let before: Period | null = null;
  for (const period of periods) {
    if (period.count === 0) continue;
    if (before !== null && period.startS - before.endS > 1e-6) found.push({ fromS: before.endS, toS: period.startS });
    before = period;
  }
  return found.filter(({ fromS, toS }) => !known.some((pause) => pause.fromS < toS && pause.toS > fromS));
}

/** Of periods that were recorded from their start to their end: not those in which a recording begins, ends or pauses. */
function steadyRate(filled: readonly Period[], pauses: readonly Pause[], { starts, ends, blockS }: Track): number {
  const [firstS, lastS] = [starts[0] ?? 0, ends.reduce((latest, end) => Math.max(latest, end), 0) + blockS];
  const isWhole = ({ startS, endS }: Period) =>
    startS >= firstS && endS <= lastS && !pauses.some((pause) => pause.fromS < endS && pause.toS > startS);
  const whole = filled.filter(isWhole);
  const counted = whole.length > 0 ? whole : filled;
  const spanS = counted.reduce((sum, { startS, endS }) => sum + endS - startS, 0);
  return spanS > 0 ? counted.reduce((sum, { count }) => sum + count, 0) / spanS : 0;
}
