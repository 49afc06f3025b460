/** What goes into the outbox and comes out of it, and what it tells about itself. */

import type { Clock, Stamp } from '../drivers/sample.ts';
import type { StoredRow, StreamKind } from './outbox-store.ts';
import type { Priority } from './priority.ts';
import type { RecordBody } from './wire/records.ts';

export interface OutboxOptions {
  /** Stamps the outbox's own records (drops). */
  readonly clock: Clock;
  /** Largest size of the database in bytes, at least 1 MiB; beyond it the least important rows go. Default 1 GiB. */
  readonly maxBytes?: number;
  /** Largest sum of the files waiting for upload, in bytes; beyond it the least important go. Default 16 GiB. */
  readonly maxBlobBytes?: number;
  /** Longest wait of an append for its commit, in ms; events do not wait. Default 100. */
  readonly groupCommitMs?: number;
  /** A commit is made at once when this many rows wait. Default 500. */
  readonly groupCommitRows?: number;
  /** Most rows and bytes held in memory while the disk refuses. Default 20 000 rows, 16 MiB. */
  readonly maxPendingRows?: number;
  readonly maxPendingBytes?: number;
  /** Called with each trouble and each recovery; must not throw. */
  readonly onNotice?: (notice: OutboxNotice) => void;
}

/** What the outbox has to tell a person, in the shape of a diagnostic. */
export interface OutboxNotice {
  readonly level: 'ok' | 'warn' | 'error';
  readonly code: 'ok' | 'disk-full' | 'size-limit' | 'corrupt' | 'write-failed' | 'memory-full';
  readonly message: string;
  readonly cure: string;
}

/** What became of an append: its sequence once it is on disk, or `stored: false` when it was given up and declared dropped. */
export interface Appended {
  readonly sequence: number;
  readonly stored: boolean;
}

/** One record for `appendRecords`. */
export interface NewRecord {
  readonly stamp: Stamp;
  readonly body: RecordBody;
}

/** A file to upload; `sha256` in lower-case hex is also its name on the wire. */
export interface NewBlob {
  readonly sha256: string;
  readonly path: string;
  readonly bytes: number;
  readonly priority: Priority;
  /** Default `application/x-mcap`. */
  readonly mediaType?: string;
}

/** Rows of one stream to send in one batch: one boot, one clock quality, one list of fields. */
export interface OutgoingRows {
  readonly stream: string;
  readonly kind: StreamKind;
  readonly nextSequence: number;
  readonly rows: readonly StoredRow[];
}
