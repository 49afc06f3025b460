/** Knows of each file how much is durable: the database side of receiving blobs. */
import type { Statement } from 'better-sqlite3';
import type { SqliteConnection } from './database.ts';

export interface BlobState {
  readonly bytes: number;
  readonly committedBytes: number;
  readonly complete: boolean;
}

/** The seam between blob receiving and the database. What is set is durable when the promise resolves. */
export interface BlobIndex {
  find(vehicle: string, sha256: string): Promise<BlobState | null>;
  /** Notes an offer; an unfinished blob of another length starts over. */
  offer(vehicle: string, sha256: string, bytes: number, mediaType: string): Promise<BlobState>;
  setCommitted(vehicle: string, sha256: string, committedBytes: number): Promise<void>;
  setComplete(vehicle: string, sha256: string): Promise<void>;
}

export class SqliteBlobIndex implements BlobIndex {
  readonly #find: Statement;
  readonly #offer: Statement;
  readonly #commit: Statement;
  readonly #complete: Statement;

  constructor(writer: SqliteConnection) {
    this.#find = writer.prepare('select bytes, committed_bytes, complete from blobs where vehicle = ? and sha256 = ?');
    this.#offer = writer.prepare(
      `insert into blobs (vehicle, sha256, bytes, media_type, committed_bytes, complete) values (?, ?, ?, ?, 0, 0)
       on conflict (vehicle, sha256) do update set bytes = excluded.bytes, media_type = excluded.media_type,
         committed_bytes = 0
       where blobs.complete = 0 and blobs.bytes <> excluded.bytes`,
    );
    this.#commit = writer.prepare('update blobs set committed_bytes = ? where vehicle = ? and sha256 = ?');
    this.#complete = writer.prepare(
      'update blobs set complete = 1, committed_bytes = bytes where vehicle = ? and sha256 = ?',
    );
  }

  async find(vehicle: string, sha256: string): Promise<BlobState | null> {
    const row = this.#find.get(vehicle, sha256) as
      | { bytes: bigint; committed_bytes: bigint; complete: bigint }
      | undefined;
    if (row === undefined) return null;
    return {
      bytes: Number(row.bytes),
      committedBytes: Number(row.committed_bytes),
      complete: row.complete !== 0n,
    };
  }

  async offer(vehicle: string, sha256: string, bytes: number, mediaType: string): Promise<BlobState> {
    this.#offer.run(vehicle, sha256, bytes, mediaType);
    return (await this.find(vehicle, sha256)) as BlobState;
  }

  async setCommitted(vehicle: string, sha256: string, committedBytes: number): Promise<void> {
    this.#commit.run(committedBytes, vehicle, sha256);
  }

  async setComplete(vehicle: string, sha256: string): Promise<void> {
    this.#complete.run(vehicle, sha256);
  }
}
