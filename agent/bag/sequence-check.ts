/**
 * Owns finding missing messages by their sequence numbers, which count a topic's messages from 0, wrap at 2³², and begin anew in each
 * recording: in a bag that was made of several they go down where the next one begins.
 */

import { earliest } from './time-span.ts';

/** A wider jump is a publisher that started anew, not loss. */
const maxGap = 2 ** 31;
/** A message further back is a publisher that started anew. */
const lateMessages = 100;

/** A jump in a topic's sequence. */
export interface SequenceGap {
  readonly missing: number;
  readonly after: number;
  readonly before: number;
}

/** The sequence of one topic over all segments of a recording, in file order. */
export class SequenceCheck {
  #last: number | null = null;
  /** The next of the beginnings behind the messages so far; null when there is none. */
  #nextBeginningNs: bigint | null = null;
  /** Where the count ended that a jump back has just ended; it goes on when the next message is its next. */
  #ended: number | null = null;
  /** The latest numbers of this count. */
  #seen: number[] = [];
  #messages = 0;
  /** Steps of exactly one: a writer that does not count messages has none. */
  #steps = 0;

  /**
   * @param timeNs the message's log time.
   * @param beginnings log times at which a new count is known to begin: all of them from the first message on.
   * @returns the gap before this message, or null.
   */
  add(sequence: number, timeNs = 0n, beginnings: readonly bigint[] = []): SequenceGap | null {
    const begins = this.#nextBeginningNs !== null && timeNs >= this.#nextBeginningNs;
    if (this.#last === null || begins) {
      this.#nextBeginningNs = earliest(beginnings.filter((ns) => ns > timeNs));
      return this.#begin(sequence);
    }
    this.#messages += 1;
    const ended = this.#ended;
    this.#ended = null;
    if (ended !== null && sequence === (ended + 1) >>> 0) this.#last = ended;
    const last: number = this.#last;
    const back = (last - sequence) >>> 0;
    if (back > 0 && back < maxGap) {
      // One that came late, behind others, does not start the count anew; a number that was there already is of another count.
      if (back < lateMessages && !this.#seen.includes(sequence)) return this.#note(sequence);
      this.#ended = last;
      this.#seen = [];
      return this.#goOn(sequence);
    }
    this.#goOn(sequence);
    const step = (sequence - last) >>> 0;
    if (step === 1) this.#steps += 1;
    if (step <= 1 || step >= maxGap || !this.#counts()) return null;
    return { missing: step - 1, after: last, before: sequence };
  }

  #begin(sequence: number): null {
    this.#messages = 1;
    this.#steps = 0;
    this.#ended = null;
    this.#seen = [];
    return this.#goOn(sequence);
  }

  #goOn(sequence: number): null {
    this.#last = sequence;
    return this.#note(sequence);
  }

  #note(sequence: number): null {
    if (this.#seen.push(sequence) > 2 * lateMessages) this.#seen = this.#seen.slice(-lateMessages);
    return null;
  }

  /** Whether the numbers count the topic's messages: nearly all go up by one. Some writers leave them 0, or count all topics as one. */
  #counts(): boolean {
    return this.#messages < 4 || this.#steps * 2 >= this.#messages - 2;
  }
}
