/**
 * The ExactTime policy: sets of messages with the very same stamp, the same sets as the C++ policy of ROS 2 message_filters (Jazzy) for
 * the same messages. A second message of a topic with the same stamp replaces the first; a set drops everything as old as itself or
 * older; above the queue size the oldest stamp goes.
 */
import { checkBounds, type PolicyBounds, type SetPolicy, type TimedSet } from './set-policy.ts';

interface Draft<Payload> {
  readonly stampNs: bigint;
  readonly payloads: (Payload | undefined)[];
  readonly has: boolean[];
  missing: number;
}

const NO_SETS: readonly never[] = Object.freeze([]);

/** ExactTime over 2 or more topics. */
export class ExactTime<Payload> implements SetPolicy<Payload> {
  readonly #topics: number;
  readonly #queueSize: number;
  readonly #pending: number[];
  /** Incomplete sets by rising stamp. */
  readonly #drafts: Draft<Payload>[] = [];

  /** @throws RangeError for parameters out of range. */
  constructor(bounds: PolicyBounds) {
    checkBounds(bounds);
    this.#topics = bounds.topics;
    this.#queueSize = bounds.queueSize;
    this.#pending = new Array<number>(bounds.topics).fill(0);
  }

  push(topicIndex: number, stampNs: bigint, payload: Payload): readonly TimedSet<Payload>[] {
    const pending = this.pending(topicIndex);
    const index = this.#place(stampNs);
    const draft = this.#drafts[index] as Draft<Payload>;
    draft.payloads[topicIndex] = payload;
    if (draft.has[topicIndex] !== true) {
      draft.has[topicIndex] = true;
      draft.missing -= 1;
      this.#pending[topicIndex] = pending + 1;
    }
    if (draft.missing === 0) {
      this.#drop(index + 1);
      return [{ stampsNs: draft.payloads.map(() => stampNs), payloads: draft.payloads as Payload[] }];
    }
    if (this.#drafts.length > this.#queueSize) this.#drop(this.#drafts.length - this.#queueSize);
    return NO_SETS;
  }

  pending(topicIndex: number): number {
    const pending = this.#pending[topicIndex];
    if (pending === undefined) {
      throw new RangeError(`synchroniser: expected a topic below ${this.#topics}, found ${topicIndex}`);
    }
    return pending;
  }

  /** Where the draft of the stamp is; makes one if there is none. */
  #place(stampNs: bigint): number {
    const drafts = this.#drafts;
    let after = drafts.length;
    // Nearly always the newest or the one before, so from the end.
    while (after > 0 && (drafts[after - 1] as Draft<Payload>).stampNs > stampNs) after -= 1;
    if (drafts[after - 1]?.stampNs === stampNs) return after - 1;
    drafts.splice(after, 0, {
      stampNs,
      payloads: new Array<Payload | undefined>(this.#topics).fill(undefined),
      has: new Array<boolean>(this.#topics).fill(false),
      missing: this.#topics,
    });
    return after;
  }

  /** Removes the `count` oldest drafts. */
  #drop(count: number): void {
    for (const draft of this.#drafts.splice(0, count)) {
      for (let topic = 0; topic < this.#topics; topic += 1) {
        if (draft.has[topic] === true) this.#pending[topic] = (this.#pending[topic] ?? 0) - 1;
      }
    }
  }
}
