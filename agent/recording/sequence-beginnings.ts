/**
 * Owns how a recording counts its messages. The graph counts a topic's messages through the life of the agent; a recording counts its
 * own from 0, so that what was published between two recordings is nobody's loss when they become one bag.
 */

import { plainTopicOf } from '../sound/raw-audio.ts';

/** What is renumbered of a message. */
interface Numbered {
  readonly topic: string;
  readonly type: string;
  readonly sequence: number;
  readonly data: Uint8Array;
}

const setType = 'fender_msgs/msg/SynchronizedSet';
/** A number further back is of a message before the recording. */
const half = 2 ** 31;

/** The graph's sequence of each topic that is a recording's 0; a topic that is new to the graph begins there with 0 itself. */
export class SequenceBeginnings {
  readonly #first: Map<string, number>;

  /** @param first the sequence that each topic gives next when the recording begins. */
  constructor(first: ReadonlyMap<string, number> = new Map()) {
    this.#first = new Map(first);
  }

  /** Whether a message of this sequence was published since the recording began. */
  includes(topic: string, sequence: number): boolean {
    return this.#numberOf(topic, sequence) < half;
  }

  /** The topic's next message, which has this sequence, goes to the recording before: this one begins behind it. */
  leaveOut(topic: string, sequence: number): void {
    if (this.#numberOf(topic, sequence) === 0) this.#first.set(topic, (sequence + 1) >>> 0);
  }

  /** The message with its number in the recording; a set names its members by theirs. The one given is not changed. */
  renumbered<T extends Numbered>(message: T): T {
    const { topic, type, sequence, data } = message;
    const numbered = { ...message, sequence: this.#numberOf(plainTopicOf(topic), sequence) };
    return type === setType ? { ...numbered, data: this.#renumberedSet(data) } : numbered;
  }

  #numberOf(topic: string, sequence: number): number {
    return (sequence - (this.#first.get(topic) ?? 0)) >>> 0;
  }

  /** A fender_msgs/msg/SynchronizedSet in CDR little endian with other `sequences`; as it is when it is none. */
  #renumberedSet(data: Uint8Array): Uint8Array {
    const renumbered = data.slice();
    const view = new DataView(renumbered.buffer);
    // Alignment counts from behind the 4 bytes of encapsulation, so it is the same from the start.
    const aligned = (offset: number): number => (offset + 3) & ~3;
    try {
      let offset = aligned(16 + view.getUint32(12, true)) + 4;
      const topics: string[] = [];
      let left = view.getUint32(offset, true);
      for (offset += 4; left > 0; left -= 1) {
        const length = view.getUint32(offset, true);
        topics.push(Buffer.from(renumbered.subarray(offset + 4, offset + 4 + length - 1)).toString('latin1'));
        offset = aligned(offset + 4 + length);
      }
      if (view.getUint32(offset, true) !== topics.length) return data;
      for (const topic of topics) {
        offset += 4;
        view.setUint32(offset, this.#numberOf(topic, view.getUint32(offset, true)), true);
      }
      return renumbered;
    } catch {
      return data;
    }
  }
}
