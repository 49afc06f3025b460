/** Owns the most recent messages in memory, bounded by age and by bytes: what a clip's pre-roll is cut from. */

import type { Message } from './message.ts';
import { durationNs } from './messages.ts';

/** The oldest messages go when either bound is reached. */
export interface RingBounds {
  readonly maxAgeMs: number;
  readonly maxBytes: number;
}

/** Messages in order of arrival. */
export class MessageRing {
  bytes = 0;
  readonly #bounds: RingBounds;
  #messages: Message[] = [];
  #first = 0;

  constructor(bounds: RingBounds) {
    this.#bounds = bounds;
  }

  get length(): number {
    return this.#messages.length - this.#first;
  }

  push(message: Message): void {
    this.#messages.push(message);
    this.bytes += message.data.byteLength;
    const oldestNs = message.stamp.monotonicNs - BigInt(Math.round(this.#bounds.maxAgeMs * 1e6));
    while (this.#first < this.#messages.length - 1) {
      const oldest = this.#messages[this.#first] as Message;
      if (this.bytes <= this.#bounds.maxBytes && oldest.stamp.monotonicNs >= oldestNs) break;
      this.bytes -= oldest.data.byteLength;
      this.#first += 1;
    }
    if (this.#first > 1024 && this.#first * 2 > this.#messages.length) {
      this.#messages = this.#messages.slice(this.#first);
      this.#first = 0;
    }
  }

  /** Whether the ring reaches back to `startNs` (UTC ns). It knows nothing of what was published before its first message. */
  covers(startNs: bigint): boolean {
    const oldest = this.#messages[this.#first];
    return oldest !== undefined && oldest.stamp.capturedAtNs <= startNs;
  }

  /** Messages any part of which lies in `startNs` to `endNs` (UTC ns), in order of arrival. */
  span(startNs: bigint, endNs: bigint): Message[] {
    return this.#messages.slice(this.#first).filter((message) => {
      const ns = message.stamp.capturedAtNs;
      return ns < endNs && (ns >= startNs || ns + durationNs(message.type, message.data) > startNs);
    });
  }
}
