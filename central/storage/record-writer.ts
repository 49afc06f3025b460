/** Writes records that are not numeric rows inside the writing transaction: events, clips, drops, diagnostics, the rest. */
import { toBinary } from '@bufbuild/protobuf';
import type { Statement } from 'better-sqlite3';
import { type Reading, RecordSchema, type Record as WireRecord } from '../../sync/wire/wire_pb.js';
import { isLostFileName, kindOf } from '../ingest/incoming.ts';
import { type Boot, timeOf } from './boot-clocks.ts';
import type { SqliteConnection } from './database.ts';

/** Where a record came from. */
export interface RecordOrigin {
  readonly vehicle: string;
  readonly ledgerId: bigint;
  readonly receivedMs: number;
  /** The boot of the record's boot id. */
  readonly boot: Boot;
  /** The ledger of another stream of the same epoch; null when the vehicle has opened too many. */
  readonly ledgerOf: (stream: string) => bigint | null;
}

const droppedReasonFallback = 'unknown';

export class RecordWriter {
  readonly #eventOwner: Statement;
  readonly #insertEvent: Statement;
  readonly #upsertUpdate: Statement;
  readonly #insertClip: Statement;
  readonly #insertDrop: Statement;
  readonly #insertRecord: Statement;
  readonly #upsertDiagnostic: Statement;
  readonly #insertLost: Statement;

  constructor(writer: SqliteConnection) {
    this.#eventOwner = writer.prepare('select vehicle from events where event_id = ?');
    this.#insertEvent = writer.prepare(
      `insert into events (event_id, vehicle, ledger_id, sequence, captured_at_ns, monotonic_ns, boot_id, synchronised,
         estimated_error_ns, original_captured_at_ns, received_ms, label, score, scores, duration_s, model_name, model_version,
         kind, azimuth_deg, azimuth_confidence, side, pressure_change_pa, level, detail, readings, ongoing)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing`,
    );
    this.#upsertUpdate = writer.prepare(
      `insert into event_updates (vehicle, event_id, ledger_id, sequence, duration_s, pressure_change_pa, ongoing, level,
         detail, readings)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       on conflict (vehicle, event_id) do update set ledger_id = excluded.ledger_id, sequence = excluded.sequence,
         duration_s = excluded.duration_s, pressure_change_pa = excluded.pressure_change_pa,
         ongoing = excluded.ongoing, level = excluded.level, detail = excluded.detail, readings = excluded.readings
       where (excluded.ledger_id, excluded.sequence) > (event_updates.ledger_id, event_updates.sequence)`,
    );
    this.#insertClip = writer.prepare(
      `insert into clips (vehicle, event_id, ledger_id, sequence, sha256, bytes, start_ns, end_ns)
       values (?, ?, ?, ?, ?, ?, ?, ?)
       on conflict (vehicle, event_id) do update set ledger_id = excluded.ledger_id, sequence = excluded.sequence,
         sha256 = excluded.sha256, bytes = excluded.bytes, start_ns = excluded.start_ns, end_ns = excluded.end_ns
       where (excluded.ledger_id, excluded.sequence) > (clips.ledger_id, clips.sequence)`,
    );
    this.#insertDrop = writer.prepare(
      `insert into dropped_ranges (ledger_id, said_in, sequence, first, last, reason) values (?, ?, ?, ?, ?, ?)
       on conflict do nothing`,
    );
    this.#insertRecord = writer.prepare(
      `insert into records (ledger_id, sequence, captured_at_ns, monotonic_ns, boot_id, synchronised,
         estimated_error_ns, original_captured_at_ns, kind, body)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing`,
    );
    this.#insertLost = writer.prepare(
      'insert into lost_files (vehicle, name, first, last, reason) values (?, ?, ?, ?, ?) on conflict do nothing',
    );
    this.#upsertDiagnostic = writer.prepare(
      `insert into diagnostics (vehicle, source, ledger_id, sequence, captured_at_ns, level, code, message, cure, readings)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       on conflict (vehicle, source) do update set ledger_id = excluded.ledger_id, sequence = excluded.sequence,
         captured_at_ns = excluded.captured_at_ns, level = excluded.level, code = excluded.code,
         message = excluded.message, cure = excluded.cure, readings = excluded.readings
       where (excluded.ledger_id, excluded.sequence) > (diagnostics.ledger_id, diagnostics.sequence)`,
    );
  }

  /** Why this record can never be stored although it is well formed; null when it can. */
  whyUnfit(vehicle: string, record: WireRecord): string | null {
    if (record.body.case !== 'impact') return null;
    const owner = this.#eventOwner.get(record.body.value.eventId) as { vehicle: string } | undefined;
    if (owner === undefined || owner.vehicle === vehicle) return null;
    return 'event_id: expected one of its own, found one of another vehicle';
  }

  /**
   * Stores a record that the ledger found new. False for an impact that is here already: a vehicle that was cut off between
   * two commits says the same event again under another sequence.
   */
  write(record: WireRecord, origin: RecordOrigin): boolean {
    const { body } = record;
    if (body.case === 'impact') return this.#writeImpact(record, body.value, origin);
    if (body.case === 'eventUpdate') {
      this.#writeUpdate(record, body.value, origin);
    } else if (body.case === 'clip') {
      const { eventId, sha256, bytes, startNs, endNs } = body.value;
      this.#insertClip.run(origin.vehicle, eventId, origin.ledgerId, record.sequence, sha256, bytes, startNs, endNs);
    } else if (body.case === 'drop') {
      const { stream, firstSequence, lastSequence, reason } = body.value;
      const isFile = isLostFileName(stream);
      const ledgerId = isFile ? null : origin.ledgerOf(stream);
      const said = reason === '' ? droppedReasonFallback : reason;
      if (isFile) this.#insertLost.run(origin.vehicle, stream, firstSequence, lastSequence, said);
      if (ledgerId === null) this.#keep(record, origin);
      else this.#insertDrop.run(ledgerId, origin.ledgerId, record.sequence, firstSequence, lastSequence, said);
    } else {
      if (body.case === 'diagnostic') this.#noteDiagnostic(record, body.value, origin);
      this.#keep(record, origin);
    }
    return true;
  }

  #writeImpact(
    record: WireRecord,
    impact: Extract<WireRecord['body'], { case: 'impact' }>['value'],
    origin: RecordOrigin,
  ): boolean {
    const scores = Object.fromEntries(
      impact.scores.filter(({ score }) => Number.isFinite(score)).map(({ label, score }) => [label, score]),
    );
    const time = timeOf(origin.boot, record);
    const { changes } = this.#insertEvent.run(
      impact.eventId,
      origin.vehicle,
      origin.ledgerId,
      record.sequence,
      time.capturedAtNs,
      record.monotonicNs,
      origin.boot.key,
      record.synchronised ? 1 : 0,
      record.estimatedErrorNs,
      time.originalNs,
      origin.receivedMs,
      impact.label,
      impact.score,
      JSON.stringify(scores),
      impact.durationS,
      impact.modelName,
      impact.modelVersion,
      kindOf(impact),
      impact.azimuthDeg ?? null,
      impact.azimuthConfidence ?? null,
      impact.side,
      impact.pressureChangePa ?? null,
      impact.level,
      impact.detail,
      readingsText(impact.readings),
      impact.ongoing ? 1 : 0,
    );
    return changes > 0;
  }

  #writeUpdate(
    record: WireRecord,
    update: Extract<WireRecord['body'], { case: 'eventUpdate' }>['value'],
    { vehicle, ledgerId }: RecordOrigin,
  ): void {
    const { eventId, durationS, pressureChangePa, ongoing, level, detail, readings } = update;
    this.#upsertUpdate.run(
      vehicle,
      eventId,
      ledgerId,
      record.sequence,
      durationS ?? null,
      pressureChangePa ?? null,
      ongoing === undefined ? null : ongoing ? 1 : 0,
      level === '' ? null : level,
      detail === '' ? null : detail,
      readings.length === 0 ? null : readingsText(readings),
    );
  }

  #noteDiagnostic(
    record: WireRecord,
    diagnostic: Extract<WireRecord['body'], { case: 'diagnostic' }>['value'],
    origin: RecordOrigin,
  ): void {
    this.#upsertDiagnostic.run(
      origin.vehicle,
      diagnostic.source,
      origin.ledgerId,
      record.sequence,
      record.capturedAtNs,
      diagnostic.level,
      diagnostic.code,
      diagnostic.message,
      diagnostic.cure,
      JSON.stringify(diagnostic.values),
    );
  }

  #keep(record: WireRecord, origin: RecordOrigin): void {
    const time = timeOf(origin.boot, record);
    this.#insertRecord.run(
      origin.ledgerId,
      record.sequence,
      time.capturedAtNs,
      record.monotonicNs,
      origin.boot.key,
      record.synchronised ? 1 : 0,
      record.estimatedErrorNs,
      time.originalNs,
      record.body.case ?? 'unknown',
      record.body.case === 'opaque' ? record.body.value : toBinary(RecordSchema, record),
    );
  }
}

function readingsText(readings: readonly Reading[]): string {
  return JSON.stringify(readings.map(({ name, value, baseline }) => ({ name, value, baseline: baseline ?? null })));
}
