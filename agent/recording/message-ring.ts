/**
 * Owns the most recent messages in memory, bounded by age and by bytes: what a clip's pre-roll is cut from. Sound is copied into
 * buffers that go round, because buffers that live for seconds leave the heap only after tens of megabytes of them.
 */

import type { Message } from '../messages/message.ts';
import { durationNs } from '../messages/messages.ts';

/** The oldest messages go when either bound is reached. */
export interface RingBounds {
  readonly maxAgeMs: number;
  readonly maxBytes: number;
}

/** Smaller messages are kept as they are. */
const copiedFromBytes = 16 * 1024;
/** Emptied buffers kept for the next messages: one comes for one that goes, but for a backlog. */
const maxSpareBuffers = 4;
/** Spans kept for later; one more takes the place of the oldest. */
const maxHolds = 16;

interface RingEntry {
  readonly message: Message;
  /** The ring's own buffer behind the message's data; null when it has none, or has given it away. */
  buffer: ArrayBuffer | null;
}

/** Messages in order of arrival. All times are monotonic nanoseconds of this boot. */
export class MessageRing {
  bytes = 0;
  readonly #bounds: RingBounds;
  #entries: RingEntry[] = [];
  readonly #spare: ArrayBuffer[] = [];
  #holds: { readonly fromNs: bigint; readonly untilNs: bigint }[] = [];

  constructor(bounds: RingBounds) {
    this.#bounds = bounds;
  }

  get length(): number {
    return this.#entries.length;
  }

  /** Takes the message. Its data may be held on to. */
  push(message: Message): void {
    const oldestNs = this.#oldestNs(message.stamp.monotonicNs);
    let evicted = 0;
    this.bytes += message.data.byteLength;
    for (const entry of this.#entries) {
      if (this.bytes <= this.#bounds.maxBytes && entry.message.stamp.monotonicNs >= oldestNs) break;
      this.bytes -= entry.message.data.byteLength;
      evicted += 1;
      if (entry.buffer !== null && this.#spare.length < maxSpareBuffers) this.#spare.push(entry.buffer);
    }
    this.#entries.splice(0, evicted);
    this.#entries.push(this.#entryOf(message));
  }

  /** Keeps what is newer than `fromNs` beyond its age, until messages of `untilNs` have come; the bound of bytes stays. */
  hold(fromNs: bigint, untilNs: bigint): void {
    this.#holds = [...this.#holds, { fromNs, untilNs }].slice(-maxHolds);
  }

  /** Whether the ring reaches back to `startNs`. It knows nothing of what was published before its first message. */
  covers(startNs: bigint): boolean {
    const [oldest] = this.#entries;
    return oldest !== undefined && oldest.message.stamp.monotonicNs <= startNs;
  }

  /** Messages any part of which lies in `startNs` to `endNs`, in order of arrival; the caller may keep them. */
  span(startNs: bigint, endNs: bigint): Message[] {
    const found: Message[] = [];
    for (const entry of this.#entries) {
      const { stamp, type, data } = entry.message;
      const ns = stamp.monotonicNs;
      if (ns >= endNs || (ns < startNs && ns + durationNs(type, data) <= startNs)) continue;
      // Its buffer is the caller's from now on, and not used again.
      entry.buffer = null;
      found.push(entry.message);
    }
    return found;
  }

  /** What is older than this goes. */
  #oldestNs(nowNs: bigint): bigint {
    let oldestNs = nowNs - BigInt(Math.round(this.#bounds.maxAgeMs * 1e6));
    if (this.#holds.length === 0) return oldestNs;
    this.#holds = this.#holds.filter(({ untilNs }) => untilNs > nowNs);
    for (const { fromNs } of this.#holds) if (fromNs < oldestNs) oldestNs = fromNs;
    return oldestNs;
  }

  #entryOf(message: Message): RingEntry {
    const { data } = message;
    if (data.byteLength < copiedFromBytes) return { message, buffer: null };
    const spare = this.#spare.pop();
    const buffer = spare?.byteLength === data.byteLength ? spare : new ArrayBuffer(data.byteLength);
    const copy = new Uint8Array(buffer);
    copy.set(data);
    return { message: { ...message, data: copy }, buffer };
  }
}
