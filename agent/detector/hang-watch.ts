/**
 * Decides whether a detector process hangs. Time without progress counts in full while the process is stopped or uses the processor, in
 * part while it waits: one that only does not get its turn on a busy machine, or waits for its code to come from the disk, would not
 * be helped by being started again.
 */
import type { ProcessLook } from './process-look.ts';

/** So long a process is not even looked at: every window of a slow model is through by then. */
const UNSUSPICIOUS_MS = 200;
/** Shares of the time that count while the process sleeps although sound waits, and while it wants to run or read and may not. */
const ASLEEP_SHARE = 0.5;
const WAITING_SHARE = 0.1;

/** The watch over one process; told of each tick of the agent's clock, so that a pause of the whole machine is no hang. */
export class HangWatch {
  #waitedMs = 0;
  #blamedMs = 0;
  #cpuS: number | null = null;

  /** Time since the last progress that counts, ms. */
  get blamedMs(): number {
    return this.#blamedMs;
  }

  /** There was progress, or nothing to do. */
  progress(): void {
    this.#waitedMs = 0;
    this.#blamedMs = 0;
    this.#cpuS = null;
  }

  /** `ms` passed without progress; `look` tells how the process is. */
  tick(ms: number, look: () => ProcessLook | null): void {
    this.#waitedMs += ms;
    if (this.#waitedMs <= UNSUSPICIOUS_MS) {
      this.#blamedMs += ms;
      return;
    }
    const seen = look();
    const usedMs = seen === null || this.#cpuS === null ? 0 : (seen.cpuS - this.#cpuS) * 1000;
    this.#cpuS = seen?.cpuS ?? null;
    this.#blamedMs += ms * shareOf(seen?.state ?? '', usedMs / ms);
  }
}

/** Which share of the time counts; `cpuShare` is how much of it the process had a core. */
function shareOf(state: string, cpuShare: number): number {
  if (state === 'S') return ASLEEP_SHARE;
  if (state === 'R' || state === 'D') return Math.min(1, Math.max(WAITING_SHARE, cpuShare));
  return 1;
}
