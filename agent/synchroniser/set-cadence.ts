/**
 * How many sets should have come and did not. The slowest topic sets the pace: a set is missing for each of its messages that found
 * none and, when no set came for long, for each of its periods. Periods are learnt from the stamps, because sensors have periods of
 * their own (a particle sensor sends faster while its readings change).
 */

/** A period is the median of so many intervals: single gaps and leaps do not move it. */
const INTERVALS = 15;
/** Topics this close to the slowest are as slow: what one of them misses, the other one's messages show. */
const AS_SLOW = 0.98;
/** No set for so many periods, and so long at least, is a gap; below it the slowest topic may only have become slower. */
const GAP_PERIODS = 5;
const GAP_NS = 5_000_000_000;
/** While a gap lasts: a set is only certain when later messages have come, so the last few may still. */
const OPEN_SETS = 3;
/** A topic that is not heard by then is missing. */
const START_GRACE_NS = 10_000_000_000n;
/** A topic that was heard once may be so slow; after that it does not set the pace. */
const SECOND_GRACE_NS = 60_000_000_000n;
/** A topic whose messages are known to be far apart may take so many times longer than that in both. */
const GRACE_BOUNDS = 3n;

interface TopicPace {
  /** Its messages never come closer together, in ns. */
  readonly lowerBoundNs: bigint;
  readonly intervalsNs: number[];
  lastNs: bigint | null;
  /** Null until the second message. */
  periodNs: number | null;
  /** Messages without a set at the time of the last one. */
  leftOver: number;
}

/** Counts the sets that are missing. Memory is fixed. */
export class SetCadence {
  readonly #topics: readonly TopicPace[];
  #unheard: number;
  #firstNs: bigint | null = null;
  #nowNs = 0n;
  /** The latest set, or when sets became due. */
  #dueFromNs: bigint | null = null;
  #hasSets = false;
  #missed = 0;
  #openMissed = 0;

  /** `lowerBoundsNs`: of each topic, how far its messages are apart at least, in ns; 0 where that is not known. */
  constructor(lowerBoundsNs: readonly bigint[]) {
    const unheard = { lastNs: null, periodNs: null, leftOver: 0 };
    this.#topics = lowerBoundsNs.map((lowerBoundNs) => ({ ...unheard, lowerBoundNs, intervalsNs: [] }));
    this.#unheard = lowerBoundsNs.length;
  }

  /** Time between sets when all is well, in ns: the period of the slowest topic; null while it may be of one not known yet. */
  get periodNs(): number | null {
    let longest: number | null = null;
    for (const topic of this.#topics) {
      if (topic.periodNs === null) {
        if (this.#mayBeSlow(topic)) return null;
      } else if (longest === null || topic.periodNs > longest) {
        longest = topic.periodNs;
      }
    }
    return longest;
  }

  /** Sets that were due and did not come, as far as is known by the last `set` or `look`; never falls. */
  get missedSets(): number {
    return this.#missed + this.#openMissed;
  }

  /** Since when there was no set, on the clock of the stamps; null while none is due. */
  get dueFromNs(): bigint | null {
    return this.#dueFromNs;
  }

  /** The learnt period of a topic, in ns. */
  topicPeriodNs(topicIndex: number): number | null {
    return this.#topics[topicIndex]?.periodNs ?? null;
  }

  /** Takes the time of a message. */
  message(topicIndex: number, stampNs: bigint): void {
    const topic = this.#topics[topicIndex] as TopicPace;
    this.#firstNs ??= stampNs;
    if (stampNs > this.#nowNs) this.#nowNs = stampNs;
    if (topic.lastNs === null) {
      this.#unheard -= 1;
      if (this.#unheard === 0) this.#dueFromNs ??= stampNs;
    } else if (stampNs > topic.lastNs) {
      topic.intervalsNs.push(Number(stampNs - topic.lastNs));
      // Sorting at each message would be the dearest part of the synchroniser.
      const count = topic.intervalsNs.length;
      if (count <= INTERVALS || count === 2 * INTERVALS) learnPeriod(topic);
    }
    topic.lastNs = stampNs;
  }

  /**
   * Takes the time of a set, and how many messages of each topic are left over without one so far; returns how many sets are missing
   * between it and the one before.
   */
  set(stampNs: bigint, leftOver: (topicIndex: number) => number): number {
    const { periodNs } = this;
    let missed = this.#openMissed;
    if (periodNs !== null && this.#isGap(stampNs, periodNs))
      missed = Math.max(missed, this.#dueBy(stampNs, periodNs) - 1);
    for (const [index, topic] of this.#topics.entries()) {
      const left = leftOver(index);
      const isSlowest = periodNs !== null && (topic.periodNs ?? 0) >= AS_SLOW * periodNs;
      // Before the first set, topics start one after another.
      if (isSlowest && this.#hasSets) missed = Math.max(missed, left - topic.leftOver);
      topic.leftOver = left;
    }
    this.#missed += missed;
    this.#openMissed = 0;
    this.#hasSets = true;
    if (this.#dueFromNs === null || stampNs > this.#dueFromNs) this.#dueFromNs = stampNs;
    return missed;
  }

  /** Counts what is missing by now, on the clock of the stamps. */
  look(nowNs: bigint): void {
    this.#nowNs = nowNs;
    const { periodNs } = this;
    if (periodNs === null) return;
    // No topic may be slow any more: one that was not heard is missing from now on.
    this.#dueFromNs ??= nowNs;
    if (!this.#isGap(nowNs, periodNs)) return;
    this.#openMissed = Math.max(this.#openMissed, this.#dueBy(nowNs, periodNs) - OPEN_SETS);
  }

  #mayBeSlow({ lastNs, lowerBoundNs }: TopicPace): boolean {
    const sinceNs = lastNs ?? this.#firstNs;
    if (sinceNs === null) return true;
    const usualNs = lastNs === null ? START_GRACE_NS : SECOND_GRACE_NS;
    const boundNs = GRACE_BOUNDS * lowerBoundNs;
    return this.#nowNs - sinceNs <= (boundNs > usualNs ? boundNs : usualNs);
  }

  /** Whether there was no set for so long before `untilNs` that sets are missing. */
  #isGap(untilNs: bigint, periodNs: number): boolean {
    return this.#dueFromNs !== null && Number(untilNs - this.#dueFromNs) > Math.max(GAP_NS, GAP_PERIODS * periodNs);
  }

  /** Periods from the last set to `untilNs`. */
  #dueBy(untilNs: bigint, periodNs: number): number {
    return Math.round(Number(untilNs - (this.#dueFromNs ?? untilNs)) / periodNs);
  }
}

/** Sets the period from the last intervals and forgets those before. */
function learnPeriod(topic: TopicPace): void {
  topic.intervalsNs.splice(0, topic.intervalsNs.length - INTERVALS);
  const sorted = topic.intervalsNs.toSorted((a, b) => a - b);
  topic.periodNs = sorted[sorted.length >> 1] ?? null;
}
