/** Owns finding missing messages by their sequence numbers, which count a topic's messages from 0 and wrap at 2³². */

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
  #messages = 0;
  /** Steps of exactly one: a writer that does not count messages has none. */
  #steps = 0;

  /** @returns the gap before this message, or null. */
  add(sequence: number): SequenceGap | null {
    const last = this.#last;
    this.#messages += 1;
    const back = last === null ? 0 : (last - sequence) >>> 0;
    // A message that came late, behind others, does not start the count anew.
    if (last !== null && back > 0 && back < lateMessages) return null;
    this.#last = sequence;
    if (last === null) return null;
    const step = (sequence - last) >>> 0;
    if (step === 1) this.#steps += 1;
    if (step <= 1 || step >= maxGap || !this.#counts()) return null;
    return { missing: step - 1, after: last, before: sequence };
  }

  /** Whether the numbers count the topic's messages: nearly all go up by one. Some writers leave them 0, or count all topics as one. */
  #counts(): boolean {
    return this.#messages < 4 || this.#steps * 2 >= this.#messages - 2;
  }
}
