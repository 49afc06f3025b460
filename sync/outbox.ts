/**
 * Everything the vehicle still owes to central, durable on its own disk: appends are committed in groups, rows leave when
 * central has them, and when room is short the least important and oldest go first, each loss itself a record.
 */

import { mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Stamp } from '../drivers/sample.ts';
import type { StoredBlob } from './blob-table.ts';
import { Reserve, setAside } from './outbox-files.ts';
import { boundBlobs, evictTo, giveUpBlob } from './outbox-room.ts';
import { type NewRow, OutboxStore, type StreamKind } from './outbox-store.ts';
import { OutboxTrouble } from './outbox-trouble.ts';
import type { Appended, NewBlob, NewRecord, OutboxNotice, OutboxOptions, OutgoingRows } from './outbox-types.ts';
import { PendingRows } from './pending-rows.ts';
import type { Priority } from './priority.ts';
import type { SequenceRange } from './sequence-ranges.ts';
import { isCorrupt, isFull, unusable } from './storage-fault.ts';
import { SyncError } from './wire/error.ts';
import { encodeRecordBody, type RecordBody } from './wire/records.ts';
import { isFieldName, maxColumns, type TelemetryRow } from './wire/telemetry.ts';
import { isSha256, isStreamName } from './wire/topics.ts';

interface StreamStats {
  readonly stream: string;
  readonly priority: Priority;
  /** Rows that central has not acknowledged. */
  readonly depth: number;
  readonly bytes: number;
  /** Age of the oldest such row in ms by the vehicle's clock; null when there is none. */
  readonly oldestAgeMs: number | null;
  /** Records given up since the epoch began. */
  readonly dropped: number;
  readonly nextSequence: number;
}

export interface OutboxStats {
  readonly epoch: string;
  readonly usedBytes: number;
  readonly maxBytes: number;
  /** Rows in memory that wait for their commit. */
  readonly pendingRows: number;
  readonly quarantined: number;
  readonly commits: number;
  /** The trouble of the moment, or null. */
  readonly fault: OutboxNotice | null;
  readonly streams: readonly StreamStats[];
  readonly blobs: { readonly count: number; readonly bytes: number; readonly ackedBytes: number };
}

type StoreWork = (store: OutboxStore) => void;
/** `soon`: durable and without waiting; `durable`: with the next group; `lazy`: may be undone by a power cut. */
type WorkKind = 'soon' | 'durable' | 'lazy';

const mebibyte = 1024 * 1024;
const pageBytes = 4096;
const retryMs = 1000;
/** Bodies that one transaction takes: bounds how long it blocks and how much room its log needs. */
const commitBytes = 256 * 1024;
const groupBytes = 64 * 1024;
const maxPendingWork = 10_000;
/** A name that grows with time (a date, a counter) is a mistake of the caller. */
const maxStreams = 1000;

export class Outbox {
  /** Where a file beyond use was moved when this outbox was opened (the epoch is new then), or null. */
  setAside: string | null = null;
  readonly #path: string;
  readonly #options: Required<OutboxOptions>;
  readonly #pending: PendingRows;
  readonly #reserve: Reserve;
  readonly #trouble: OutboxTrouble;
  readonly #listeners = new Set<() => void>();
  #store: OutboxStore;
  #work: { run: StoreWork; kind: WorkKind; done: () => void; fail: (error: Error) => void }[] = [];
  #timer: NodeJS.Timeout | null = null;
  #timerDueMs = Number.POSITIVE_INFINITY;
  #immediate: NodeJS.Immediate | null = null;
  #commits = 0;
  #blobsAdded = 0;
  #closed = false;

  private constructor(path: string, options: Required<OutboxOptions>) {
    this.#path = path;
    this.#options = options;
    this.#reserve = new Reserve(path);
    this.#trouble = new OutboxTrouble(path, options.onNotice);
    this.#pending = new PendingRows(options.maxPendingRows, options.maxPendingBytes);
    this.#store = this.#openStore();
  }

  /**
   * Opens or creates the outbox at `path`. A file that SQLite cannot read is renamed to `<path>.corrupt-<time>` and a new
   * epoch begins (`setAside`, `onNotice`). Rejects with `outbox-unusable` when another process holds the file, the folder
   * cannot be written, or the file is of a newer version.
   */
  static async open(path: string, options: OutboxOptions): Promise<Outbox> {
    const maxBytes = Math.max(mebibyte, options.maxBytes ?? 1024 * mebibyte);
    return new Outbox(path, {
      maxBlobBytes: 16 * 1024 * mebibyte,
      groupCommitMs: 100,
      groupCommitRows: 500,
      maxPendingRows: 20_000,
      onNotice: () => {},
      ...options,
      maxBytes,
      // A group commit must fit into the file beside what it displaces.
      maxPendingBytes: Math.min(options.maxPendingBytes ?? 16 * mebibyte, maxBytes / 8),
    });
  }

  /** The UUID of this file's sequences; a new file has a new one. */
  get epoch(): string {
    return this.#store.epoch;
  }

  /**
   * Appends one sample; resolves when it is on disk, or when it is given up, which a later commit declares. Rejects only
   * for a wrong argument, a stream of the other kind or a closed outbox; a rejection that nobody awaits does no harm.
   */
  appendTelemetry(stream: string, row: Pick<TelemetryRow, 'stamp' | 'values'>): Promise<Appended> {
    const fields = Object.keys(row.values);
    const body = Buffer.allocUnsafe(fields.length * 8);
    for (const [index, field] of fields.entries()) body.writeDoubleLE(row.values[field] ?? Number.NaN, index * 8);
    return this.#append(stream, 'telemetry', 'telemetry', { stamp: row.stamp, fields, body });
  }

  /** Appends one record; resolves when it is on disk. Records of class `events` are committed at once. */
  appendRecord(stream: string, priority: Priority, stamp: Stamp, body: RecordBody): Promise<Appended> {
    try {
      return this.#append(stream, 'record', priority, { stamp, fields: [], body: encodeRecordBody(body) });
    } catch (error) {
      return refusal(error);
    }
  }

  /** Appends many records of one stream, which are committed together or in consecutive commits. */
  appendRecords(stream: string, priority: Priority, records: readonly NewRecord[]): Promise<Appended[]> {
    return Promise.all(records.map((record) => this.appendRecord(stream, priority, record.stamp, record.body)));
  }

  /** Adds a file to upload; resolves when that is on disk. Adding the same hash again changes its path. */
  addBlob(blob: NewBlob): Promise<void> {
    if (!isSha256(blob.sha256)) return refusal(wrong('sha256', '64 lower-case hex digits', blob.sha256));
    if (!Number.isSafeInteger(blob.bytes) || blob.bytes < 0) {
      return refusal(wrong('bytes', 'a whole number from 0', String(blob.bytes)));
    }
    return this.#enqueue((store) => {
      store.putBlob({ mediaType: 'application/x-mcap', ...blob, ackedBytes: 0 });
      this.#blobsAdded += 1;
    }, 'soon');
  }

  #append(stream: string, kind: StreamKind, priority: Priority, row: NewRow): Promise<Appended> {
    if (this.#closed) return refusal(closedError());
    if (!isStreamName(stream)) return refusal(wrong('stream', 'a stream name as `bme680/environment`', stream));
    const known = this.#store.findStream(stream) ?? this.#pending.findStream(stream);
    if (known !== undefined && known.kind !== kind) return refusal(wrong(`kind of ${stream}`, known.kind, kind));
    if (known === undefined && this.#store.streams().length >= maxStreams) {
      return refusal(new SyncError('limit-exceeded', `outbox: expected at most ${maxStreams} streams, found one more`));
    }
    if (row.fields.length > maxColumns || !row.fields.every(isFieldName)) {
      return refusal(wrong('fields', `at most ${maxColumns} names as \`temperature_c\``, row.fields.join(' ')));
    }
    // What a commit could never take must not get into one: it would hold up everything behind it.
    const { capturedAtNs, monotonicNs } = row.stamp;
    if (![capturedAtNs, monotonicNs].every((ns) => BigInt.asIntN(64, ns) === ns)) {
      return refusal(wrong('stamp', 'nanoseconds of 64 bits', `${capturedAtNs} and ${monotonicNs}`));
    }
    const promise = this.#pending.add(stream, kind, priority, row);
    const { rows, bytes } = this.#pending;
    if (this.#trouble.fault === null && (rows >= this.#options.groupCommitRows || bytes >= groupBytes)) this.#commit();
    else if (priority === 'events') this.#commitSoon();
    else this.#commitWithin(this.#options.groupCommitMs);
    return promise;
  }

  /** Work on the store that rides in the next group commit; the promise resolves when it is durable. */
  #enqueue(run: StoreWork, kind: WorkKind): Promise<void> {
    if (this.#closed) return refusal(closedError());
    if (this.#work.length >= maxPendingWork) {
      return refusal(new SyncError('limit-exceeded', 'outbox: too much unfinished work', { retryable: true }));
    }
    const promise = new Promise<void>((resolve, reject) => {
      this.#work.push({ run, kind, done: resolve, fail: reject });
    });
    promise.catch(() => {});
    if (kind === 'soon') this.#commitSoon();
    else this.#commitWithin(this.#options.groupCommitMs);
    return promise;
  }

  /** Central has committed these: they leave with the next group commit. Unknown streams and sequences do no harm. */
  acknowledge(stream: string, ranges: readonly SequenceRange[]): Promise<void> {
    return this.#enqueue((store) => {
      const state = store.findStream(stream);
      if (state === undefined) return;
      for (const range of ranges) store.remove(state, range);
      store.saveStream(state);
    }, 'lazy');
  }

  /** Central can never store these: they are kept apart and declared dropped. */
  quarantine(
    stream: string,
    rejected: readonly { readonly sequence: number; readonly reason: string }[],
  ): Promise<void> {
    return this.#enqueue((store) => {
      const state = store.findStream(stream);
      if (state === undefined) return;
      for (const { sequence, reason } of rejected) store.quarantine(state, sequence, reason, this.#options.clock.now());
    }, 'soon');
  }

  /** Central holds this much of a file. */
  blobProgress(sha256: string, ackedBytes: number): Promise<void> {
    return this.#enqueue((store) => store.blobs.setProgress(sha256, ackedBytes), 'lazy');
  }

  /** Takes a file off the list: central has all of it, or (with `reason`) it is given up, which is declared. The file stays. */
  removeBlob(sha256: string, reason: string | null = null): Promise<void> {
    return this.#enqueue((store) => {
      const blob = store.blobs.find(sha256);
      if (blob === null) return;
      if (reason === null) store.blobs.remove(sha256);
      else giveUpBlob(store, blob, reason, this.#options.clock.now());
    }, 'soon');
  }

  /**
   * Declares that something is given up which was never a row here: `clip/<event id>`, `recording/<id>`. Resolves when that is on disk.
   * @param first what is gone of it: bytes of a file, segments of a recording; inclusive.
   */
  declareDrop(name: string, first: number, last: number, reason: string): Promise<void> {
    return this.#enqueue((store) => {
      store.declareDrop(name, { first, last }, reason, this.#options.clock.now());
    }, 'soon');
  }

  /** Rows after sequence `after` for one batch; null when there are none. */
  read(stream: string, after: number, limitRows: number, limitBytes: number): OutgoingRows | null {
    return this.#guarded(null, () => {
      const state = this.#store.findStream(stream);
      if (state === undefined || state.rows === 0) return null;
      const rows = this.#store.read(state, after, limitRows, limitBytes);
      return rows.length === 0 ? null : { stream, kind: state.kind, nextSequence: state.nextSequence, rows };
    });
  }

  /** The streams that hold rows, events first, with the sequence each will give next. */
  waitingStreams(): { readonly stream: string; readonly priority: Priority; readonly nextSequence: number }[] {
    const order: readonly Priority[] = ['events', 'telemetry', 'recordings'];
    return this.#store
      .streams()
      .filter((stream) => stream.rows > 0)
      .sort((a, b) => order.indexOf(a.priority) - order.indexOf(b.priority) || a.id - b.id)
      .map(({ name, priority, nextSequence }) => ({ stream: name, priority, nextSequence }));
  }

  /** The file to upload next, events' clips first, leaving out those in `skip`. */
  nextBlob(skip: ReadonlySet<string> = new Set()): StoredBlob | null {
    return this.#guarded(null, () => this.#store.blobs.head('highest', skip));
  }

  /** Files added since this object was made: a change says to look at `nextBlob` again. */
  get blobsAdded(): number {
    return this.#blobsAdded;
  }

  /** A text that `writeNote` kept, also in an earlier run; null when there is none. */
  note(name: string): string | null {
    return this.#guarded(null, () => this.#store.note(name));
  }

  /** Keeps a short text across restarts; resolves when it is on disk. A new epoch begins without any. */
  writeNote(name: string, text: string): Promise<void> {
    return this.#enqueue((store) => store.writeNote(name, text), 'soon');
  }

  /** Calls `listener` after each commit; returns how to stop that. */
  onCommit(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Commits now what waits. Resolves also when the disk refuses (see `stats().fault`); what waits is then kept. */
  async flush(): Promise<void> {
    if (!this.#closed) this.#commit();
  }

  /** Depths, ages and losses; reads one row a stream. */
  stats(): OutboxStats {
    const nowNs = this.#options.clock.now().capturedAtNs;
    const store = this.#store;
    return {
      epoch: store.epoch,
      usedBytes: this.#guarded(0, () => store.usedBytes()),
      maxBytes: this.#options.maxBytes,
      pendingRows: this.#pending.rows,
      quarantined: this.#guarded(0, () => store.quarantined()),
      commits: this.#commits,
      fault: this.#trouble.fault,
      streams: store.streams().map((stream) => {
        const oldestNs = this.#guarded(null, () => store.oldestAtNs(stream));
        return {
          stream: stream.name,
          priority: stream.priority,
          depth: stream.rows,
          bytes: stream.bytes,
          oldestAgeMs: oldestNs === null ? null : Math.max(0, Number((nowNs - oldestNs) / 1_000_000n)),
          dropped: stream.dropped,
          nextSequence: stream.nextSequence,
        };
      }),
      blobs: this.#guarded({ count: 0, bytes: 0, ackedBytes: 0 }, () => store.blobs.totals()),
    };
  }

  /** Commits what waits and closes the file. Appends that the disk still refuses are rejected with `outbox-closed`. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#commit();
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#immediate !== null) clearImmediate(this.#immediate);
    this.#pending.rejectAll(closedError());
    for (const { fail } of this.#work.splice(0)) fail(closedError());
    this.#store.checkpoint();
    this.#store.close();
  }

  #commitSoon(): void {
    if (this.#trouble.fault !== null) return;
    this.#immediate ??= setImmediate(() => this.#commit());
  }

  #commitWithin(delayMs: number): void {
    const dueMs = performance.now() + delayMs;
    if (this.#trouble.fault !== null || this.#immediate !== null || this.#timerDueMs <= dueMs) return;
    this.#arm(delayMs);
  }

  #arm(delayMs: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timerDueMs = performance.now() + delayMs;
    this.#timer = setTimeout(() => this.#commit(), delayMs);
  }

  /** One group commit, with one attempt to make room or to begin a new file when the first try fails. Never throws. */
  #commit(): void {
    if (this.#closed) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#immediate !== null) clearImmediate(this.#immediate);
    this.#timer = null;
    this.#immediate = null;
    this.#timerDueMs = Number.POSITIVE_INFINITY;
    const before = this.#commits;
    while (!this.#pending.isEmpty || this.#work.length > 0) {
      if (!this.#tryCommit()) return;
    }
    // Also when nothing waited: a read that failed set the fault, and appends arm no timer while there is one.
    this.#trouble.over();
    if (this.#commits === before) return;
    for (const listener of this.#listeners) listener();
  }

  #tryCommit(): boolean {
    try {
      this.#commitOnce();
    } catch (error) {
      try {
        if (!this.#repair(error)) throw error;
        this.#commitOnce();
      } catch (again) {
        this.#refused(again);
        return false;
      }
    }
    this.#commits += 1;
    this.#reserve.keep();
    return true;
  }

  #commitOnce(): void {
    const store = this.#store;
    const work = this.#work;
    const { clock, maxBytes, maxBlobBytes } = this.#options;
    const now = clock.now();
    let lost = 0;
    const settle: (() => void)[] = [];
    const durable = !this.#pending.isEmpty || work.some(({ kind }) => kind !== 'lazy');
    store.transaction(() => {
      for (const { run, done } of work) {
        run(store);
        settle.push(done);
      }
      this.#pending.write(store, now, commitBytes);
      // Not in a commit that a power cut may undo: central may have read the declaration by then.
      if (durable) lost = evictTo(store, maxBytes, 'size-limit', now);
      for (const { path } of work.length === 0 ? [] : boundBlobs(store, maxBlobBytes, now)) {
        settle.push(() => rmSync(path, { force: true }));
      }
    }, durable);
    this.#work = [];
    this.#pending.settle();
    for (const done of settle) done();
    this.#trouble.lost('size-limit', lost);
  }

  /** Makes a second try worth while; false when nothing can be done. */
  #repair(error: unknown): boolean {
    if (isCorrupt(error)) {
      this.#renew(error);
      return true;
    }
    if (!isFull(error)) return false;
    this.#reserve.release();
    this.#store.checkpoint();
    const blob = this.#store.blobs.head('lowest');
    const file = blob?.priority === 'recordings' ? blob : null;
    // The file goes first, as the transaction that says so may need the room; a crash between finds `file-missing`.
    if (file !== null) rmSync(file.path, { force: true });
    const wantedBytes = Math.max(4 * this.#pending.bytes, 64 * pageBytes);
    const goalBytes = this.#store.usedBytes() - wantedBytes;
    const now = this.#options.clock.now();
    let lost = 0;
    this.#store.transaction(() => {
      if (file !== null) giveUpBlob(this.#store, file, 'disk-full', now);
      lost = evictTo(this.#store, goalBytes, 'disk-full', now);
    });
    this.#store.checkpoint();
    this.#trouble.lost('disk-full', lost + (file === null ? 0 : 1));
    return true;
  }

  #renew(cause: unknown): void {
    this.#store.close();
    this.#beginAnew(cause);
    this.#store = this.#openStore();
  }

  /** A read that cannot bring the agent down: a file found corrupt is set aside, any other trouble is told. */
  #guarded<Result>(fallback: Result, read: () => Result): Result {
    try {
      return read();
    } catch (error) {
      if (this.#closed) return fallback;
      if (isCorrupt(error)) this.#renew(error);
      else this.#refused(error);
      return fallback;
    }
  }

  #refused(error: unknown): void {
    this.#trouble.refused(error, this.#pending);
    this.#arm(retryMs);
  }

  #openStore(): OutboxStore {
    const maxPages = Math.ceil((this.#options.maxBytes * 1.25) / pageBytes) + 64;
    try {
      mkdirSync(dirname(this.#path), { recursive: true });
      this.#reserve.keep();
      return new OutboxStore(this.#path, maxPages);
    } catch (error) {
      if (!isCorrupt(error)) throw unusable(this.#path, error);
      this.#beginAnew(error);
      return new OutboxStore(this.#path, maxPages);
    }
  }

  #beginAnew(cause: unknown): void {
    const target = setAside(this.#path);
    this.setAside = target;
    this.#trouble.setAside(cause, target);
  }
}

function wrong(what: string, expected: string, found: string): SyncError {
  return new SyncError('bad-name', `outbox ${what}: expected ${expected}, found ${JSON.stringify(found.slice(0, 80))}`);
}

function refusal(error: unknown): Promise<never> {
  const promise = Promise.reject(error);
  promise.catch(() => {});
  return promise;
}

function closedError(): SyncError {
  return new SyncError('outbox-closed', 'the outbox is closed');
}
