/** The tables of the outbox's file and every statement that touches them. */

import type Database from 'better-sqlite3';

/** Rows that one `insertMany` takes. */
export const insertRows = 20;

export const schema = `
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

export interface RawRow {
  key: number;
  context: number;
  body: Buffer;
}

export interface BlobRow {
  sha256: string;
  path: string;
  bytes: number;
  media_type: string;
  priority: number;
  acked_bytes: number;
}

export type Statements = ReturnType<typeof prepareStatements>;

/** Prepares every statement; `db` has the schema. */
export function prepareStatements(db: Database.Database) {
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
    readNote: db.prepare<[string], { value: string }>('SELECT value FROM meta WHERE key = ?'),
    writeNote: db.prepare('INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value'),
    readStreams: db.prepare<
      [],
      {
        id: number;
        name: string;
        kind: 'telemetry' | 'record';
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
