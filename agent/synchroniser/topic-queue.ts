/**
 * The waiting messages of one topic, oldest arrival first, in a ring of fixed size. The first of them may be hidden: the search
 * has passed them by, and may come back to them.
 */

/** A ring of messages, a run of hidden ones before the visible ones. */
export class TopicQueue<Payload> {
  readonly #stamps: bigint[];
  readonly #payloads: (Payload | undefined)[];
  readonly #capacity: number;
  #first = 0;
  #count = 0;
  #hidden = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#stamps = new Array<bigint>(capacity).fill(0n);
    this.#payloads = new Array<Payload | undefined>(capacity).fill(undefined);
  }

  /** Hidden and visible messages. */
  get count(): number {
    return this.#count;
  }

  get hidden(): number {
    return this.#hidden;
  }

  get hasVisible(): boolean {
    return this.#count > this.#hidden;
  }

  /** Of the oldest visible message; there must be one. */
  get frontStamp(): bigint {
    return this.#stamps[this.#slot(this.#hidden)] as bigint;
  }

  /** Of the newest message of all; there must be one. */
  get lastStamp(): bigint {
    return this.#stamps[this.#slot(this.#count - 1)] as bigint;
  }

  /** Of the oldest message of all; there must be one. */
  get firstStamp(): bigint {
    return this.#stamps[this.#first] as bigint;
  }

  /** Of the oldest message of all; there must be one. */
  get firstPayload(): Payload {
    return this.#payloads[this.#first] as Payload;
  }

  /** Adds a message; there must be room. */
  push(stampNs: bigint, payload: Payload): void {
    const slot = this.#slot(this.#count);
    this.#stamps[slot] = stampNs;
    this.#payloads[slot] = payload;
    this.#count += 1;
  }

  /** Hides the oldest visible message. */
  hideFront(): void {
    this.#hidden += 1;
  }

  /** Shows the last `messages` hidden ones again. */
  show(messages: number): void {
    this.#hidden -= messages;
  }

  /** Removes all hidden messages. */
  dropHidden(): void {
    for (let left = this.#hidden; left > 0; left -= 1) this.dropFirst();
  }

  /** Removes the oldest message of all. */
  dropFirst(): void {
    this.#payloads[this.#first] = undefined;
    this.#first = this.#slot(1);
    this.#count -= 1;
    if (this.#hidden > 0) this.#hidden -= 1;
  }

  #slot(index: number): number {
    const slot = this.#first + index;
    return slot < this.#capacity ? slot : slot - this.#capacity;
  }
}
