/** How long to wait before a detector process is started again: not at all after one that did its work, ever longer when starts fail. */

/** Pause before the next start after so many failed ones in a row, ms. */
const PAUSES_MS: readonly number[] = [0, 500, 1_000, 2_000, 5_000, 15_000, 60_000];
/** So many restarts within this time are a process that dies again and again, however well it starts. */
const FLOOD_RESTARTS = 30;
const FLOOD_MS = 600_000;
const FLOOD_PAUSE_MS = 20_000;

/** The pauses of one detector. */
export class RestartPauses {
  readonly #tickMs: number;
  /** When the latest restarts were, in ticks; at most FLOOD_RESTARTS. */
  readonly #restarts: number[] = [];
  #failedStarts = 0;
  #isFlood = false;
  #pauseMs = 0;
  #waitedMs = 0;

  constructor(tickMs: number) {
    this.#tickMs = tickMs;
  }

  /** Starts in a row that came to nothing. */
  get failedStarts(): number {
    return this.#failedStarts;
  }

  get isFlood(): boolean {
    return this.#isFlood;
  }

  /** The pause before the next start, ms. */
  get pauseMs(): number {
    return this.#pauseMs;
  }

  /** A process has worked for a while. */
  settled(): void {
    this.#failedStarts = 0;
  }

  /** A process is gone, at this tick; `hadSettled`: after it had worked for a while. */
  lost(hadSettled: boolean, tick: number): void {
    if (!hadSettled) this.#failedStarts += 1;
    this.#restarts.push(tick);
    const first = this.#restarts.length > FLOOD_RESTARTS ? this.#restarts.shift() : undefined;
    this.#isFlood = first !== undefined && (tick - first) * this.#tickMs < FLOOD_MS;
    const pauseMs = PAUSES_MS[Math.min(this.#failedStarts, PAUSES_MS.length - 1)] ?? 0;
    this.#pauseMs = this.#isFlood ? Math.max(pauseMs, FLOOD_PAUSE_MS) : pauseMs;
    this.#waitedMs = 0;
  }

  /** Asked once a tick: whether the pause is over. */
  isOver(): boolean {
    this.#waitedMs += this.#tickMs;
    return this.#waitedMs > this.#pauseMs;
  }
}
