/**
 * The outbox's SQLite file: tables, transactions, sequences, and what is given up when room is short. Synchronous and
 * without a policy of its own about when to commit; `Outbox` decides that. One process holds the file at a time.
 */

import { randomUUID } from 'node:crypto';
import Database from 'better-sqlite3';
import type { Stamp } from '../drivers/sample.ts';
import { SyncError } from './wire/error.ts';
import { encodeRecordBody } from './wire/records.ts';
import { errorClassNs } from './wire/telemetry.ts';

/** Classes of what may be given up when room is short, the first to go first: 0 recordings, 1 telemetry, 2 events. */
export const priorities = ['recordings', 'telemetry', 'events'] as const;
export type Priority = (typeof priorities)[number];
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

/** Sequences of one stream, inclusive. */
export interface SequenceRange {
  readonly first: number;
  readonly last: number;
}

interface Context {
  readonly id: number;
  readonly bootId: string;
  readonly synchronised: boolean;
  readonly estimatedErrorNs: bigint | null;
  readonly fields: readonly string[];
}

const schemaVersion = 1;
/** Keys are stream id × 2^40 + sequence, so that a stream is one run of the table and JS numbers hold every key. */
const sequencesPerStream = 2 ** 40;
const maxStreams = 4096;
const maxQuarantinedRows = 1000;
const evictChunkRows = 256;
const insertRows = 20;
const stampBytes = 16;
const pageBytes = 4096;
/** The rows of the largest database that is checked page by page at opening; larger ones are trusted until read. */
const checkedBytes = 16 * 1024 * 1024;

const schema = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE stream (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, priority INTEGER NOT NULL,
    next_sequence INTEGER NOT NULL, row_count INTEGER NOT NULL, body_bytes INTEGER NOT NULL, dropped INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE context (
    id INTEGER PRIMARY KEY, boot_id TEXT NOT NULL, synchronised INTEGER NOT NULL, error_ns TEXT NOT NULL, fields TEXT NOT NULL,
    UNIQUE (boot_id, synchronised, error_ns, fields)
  ) STRICT;
  CREATE TABLE record (
    key INTEGER PRIMARY KEY, context INTEGER NOT NULL, commit_number INTEGER NOT NULL, body BLOB NOT NULL
  ) STRICT;
  CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY, stream TEXT NOT NULL, sequence INTEGER NOT NULL, reason TEXT NOT NULL, body BLOB NOT NULL
  ) STRICT;
  CREATE TABLE blob (
    sha256 TEXT PRIMARY KEY, path TEXT NOT NULL, bytes INTEGER NOT NULL, media_type TEXT NOT NULL,
    priority INTEGER NOT NULL, acked_bytes INTEGER NOT NULL, ordinal INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
`;

interface RawRow {
  key: number;
  context: number;
  body: Buffer;
}

export class OutboxStore {
  readonly epoch: string;
  readonly #db: Database.Database;
  readonly #statements: ReturnType<typeof prepare>;
  readonly #contexts = new Map<number, Context>();
  readonly #contextIds = new Map<string, number>();
  #streams = new Map<string, StreamState>();
  #commitNumber = 0;
  #durable = true;
  #lastContext: { stamp: Stamp; fields: readonly string[]; id: number } | null = null;
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
      this.#statements = prepare(this.#db);
      this.#load();
      if (this.streams().every((stream) => stream.rows === 0)) this.#forgetContexts();
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
    this.#lastContext = null;
    this.#commitNumber = Number(this.#statements.readCommitNumber.pluck().get());
    const streams = this.#statements.readStreams.all();
    this.#streams = new Map(
      streams.map((row) => [row.name, { ...row, priority: priorities[row.priority] ?? 'telemetry' }]),
    );
    this.#contexts.clear();
    this.#contextIds.clear();
    for (const row of this.#statements.readContexts.all()) {
      this.#remember({
        id: row.id,
        bootId: row.boot_id,
        synchronised: row.synchronised === 1,
        estimatedErrorNs: row.error_ns === '-1' ? null : BigInt(row.error_ns),
        fields: row.fields === '' ? [] : row.fields.split(' '),
      });
    }
  }

  /** Without rows nothing refers to a context; the boots of years need not pile up. */
  #forgetContexts(): void {
    try {
      this.#statements.forgetContexts.run();
      this.#contexts.clear();
      this.#contextIds.clear();
      this.#lastContext = null;
    } catch {
      // A full disk refuses this; they stay until the next opening.
    }
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
    return [key, this.#contextId(row.stamp, row.fields), this.#commitNumber + 1, body];
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
    const context = this.#contexts.get(raw.context);
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

  putBlob(blob: StoredBlob): void {
    const priority = priorities.indexOf(blob.priority);
    this.#statements.putBlob.run(blob.sha256, blob.path, blob.bytes, blob.mediaType, priority, this.#commitNumber);
  }

  setBlobProgress(sha256: string, ackedBytes: number): void {
    this.#statements.setBlobProgress.run(ackedBytes, sha256);
  }

  removeBlob(sha256: string): void {
    this.#statements.removeBlob.run(sha256);
  }

  findBlob(sha256: string): StoredBlob | null {
    const row = this.#statements.findBlob.get(sha256);
    return row === undefined ? null : toBlob(row);
  }

  /** The blob to upload next (highest class, then oldest), or with `lowest` the one to give up first. */
  headBlob(which: 'highest' | 'lowest', skip: ReadonlySet<string> = new Set()): StoredBlob | null {
    const statement = which === 'highest' ? this.#statements.nextBlobs : this.#statements.lowestBlobs;
    const row = statement.all(skip.size + 1).find((candidate) => !skip.has(candidate.sha256));
    return row === undefined ? null : toBlob(row);
  }

  blobTotals(): { count: number; bytes: number; ackedBytes: number } {
    const totals = this.#statements.blobTotals.get();
    return { count: totals?.count ?? 0, bytes: totals?.bytes ?? 0, ackedBytes: totals?.acked ?? 0 };
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

  #contextId(stamp: Stamp, fields: readonly string[]): number {
    const last = this.#lastContext;
    if (
      last !== null &&
      last.stamp.bootId === stamp.bootId &&
      last.stamp.synchronised === stamp.synchronised &&
      last.stamp.estimatedErrorNs === stamp.estimatedErrorNs &&
      sameNames(last.fields, fields)
    ) {
      return last.id;
    }
    const id = this.#findContextId(stamp, fields);
    this.#lastContext = { stamp, fields, id };
    return id;
  }

  #findContextId(stamp: Stamp, fields: readonly string[]): number {
    const error = String(errorClassNs(stamp.estimatedErrorNs));
    const names = fields.join(' ');
    const key = contextKey(stamp.bootId, stamp.synchronised, error, names);
    const known = this.#contextIds.get(key);
    if (known !== undefined) return known;
    const { lastInsertRowid } = this.#statements.insertContext.run(
      stamp.bootId,
      stamp.synchronised ? 1 : 0,
      error,
      names,
    );
    const id = Number(lastInsertRowid);
    const estimatedErrorNs = error === '-1' ? null : BigInt(error);
    this.#remember({ id, bootId: stamp.bootId, synchronised: stamp.synchronised, estimatedErrorNs, fields });
    return id;
  }

  #remember(context: Context): void {
    const error = context.estimatedErrorNs === null ? '-1' : String(context.estimatedErrorNs);
    this.#contexts.set(context.id, context);
    this.#contextIds.set(contextKey(context.bootId, context.synchronised, error, context.fields.join(' ')), context.id);
  }
}

/** Whether an error says that the disk, or the file's own limit, has no room. */
export function isFull(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'SQLITE_FULL' || code === 'ENOSPC' || code === 'EDQUOT';
}

/** Whether an error says that the file is beyond use. */
export function isCorrupt(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'SQLITE_NOTADB' || (code?.startsWith('SQLITE_CORRUPT') ?? false);
}

/** Ascending numbers as inclusive ranges. */
export function rangesOf(sequences: readonly number[]): SequenceRange[] {
  const ranges: { first: number; last: number }[] = [];
  for (const sequence of sequences) {
    const range = ranges.at(-1);
    if (range !== undefined && range.last + 1 === sequence) range.last = sequence;
    else ranges.push({ first: sequence, last: sequence });
  }
  return ranges;
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

function keyOf(stream: StreamState, sequence: number): number {
  return stream.id * sequencesPerStream + sequence;
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, index) => name === b[index]);
}

function contextKey(bootId: string, synchronised: boolean, error: string, fields: string): string {
  return `${bootId} ${synchronised} ${error} ${fields}`;
}

interface BlobRow {
  sha256: string;
  path: string;
  bytes: number;
  media_type: string;
  priority: number;
  acked_bytes: number;
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

function prepare(db: Database.Database) {
  const blobColumns = 'sha256, path, bytes, media_type, priority, acked_bytes';
  return {
    measureFile: db.prepare<[], { pages: number; free: number; page_size: number }>(
      `SELECT page_count AS pages, freelist_count AS free, page_size
       FROM pragma_page_count, pragma_freelist_count, pragma_page_size`,
    ),
    begin: db.prepare('BEGIN IMMEDIATE'),
    commit: db.prepare('COMMIT'),
    readCommitNumber: db.prepare("SELECT value FROM meta WHERE key = 'commit_number'"),
    writeCommitNumber: db.prepare("UPDATE meta SET value = ? WHERE key = 'commit_number'"),
    readStreams: db.prepare<
      [],
      {
        id: number;
        name: string;
        kind: StreamKind;
        priority: number;
        nextSequence: number;
        rows: number;
        bytes: number;
        dropped: number;
      }
    >(`SELECT id, name, kind, priority, next_sequence AS nextSequence, row_count AS rows, body_bytes AS bytes, dropped
       FROM stream ORDER BY id`),
    insertStream: db.prepare('INSERT INTO stream VALUES (?, ?, ?, ?, 1, 0, 0, 0)'),
    saveStream: db.prepare(
      'UPDATE stream SET next_sequence = ?, row_count = ?, body_bytes = ?, dropped = ? WHERE id = ?',
    ),
    readContexts: db.prepare<
      [],
      { id: number; boot_id: string; synchronised: number; error_ns: string; fields: string }
    >('SELECT * FROM context'),
    insertContext: db.prepare('INSERT INTO context (boot_id, synchronised, error_ns, fields) VALUES (?, ?, ?, ?)'),
    forgetContexts: db.prepare('DELETE FROM context'),
    insertMany: db.prepare(`INSERT INTO record VALUES ${Array(insertRows).fill('(?, ?, ?, ?)').join(', ')}`),
    insertRow: db.prepare('INSERT INTO record VALUES (?, ?, ?, ?)'),
    readRows: db.prepare<[number, number, number], RawRow>(
      'SELECT key, context, body FROM record WHERE key BETWEEN ? AND ? ORDER BY key LIMIT ?',
    ),
    readKeys: db.prepare('SELECT key FROM record WHERE key BETWEEN ? AND ? ORDER BY key LIMIT ?'),
    readHead: db.prepare<[number, number], { commit_number: number }>(
      'SELECT commit_number FROM record WHERE key BETWEEN ? AND ? ORDER BY key LIMIT 1',
    ),
    readBody: db.prepare('SELECT body FROM record WHERE key = ?'),
    rewriteBody: db.prepare('UPDATE record SET body = ? WHERE key = ?'),
    measure: db.prepare<[number, number], { rows: number; bytes: number }>(
      'SELECT count(*) AS rows, ifnull(sum(length(body)), 0) AS bytes FROM record WHERE key BETWEEN ? AND ?',
    ),
    removeRange: db.prepare('DELETE FROM record WHERE key BETWEEN ? AND ?'),
    quarantine: db.prepare('INSERT INTO quarantine (stream, sequence, reason, body) VALUES (?, ?, ?, ?)'),
    trimQuarantine: db.prepare('DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - ?'),
    countQuarantine: db.prepare('SELECT count(*) FROM quarantine'),
    putBlob: db.prepare(`INSERT INTO blob VALUES (?, ?, ?, ?, ?, 0, ?)
      ON CONFLICT (sha256) DO UPDATE SET path = excluded.path, bytes = excluded.bytes`),
    setBlobProgress: db.prepare('UPDATE blob SET acked_bytes = ? WHERE sha256 = ?'),
    removeBlob: db.prepare('DELETE FROM blob WHERE sha256 = ?'),
    findBlob: db.prepare<[string], BlobRow>(`SELECT ${blobColumns} FROM blob WHERE sha256 = ?`),
    nextBlobs: db.prepare<[number], BlobRow>(
      `SELECT ${blobColumns} FROM blob ORDER BY priority DESC, ordinal, sha256 LIMIT ?`,
    ),
    lowestBlobs: db.prepare<[number], BlobRow>(
      `SELECT ${blobColumns} FROM blob ORDER BY priority, ordinal, sha256 LIMIT ?`,
    ),
    blobTotals: db.prepare<[], { count: number; bytes: number; acked: number }>(
      'SELECT count(*) AS count, ifnull(sum(bytes), 0) AS bytes, ifnull(sum(acked_bytes), 0) AS acked FROM blob',
    ),
  };
}
