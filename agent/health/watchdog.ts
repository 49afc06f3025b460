/**
 * Decides whether the agent deserves its watchdog ping: only while samples, disk and sync all make progress. A known fault is
 * not a lack of progress, because a restart would not cure it:
 *
 * - samples: each sensor either delivered within its limit, or its driver says itself that it is in trouble and keeps trying;
 * - disk: the recorder and the outbox wrote since their limit, or say themselves that the disk refuses;
 * - sync: its loop did something within its limit. Offline from central, it tries to connect, and that is progress.
 */

/** Something that must move on. */
export interface Progress {
  /** `samples`, `disk`, `sync`, or a part of them as `samples/uma8`. */
  readonly name: string;
  /** A figure that grows while all is well. */
  readonly count: () => number;
  /** Whether it is known, and already reported, that it cannot move on. */
  readonly excused: () => boolean;
  /** How long it may stand still, in ms. */
  readonly limitMs: number;
}

interface Watched {
  readonly progress: Progress;
  lastCount: number;
  movedAtMs: number;
}

/** Watches everything that must move on. */
export class ProgressWatch {
  readonly #watched: Watched[];
  readonly #nowMs: () => number;

  constructor(all: readonly Progress[], nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
    this.#watched = all.map((progress) => ({ progress, lastCount: progress.count(), movedAtMs: nowMs() }));
  }

  /** The names of what stands still for longer than it may; empty when the ping is deserved. */
  stalled(): string[] {
    const nowMs = this.#nowMs();
    const stalled: string[] = [];
    for (const watched of this.#watched) {
      const { progress } = watched;
      const count = progress.count();
      if (count !== watched.lastCount || progress.excused()) {
        watched.lastCount = count;
        watched.movedAtMs = nowMs;
      } else if (nowMs - watched.movedAtMs > progress.limitMs) {
        stalled.push(progress.name);
      }
    }
    return stalled;
  }
}
