/**
 * The ledger inside the writing transaction: which sequences of each (vehicle, epoch, stream) are held, kept merged as
 * records arrive, so that the question "new or duplicate" costs one look-up a batch.
 */
import type { Statement } from 'better-sqlite3';
import type { SqliteConnection } from './database.ts';
import { countSequences, mergeRanges, type SequenceRange, subtractRanges } from './ranges.ts';

interface RangeRow {
  first: bigint;
  last: bigint;
}

const maxCachedLedgers = 20_000;
/** A vehicle may open this many (epoch, stream) pairs; more is a fault in it, not data. */
const maxLedgersPerVehicle = 10_000;

/** One ledger, as far as the cache knows it. */
export interface LedgerEntry {
  readonly id: bigint;
  nextSequence: number;
}

export class Ledger {
  readonly #entries = new Map<string, LedgerEntry>();
  readonly #find: Statement;
  readonly #count: Statement;
  readonly #insert: Statement;
  readonly #advance: Statement;
  readonly #before: Statement;
  readonly #between: Statement;
  readonly #remove: Statement;
  readonly #hold: Statement;

  constructor(writer: SqliteConnection) {
    this.#find = writer.prepare('select id, next_sequence from ledgers where vehicle = ? and epoch = ? and stream = ?');
    this.#count = writer.prepare('select count(*) as ledgers from ledgers where vehicle = ?');
    this.#insert = writer.prepare(
      'insert into ledgers (vehicle, epoch, stream, next_sequence, duplicates) values (?, ?, ?, 1, 0) returning id',
    );
    this.#advance = writer.prepare('update ledgers set next_sequence = ?, duplicates = duplicates + ? where id = ?');
    this.#before = writer.prepare(
      'select first, last from held_ranges where ledger_id = ? and first <= ? order by first desc limit 1',
    );
    this.#between = writer.prepare(
      'select first, last from held_ranges where ledger_id = ? and first > ? and first <= ? order by first',
    );
    this.#remove = writer.prepare('delete from held_ranges where ledger_id = ? and first = ?');
    this.#hold = writer.prepare('insert into held_ranges (ledger_id, first, last) values (?, ?, ?)');
  }

  /** Forgets what it cached: call after a transaction was rolled back. */
  forget(): void {
    this.#entries.clear();
  }

  /** The ledger of this name, made at its first use; null when the vehicle has opened too many. */
  entry(vehicle: string, epoch: string, stream: string): LedgerEntry | null {
    const key = `${vehicle} ${stream} ${epoch}`;
    const cached = this.#entries.get(key);
    if (cached !== undefined) return cached;
    if (this.#entries.size >= maxCachedLedgers) this.#entries.clear();
    const row = this.#find.get(vehicle, epoch, stream) as { id: bigint; next_sequence: bigint } | undefined;
    let entry: LedgerEntry;
    if (row !== undefined) entry = { id: row.id, nextSequence: Number(row.next_sequence) };
    else {
      const { ledgers } = this.#count.get(vehicle) as { ledgers: bigint };
      if (ledgers >= maxLedgersPerVehicle) return null;
      const { id } = this.#insert.get(vehicle, epoch, stream) as { id: bigint };
      entry = { id, nextSequence: 1 };
    }
    this.#entries.set(key, entry);
    return entry;
  }

  /**
   * Takes `sequences` (at least one, in any order, repeats allowed) into the ledger. Returns which of them are new, as
   * sorted ranges; the rest are counted as duplicates.
   */
  hold(
    entry: LedgerEntry,
    sequences: readonly number[],
    nextSequence: number,
  ): { fresh: SequenceRange[]; duplicates: number } {
    const arrived = mergeRanges(sequences.map((sequence) => [sequence, sequence] as const));
    const fresh: SequenceRange[] = [];
    for (const range of arrived) fresh.push(...this.#holdRange(entry.id, range));
    const duplicates = sequences.length - countSequences(fresh);
    const last = (arrived.at(-1) as SequenceRange)[1];
    this.advance(entry, Math.max(nextSequence, last + 1), duplicates);
    return { fresh, duplicates };
  }

  /** Notes what the vehicle said it will give next, and `duplicates` more seen. */
  advance(entry: LedgerEntry, nextSequence: number, duplicates: number): void {
    if (nextSequence <= entry.nextSequence && duplicates === 0) return;
    entry.nextSequence = Math.max(entry.nextSequence, nextSequence);
    this.#advance.run(entry.nextSequence, duplicates, entry.id);
  }

  #holdRange(id: bigint, range: SequenceRange): SequenceRange[] {
    const [first, last] = range;
    const touching: SequenceRange[] = [];
    const before = this.#before.get(id, first) as RangeRow | undefined;
    if (before !== undefined && Number(before.last) >= first - 1) {
      touching.push([Number(before.first), Number(before.last)]);
      if (Number(before.last) >= last) return [];
    }
    for (const row of this.#between.all(id, first, last + 1) as RangeRow[]) {
      touching.push([Number(row.first), Number(row.last)]);
    }
    const fresh = subtractRanges([range], touching);
    for (const [start] of touching) this.#remove.run(id, start);
    const merged = mergeRanges([...touching, range]);
    for (const [start, end] of merged) this.#hold.run(id, start, end);
    return fresh;
  }
}
