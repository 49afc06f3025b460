/** The outbox's list of files waiting to be uploaded; the files themselves are not its business. */

import type { BlobRow, Statements } from './outbox-tables.ts';
import { type Priority, priorities } from './priority.ts';

/** A file waiting to be uploaded, named by its hash. */
export interface StoredBlob {
  readonly sha256: string;
  readonly path: string;
  readonly bytes: number;
  readonly mediaType: string;
  readonly priority: Priority;
  /** How much central has told us it holds durably, from the start. */
  readonly ackedBytes: number;
}

export class BlobTable {
  readonly #statements: Statements;

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  /** Adds a file; `ordinal` orders those of one class. The same hash again changes its path and length. */
  put(blob: StoredBlob, ordinal: number): void {
    const priority = priorities.indexOf(blob.priority);
    this.#statements.putBlob.run(blob.sha256, blob.path, blob.bytes, blob.mediaType, priority, ordinal);
  }

  setProgress(sha256: string, ackedBytes: number): void {
    this.#statements.setBlobProgress.run(ackedBytes, sha256);
  }

  remove(sha256: string): void {
    this.#statements.removeBlob.run(sha256);
  }

  find(sha256: string): StoredBlob | null {
    const row = this.#statements.findBlob.get(sha256);
    return row === undefined ? null : toBlob(row);
  }

  /** The blob to upload next (highest class, then oldest), or with `lowest` the one to give up first. */
  head(which: 'highest' | 'lowest', skip: ReadonlySet<string> = new Set()): StoredBlob | null {
    const statement = which === 'highest' ? this.#statements.nextBlobs : this.#statements.lowestBlobs;
    const row = statement.all(skip.size + 1).find((candidate) => !skip.has(candidate.sha256));
    return row === undefined ? null : toBlob(row);
  }

  totals(): { count: number; bytes: number; ackedBytes: number } {
    const totals = this.#statements.blobTotals.get();
    return { count: totals?.count ?? 0, bytes: totals?.bytes ?? 0, ackedBytes: totals?.acked ?? 0 };
  }
}

function toBlob(row: BlobRow): StoredBlob {
  return {
    sha256: row.sha256,
    path: row.path,
    bytes: row.bytes,
    mediaType: row.media_type,
    priority: priorities[row.priority] ?? 'recordings',
    ackedBytes: row.acked_bytes,
  };
}
