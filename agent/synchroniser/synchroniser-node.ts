/**
 * Puts the messages of some topics into sets by time and publishes each set on `/fender/sets`: an index over the recording, from which
 * nothing is left out to make data look coherent. Sets are made on the monotonic clock, which no step of the system clock bends.
 *
 * What comes in badly: a stalled topic holds up the sets and nothing else (at most `queueSize` messages of each topic wait, without
 * their data; the oldest go, and count as unmatched), and sets come again with the topic. Reordered and doubled stamps are counted
 * and given to the policy, which does with them what message_filters does. A stamp that leaps back does so too: its messages fit no
 * set and go, the other topics are not held up. A stamp in the future is refused, because a policy would wait for it.
 */
import type { Clock, Diagnostic } from '../../drivers/sample.ts';
import type { Graph, Publish } from '../graph.ts';
import type { Message } from '../messages/message.ts';
import type { SetMember, SynchronizedSetSample } from '../messages/messages.ts';
import { synchronizedSetTopic } from '../nodes/topics.ts';
import { ApproximateTime } from './approximate-time.ts';
import { ExactTime } from './exact-time.ts';
import { SetCadence } from './set-cadence.ts';
import type { SetPolicy, TimedSet } from './set-policy.ts';
import { SetWatch } from './set-watch.ts';
import {
  completenessOf,
  figuresMetadata,
  figuresSince,
  SkewHistogram,
  type SynchroniserFigures,
} from './synchroniser-figures.ts';

/** What to put together, and how. */
export interface SynchroniserOptions {
  readonly policy: 'approximate' | 'exact';
  /** Topic names, at least 2, each once. */
  readonly topics: readonly string[];
  /** Messages of each topic that may wait; with the exact policy, stamps. */
  readonly queueSize: number;
  /** The longest time between the messages of one set; not for the exact policy. */
  readonly slopNs: bigint;
  readonly agePenalty: number;
  /** By topic: its messages never come closer together than this; lets a set be certain earlier, and a slow topic be waited for. */
  readonly lowerBoundsNs: Readonly<Record<string, bigint>>;
}

/** What the node is connected to. */
export interface SynchroniserParts {
  readonly graph: Graph;
  readonly clock: Clock;
  readonly report: (diagnostic: Diagnostic) => void;
}

const LOOK_PERIOD_MS = 1_000;
/** A stamp this far in the future is wrong; below it, it may be the clocks of two cores. */
const AHEAD_NS = 1_000_000_000n;
/** A topic is silent after so many of its periods, and so long at least. */
const SILENT_PERIODS = 3;
const SILENT_NS = 3_000_000_000;

interface TopicState {
  readonly topic: string;
  readonly lowerBoundNs: bigint;
  lastStampNs: bigint | null;
  heardAtNs: bigint | null;
  messages: number;
  reordered: number;
  duplicates: number;
  refused: number;
}

/** The synchroniser of one set of topics. */
export class SynchroniserNode {
  readonly options: SynchroniserOptions;
  readonly #parts: SynchroniserParts;
  readonly #publish: Publish<SynchronizedSetSample>;
  readonly #policy: SetPolicy<SetMember>;
  readonly #approximate: ApproximateTime<SetMember> | null;
  readonly #indexes: ReadonlyMap<string, number>;
  readonly #topics: readonly TopicState[];
  readonly #cadence: SetCadence;
  readonly #watch = new SetWatch();
  readonly #skews = new SkewHistogram();
  readonly #segmentSkews = new SkewHistogram();
  #sets = 0;
  #segmentStart: SynchroniserFigures | null = null;

  /** @throws RangeError for options out of range. */
  constructor(parts: SynchroniserParts, options: SynchroniserOptions) {
    this.#parts = parts;
    this.options = options;
    const { topics, queueSize, agePenalty, slopNs } = options;
    const bounds = { topics: topics.length, queueSize };
    const lowerBoundsNs = topics.map((topic) => options.lowerBoundsNs[topic] ?? 0n);
    this.#approximate =
      options.policy === 'approximate'
        ? new ApproximateTime({ ...bounds, agePenalty, maxIntervalNs: slopNs, lowerBoundsNs })
        : null;
    this.#policy = this.#approximate ?? new ExactTime(bounds);
    this.#indexes = new Map(topics.map((topic, index) => [topic, index]));
    const unheard = { lastStampNs: null, heardAtNs: null, messages: 0, reordered: 0, duplicates: 0, refused: 0 };
    this.#topics = topics.map((topic, index) => ({ topic, lowerBoundNs: lowerBoundsNs[index] ?? 0n, ...unheard }));
    this.#cadence = new SetCadence(lowerBoundsNs);
    this.#publish = parts.graph.advertise(synchronizedSetTopic);
  }

  /** The longest time between the messages of one set, in ns, at least 0; 0 with the exact policy, where it cannot be set. */
  get slopNs(): bigint {
    return this.#approximate?.maxIntervalNs ?? 0n;
  }

  set slopNs(durationNs: bigint) {
    if (this.#approximate !== null) this.#approximate.maxIntervalNs = durationNs;
  }

  /** Listens until `signal` aborts, and says each second how it goes; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const unsubscribe = this.#parts.graph.subscribeAll('synchroniser', (message) => this.#take(message));
    const timer = setInterval(() => this.look(), LOOK_PERIOD_MS);
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    clearInterval(timer);
    unsubscribe();
  }

  /** Counts what is missing by now and tells how the sets are. */
  look(): void {
    const nowNs = this.#parts.clock.monotonicNs();
    this.#cadence.look(nowNs);
    const { periodNs, dueFromNs, missedSets } = this.#cadence;
    const diagnostic = this.#watch.look({
      sets: this.#sets,
      missedSets,
      slopNs: this.slopNs,
      periodNs,
      waitingNs: dueFromNs === null ? null : nowNs - dueFromNs,
      silentTopics: this.#silentTopics(nowNs),
    });
    if (diagnostic !== null) this.#parts.report(diagnostic);
  }

  /** Everything counted since the start. */
  figures(): SynchroniserFigures {
    const { missedSets } = this.#cadence;
    return {
      policy: this.options.policy,
      slopNs: this.slopNs,
      sets: this.#sets,
      missedSets,
      completeness: completenessOf(this.#sets, missedSets),
      skewMedianNs: this.#skews.percentileNs(50),
      skewP99Ns: this.#skews.percentileNs(99),
      topics: this.#topics.map(({ topic, messages, reordered, duplicates, refused }, index) => {
        const pending = this.#policy.pending(index);
        return { topic, messages, unmatched: messages - this.#sets - pending, pending, reordered, duplicates, refused };
      }),
    };
  }

  /** What was counted since this was asked last: the bag's metadata record `fender.synchroniser` of the segment that ends. */
  takeSegmentMetadata(): ReadonlyMap<string, string> {
    this.#cadence.look(this.#parts.clock.monotonicNs());
    const now = this.figures();
    const metadata = figuresMetadata(figuresSince(this.#segmentStart, now, this.#segmentSkews));
    this.#segmentStart = now;
    this.#segmentSkews.reset();
    return metadata;
  }

  #take({ topic: name, sequence, stamp }: Message): void {
    const index = this.#indexes.get(name);
    if (index === undefined) return;
    const topic = this.#topics[index] as TopicState;
    const nowNs = this.#parts.clock.monotonicNs();
    const stampNs = stamp.monotonicNs;
    topic.messages += 1;
    topic.heardAtNs = nowNs;
    if (stampNs > nowNs + AHEAD_NS) {
      topic.refused += 1;
      return;
    }
    if (topic.lastStampNs !== null && stampNs <= topic.lastStampNs) {
      if (stampNs === topic.lastStampNs) topic.duplicates += 1;
      else topic.reordered += 1;
    }
    topic.lastStampNs = stampNs;
    this.#cadence.message(index, stampNs);
    // Without the message's data, which would be kept for as long as its set is open.
    const sets = this.#policy.push(index, stampNs, { topic: name, sequence, stamp });
    this.#sets += sets.length;
    for (const set of sets) this.#complete(set);
  }

  #complete({ payloads: members, stampsNs }: TimedSet<SetMember>): void {
    let first = 0;
    let last = 0;
    for (const [index, stampNs] of stampsNs.entries()) {
      if (stampNs < (stampsNs[first] as bigint)) first = index;
      if (stampNs > (stampsNs[last] as bigint)) last = index;
    }
    const skewNs = (stampsNs[last] as bigint) - (stampsNs[first] as bigint);
    const stamp = (members[first] as SetMember).stamp;
    const missedBefore = this.#cadence.set(stamp.monotonicNs, (index) => this.#leftOver(index));
    this.#skews.add(skewNs);
    this.#segmentSkews.add(skewNs);
    this.#publish(stamp, { stamp, missedBefore, members, skewNs });
  }

  /** Messages of the topic that could have been in a set and are not. */
  #leftOver(index: number): number {
    const { messages, duplicates, refused } = this.#topics[index] as TopicState;
    return messages - duplicates - refused - this.#sets - this.#policy.pending(index);
  }

  #silentTopics(nowNs: bigint): string[] {
    return this.#topics
      .filter(({ heardAtNs, lowerBoundNs }, index) => {
        const periodNs = this.#cadence.topicPeriodNs(index) ?? Number(lowerBoundNs);
        const limitNs = Math.max(SILENT_NS, SILENT_PERIODS * periodNs);
        return heardAtNs === null || Number(nowNs - heardAtNs) > limitNs;
      })
      .map(({ topic }) => topic);
  }
}
