/**
 * The tables of central as types. Every integer column reads as `bigint` (nanoseconds do not fit a double), in SQLite
 * as in PostgreSQL's `bigint`; real columns read as `number`.
 */
import type { ColumnType } from 'kysely';

type Integer = ColumnType<bigint, bigint | number, bigint | number>;
type IntegerOrNull = ColumnType<bigint | null, bigint | number | null, bigint | number | null>;
type Key = ColumnType<bigint, bigint | number | undefined, never>;

/** How many value columns one row of `telemetry` has; a stream with more fields takes further rows (`part`). */
export const VALUES_PER_ROW = 8;

/** The tables whose records central puts right when their vehicle learns the time. */
export const correctedTables = ['events', 'records', 'telemetry'] as const;
export type CorrectedTable = (typeof correctedTables)[number];

/** The time of a record, with what is needed to put it right later. */
interface StampColumns {
  /** As the vehicle knew it, or put right. */
  captured_at_ns: Integer;
  /** As the vehicle knew it, where central put it right; else null. */
  original_captured_at_ns: IntegerOrNull;
  monotonic_ns: Integer;
  boot_id: Integer;
  synchronised: Integer;
  /** −1: unknown. */
  estimated_error_ns: Integer;
}

interface VehicleTable {
  vehicle: string;
  online: Integer;
  last_seen_ms: Integer;
  state_at_ns: IntegerOrNull;
  boot_id: string | null;
  agent_version: string | null;
  model_name: string | null;
  model_version: string | null;
}

/** Kernel boot ids, given a short key so that a row need not repeat 36 characters. */
interface BootTable {
  id: Key;
  vehicle: string;
  boot_id: string;
}

/** What the synchronised stamps of a boot said of its clock; offsets are UTC − monotonic (clock-spans.ts). */
interface ClockSpanTable {
  boot_id: Integer;
  first_monotonic_ns: Integer;
  first_offset_ns: Integer;
  offset_ns: Integer;
  error_ns: Integer;
}

/** Stored records of a boot whose times are still to be put right, from this monotonic time on. */
interface ClockCorrectionTable {
  boot_id: Integer;
  source: CorrectedTable;
  from_ns: Integer;
}

/** One ledger per (vehicle, outbox epoch, stream). */
interface LedgerTable {
  id: Key;
  vehicle: string;
  epoch: string;
  stream: string;
  next_sequence: Integer;
  duplicates: Integer;
}

interface HeldRangeTable {
  ledger_id: Integer;
  first: Integer;
  last: Integer;
}

/** What the vehicle declared dropped of the ledger `ledger_id`; said by record (`said_in`, `sequence`). */
interface DroppedRangeTable {
  ledger_id: Integer;
  said_in: Integer;
  sequence: Integer;
  first: Integer;
  last: Integer;
  reason: string;
}

/** One numeric stream of one vehicle, over all epochs; `latest_*` is its newest record. */
interface SeriesTable {
  id: Key;
  vehicle: string;
  stream: string;
  latest_ledger_id: IntegerOrNull;
  latest_sequence: IntegerOrNull;
  latest_captured_at_ns: IntegerOrNull;
  latest_original_captured_at_ns: IntegerOrNull;
  latest_boot_id: IntegerOrNull;
  latest_monotonic_ns: IntegerOrNull;
  latest_synchronised: IntegerOrNull;
  /** JSON: field name to number or null. */
  latest_values: string | null;
}

/** Which value column holds a field: column `position % 8` of the row with `part` = ⌊position / 8⌋. */
interface SeriesFieldTable {
  series_id: Integer;
  position: Integer;
  name: string;
}

type ValueColumns = { [Column in `v${number}`]: number | null };

interface TelemetryTable extends StampColumns, ValueColumns {
  series_id: Integer;
  ledger_id: Integer;
  sequence: Integer;
  part: Integer;
}

export interface EventTable extends StampColumns {
  event_id: string;
  vehicle: string;
  ledger_id: Integer;
  sequence: Integer;
  received_ms: Integer;
  label: string;
  score: number;
  /** JSON: label to score. */
  scores: string;
  duration_s: number;
  model_name: string;
  model_version: string;
  /** `impact`, `snapshot`, `air`, `drift`. */
  kind: string;
  azimuth_deg: number | null;
  azimuth_confidence: number | null;
  /** Empty: no telling. */
  side: string;
  pressure_change_pa: number | null;
  /** Of an air event; else empty. */
  level: string;
  detail: string;
  /** JSON: list of {name, value, baseline}. */
  readings: string;
  ongoing: Integer;
}

/** The latest that was said of an event after the event itself; null: as the event was. It may be here before its event. */
interface EventUpdateTable {
  vehicle: string;
  event_id: string;
  ledger_id: Integer;
  sequence: Integer;
  duration_s: number | null;
  pressure_change_pa: number | null;
  ongoing: IntegerOrNull;
  level: string | null;
  detail: string | null;
  readings: string | null;
}

interface ClipTable {
  vehicle: string;
  event_id: string;
  ledger_id: Integer;
  sequence: Integer;
  sha256: string;
  bytes: Integer;
  start_ns: Integer;
  end_ns: Integer;
}

/** Records kept as they came: log lines, diagnostics, opaque bodies, and bodies this version does not know. */
interface RecordTable extends StampColumns {
  ledger_id: Integer;
  sequence: Integer;
  kind: string;
  /** Kind `opaque`: the bytes themselves; else the record as protobuf bytes of fender.v1.Record. */
  body: Uint8Array;
}

/** The newest diagnostic of each source; its stamp is in `records` under (`ledger_id`, `sequence`). */
interface DiagnosticTable {
  vehicle: string;
  source: string;
  ledger_id: Integer;
  sequence: Integer;
  captured_at_ns: Integer;
  level: string;
  code: string;
  message: string;
  cure: string;
  /** JSON: name to text. */
  readings: string;
}

/** A file on its way or here: how many bytes from its start are durable, and whether its hash was verified. */
interface BlobTable {
  vehicle: string;
  sha256: string;
  bytes: Integer;
  media_type: string;
  committed_bytes: Integer;
  complete: Integer;
}

/**
 * What the vehicle gave up beside records: `blob/<sha256>` bytes of a file, `clip/<event id>` a clip not made,
 * `recording/<id>` segments of a recording.
 */
interface LostFileTable {
  vehicle: string;
  name: string;
  first: Integer;
  last: Integer;
  reason: string;
}

/** What was asked of a vehicle, and what came of it. Times are central's, in ms. */
export interface CommandTable {
  command_id: string;
  vehicle: string;
  kind: string;
  /** JSON: what the request said beside the kind. */
  parameters: string;
  issued_ms: Integer;
  expires_ms: Integer;
  finished_ms: IntegerOrNull;
  /** `pending`, `done`, `refused`, `failed`, `expired`. */
  state: string;
  code: string;
  message: string;
  /** JSON: name to text. */
  result_values: string;
}

export interface CentralTables {
  vehicles: VehicleTable;
  boots: BootTable;
  clock_spans: ClockSpanTable;
  clock_corrections: ClockCorrectionTable;
  ledgers: LedgerTable;
  held_ranges: HeldRangeTable;
  dropped_ranges: DroppedRangeTable;
  series: SeriesTable;
  series_fields: SeriesFieldTable;
  telemetry: TelemetryTable;
  events: EventTable;
  event_updates: EventUpdateTable;
  clips: ClipTable;
  records: RecordTable;
  diagnostics: DiagnosticTable;
  blobs: BlobTable;
  lost_files: LostFileTable;
  commands: CommandTable;
}
