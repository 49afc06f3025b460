/** Writes numeric rows inside the writing transaction: field names become value columns, the newest row is kept at hand. */
import type { Statement } from 'better-sqlite3';
import type { TelemetryRow } from '../../sync/wire/telemetry.ts';
import { type Boot, type StoredTime, timeOf } from './boot-clocks.ts';
import type { SqliteConnection } from './database.ts';
import { VALUES_PER_ROW } from './schema.ts';

const maxCachedSeries = 20_000;
/** Over the life of one series; a stream that names more is a fault, not data. */
const maxFieldsPerSeries = 256;

interface Series {
  readonly id: bigint;
  readonly positions: Map<string, number>;
  latestLedgerId: bigint;
  latestSequence: number;
}

/** A row with the time it was stored under. */
export interface WrittenRow {
  readonly row: TelemetryRow;
  readonly time: StoredTime;
}

type Bindable = number | bigint | string | null;

/** Non-finite numbers have no place in JSON or SQL: they are stored as "not measured". */
function orNull(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}

/** Field name to number or null, as JSON. */
function valuesAsJson(values: Readonly<Record<string, number>>): string {
  return JSON.stringify(values, (_key, value: unknown) => (typeof value === 'number' ? orNull(value) : value));
}

export class TelemetryWriter {
  readonly #series = new Map<string, Series>();
  readonly #findSeries: Statement;
  readonly #insertSeries: Statement;
  readonly #findFields: Statement;
  readonly #insertField: Statement;
  readonly #insertRow: Statement;
  readonly #setLatest: Statement;

  constructor(writer: SqliteConnection) {
    this.#findSeries = writer.prepare(
      'select id, latest_ledger_id, latest_sequence from series where vehicle = ? and stream = ?',
    );
    this.#insertSeries = writer.prepare('insert into series (vehicle, stream) values (?, ?) returning id');
    this.#findFields = writer.prepare('select name, position from series_fields where series_id = ?');
    this.#insertField = writer.prepare('insert into series_fields (series_id, position, name) values (?, ?, ?)');
    this.#setLatest = writer.prepare(
      `update series set latest_ledger_id = ?, latest_sequence = ?, latest_captured_at_ns = ?,
         latest_original_captured_at_ns = ?, latest_boot_id = ?, latest_monotonic_ns = ?, latest_synchronised = ?,
         latest_values = ? where id = ?`,
    );
    const columns = Array.from({ length: VALUES_PER_ROW }, (_, index) => `v${index}`);
    this.#insertRow = writer.prepare(
      `insert into telemetry (series_id, part, captured_at_ns, ledger_id, sequence, monotonic_ns, boot_id, synchronised,
         estimated_error_ns, original_captured_at_ns, ${columns.join(', ')})
       values (${Array.from({ length: 10 + VALUES_PER_ROW }, () => '?').join(', ')}) on conflict do nothing`,
    );
  }

  /** Forgets what it cached: call after a transaction was rolled back. */
  forget(): void {
    this.#series.clear();
  }

  /** Whether the fields of this batch fit the series; null when they do, else why not. */
  whyUnfit(vehicle: string, stream: string, rows: readonly TelemetryRow[]): string | null {
    const { positions } = this.#seriesOf(vehicle, stream);
    const added = Object.keys(rows[0]?.values ?? {}).filter((name) => !positions.has(name)).length;
    const fields = positions.size + added;
    return fields <= maxFieldsPerSeries
      ? null
      : `fields: expected at most ${maxFieldsPerSeries} a stream, found ${fields}`;
  }

  /**
   * Inserts rows that the ledger found new; every row has the same fields. `bootOf` gives the boot of a boot id. Returns
   * those that are newer than all before, oldest first, for the live view.
   */
  write(
    vehicle: string,
    stream: string,
    ledgerId: bigint,
    rows: readonly TelemetryRow[],
    bootOf: (bootId: string) => Boot,
  ): WrittenRow[] {
    const series = this.#seriesOf(vehicle, stream);
    const layout = this.#layoutOf(series, Object.keys(rows[0]?.values ?? {}));
    const advanced: WrittenRow[] = [];
    let bootId = '';
    let boot: Boot | null = null;
    for (const row of rows) {
      const { stamp } = row;
      if (boot === null || stamp.bootId !== bootId) {
        bootId = stamp.bootId;
        boot = bootOf(bootId);
      }
      const time = timeOf(boot, stamp);
      for (const [part, fields] of layout) {
        const bound: Bindable[] = [
          series.id,
          part,
          time.capturedAtNs,
          ledgerId,
          row.sequence,
          stamp.monotonicNs,
          boot.key,
          stamp.synchronised ? 1 : 0,
          stamp.estimatedErrorNs ?? -1n,
          time.originalNs,
        ];
        for (const name of fields) bound.push(name === null ? null : orNull(row.values[name]));
        this.#insertRow.run(bound);
      }
      if (
        ledgerId > series.latestLedgerId ||
        (ledgerId === series.latestLedgerId && row.sequence > series.latestSequence)
      ) {
        series.latestLedgerId = ledgerId;
        series.latestSequence = row.sequence;
        advanced.push({ row, time });
      }
    }
    const newest = advanced.at(-1);
    if (newest !== undefined) this.#noteLatest(series, ledgerId, newest, bootOf(newest.row.stamp.bootId));
    return advanced;
  }

  #noteLatest(series: Series, ledgerId: bigint, { row, time }: WrittenRow, boot: Boot): void {
    const { monotonicNs, synchronised } = row.stamp;
    this.#setLatest.run(
      ledgerId,
      row.sequence,
      time.capturedAtNs,
      time.originalNs,
      boot.key,
      monotonicNs,
      synchronised ? 1 : 0,
      valuesAsJson(row.values),
      series.id,
    );
  }

  /** For each part in use: the field in each value column, or null. A batch without fields still leaves its rows. */
  #layoutOf(series: Series, names: readonly string[]): Map<number, (string | null)[]> {
    const layout = new Map<number, (string | null)[]>();
    for (const name of names) {
      let position = series.positions.get(name);
      if (position === undefined) {
        position = series.positions.size;
        this.#insertField.run(series.id, position, name);
        series.positions.set(name, position);
      }
      const part = Math.floor(position / VALUES_PER_ROW);
      const fields = layout.get(part) ?? new Array<string | null>(VALUES_PER_ROW).fill(null);
      fields[position % VALUES_PER_ROW] = name;
      layout.set(part, fields);
    }
    if (layout.size === 0) layout.set(0, new Array<string | null>(VALUES_PER_ROW).fill(null));
    return layout;
  }

  #seriesOf(vehicle: string, stream: string): Series {
    const key = `${vehicle} ${stream}`;
    const cached = this.#series.get(key);
    if (cached !== undefined) return cached;
    if (this.#series.size >= maxCachedSeries) this.#series.clear();
    const row = this.#findSeries.get(vehicle, stream) as
      | { id: bigint; latest_ledger_id: bigint | null; latest_sequence: bigint | null }
      | undefined;
    const id = row?.id ?? (this.#insertSeries.get(vehicle, stream) as { id: bigint }).id;
    const fields = this.#findFields.all(id) as { name: string; position: bigint }[];
    const series: Series = {
      id,
      positions: new Map(fields.map((field) => [field.name, Number(field.position)])),
      latestLedgerId: row?.latest_ledger_id ?? 0n,
      latestSequence: Number(row?.latest_sequence ?? 0n),
    };
    this.#series.set(key, series);
    return series;
  }
}
