/** What every synchronising policy takes and gives: messages of some topics in, sets of one message a topic out. */

/** One message of each topic that belong together. Index i of both arrays is topic i. */
export interface TimedSet<Payload> {
  /** Nanoseconds, as they were pushed. */
  readonly stampsNs: readonly bigint[];
  readonly payloads: readonly Payload[];
}

/** Puts messages of topics 0, 1, 2 … into sets. Memory is bounded by the policy's queue size. */
export interface SetPolicy<Payload> {
  /**
   * Takes the next message of a topic. A payload is only carried along; it is let go when its message is in a set or dropped.
   * @param stampNs when the message was measured, in the nanoseconds of any one clock; int64.
   * @returns the sets that are now certain, in order; mostly none. A message is in one set at most.
   * @throws RangeError for a topic that does not exist.
   */
  push(topicIndex: number, stampNs: bigint, payload: Payload): readonly TimedSet<Payload>[];
  /** Messages of the topic that are neither in a set nor dropped yet. */
  pending(topicIndex: number): number;
}

/** The bounds of a policy. */
export interface PolicyBounds {
  /** Number of topics, at least 2. */
  readonly topics: number;
  /** Messages that may wait, at least 1: of each topic, or of each stamp with the exact policy. */
  readonly queueSize: number;
}

/** @throws RangeError when the bounds are none. */
export function checkBounds({ topics, queueSize }: PolicyBounds): void {
  if (!Number.isInteger(topics) || topics < 2) {
    throw new RangeError(`synchroniser: expected at least 2 topics, found ${topics}`);
  }
  if (!Number.isInteger(queueSize) || queueSize < 1) {
    throw new RangeError(`synchroniser: expected a queue size of at least 1, found ${queueSize}`);
  }
}
