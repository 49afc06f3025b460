/** What the synchroniser counts: since its start for health, and for each segment of the bag. Memory is fixed. */
import { createHistogram } from 'node:perf_hooks';

/** Counts of one topic. */
export interface TopicFigures {
  readonly topic: string;
  /** All that came. */
  readonly messages: number;
  /** Messages that are in no set and never will be; a topic faster than the slowest one always has some. */
  readonly unmatched: number;
  /** Messages whose set is still open. */
  readonly pending: number;
  /** Stamped before, or exactly as, the message that came before; the policy takes them as they are. */
  readonly reordered: number;
  readonly duplicates: number;
  /** Stamped in the future, which no measurement is; kept from the policy, where they would hold up every set. */
  readonly refused: number;
}

/** Counts over all topics. */
export interface SynchroniserFigures {
  readonly policy: 'approximate' | 'exact';
  readonly slopNs: bigint;
  readonly sets: number;
  /** Sets that could not be completed; see `SetCadence` for when one is due. */
  readonly missedSets: number;
  /** Sets of those that were due, 0 to 1; 1 while none was due. */
  readonly completeness: number;
  /** Time from the earliest to the latest message of a set, in ns; NaN before the first set. */
  readonly skewMedianNs: number;
  readonly skewP99Ns: number;
  readonly topics: readonly TopicFigures[];
}

/** 1 ns to 2¾ hours in steps of at most 1 %, in about 35 kB. */
const SKEW_RANGE = { lowest: 1, highest: 10_000_000_000_000, figures: 2 } as const;

/** The distribution of skews, as a histogram of fixed size. */
export class SkewHistogram {
  readonly #histogram = createHistogram(SKEW_RANGE);

  /** Counts a skew in ns, at least 0. */
  add(skewNs: bigint): void {
    this.#histogram.record(Math.min(SKEW_RANGE.highest, Math.max(SKEW_RANGE.lowest, Number(skewNs))));
  }

  /** The skew that `percent` of the sets do not exceed, in ns, to 1 %; NaN without sets. */
  percentileNs(percent: number): number {
    return this.#histogram.count === 0 ? Number.NaN : this.#histogram.percentile(percent);
  }

  reset(): void {
    this.#histogram.reset();
  }
}

/** `sets` of all that were due. */
export function completenessOf(sets: number, missedSets: number): number {
  const due = sets + missedSets;
  return due === 0 ? 1 : sets / due;
}

/** The figures from `earlier` to `later` of one synchroniser; skews are given apart. */
export function figuresSince(
  earlier: SynchroniserFigures | null,
  later: SynchroniserFigures,
  skews: SkewHistogram,
): SynchroniserFigures {
  const sets = later.sets - (earlier?.sets ?? 0);
  const missedSets = later.missedSets - (earlier?.missedSets ?? 0);
  return {
    ...later,
    sets,
    missedSets,
    completeness: completenessOf(sets, missedSets),
    skewMedianNs: skews.percentileNs(50),
    skewP99Ns: skews.percentileNs(99),
    topics: later.topics.map((topic, index) => {
      const before = earlier?.topics[index];
      return {
        ...topic,
        messages: topic.messages - (before?.messages ?? 0),
        unmatched: topic.unmatched - (before?.unmatched ?? 0),
        reordered: topic.reordered - (before?.reordered ?? 0),
        duplicates: topic.duplicates - (before?.duplicates ?? 0),
        refused: topic.refused - (before?.refused ?? 0),
      };
    }),
  };
}

/**
 * The figures as a metadata record of a bag: `policy`, `slop_ns`, `topics` (by spaces), `sets`, `missed_sets`, `completeness`,
 * `skew_median_ns` and `skew_p99_ns` (empty without sets), and of each topic `messages:/topic`, `unmatched:/topic` and, where not 0,
 * `reordered:/topic`, `duplicates:/topic`, `refused:/topic`.
 */
export function figuresMetadata(figures: SynchroniserFigures): Map<string, string> {
  const skew = (ns: number): string => (Number.isNaN(ns) ? '' : String(ns));
  const metadata = new Map([
    ['policy', figures.policy],
    ['slop_ns', String(figures.slopNs)],
    ['topics', figures.topics.map(({ topic }) => topic).join(' ')],
    ['sets', String(figures.sets)],
    ['missed_sets', String(figures.missedSets)],
    ['completeness', figures.completeness.toFixed(4)],
    ['skew_median_ns', skew(figures.skewMedianNs)],
    ['skew_p99_ns', skew(figures.skewP99Ns)],
  ]);
  for (const { topic, messages, unmatched, reordered, duplicates, refused } of figures.topics) {
    metadata.set(`messages:${topic}`, String(messages)).set(`unmatched:${topic}`, String(unmatched));
    for (const [name, count] of Object.entries({ reordered, duplicates, refused })) {
      if (count > 0) metadata.set(`${name}:${topic}`, String(count));
    }
  }
  return metadata;
}
