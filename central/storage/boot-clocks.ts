/**
 * The boots of all vehicles inside the writing transaction: their keys, what is known of their clocks, and which stored
 * records are owed another time because of something learnt. A boot belongs to one vehicle: another that names the same
 * boot id has a boot of its own.
 */
import type { Statement } from 'better-sqlite3';
import { type ClockSpan, isBootKnown, learn, type ReadStamp, timeBy } from './clock-spans.ts';
import type { SqliteConnection } from './database.ts';
import { type CorrectedTable, correctedTables } from './schema.ts';

/** One boot, as far as the cache knows it. */
export interface Boot {
  readonly key: bigint;
  /** Whether its id tells it from other boots. */
  readonly known: boolean;
  spans: readonly ClockSpan[];
}

/** The time of a record: `originalNs` is the vehicle's own where central put it right, else null. UTC nanoseconds. */
export interface StoredTime {
  readonly capturedAtNs: bigint;
  readonly originalNs: bigint | null;
}

const maxCachedBoots = 20_000;

export class BootClocks {
  readonly #boots = new Map<string, Boot>();
  readonly #find: Statement;
  readonly #insert: Statement;
  readonly #readSpans: Statement;
  readonly #removeSpans: Statement;
  readonly #insertSpan: Statement;
  readonly #isOwed: ReadonlyMap<CorrectedTable, Statement>;
  readonly #owe: Statement;
  readonly #onOwed: () => void;

  /** `onOwed` is called when stored records are owed another time. */
  constructor(writer: SqliteConnection, onOwed: () => void) {
    this.#onOwed = onOwed;
    this.#find = writer.prepare('select id from boots where vehicle = ? and boot_id = ?');
    this.#insert = writer.prepare('insert into boots (vehicle, boot_id) values (?, ?) returning id');
    this.#readSpans = writer.prepare(
      `select first_monotonic_ns as firstMonotonicNs, first_offset_ns as firstOffsetNs, offset_ns as offsetNs,
         error_ns as errorNs from clock_spans where boot_id = ? order by first_monotonic_ns`,
    );
    this.#removeSpans = writer.prepare('delete from clock_spans where boot_id = ?');
    this.#insertSpan = writer.prepare(
      `insert into clock_spans (boot_id, first_monotonic_ns, first_offset_ns, offset_ns, error_ns)
       values (?, ?, ?, ?, ?)`,
    );
    this.#isOwed = new Map(
      correctedTables.map((table) => [
        table,
        writer.prepare(
          `select 1 from ${table} where boot_id = ? and synchronised = 0 and monotonic_ns >= ? order by monotonic_ns limit 1`,
        ),
      ]),
    );
    this.#owe = writer.prepare(
      `insert into clock_corrections (boot_id, source, from_ns) values (?, ?, ?)
       on conflict (boot_id, source) do update set from_ns = min(clock_corrections.from_ns, excluded.from_ns)`,
    );
  }

  /** Forgets what it cached: call after a transaction was rolled back. */
  forget(): void {
    this.#boots.clear();
  }

  /** The boot of this vehicle, made at its first use. */
  boot(vehicle: string, bootId: string): Boot {
    const cacheKey = `${vehicle} ${bootId}`;
    const cached = this.#boots.get(cacheKey);
    if (cached !== undefined) return cached;
    if (this.#boots.size >= maxCachedBoots) this.#boots.clear();
    const { id } = (this.#find.get(vehicle, bootId) ?? this.#insert.get(vehicle, bootId)) as { id: bigint };
    const boot: Boot = { key: id, known: isBootKnown(bootId), spans: this.#readSpans.all(id) as ClockSpan[] };
    this.#boots.set(cacheKey, boot);
    return boot;
  }

  /** Learns from a synchronised stamp of the boot, and notes what of it is owed another time now. */
  learn(boot: Boot, stamp: ReadStamp): void {
    if (!boot.known) return;
    const { spans, changedFromNs } = learn(boot.spans, stamp);
    if (spans === boot.spans) return;
    boot.spans = spans;
    this.#removeSpans.run(boot.key);
    for (const { firstMonotonicNs, firstOffsetNs, offsetNs, errorNs } of spans) {
      this.#insertSpan.run(boot.key, firstMonotonicNs, firstOffsetNs, offsetNs, errorNs);
    }
    if (changedFromNs === null) return;
    for (const [table, isOwed] of this.#isOwed) {
      if (isOwed.get(boot.key, changedFromNs) === undefined) continue;
      this.#owe.run(boot.key, table, changedFromNs);
      this.#onOwed();
    }
  }
}

/** When a record of the boot happened, by what is known now. */
export function timeOf(
  boot: Boot,
  stamp: { readonly capturedAtNs: bigint; readonly monotonicNs: bigint; readonly synchronised: boolean },
): StoredTime {
  const { capturedAtNs } = stamp;
  if (stamp.synchronised || boot.spans.length === 0) return { capturedAtNs, originalNs: null };
  const rightNs = timeBy(boot.spans, stamp);
  return rightNs === null ? { capturedAtNs, originalNs: null } : { capturedAtNs: rightNs, originalNs: capturedAtNs };
}
