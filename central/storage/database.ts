/**
 * Opens central's SQLite database: one connection that writes (ingest, prepared statements), one that reads (Kysely,
 * the API), both over one file in WAL mode with synchronous=FULL, and a lock that a second central is refused by.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { Kysely, SqliteDialect } from 'kysely';
import { Migrator } from 'kysely/migration';
import { CentralError, messageOf } from '../error.ts';
import { migrations } from './migrations.ts';
import type { CentralTables } from './schema.ts';

/** Pages that gather in the log before they are brought home. */
export const checkpointPages = 4000;

/** A better-sqlite3 connection. Integers read as bigint. */
export type SqliteConnection = SqliteDatabase.Database;

function openConnection(path: string): SqliteConnection {
  const connection = new SqliteDatabase(path, { timeout: 10_000 });
  connection.defaultSafeIntegers(true);
  connection.pragma('journal_mode = WAL');
  connection.pragma('synchronous = FULL');
  connection.pragma('foreign_keys = ON');
  return connection;
}

/** Holds an exclusive SQLite lock for the life of the process: the kernel lets go of it even after kill -9. */
function lockFolder(folder: string): SqliteConnection {
  const path = join(folder, 'lock.sqlite');
  let lock: SqliteConnection | null = null;
  try {
    lock = new SqliteDatabase(path, { timeout: 0 });
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (cause) {
    lock?.close();
    if (!(cause instanceof SqliteDatabase.SqliteError) || !cause.code.startsWith('SQLITE_BUSY')) {
      throw new CentralError('storage', `${path}: expected to write there, ${messageOf(cause)}`, { cause });
    }
    throw new CentralError(
      'data-dir-in-use',
      `data directory ${folder}: expected it to be free, found it locked by another central (${messageOf(cause)})`,
      { cause },
    );
  }
}

export interface OpenDatabase {
  /** The writing connection. Nobody else writes to these tables. */
  readonly writer: SqliteConnection;
  /** The reading side, dialect-neutral. */
  readonly reader: Kysely<CentralTables>;
  close(): Promise<void>;
}

async function migrate(db: Kysely<CentralTables>, path: string): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => ({ ...migrations }) } });
  const { error, results } = await migrator.migrateToLatest();
  if (error === undefined) return;
  const failed = results?.find((result) => result.status === 'Error')?.migrationName ?? 'the list of migrations';
  throw new CentralError('migration', `${path}: ${failed} failed: ${messageOf(error)}`, { cause: error });
}

/**
 * Opens (or makes) `<folder>/central.sqlite` and brings its tables to this version.
 * Throws CentralError `options` or `storage` when the folder cannot be made or written, `data-dir-in-use` when another
 * central holds it, `migration` when its tables are newer than this program or a step fails.
 */
export async function openDatabase(folder: string): Promise<OpenDatabase> {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    throw new CentralError('options', `data directory ${folder}: expected to make it, ${messageOf(cause)}`, { cause });
  }
  const lock = lockFolder(folder);
  const path = join(folder, 'central.sqlite');
  const open: SqliteConnection[] = [];
  try {
    const writer = openConnection(path);
    open.push(writer);
    // Measured: a third more rows a second than with the defaults of 2 MB and 1000 pages.
    writer.pragma('cache_size = -32000');
    writer.pragma(`wal_autocheckpoint = ${checkpointPages}`);
    const migrating = new Kysely<CentralTables>({ dialect: new SqliteDialect({ database: writer }) });
    await migrate(migrating, path);
    const readConnection = openConnection(path);
    open.push(readConnection);
    readConnection.pragma('query_only = ON');
    const reader = new Kysely<CentralTables>({ dialect: new SqliteDialect({ database: readConnection }) });
    return {
      writer,
      reader,
      async close(): Promise<void> {
        await reader.destroy();
        writer.close();
        lock.close();
      },
    };
  } catch (error) {
    for (const connection of open) connection.close();
    lock.close();
    throw error;
  }
}
