/** What is wrong with the outbox at the moment, and who is told of it how often. */

import type { OutboxNotice } from './outbox-types.ts';
import { isFull, reasonOf } from './storage-fault.ts';

const warnEveryMs = 60_000;
const moreRoom = 'Free disk space or lower the size limits of recordings and outbox.';

export class OutboxTrouble {
  readonly #path: string;
  readonly #onNotice: (notice: OutboxNotice) => void;
  readonly #warnedAtMs = new Map<string, number>();
  #fault: OutboxNotice | null = null;

  constructor(path: string, onNotice: (notice: OutboxNotice) => void) {
    this.#path = path;
    this.#onNotice = onNotice;
  }

  /** Why commits fail at the moment, or null. */
  get fault(): OutboxNotice | null {
    return this.#fault;
  }

  /** A commit or a read failed; `rows` wait in memory and `lost` were given up there. Told when the kind of trouble is new. */
  refused(error: unknown, { rows, lost }: { readonly rows: number; readonly lost: number }): void {
    const full = isFull(error);
    const waiting = lost === 0 ? `${rows} records wait` : `${rows} records wait and ${lost} were given up`;
    const code = lost > 0 ? 'memory-full' : full ? 'disk-full' : 'write-failed';
    const isNew = this.#fault?.code !== code;
    this.#fault = {
      level: 'error',
      code,
      message: `outbox ${this.#path}: a commit failed (${reasonOf(error)}); ${waiting} in memory`,
      cure: full ? moreRoom : 'Check the disk and the rights of the data folder.',
    };
    if (isNew) this.#onNotice(this.#fault);
  }

  /** A commit succeeded: says so when there was a fault. */
  over(): void {
    if (this.#fault === null) return;
    this.#fault = null;
    this.#onNotice({ level: 'ok', code: 'ok', message: `outbox ${this.#path}: commits again`, cure: '' });
  }

  /** `rows` were given up for lack of room. Each loss is counted and declared; a person hears of it once a minute. */
  lost(code: 'size-limit' | 'disk-full', rows: number): void {
    const nowMs = performance.now();
    if (rows === 0 || nowMs - (this.#warnedAtMs.get(code) ?? Number.NEGATIVE_INFINITY) < warnEveryMs) return;
    this.#warnedAtMs.set(code, nowMs);
    const message = `outbox ${this.#path}: no room (${code}), ${rows} of the least important records were given up`;
    const cure = code === 'disk-full' ? moreRoom : 'Raise the size limit of the outbox, or bring the vehicle online.';
    this.#onNotice({ level: 'warn', code, message, cure });
  }

  /** The file is beyond use and was moved to `target`. */
  setAside(cause: unknown, target: string): void {
    this.#onNotice({
      level: 'error',
      code: 'corrupt',
      message: `outbox ${this.#path}: not readable (${reasonOf(cause)}), set aside as ${target}; a new epoch begins`,
      cure: 'Check the disk; what the old file held can be looked for with `sqlite3 … .recover`.',
    });
  }
}
