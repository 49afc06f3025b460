/**
 * The outbox's SQLite file: tables, transactions, sequences, and what is given up when room is short. Synchronous and
 * without a policy of its own about when to commit; `Outbox` decides that. One process holds the file at a time.
 */

import { randomUUID } from 'node:crypto';
import Database from 'better-sqlite3';
import type { Stamp } from '../drivers/sample.ts';
import { BlobTable, type StoredBlob } from './blob-table.ts';
import { ContextTable } from './context-table.ts';
import { insertRows, prepareStatements, type RawRow, type Statements, schema } from './outbox-tables.ts';
import { type Priority, priorities } from './priority.ts';
import { rangesOf, type SequenceRange } from './sequence-ranges.ts';
import { SyncError } from './wire/error.ts';
import { encodeRecordBody } from './wire/records.ts';

export type StreamKind = 'telemetry' | 'record';

/** One stream's durable counters. Sequences begin at 1 and are never given twice, whatever was deleted. */
export interface StreamState {
  readonly id: number;
  readonly name: string;
  readonly kind: StreamKind;
  readonly priority: Priority;
  nextSequence: number;
  rows: number;
  /** Sum of the stored bodies. */
  bytes: number;
  /** Records given up since the epoch began. */
  dropped: number;
}

/** A row to insert: `fields` are the names of a telemetry row's values, empty for a record. */
export interface NewRow {
  readonly stamp: Stamp;
  readonly fields: readonly string[];
  /** For telemetry Float64 little endian in the order of `fields`; for a record its serialised body. */
  readonly body: Uint8Array;
}

export interface StoredRow {
  readonly sequence: number;
  readonly stamp: Stamp;
  readonly fields: readonly string[];
  readonly body: Buffer;
}

const schemaVersion = 1;
/** Keys are stream id × 2^40 + sequence, so that a stream is one run of the table and JS numbers hold every key. */
const sequencesPerStream = 2 ** 40;
const maxStreams = 4096;
const maxQuarantinedRows = 1000;
const evictChunkRows = 256;
const stampBytes = 16;
const pageBytes = 4096;
/** The rows of the largest database that is checked page by page at opening; larger ones are trusted until read. */
const checkedBytes = 16 * 1024 * 1024;

export class OutboxStore {
  readonly epoch: string;
  /** The files waiting to be uploaded. */
  readonly blobs: BlobTable;
  readonly #db: Database.Database;
  readonly #statements: Statements;
  readonly #contexts: ContextTable;
  #streams = new Map<string, StreamState>();
  #commitNumber = 0;
  #durable = true;
  /** The newest drop record while nobody has read it: it may still grow. */
  #openDrop: { sequence: number; stream: string; first: number; last: number; reason: string } | null = null;

  /**
   * Opens or creates the file. `maxPages` is SQLite's hard limit. Throws what SQLite throws (`isCorrupt` tells whether
   * the file is beyond use), and `outbox-unusable` for a file of a newer version.
   */
  constructor(path: string, maxPages: number) {
    this.#db = new Database(path, { timeout: 250 });
    try {
      this.#configure(maxPages);
      this.epoch = this.#createOrCheck();
      this.#statements = prepareStatements(this.#db);
      this.#contexts = new ContextTable(this.#statements);
      this.blobs = new BlobTable(this.#statements);
      this.#load();
      if (this.streams().every((stream) => stream.rows === 0)) this.#contexts.forget();
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  #configure(maxPages: number): void {
    // Exclusive locking keeps a second agent out: two would give the same sequence to different records.
    this.#db.pragma('locking_mode = EXCLUSIVE');
    this.#db.pragma('journal_mode = WAL');
    this.#db.pragma('synchronous = FULL');
    // A small log: when the disk fills up, the reserve must hold what moving the log into the file takes.
    this.#db.pragma('wal_autocheckpoint = 256');
    this.#db.pragma('journal_size_limit = 1048576');
    this.#db.pragma('temp_store = MEMORY');
    this.#db.pragma('cache_size = -2048');
    this.#db.pragma(`max_page_count = ${maxPages}`);
  }

  #createOrCheck(): string {
    const version = this.#db.pragma('user_version', { simple: true });
    if (version === 0) {
      const epoch = randomUUID();
      this.#db.transaction(() => {
        this.#db.exec(schema);
        this.#db.prepare('INSERT INTO meta VALUES (?, ?), (?, ?)').run('epoch', epoch, 'commit_number', '0');
        this.#db.pragma(`user_version = ${schemaVersion}`);
      })();
      return epoch;
    }
    if (version !== schemaVersion) {
      throw new SyncError('outbox-unusable', `outbox file version: expected ${schemaVersion}, found ${version}`, {
        cure: 'Run the version of fender that wrote this outbox, or move the file away to begin a new one.',
      });
    }
    const bytes = Number(this.#db.pragma('page_count', { simple: true })) * pageBytes;
    if (bytes <= checkedBytes) {
      const found = this.#db.pragma('quick_check(1)', { simple: true });
      if (found !== 'ok') throw new Database.SqliteError(`quick_check: ${String(found)}`, 'SQLITE_CORRUPT');
    }
    const row = this.#db.prepare<[], { value: string }>("SELECT value FROM meta WHERE key = 'epoch'").get();
    if (row === undefined) throw new Database.SqliteError('no epoch in meta', 'SQLITE_CORRUPT');
    return row.value;
  }

  #load(): void {
    this.#openDrop = null;
    this.#commitNumber = Number(this.#statements.readCommitNumber.pluck().get());
    const streams = this.#statements.readStreams.all();
    this.#streams = new Map(
      streams.map((row) => [row.name, { ...row, priority: priorities[row.priority] ?? 'telemetry' }]),
    );
    this.#contexts.load();
  }

  /**
   * Runs `work` as one transaction; when it throws, nothing of it happened and the counters are read anew. Without
   * `durable` a power cut may undo it (never tear it): right for what central will just say again.
   */
  transaction(work: () => void, durable = true): void {
    if (durable !== this.#durable) this.#db.pragma(`synchronous = ${durable ? 'FULL' : 'NORMAL'}`);
    this.#durable = durable;
    this.#statements.begin.run();
    try {
      work();
      this.#commitNumber += 1;
      this.#statements.writeCommitNumber.run(String(this.#commitNumber));
      this.#statements.commit.run();
    } catch (error) {
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
      this.#load();
      throw error;
    }
  }

  /** The stream of that name, made when it is new. Only within `transaction`. */
  stream(name: string, kind: StreamKind, priority: Priority): StreamState {
    const known = this.#streams.get(name);
    if (known !== undefined) return known;
    if (this.#streams.size >= maxStreams) throw new SyncError('limit-exceeded', `more than ${maxStreams} streams`);
    const id = this.#streams.size + 1;
    const state: StreamState = { id, name, kind, priority, nextSequence: 1, rows: 0, bytes: 0, dropped: 0 };
    this.#statements.insertStream.run(id, name, kind, priorities.indexOf(priority));
    this.#streams.set(name, state);
    return state;
  }

  streams(): StreamState[] {
    return [...this.#streams.values()];
  }

  findStream(name: string): StreamState | undefined {
    return this.#streams.get(name);
  }

  /** Inserts rows and returns the first one's sequence. Call `saveStream` before the transaction ends. */
  insert(stream: StreamState, rows: readonly NewRow[]): number {
    const first = stream.nextSequence;
    // One statement for several rows: half of the time of a single insert is the way into SQLite and back.
    const whole = rows.length - (rows.length % insertRows);
    for (let index = 0; index < whole; index += insertRows) {
      this.#statements.insertMany.run(
        rows.slice(index, index + insertRows).flatMap((row) => this.#toColumns(stream, row)),
      );
    }
    for (const row of rows.slice(whole)) this.#statements.insertRow.run(this.#toColumns(stream, row));
    return first;
  }

  #toColumns(stream: StreamState, row: NewRow): [number, number, number, Buffer] {
    const body = Buffer.allocUnsafe(stampBytes + row.body.byteLength);
    body.writeBigInt64LE(row.stamp.capturedAtNs, 0);
    body.writeBigInt64LE(row.stamp.monotonicNs, 8);
    body.set(row.body, stampBytes);
    const key = keyOf(stream, stream.nextSequence);
    stream.nextSequence += 1;
    stream.rows += 1;
    stream.bytes += body.byteLength;
    return [key, this.#contexts.idOf(row.stamp, row.fields), this.#commitNumber + 1, body];
  }

  /** Uses up `count` sequences for records that were given up before they could be stored, and declares it. */
  skip(stream: StreamState, count: number, reason: string, stamp: Stamp): void {
    const first = stream.nextSequence;
    stream.nextSequence += count;
    stream.dropped += count;
    this.declareDrop(stream.name, { first, last: first + count - 1 }, reason, stamp);
    this.saveStream(stream);
  }

  saveStream(stream: StreamState): void {
    this.#statements.saveStream.run(stream.nextSequence, stream.rows, stream.bytes, stream.dropped, stream.id);
  }

  /** Adds a `drops` record, or lengthens the newest one when it is of the same run and has not been read yet. */
  declareDrop(stream: string, range: SequenceRange, reason: string, stamp: Stamp): void {
    const drops = this.stream('drops', 'record', 'events');
    const open = this.#openDrop;
    const joins = open !== null && open.stream === stream && open.reason === reason && open.last + 1 === range.first;
    const first = joins ? open.first : range.first;
    const body = encodeRecordBody({
      case: 'drop',
      value: { stream, firstSequence: BigInt(first), lastSequence: BigInt(range.last), reason },
    });
    if (joins && this.#rewrite(drops, open.sequence, body)) {
      open.last = range.last;
      return;
    }
    const sequence = this.insert(drops, [{ stamp, fields: [], body }]);
    this.saveStream(drops);
    this.#openDrop = { sequence, stream, first: range.first, last: range.last, reason };
  }

  #rewrite(stream: StreamState, sequence: number, body: Uint8Array): boolean {
    const key = keyOf(stream, sequence);
    const old = this.#statements.readBody.pluck().get(key) as Buffer | undefined;
    if (old === undefined) return false;
    const next = Buffer.concat([old.subarray(0, stampBytes), body]);
    this.#statements.rewriteBody.run(next, key);
    stream.bytes += next.byteLength - old.byteLength;
    this.saveStream(stream);
    return true;
  }

  /** Removes what lies in `range` and returns how many rows that were. */
  remove(stream: StreamState, range: SequenceRange): number {
    const from = keyOf(stream, Math.max(1, range.first));
    const to = keyOf(stream, Math.min(stream.nextSequence - 1, range.last));
    if (to < from) return 0;
    const found = this.#statements.measure.get(from, to);
    if (found === undefined || found.rows === 0) return 0;
    this.#statements.removeRange.run(from, to);
    stream.rows -= found.rows;
    stream.bytes -= found.bytes;
    return found.rows;
  }

  /** Takes a record central can never store out of the stream, keeps it apart (the newest 1000) and declares the drop. */
  quarantine(stream: StreamState, sequence: number, reason: string, stamp: Stamp): boolean {
    // A sequence from outside: beyond its own, a stream's keys are those of the next one.
    if (!(sequence >= 1 && sequence < stream.nextSequence)) return false;
    const body = this.#statements.readBody.pluck().get(keyOf(stream, sequence)) as Buffer | undefined;
    if (body === undefined) return false;
    this.#statements.quarantine.run(stream.name, sequence, reason.slice(0, 500), body);
    this.#statements.trimQuarantine.run(maxQuarantinedRows);
    this.remove(stream, { first: sequence, last: sequence });
    stream.dropped += 1;
    this.declareDrop(stream.name, { first: sequence, last: sequence }, 'quarantined', stamp);
    this.saveStream(stream);
    return true;
  }

  quarantined(): number {
    return Number(this.#statements.countQuarantine.pluck().get());
  }

  /**
   * Gives up about 256 of the oldest rows of the lowest class that has any, and declares them. Returns the number of
   * rows; 0 when there is nothing left but drop records. Only within `transaction`.
   */
  evict(reason: string, stamp: Stamp): number {
    for (const priority of priorities) {
      let oldest: { stream: StreamState; commitNumber: number } | null = null;
      for (const stream of this.#streams.values()) {
        if (stream.priority !== priority || stream.rows === 0 || stream.name === 'drops') continue;
        const head = this.#statements.readHead.get(keyOf(stream, 0), keyOf(stream, sequencesPerStream - 1));
        if (head !== undefined && (oldest === null || head.commit_number < oldest.commitNumber)) {
          oldest = { stream, commitNumber: head.commit_number };
        }
      }
      if (oldest !== null) return this.#evictFrom(oldest.stream, reason, stamp);
    }
    return 0;
  }

  #evictFrom(stream: StreamState, reason: string, stamp: Stamp): number {
    const keys = this.#statements.readKeys
      .pluck()
      .all(keyOf(stream, 0), keyOf(stream, sequencesPerStream - 1), evictChunkRows) as number[];
    const ranges = rangesOf(keys.map((key) => key - keyOf(stream, 0)));
    for (const range of ranges) {
      this.remove(stream, range);
      stream.dropped += range.last - range.first + 1;
      this.declareDrop(stream.name, range, reason, stamp);
    }
    this.saveStream(stream);
    return keys.length;
  }

  /**
   * Up to `limitRows` rows and about `limitBytes` of bodies after sequence `after`, ascending, all of one boot, clock
   * quality and field list; for telemetry the sequences are consecutive too.
   */
  read(stream: StreamState, after: number, limitRows: number, limitBytes: number): StoredRow[] {
    if (stream.name === 'drops') this.#openDrop = null;
    const rows: StoredRow[] = [];
    const base = keyOf(stream, 0);
    let bytes = 0;
    let contextId = -1;
    const cursor = this.#statements.readRows.all(base + after + 1, base + sequencesPerStream - 1, limitRows);
    for (const raw of cursor) {
      const sequence = raw.key - base;
      const previous = rows.at(-1);
      const breaks = contextId !== raw.context || (stream.kind === 'telemetry' && previous?.sequence !== sequence - 1);
      if (previous !== undefined && (breaks || bytes + raw.body.byteLength > limitBytes)) break;
      contextId = raw.context;
      bytes += raw.body.byteLength;
      rows.push(this.#toStored(sequence, raw));
    }
    return rows;
  }

  #toStored(sequence: number, raw: RawRow): StoredRow {
    const context = this.#contexts.find(raw.context);
    if (context === undefined) {
      throw new Database.SqliteError(`record ${raw.key}: no context ${raw.context}`, 'SQLITE_CORRUPT');
    }
    return {
      sequence,
      stamp: {
        capturedAtNs: raw.body.readBigInt64LE(0),
        monotonicNs: raw.body.readBigInt64LE(8),
        bootId: context.bootId,
        synchronised: context.synchronised,
        estimatedErrorNs: context.estimatedErrorNs,
      },
      fields: context.fields,
      body: raw.body.subarray(stampBytes),
    };
  }

  /** UTC nanoseconds of the stream's oldest row, or null when it has none. */
  oldestAtNs(stream: StreamState): bigint | null {
    if (stream.rows === 0) return null;
    const [raw] = this.#statements.readRows.all(keyOf(stream, 1), keyOf(stream, sequencesPerStream - 1), 1);
    return raw === undefined ? null : raw.body.readBigInt64LE(0);
  }

  /** A text kept under `name` across restarts, or null. */
  note(name: string): string | null {
    return this.#statements.readNote.get(`note:${name}`)?.value ?? null;
  }

  /** Replaces it. Only within `transaction`. */
  writeNote(name: string, text: string): void {
    this.#statements.writeNote.run(`note:${name}`, text);
  }

  /** Adds a file after those that wait, or changes the path of one. Only within `transaction`. */
  putBlob(blob: StoredBlob): void {
    this.blobs.put(blob, this.#commitNumber);
  }

  /** Bytes of the database in use: pages that are not free. The write-ahead log (1 to 2 MiB) comes on top. */
  usedBytes(): number {
    const size = this.#statements.measureFile.get();
    return size === undefined ? 0 : (size.pages - size.free) * size.page_size;
  }

  /** Moves the write-ahead log into the file and gives its room back to the disk; does nothing where that fails. */
  checkpoint(): void {
    try {
      this.#db.pragma('wal_checkpoint(TRUNCATE)');
    } catch {
      // A full disk refuses this too; the log is moved later.
    }
  }

  close(): void {
    this.#db.close();
  }
}

function keyOf(stream: StreamState, sequence: number): number {
  return stream.id * sequencesPerStream + sequence;
}
