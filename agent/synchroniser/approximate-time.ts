/**
 * The ApproximateTime policy: the same sets as the C++ policy of ROS 2 message_filters (Jazzy) for the same messages, whatever their
 * order and stamps. What it promises (message_filters, "ApproximateTime Policy"): each message is in one set at most; sets do not
 * cross; each set is the tightest around its pivot, later ones paying the age penalty; no parameter but the queue size is needed.
 *
 * How: when every topic has a message waiting, the latest of their heads becomes the pivot, for no set without an older message of
 * its topic can end before it. The set of the heads is the first candidate. Then the oldest head is passed by, again and again, and
 * each new set of heads is compared with the candidate, until the pivot itself is passed, or any set still to come is certain to be
 * worse. Where a topic has no head, its inter-message bound tells the earliest one that it can get.
 */
import { AgePenalty } from './age-penalty.ts';
import { checkBounds, type PolicyBounds, type SetPolicy, type TimedSet } from './set-policy.ts';
import { TopicQueue } from './topic-queue.ts';

/** The parameters of the policy, under the reference's names; durations in nanoseconds. */
export interface ApproximateTimeOptions extends PolicyBounds {
  /** A later set replaces an earlier one only when it is shorter by this share of the time between them; 0.1 by default. */
  readonly agePenalty?: number;
  /** The longest time between the messages of one set; about 68 years by default. */
  readonly maxIntervalNs?: bigint;
  /** Per topic: its messages never come closer than this. Too small a bound is only slow, too large a one gives worse sets. */
  readonly lowerBoundsNs?: readonly bigint[];
}

const DEFAULT_AGE_PENALTY = 0.1;
/** The largest builtin_interfaces/Duration. */
const DEFAULT_MAX_INTERVAL_NS = 2_147_483_647_999_999_999n;
const NO_PIVOT = -1;
const NO_SETS: readonly never[] = Object.freeze([]);

/** The first and the last of some moments, and whose they are: the first topic of equal starts, the last of equal ends. */
interface Interval {
  startNs: bigint;
  startIndex: number;
  endNs: bigint;
  endIndex: number;
}

/** ApproximateTime over 2 or more topics. */
export class ApproximateTime<Payload> implements SetPolicy<Payload> {
  readonly #queues: readonly TopicQueue<Payload>[];
  readonly #queueSize: number;
  readonly #penalty: AgePenalty;
  readonly #lowerBoundsNs: readonly bigint[];
  /** Whether the topic has lost a message that could have been in the next set; it is no good pivot then. */
  readonly #hasDropped: boolean[];
  readonly #heads: Interval = { startNs: 0n, startIndex: 0, endNs: 0n, endIndex: 0 };
  /** The candidate's messages are the oldest of each queue. */
  #candidateStartNs = 0n;
  #candidateEndNs = 0n;
  #pivot = NO_PIVOT;
  #pivotNs = 0n;
  /** Topics with a visible message. */
  #ready = 0;
  #maxIntervalNs: bigint;

  /** @throws RangeError for parameters out of range. */
  constructor(options: ApproximateTimeOptions) {
    checkBounds(options);
    const { topics, queueSize, agePenalty = DEFAULT_AGE_PENALTY, maxIntervalNs = DEFAULT_MAX_INTERVAL_NS } = options;
    this.#queueSize = queueSize;
    this.#penalty = new AgePenalty(agePenalty);
    this.#maxIntervalNs = checkedDuration(maxIntervalNs, 'maximum interval');
    this.#lowerBoundsNs = Array.from({ length: topics }, (_, index) =>
      checkedDuration(options.lowerBoundsNs?.[index] ?? 0n, `lower bound of topic ${index}`),
    );
    this.#queues = Array.from({ length: topics }, () => new TopicQueue<Payload>(queueSize + 1));
    this.#hasDropped = new Array<boolean>(topics).fill(false);
  }

  /** The longest time between the messages of one set, in nanoseconds; a change holds for the next candidate. */
  get maxIntervalNs(): bigint {
    return this.#maxIntervalNs;
  }

  set maxIntervalNs(durationNs: bigint) {
    this.#maxIntervalNs = checkedDuration(durationNs, 'maximum interval');
  }

  push(topicIndex: number, stampNs: bigint, payload: Payload): readonly TimedSet<Payload>[] {
    const queue = this.#queue(topicIndex);
    const wasReady = queue.hasVisible;
    queue.push(stampNs, payload);
    if (!wasReady) this.#ready += 1;
    const sets = wasReady ? NO_SETS : this.#search();
    return queue.count > this.#queueSize ? [...sets, ...this.#dropOldest(topicIndex)] : sets;
  }

  pending(topicIndex: number): number {
    return this.#queue(topicIndex).count;
  }

  #queue(topicIndex: number): TopicQueue<Payload> {
    const queue = this.#queues[topicIndex];
    if (queue === undefined) {
      throw new RangeError(`synchroniser: expected a topic below ${this.#queues.length}, found ${topicIndex}`);
    }
    return queue;
  }

  /** Drops the oldest message of a topic that has too many, and with it the candidate, which may have held it. */
  #dropOldest(topicIndex: number): readonly TimedSet<Payload>[] {
    this.#showAll();
    this.#queue(topicIndex).dropFirst();
    this.#hasDropped[topicIndex] = true;
    this.#pivot = NO_PIVOT;
    return this.#search();
  }

  /** Looks for sets as long as every topic has a visible message. */
  #search(): readonly TimedSet<Payload>[] {
    if (this.#ready < this.#queues.length) return NO_SETS;
    const sets: TimedSet<Payload>[] = [];
    while (this.#ready === this.#queues.length) {
      const { startNs, startIndex, endNs, endIndex } = this.#measureHeads();
      this.#forgiveDrops(endIndex);
      if (this.#pivot === NO_PIVOT) {
        if (endNs - startNs > this.#maxIntervalNs || this.#hasDropped[endIndex] === true) {
          this.#dropFront(startIndex);
          continue;
        }
        this.#takeCandidate();
        this.#pivot = endIndex;
        this.#pivotNs = endNs;
      } else if (!this.#isOutweighed(endNs, startNs)) {
        this.#takeCandidate();
      }
      this.#hideFront(startIndex);
      // Every set still to come ends no earlier and starts with the pivot at the latest; this is the pivot's own turn, too.
      if (this.#isOutweighed(endNs, this.#pivotNs) || this.#isProvedByBounds()) {
        sets.push(this.#publish());
      }
    }
    return sets;
  }

  /** Whether a set that ends at `endNs` cannot beat the candidate, even if it starts as late as `startNs`. */
  #isOutweighed(endNs: bigint, startNs: bigint): boolean {
    return this.#penalty.reaches(endNs - this.#candidateEndNs, startNs - this.#candidateStartNs);
  }

  /**
   * Whether every set still to come is worse than the candidate, as far as can be told: a topic without a visible message is taken
   * to get its next one as early as it can. Passes messages by as the search does, and shows them again.
   */
  #isProvedByBounds(): boolean {
    if (this.#ready === this.#queues.length) return false;
    const passed = new Array<number>(this.#queues.length).fill(0);
    let isProved: boolean | null = null;
    while (isProved === null) {
      const { startNs, startIndex, endNs } = this.#measureEarliestHeads();
      if (this.#isOutweighed(endNs, this.#pivotNs)) {
        isProved = true;
      } else if (!this.#isOutweighed(endNs, startNs)) {
        isProved = false;
      } else {
        // The start is before the pivot here, else one of the two would have been; so it is a message and not a guess.
        this.#queues[startIndex]?.hideFront();
        passed[startIndex] = (passed[startIndex] ?? 0) + 1;
      }
    }
    for (const [index, queue] of this.#queues.entries()) queue.show(passed[index] ?? 0);
    return isProved;
  }

  /** The interval of the visible heads; every topic must have one. The result is overwritten by the next call. */
  #measureHeads(): Interval {
    const heads = this.#heads;
    // Counted, as this is the innermost loop of the search.
    for (let index = 0; index < this.#queues.length; index += 1) include(heads, index, this.#queue(index).frontStamp);
    return heads;
  }

  /** As `measureHeads`, but a topic without a visible message counts with the earliest one that it can still get. */
  #measureEarliestHeads(): Interval {
    const heads = this.#heads;
    for (let index = 0; index < this.#queues.length; index += 1) {
      const queue = this.#queue(index);
      include(heads, index, queue.hasVisible ? queue.frontStamp : this.#earliestNext(queue, index));
    }
    return heads;
  }

  #earliestNext(queue: TopicQueue<Payload>, index: number): bigint {
    const boundNs = queue.lastStamp + (this.#lowerBoundsNs[index] ?? 0n);
    return boundNs > this.#pivotNs ? boundNs : this.#pivotNs;
  }

  /** What a topic lost does not matter any more once another topic has the latest head: nothing lost could have been better. */
  #forgiveDrops(endIndex: number): void {
    for (let index = 0; index < this.#hasDropped.length; index += 1) {
      if (index !== endIndex) this.#hasDropped[index] = false;
    }
  }

  /** Makes the visible heads the candidate: with all before them dropped they are the oldest messages. */
  #takeCandidate(): void {
    for (const queue of this.#queues) queue.dropHidden();
    this.#candidateStartNs = this.#heads.startNs;
    this.#candidateEndNs = this.#heads.endNs;
  }

  /** Takes the candidate out of the queues; messages passed by since are visible again. */
  #publish(): TimedSet<Payload> {
    const set = {
      stampsNs: this.#queues.map((queue) => queue.firstStamp),
      payloads: this.#queues.map((queue) => queue.firstPayload),
    };
    this.#pivot = NO_PIVOT;
    for (const queue of this.#queues) queue.dropFirst();
    this.#showAll();
    return set;
  }

  #showAll(): void {
    this.#ready = 0;
    for (const queue of this.#queues) {
      queue.show(queue.hidden);
      if (queue.hasVisible) this.#ready += 1;
    }
  }

  #dropFront(index: number): void {
    const queue = this.#queues[index] as TopicQueue<Payload>;
    queue.dropFirst();
    if (!queue.hasVisible) this.#ready -= 1;
  }

  #hideFront(index: number): void {
    const queue = this.#queues[index] as TopicQueue<Payload>;
    queue.hideFront();
    if (!queue.hasVisible) this.#ready -= 1;
  }
}

function include(interval: Interval, index: number, stampNs: bigint): void {
  if (index === 0 || stampNs < interval.startNs) {
    interval.startNs = stampNs;
    interval.startIndex = index;
  }
  if (index === 0 || stampNs >= interval.endNs) {
    interval.endNs = stampNs;
    interval.endIndex = index;
  }
}

function checkedDuration(durationNs: bigint, name: string): bigint {
  if (durationNs < 0n) throw new RangeError(`synchroniser: expected a ${name} of at least 0 ns, found ${durationNs}`);
  return durationNs;
}
