/** The files beside the outbox's own: the reserve for a full disk, and what was set aside because it could not be read. */

import { existsSync, readdirSync, renameSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Larger than the write-ahead log ever is: moving the log into the file must fit into what the reserve gives back. */
const reserveBytes = 3 * 1024 * 1024;
const retryMs = 10_000;
const maxSetAsideFiles = 3;

/** A file that only holds room: deleted when the disk is full, so that giving up rows, and saying so, still works. */
export class Reserve {
  readonly #path: string;
  #dueMs = 0;

  constructor(outboxPath: string) {
    this.#path = `${outboxPath}.reserve`;
  }

  /** Gives the room back; for ten seconds `keep` does nothing. */
  release(): void {
    rmSync(this.#path, { force: true });
    this.#dueMs = performance.now() + retryMs;
  }

  /** Puts the file in place where the disk has room for four of them; otherwise looks again ten seconds later. */
  keep(): void {
    if (performance.now() < this.#dueMs) return;
    this.#dueMs = Number.POSITIVE_INFINITY;
    if (existsSync(this.#path)) return;
    try {
      const { bavail, bsize } = statfsSync(dirname(this.#path));
      if (bavail * bsize < 4 * reserveBytes) throw new Error('no room for a reserve');
      writeFileSync(this.#path, Buffer.alloc(reserveBytes, 0x5a));
    } catch {
      this.release();
    }
  }
}

/** Renames the file and its log to `<path>.corrupt-<time>`, keeps the newest three of these, and returns the new name. */
export function setAside(path: string): string {
  const time = new Date().toISOString().replaceAll(/[-:]|\..*$/g, '');
  let target = `${path}.corrupt-${time}`;
  for (let count = 2; existsSync(target) && count < 100; count += 1) target = `${path}.corrupt-${time}-${count}`;
  for (const suffix of ['', '-wal', '-shm']) {
    if (existsSync(path + suffix)) renameSync(path + suffix, target + suffix);
  }
  const mark = `${basename(path)}.corrupt-`;
  const names = readdirSync(dirname(path)).filter((name) => name.startsWith(mark) && !/-(wal|shm)$/.test(name));
  for (const name of names.sort().slice(0, -maxSetAsideFiles)) {
    for (const suffix of ['', '-wal', '-shm']) rmSync(join(dirname(path), name + suffix), { force: true });
  }
  return target;
}
