/**
 * How often sets are due, and how many did not come. The slowest topic sets the pace; its period is learnt from the stamps, because
 * sensors have periods of their own (a particle sensor sends faster while its readings change).
 */

/** Share of a new interval in the learnt period. */
const LEARNING = 1 / 8;
/** A pause counts as so many periods at most, so that a stalled topic does not become a slow one. */
const LONGEST_INTERVAL = 3;
/** Topics that are not heard by then are missing. */
const START_GRACE_NS = 10_000_000_000n;
/** A set is only certain when later messages have come; so many periods are no delay yet. */
const USUAL_DELAY = 3;

interface TopicPace {
  lastNs: bigint | null;
  periodNs: number | null;
}

/** Counts the sets that are missing. Memory is fixed. */
export class SetCadence {
  readonly #topics: readonly TopicPace[];
  #unheard: number;
  #firstNs: bigint | null = null;
  /** The latest set, or when sets became due. */
  #dueFromNs: bigint | null = null;
  #missed = 0;
  #openMissed = 0;

  constructor(topics: number) {
    this.#topics = Array.from({ length: topics }, () => ({ lastNs: null, periodNs: null }));
    this.#unheard = topics;
  }

  /** Time between sets when all is well, in ns: the period of the slowest topic; null before any is known. */
  get periodNs(): number | null {
    let longest: number | null = null;
    for (const { periodNs } of this.#topics) {
      if (periodNs !== null && (longest === null || periodNs > longest)) longest = periodNs;
    }
    return longest;
  }

  /** Sets that were due and did not come, as far as is known by the last `set` or `look`; never falls. */
  get missedSets(): number {
    return this.#missed + this.#openMissed;
  }

  /** The latest set's time, or when the first became due; null before. */
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
    if (topic.lastNs === null) {
      this.#unheard -= 1;
      if (this.#unheard === 0) this.#dueFromNs ??= stampNs;
    } else if (stampNs > topic.lastNs) {
      const intervalNs = Number(stampNs - topic.lastNs);
      const known = topic.periodNs ?? intervalNs;
      topic.periodNs = known + LEARNING * (Math.min(intervalNs, LONGEST_INTERVAL * known) - known);
    }
    topic.lastNs = stampNs;
  }

  /** Takes the time of a set; returns how many are missing before it. */
  set(stampNs: bigint): number {
    const missed = Math.max(this.#openMissed, this.#dueBy(stampNs, 1));
    this.#missed += missed;
    this.#openMissed = 0;
    if (this.#dueFromNs === null || stampNs > this.#dueFromNs) this.#dueFromNs = stampNs;
    return missed;
  }

  /** Counts what is missing by now, on the clock of the stamps. */
  look(nowNs: bigint): void {
    if (this.#dueFromNs === null && this.#firstNs !== null && nowNs - this.#firstNs > START_GRACE_NS) {
      this.#dueFromNs = this.#firstNs + START_GRACE_NS;
    }
    this.#openMissed = Math.max(this.#openMissed, this.#dueBy(nowNs, USUAL_DELAY));
  }

  /** Whole periods from the last set to `untilNs`, less those that are no delay. */
  #dueBy(untilNs: bigint, allowed: number): number {
    const { periodNs } = this;
    if (periodNs === null || this.#dueFromNs === null) return 0;
    return Math.max(0, Math.round(Number(untilNs - this.#dueFromNs) / periodNs) - allowed);
  }
}
