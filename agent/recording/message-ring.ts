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

interface RingEntry {
  readonly message: Message;
  /** The ring's own buffer behind the message's data; null when it has none, or has given it away. */
  buffer: ArrayBuffer | null;
}

/** Messages in order of arrival. */
export class MessageRing {
  bytes = 0;
  readonly #bounds: RingBounds;
  #entries: RingEntry[] = [];
  readonly #spare: ArrayBuffer[] = [];

  constructor(bounds: RingBounds) {
    this.#bounds = bounds;
  }

  get length(): number {
    return this.#entries.length;
  }

  /** Takes the message. Its data may be held on to. */
  push(message: Message): void {
    const oldestNs = message.stamp.monotonicNs - BigInt(Math.round(this.#bounds.maxAgeMs * 1e6));
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

  /** Whether the ring reaches back to `startNs` (UTC ns). It knows nothing of what was published before its first message. */
  covers(startNs: bigint): boolean {
    const [oldest] = this.#entries;
    return oldest !== undefined && oldest.message.stamp.capturedAtNs <= startNs;
  }

  /** Messages any part of which lies in `startNs` to `endNs` (UTC ns), in order of arrival; the caller may keep them. */
  span(startNs: bigint, endNs: bigint): Message[] {
    const found: Message[] = [];
    for (const entry of this.#entries) {
      const { stamp, type, data } = entry.message;
      const ns = stamp.capturedAtNs;
      if (ns >= endNs || (ns < startNs && ns + durationNs(type, data) <= startNs)) continue;
      // Its buffer is the caller's from now on, and not used again.
      entry.buffer = null;
      found.push(entry.message);
    }
    return found;
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
