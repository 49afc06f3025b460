/** Gives each impact exactly the time its sound was recorded with, and tells one that is heard again after a restart. */
import type { Stamp } from '../../drivers/sample.ts';

/** 60 s of chunks of 100 ms: longer than any detector's window and queue together. */
const CAPACITY = 600;
/** An impact that begins before this much after the latest one is that one, or one before it, heard again after a restart. */
const REPEAT_NS = 300_000_000n;

/** The stamps of the latest chunks, and the impacts so far. */
export class ImpactTimes {
  readonly #stamps: Stamp[] = [];
  #lastOnsetNs: bigint | null = null;
  #decidedNs: bigint | null = null;
  #count = 0;

  /** Impacts taken. */
  get count(): number {
    return this.#count;
  }

  /** A chunk came, in the order of their time. */
  sound(stamp: Stamp): void {
    this.#stamps.push(stamp);
    if (this.#stamps.length > CAPACITY) this.#stamps.splice(0, this.#stamps.length - CAPACITY);
  }

  /** Before this time of the monotonic clock it is decided where impacts were: what is found there from now on is none. */
  decided(untilNs: bigint | null): void {
    if (untilNs !== null && (this.#decidedNs === null || untilNs > this.#decidedNs)) this.#decidedNs = untilNs;
  }

  /**
   * The stamp of an impact that begins at `onsetNs` of the monotonic clock, reckoned from the chunk it falls in: across a step of the
   * clock it is the time of the recorded sound, whichever side that is on. Null for one that was taken or decided before, and before any
   * sound.
   */
  take(onsetNs: bigint): Stamp | null {
    if (this.#decidedNs !== null && onsetNs < this.#decidedNs) return null;
    if (this.#lastOnsetNs !== null && onsetNs < this.#lastOnsetNs + REPEAT_NS) return null;
    const stamp = this.#stamps.findLast((each) => each.monotonicNs <= onsetNs) ?? this.#stamps[0];
    if (stamp === undefined) return null;
    this.#lastOnsetNs = onsetNs;
    this.#count += 1;
    return { ...stamp, capturedAtNs: stamp.capturedAtNs + onsetNs - stamp.monotonicNs, monotonicNs: onsetNs };
  }
}
