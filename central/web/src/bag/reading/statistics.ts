/**
 * Sums up a series over a span: from all its messages where they can be read, else from the recorded overview, else from some
 * chunks of many; the result says which.
 */
import type { Bag } from './bag.ts';
import type { SeriesKey, SeriesStatistics } from './bag-model.ts';
import { missingOf, type Numbered } from './missing-messages.ts';
import { overviewStatistics } from './overview-statistics.ts';
import { type Plan, planOf } from './plan.ts';
import type { Track } from './track.ts';
import { valuesOf } from './values-summary.ts';

/** Sound above this is summed up from the overview: all its samples have to be in memory at once. */
const exactBytes = { sound: 40 * 1024 * 1024, numbers: 16 * 1024 * 1024 };
const sampledChunks = 96;

/** Reads what is needed. @param isStale ends the work, with what there is so far. */
export async function statisticsOf(
  bag: Bag,
  keys: readonly SeriesKey[],
  fromS: number,
  toS: number,
  isStale: () => boolean,
): Promise<SeriesStatistics[]> {
  const results: SeriesStatistics[] = [];
  // The bag's last message is part of it, and so is the whole period in which its first one came.
  const beginS = fromS <= 0 ? Number.NEGATIVE_INFINITY : fromS;
  const endS = toS >= bag.durationS ? Number.POSITIVE_INFINITY : toS;
  for (const key of keys) {
    const track = bag.tracks[key.topic];
    if (isStale()) break;
    if (track === undefined || (track.kind !== 'sound' && track.kind !== 'numbers')) continue;
    const overview = track.overviewOf(key.field);
    const bound = exactBytes[track.kind];
    const plan = planOf(bag, track, fromS, toS, overview.length > 0 ? 0 : sampledChunks, bound);
    if (plan.mode === 'sampled' && overview.length > 0) {
      results.push(overviewStatistics(key, track, overview, beginS, endS));
      continue;
    }
    await bag.load(plan.chunks.map((chunk) => ({ track, chunk })).filter((want) => bag.isMissing(want)));
    results.push(fromMessages(bag, key, track, plan, beginS, endS));
  }
  return results;
}

/** What is gathered of messages: their times and numbers, and their values. */
interface Gathered {
  readonly t: number[];
  /** By recording. */
  readonly numbered: Map<string, Numbered>;
  values: Float64Array;
  count: number;
}

function fromMessages(
  bag: Bag,
  key: SeriesKey,
  track: Track,
  plan: Plan,
  fromS: number,
  toS: number,
): SeriesStatistics {
  const gathered: Gathered = { t: [], numbered: new Map(), values: new Float64Array(4096), count: 0 };
  let soundS = 0;
  const order = plan.chunks.toSorted((one, other) => one - other);
  for (const chunk of order) {
    const decoded = bag.decoded(track, chunk);
    const recording = bag.recordingOf(chunk);
    const numbered = gathered.numbered.get(recording) ?? { t: [], sequence: [] };
    gathered.numbered.set(recording, numbered);
    const met = (t: number, sequence: number) => {
      gathered.t.push(t);
      numbered.t.push(t);
      numbered.sequence.push(sequence);
    };
    if (decoded?.kind === 'numbers') {
      decoded.t.forEach((t, row) => {
        if (t < fromS || t >= toS) return;
        met(t, decoded.sequence[row] as number);
        take(gathered, decoded.values[key.field]?.[row] ?? Number.NaN);
      });
    } else if (decoded?.kind === 'sound') {
      decoded.blocks.forEach(({ samples, channels, rateHz }, at) => {
        const start = decoded.t[at] as number;
        const frames = samples.length / channels;
        const first = Math.max(0, Math.ceil((fromS - start) * rateHz - 1e-6));
        const end = Math.min(frames, Math.ceil((toS - start) * rateHz - 1e-6));
        if (end <= first) return;
        met(start, decoded.sequence[at] as number);
        soundS += (end - first) / rateHz;
        for (let frame = first; frame < end; frame += 1) {
          take(gathered, (samples[frame * channels + key.field] as number) / 32_768);
        }
      });
    }
  }
  const sampled = plan.mode === 'sampled';
  const { t } = gathered;
  const pauses = sampled ? { gaps: null, longestS: null } : pausesOf(t);
  const spanS = t.reduce((last, at) => Math.max(last, at), 0) - t.reduce((first, at) => Math.min(first, at), t[0] ?? 0);
  const rateHz =
    track.kind === 'sound' ? (soundS > 0 ? gathered.count / soundS : 0) : spanS > 0 ? (t.length - 1) / spanS : 0;
  return {
    key,
    basis: sampled ? 'sampled' : 'exact',
    share: plan.of === 0 ? 1 : plan.chunks.length / plan.of,
    count: track.kind === 'sound' ? gathered.count : t.length,
    rateHz: sampled && track.kind !== 'sound' && track.periodS > 0 ? 1 / track.periodS : rateHz,
    ...pauses,
    missing: sampled ? null : missingOf(gathered.numbered.values()),
    ...valuesOf(gathered.values.subarray(0, gathered.count)),
    histogramOf: 'values',
  };
}

function take(gathered: Gathered, value: number): void {
  if (!Number.isFinite(value)) return;
  if (gathered.count === gathered.values.length) {
    const larger = new Float64Array(2 * gathered.count);
    larger.set(gathered.values);
    gathered.values = larger;
  }
  gathered.values[gathered.count] = value;
  gathered.count += 1;
}

/** Distances between neighbours that are longer than 1.5 of the median, and the longest. */
function pausesOf(t: readonly number[]): { gaps: number | null; longestS: number | null } {
  const ordered = t.toSorted((one, other) => one - other);
  const distances = Float64Array.from(ordered.slice(1), (at, index) => at - (ordered[index] as number));
  if (distances.length === 0) return { gaps: null, longestS: null };
  const usual = distances.toSorted()[distances.length >> 1] as number;
  return {
    gaps: distances.reduce((sum, distance) => sum + (distance > 1.5 * usual ? 1 : 0), 0),
    longestS: distances.reduce((longest, distance) => Math.max(longest, distance), 0),
  };
}
