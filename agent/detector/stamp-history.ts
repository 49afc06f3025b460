/** Remembers the stamps of recent sound, so that an impact gets exactly the time its sound was recorded with. */
import type { Stamp } from '../../drivers/sample.ts';

/** 60 s of chunks of 100 ms: longer than any detector's window and queue together. */
const CAPACITY = 600;

/** The stamps of the latest chunks, in the order they came. */
export class StampHistory {
  readonly #stamps: Stamp[] = [];

  add(stamp: Stamp): void {
    this.#stamps.push(stamp);
    if (this.#stamps.length > CAPACITY) this.#stamps.splice(0, this.#stamps.length - CAPACITY);
  }

  /**
   * The stamp of a monotonic moment (ns), reckoned from the chunk it falls in: across a step of the clock it is the time of the
   * recorded sound, whichever side that is on. Null before any sound.
   */
  at(monotonicNs: bigint): Stamp | null {
    const stamp = this.#stamps.findLast((each) => each.monotonicNs <= monotonicNs) ?? this.#stamps[0];
    if (stamp === undefined) return null;
    const distanceNs = monotonicNs - stamp.monotonicNs;
    return { ...stamp, capturedAtNs: stamp.capturedAtNs + distanceNs, monotonicNs };
  }
}
