/** Owns what the times of a topic's messages tell: how many, how often, in order or not, and where they are missing. */

import type { ChunkIndexEntries } from './chunk-draft.ts';

/** A stretch without messages on a topic that has them regularly. */
export interface TopicGap {
  /** UTC nanoseconds of the last message before it. */
  readonly fromNs: bigint;
  readonly durationNs: bigint;
}

/** What is told of one topic. Times are UTC nanoseconds. */
export interface TopicTimesSummary {
  readonly messages: number;
  readonly firstNs: bigint | null;
  readonly lastNs: bigint | null;
  /** Messages a second from the first to the last; null with fewer than two. */
  readonly rateHz: number | null;
  /** Median of the time between two messages, within a tenth; null with fewer than two. */
  readonly periodNs: bigint | null;
  /** Messages that stand behind a later one. */
  readonly outOfOrder: number;
  /** Intervals over three times the median, on a topic whose intervals are alike; 0 for one that comes as it comes. */
  readonly gaps: number;
  /** The longest of them, longest first. */
  readonly longestGaps: readonly TopicGap[];
}

const bucketsPerOctave = 8;
const listedGaps = 5;
const gapFactor = 3;
/** A topic is regular when this share of its intervals is between half and twice the median. */
const regularShare = 0.8;

/** The times of one topic, taken in file order; memory does not grow with their number. */
export class TopicTimes {
  #messages = 0;
  #firstNs: bigint | null = null;
  #lastNs: bigint | null = null;
  #outOfOrder = 0;
  /** Number of intervals by the logarithm of their length. */
  readonly #intervals = new Map<number, number>();
  #longest: TopicGap[] = [];

  add(timeNs: bigint): void {
    this.#messages += 1;
    if (this.#firstNs === null || timeNs < this.#firstNs) this.#firstNs = timeNs;
    if (this.#lastNs === null) {
      this.#lastNs = timeNs;
      return;
    }
    const durationNs = timeNs - this.#lastNs;
    if (durationNs < 0n) {
      this.#outOfOrder += 1;
      return;
    }
    const bucket = Math.round(Math.log2(Math.max(1, Number(durationNs))) * bucketsPerOctave);
    this.#intervals.set(bucket, (this.#intervals.get(bucket) ?? 0) + 1);
    this.#note({ fromNs: this.#lastNs, durationNs });
    this.#lastNs = timeNs;
  }

  summary(): TopicTimesSummary {
    const [firstNs, lastNs] = [this.#firstNs, this.#lastNs];
    const spanNs = firstNs === null || lastNs === null ? 0n : lastNs - firstNs;
    const median = this.#medianBucket();
    const periodNs = median === null ? null : BigInt(Math.round(2 ** (median / bucketsPerOctave)));
    const regular = median !== null && this.#isRegular(median);
    const bound = (median ?? 0) + Math.log2(gapFactor) * bucketsPerOctave;
    const isGap = ({ durationNs }: TopicGap): boolean => Math.log2(Number(durationNs)) * bucketsPerOctave > bound;
    return {
      messages: this.#messages,
      firstNs,
      lastNs,
      rateHz: spanNs > 0n ? (this.#messages - 1) / (Number(spanNs) / 1e9) : null,
      periodNs,
      outOfOrder: this.#outOfOrder,
      gaps: regular ? this.#countAbove(bound) : 0,
      longestGaps: regular ? this.#longest.filter(isGap) : [],
    };
  }

  #note(gap: TopicGap): void {
    const shortest = this.#longest.at(-1);
    if (this.#longest.length === listedGaps && shortest !== undefined && gap.durationNs <= shortest.durationNs) return;
    const longer = this.#longest.filter(({ durationNs }) => durationNs >= gap.durationNs);
    this.#longest = [...longer, gap, ...this.#longest.slice(longer.length)].slice(0, listedGaps);
  }

  #medianBucket(): number | null {
    const buckets = [...this.#intervals].sort(([a], [b]) => a - b);
    const half = buckets.reduce((sum, [, count]) => sum + count, 0) / 2;
    let seen = 0;
    for (const [bucket, count] of buckets) {
      seen += count;
      if (seen >= half) return bucket;
    }
    return null;
  }

  #isRegular(median: number): boolean {
    let near = 0;
    let all = 0;
    for (const [bucket, count] of this.#intervals) {
      all += count;
      if (Math.abs(bucket - median) <= bucketsPerOctave) near += count;
    }
    return near >= regularShare * all;
  }

  #countAbove(bound: number): number {
    let count = 0;
    for (const [bucket, intervals] of this.#intervals) if (bucket > bound) count += intervals;
    return count;
  }
}

/** The times of all topics of one or more files. */
export class TopicTimesTable {
  readonly topics = new Map<string, TopicTimes>();

  /** Takes in a chunk's messages; `topicOf` names a channel's topic. */
  add(index: ChunkIndexEntries, topicOf: (channelId: number) => string): void {
    for (const [channelId, entries] of index) {
      const times = this.#times(topicOf(channelId));
      for (const [timeNs] of entries) times.add(timeNs);
    }
  }

  #times(topic: string): TopicTimes {
    let times = this.topics.get(topic);
    if (times === undefined) {
      times = new TopicTimes();
      this.topics.set(topic, times);
    }
    return times;
  }
}
