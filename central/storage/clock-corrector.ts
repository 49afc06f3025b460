/**
 * Puts stored records right after their vehicle learnt the time: slice by slice, each a transaction of its own, so that
 * ingest goes on in between. What is owed is in the database: a stop in the middle is taken up at the next start, and
 * doing a slice again changes nothing.
 */
import type { Statement } from 'better-sqlite3';
import { type ClockSpan, timeBy } from './clock-spans.ts';
import { checkpointPages, type SqliteConnection } from './database.ts';
import { type CorrectedTable, correctedTables } from './schema.ts';

/** What one slice did. */
export interface CorrectedSlice {
  /** Of whom; null when nothing was owed. */
  readonly vehicle: string | null;
  /** Records whose time is another now. */
  readonly records: number;
  /** Whether one kind of record of one boot is all right now: time to show it. */
  readonly finished: boolean;
}

/**
 * What blocks the event loop in one piece, measured: 500 rows take 4 ms, and bringing 1000 pages of the log home at their commit 8 ms;
 * 4000 pages, as ingest does for speed, took up to 270 ms.
 */
const rowsPerSlice = 500;
const pagesPerSlice = 1000;

/** What tells a row of each table from others; `monotonic_ns` comes before it in the index. */
const keys: Readonly<Record<CorrectedTable, readonly string[]>> = {
  events: ['event_id'],
  records: ['ledger_id', 'sequence'],
  telemetry: ['series_id', 'part', 'ledger_id', 'sequence'],
};

interface Owed {
  boot_id: bigint;
  source: CorrectedTable;
  from_ns: bigint;
  vehicle: string;
}

type Cell = bigint | string;

interface Statements {
  /** The next rows after a place in the index: monotonic, captured, original, then the key. */
  readonly read: Statement;
  readonly write: Statement;
}

export class ClockCorrector {
  readonly #writer: SqliteConnection;
  readonly #next: Statement;
  readonly #spans: Statement;
  readonly #advance: Statement;
  readonly #done: Statement;
  readonly #latest: Statement;
  readonly #setLatest: Statement;
  readonly #tables: ReadonlyMap<CorrectedTable, Statements>;
  /** Where the last slice ended, when more rows than a slice have one monotonic time. */
  #place: { readonly boot: bigint; readonly source: string; readonly fromNs: bigint; readonly key: Cell[] } | null =
    null;

  constructor(writer: SqliteConnection) {
    this.#writer = writer;
    this.#next = writer.prepare(
      `select clock_corrections.boot_id, source, from_ns, vehicle from clock_corrections
       join boots on boots.id = clock_corrections.boot_id order by source, clock_corrections.boot_id limit 1`,
    );
    this.#spans = writer.prepare(
      `select first_monotonic_ns as firstMonotonicNs, first_offset_ns as firstOffsetNs, offset_ns as offsetNs,
         error_ns as errorNs from clock_spans where boot_id = ? order by first_monotonic_ns`,
    );
    this.#advance = writer.prepare('update clock_corrections set from_ns = ? where boot_id = ? and source = ?');
    this.#done = writer.prepare('delete from clock_corrections where boot_id = ? and source = ?');
    this.#latest = writer.prepare(
      `select id, latest_captured_at_ns as capturedAtNs, latest_original_captured_at_ns as originalNs,
         latest_monotonic_ns as monotonicNs from series where vehicle = ? and latest_boot_id = ? and latest_synchronised = 0`,
    );
    this.#setLatest = writer.prepare(
      'update series set latest_captured_at_ns = ?, latest_original_captured_at_ns = ? where id = ?',
    );
    this.#tables = new Map(correctedTables.map((table) => [table, prepare(writer, table)]));
  }

  /** Whether records are owed another time. */
  get isOwed(): boolean {
    return this.#next.get() !== undefined;
  }

  /** More was learnt: what was gone through within one moment is gone through again. */
  restart(): void {
    this.#place = null;
  }

  /** Puts the next records right, at most `rowsPerSlice`, in one transaction. Throws what SQLite throws; nothing happened then. */
  correctSlice(): CorrectedSlice {
    this.#writer.pragma(`wal_autocheckpoint = ${pagesPerSlice}`);
    this.#writer.exec('begin immediate');
    try {
      const owed = this.#next.get() as Owed | undefined;
      const slice = owed === undefined ? { vehicle: null, records: 0, finished: false } : this.#correct(owed);
      this.#writer.exec('commit');
      return slice;
    } catch (error) {
      if (this.#writer.inTransaction) this.#writer.exec('rollback');
      this.#place = null;
      throw error;
    } finally {
      this.#writer.pragma(`wal_autocheckpoint = ${checkpointPages}`);
    }
  }

  #correct({ boot_id: boot, source, from_ns: fromNs, vehicle }: Owed): CorrectedSlice {
    const spans = this.#spans.all(boot) as ClockSpan[];
    const { read, write } = this.#tables.get(source) as Statements;
    const place = this.#place;
    const goesOn = place !== null && place.boot === boot && place.source === source && place.fromNs === fromNs;
    // Text sorts after every number, and every key begins with a number from 0 or with text.
    const start = goesOn ? place.key : keys[source].map(() => -1n);
    const rows = read.all(boot, fromNs, ...start, rowsPerSlice) as Cell[][];
    let records = 0;
    for (const [monotonicNs, capturedAtNs, originalNs, ...key] of rows as [
      bigint,
      bigint,
      bigint | null,
      ...Cell[],
    ][]) {
      const own = originalNs ?? capturedAtNs;
      const rightNs = timeBy(spans, { capturedAtNs: own, monotonicNs });
      if (rightNs === null || (rightNs === capturedAtNs && originalNs !== null)) continue;
      write.run(rightNs, own, ...key, capturedAtNs);
      records += 1;
    }
    const last = rows.at(-1);
    if (last !== undefined && rows.length === rowsPerSlice) {
      const [reachedNs, , , ...key] = last as [bigint, bigint, bigint | null, ...Cell[]];
      this.#place = { boot, source, fromNs: reachedNs, key };
      this.#advance.run(reachedNs, boot, source);
      return { vehicle, records, finished: false };
    }
    this.#place = null;
    if (source === 'telemetry') this.#correctLatest(vehicle, boot, spans);
    this.#done.run(boot, source);
    return { vehicle, records, finished: true };
  }

  #correctLatest(vehicle: string, boot: bigint, spans: readonly ClockSpan[]): void {
    const rows = this.#latest.all(vehicle, boot) as {
      id: bigint;
      capturedAtNs: bigint;
      originalNs: bigint | null;
      monotonicNs: bigint;
    }[];
    for (const { id, capturedAtNs, originalNs, monotonicNs } of rows) {
      const own = originalNs ?? capturedAtNs;
      const rightNs = timeBy(spans, { capturedAtNs: own, monotonicNs });
      if (rightNs !== null) this.#setLatest.run(rightNs, own, id);
    }
  }
}

function prepare(writer: SqliteConnection, table: CorrectedTable): Statements {
  const key = keys[table];
  const read = writer
    .prepare(
      `select monotonic_ns, captured_at_ns, original_captured_at_ns, ${key.join(', ')} from ${table}
       where boot_id = ? and synchronised = 0
         and (monotonic_ns, ${key.join(', ')}) > (?, ${key.map(() => '?').join(', ')})
       order by monotonic_ns, ${key.join(', ')} limit ?`,
    )
    .raw();
  const write = writer.prepare(
    `update ${table} set captured_at_ns = ?, original_captured_at_ns = ?
     where ${key.map((column) => `${column} = ?`).join(' and ')} and captured_at_ns = ?`,
  );
  return { read, write };
}
