/** Decides when a detector process has grown too large: ONNX Runtime has leaked before, and a model may make it. */

/** A process that is larger than the limit from the start may grow by this share of itself: replacing it would not make it smaller. */
const GROWTH = 1.5;
/** Beyond this share of the limit there is no time to wait for anything. */
const KILL_SHARE = 1.5;
/** So many looks, a second apart, a quiet moment is waited for. */
const PATIENCE = 10;

/** The watch over one process. */
export class MemoryWatch {
  #limitBytes: number;
  #isFirst = true;
  #over = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** What the process may hold. */
  get limitBytes(): number {
    return this.#limitBytes;
  }

  /** Judges the resident memory found; `isQuiet`: nothing is being heard that may become an event. */
  weigh(bytes: number, isQuiet: boolean): 'fine' | 'replace' | 'kill' {
    if (this.#isFirst) this.#limitBytes = Math.max(this.#limitBytes, bytes * GROWTH);
    this.#isFirst = false;
    if (bytes <= this.#limitBytes) {
      this.#over = 0;
      return 'fine';
    }
    this.#over += 1;
    if (bytes > this.#limitBytes * KILL_SHARE) return 'kill';
    return isQuiet || this.#over >= PATIENCE ? 'replace' : 'fine';
  }
}
