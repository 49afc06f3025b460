/** Time for the BME680's tests: it stands still while anything can run, and then jumps to the next pause that ends. */
import type { Clock, Stamp } from '../../drivers/sample.ts';

interface Sleeper {
  readonly untilNs: bigint;
  readonly wake: () => void;
}

export class VirtualTime {
  nowNs = 1_000_000_000n;
  private sleepers: Sleeper[] = [];

  readonly clock: Clock = {
    now: () => this.stamp(this.nowNs),
    monotonicNs: () => this.nowNs,
    at: (monotonicNs) => this.stamp(monotonicNs),
  };

  readonly pause = (ms: number, signal: AbortSignal): Promise<void> => {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const sleeper: Sleeper = {
        untilNs: this.nowNs + BigInt(Math.max(0, Math.round(ms * 1e6))),
        wake: () => {
          this.sleepers = this.sleepers.filter((other) => other !== sleeper);
          resolve();
        },
      };
      this.sleepers.push(sleeper);
      signal.addEventListener('abort', sleeper.wake, { once: true });
    });
  };

  /** Lets `ms` of virtual time pass, with everything that happens in it. */
  async pass(ms: number): Promise<void> {
    const endNs = this.nowNs + BigInt(Math.round(ms * 1e6));
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      const next = this.sleepers.reduce<Sleeper | null>(
        (first, sleeper) => (first === null || sleeper.untilNs < first.untilNs ? sleeper : first),
        null,
      );
      if (!next || next.untilNs > endNs) break;
      this.nowNs = next.untilNs;
      next.wake();
    }
    this.nowNs = endNs;
  }

  private stamp(monotonicNs: bigint): Stamp {
    return {
      capturedAtNs: 1_700_000_000_000_000_000n + monotonicNs,
      monotonicNs,
      bootId: '00000000-0000-4000-8000-000000000000',
      synchronised: true,
      estimatedErrorNs: 1_000_000n,
    };
  }
}
