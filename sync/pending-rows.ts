/**
 * Rows in memory between their append and their commit: bounded, in order for each stream. Past the bound the least
 * important and oldest are given up; the gap they leave keeps its place, so that the commit can declare it.
 */

import type { Stamp } from '../drivers/sample.ts';
import type { NewRow, OutboxStore, StreamKind, StreamState } from './outbox-store.ts';
import type { Appended } from './outbox-types.ts';
import { type Priority, priorities } from './priority.ts';

interface PendingRow {
  readonly row: NewRow;
  readonly arrival: number;
  /** Given by `write`. */
  sequence: number;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: Error) => void;
}

/** A run of rows that were given up before their commit. */
interface Gap {
  count: number;
}

interface PendingStream {
  readonly kind: StreamKind;
  readonly priority: Priority;
  items: (PendingRow | Gap)[];
}

const reason = 'disk-full';

export class PendingRows {
  readonly #maxRows: number;
  readonly #maxBytes: number;
  #streams = new Map<string, PendingStream>();
  /** How many items of each stream the last `write` took. */
  readonly #written = new Map<string, number>();
  #arrivals = 0;
  #rows = 0;
  #bytes = 0;

  constructor(maxRows: number, maxBytes: number) {
    this.#maxRows = maxRows;
    this.#maxBytes = maxBytes;
  }

  get rows(): number {
    return this.#rows;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Rows given up that no commit has declared yet. */
  get lost(): number {
    let lost = 0;
    for (const { items } of this.#streams.values()) for (const item of items) if ('count' in item) lost += item.count;
    return lost;
  }

  findStream(name: string): { readonly kind: StreamKind } | undefined {
    return this.#streams.get(name);
  }

  /** True when there is neither a row nor a gap. */
  get isEmpty(): boolean {
    return this.#streams.size === 0;
  }

  /** Adds a row, making room first where the bound is reached. A row's bytes count with 100 more for what holds it. */
  add(name: string, kind: StreamKind, priority: Priority, row: NewRow): Promise<Appended> {
    const promise = new Promise<Appended>((resolve, reject) => {
      let stream = this.#streams.get(name);
      if (stream === undefined) {
        stream = { kind, priority, items: [] };
        this.#streams.set(name, stream);
      }
      stream.items.push({ row, arrival: this.#arrivals, sequence: 0, resolve, reject });
      this.#arrivals += 1;
      this.#rows += 1;
      this.#bytes += costOf(row);
    });
    // Whoever does not wait for the promise must not bring the process down when the outbox closes on a full disk.
    promise.catch(() => {});
    if (this.#rows > this.#maxRows || this.#bytes > this.#maxBytes) this.#bound();
    return promise;
  }

  /**
   * Writes events first, then the rest, up to about `limitBytes`, within the caller's transaction. `settle` follows when
   * that is durable; otherwise the next `write` begins with the same rows.
   */
  write(store: OutboxStore, now: Stamp, limitBytes: number): void {
    this.#written.clear();
    let bytes = 0;
    const streams = [...this.#streams].sort(([, a], [, b]) => rankOf(b) - rankOf(a));
    for (const [name, pending] of streams) {
      if (bytes >= limitBytes) return;
      const stream = store.stream(name, pending.kind, pending.priority);
      let count = 0;
      for (const item of pending.items) {
        if (bytes >= limitBytes) break;
        if (!('count' in item)) bytes += costOf(item.row);
        count += 1;
      }
      writeItems(store, stream, pending.items.slice(0, count), now);
      store.saveStream(stream);
      this.#written.set(name, count);
    }
  }

  /** Resolves and forgets what `write` wrote, after it became durable. */
  settle(): void {
    for (const [name, count] of this.#written) {
      const stream = this.#streams.get(name);
      if (stream === undefined) continue;
      const items = stream.items.splice(0, count);
      if (stream.items.length === 0) this.#streams.delete(name);
      for (const item of items) {
        if ('count' in item) continue;
        this.#rows -= 1;
        this.#bytes -= costOf(item.row);
        item.resolve({ sequence: item.sequence, stored: true });
      }
    }
    this.#written.clear();
  }

  #forget(): void {
    this.#streams = new Map();
    this.#written.clear();
    this.#rows = 0;
    this.#bytes = 0;
  }

  rejectAll(error: Error): void {
    for (const { items } of this.#streams.values()) {
      for (const item of items) if (!('count' in item)) item.reject(error);
    }
    this.#forget();
  }

  /** Gives up the oldest rows of the lowest classes, an eighth beyond what the bound asks. */
  #bound(): void {
    const goalRows = (this.#maxRows * 7) / 8;
    const goalBytes = (this.#maxBytes * 7) / 8;
    const rows = [...this.#streams.values()]
      .flatMap((stream) => stream.items.map((item) => ({ item, rank: priorities.indexOf(stream.priority) })))
      .filter((entry): entry is { item: PendingRow; rank: number } => !('count' in entry.item))
      .sort((a, b) => a.rank - b.rank || a.item.arrival - b.item.arrival);
    const lost = new Set<PendingRow>();
    for (const { item } of rows) {
      if (this.#rows <= goalRows && this.#bytes <= goalBytes) break;
      lost.add(item);
      this.#rows -= 1;
      this.#bytes -= costOf(item.row);
      item.resolve({ sequence: 0, stored: false });
    }
    for (const stream of this.#streams.values()) stream.items = withGaps(stream.items, lost);
  }
}

function rankOf(stream: PendingStream): number {
  return priorities.indexOf(stream.priority);
}

function writeItems(store: OutboxStore, stream: StreamState, items: readonly (PendingRow | Gap)[], now: Stamp): void {
  let run: PendingRow[] = [];
  const insertRun = (): void => {
    const rows = run.map((item) => item.row);
    const first = store.insert(stream, rows);
    for (const [index, item] of run.entries()) item.sequence = first + index;
    run = [];
  };
  for (const item of items) {
    if (!('count' in item)) {
      run.push(item);
      continue;
    }
    insertRun();
    store.skip(stream, item.count, reason, now);
  }
  insertRun();
}

function withGaps(items: readonly (PendingRow | Gap)[], lost: ReadonlySet<PendingRow>): (PendingRow | Gap)[] {
  const kept: (PendingRow | Gap)[] = [];
  for (const item of items) {
    if (!('count' in item) && !lost.has(item)) {
      kept.push(item);
      continue;
    }
    const count = 'count' in item ? item.count : 1;
    const previous = kept.at(-1);
    if (previous !== undefined && 'count' in previous) previous.count += count;
    else kept.push({ count });
  }
  return kept;
}

function costOf(row: NewRow): number {
  return row.body.byteLength + 100;
}
