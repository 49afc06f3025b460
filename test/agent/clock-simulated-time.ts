/** The two clocks of a machine that a test has in its hand. */
import type { TimeSource } from '../../agent/clock.ts';

/** Time passes only where the test says so, and a little at each look, as on a real machine. */
export class SimulatedTime implements TimeSource {
  bootId = 'b6579813-7271-472c-8eab-535b6f24370b';
  monotonic = 5_000_000_000n;
  /** System time − CLOCK_MONOTONIC, in ns. */
  offsetNs = 1_800_000_000_000_000_000n;

  monotonicNs(): bigint {
    this.monotonic += 1_000n;
    return this.monotonic;
  }

  utcMs(): number {
    this.monotonic += 1_000n;
    return Number((this.monotonic + this.offsetNs) / 1_000_000n);
  }
}
