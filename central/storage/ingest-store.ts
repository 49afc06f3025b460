/**
 * The writing side of storage: commits decoded messages, many in one transaction, each record exactly once. What it
 * returns is durable when the promise resolves.
 */
import type { Statement } from 'better-sqlite3';
import type { TelemetryRow } from '../../sync/wire/telemetry.ts';
import type { Content, RecordContent, Rejection, StateContent, TelemetryContent } from '../ingest/incoming.ts';
import type { SqliteConnection } from './database.ts';
import { Ledger } from './ledger.ts';
import { holds, mergeRanges, type SequenceRange } from './ranges.ts';
import { RecordWriter } from './record-writer.ts';
import { TelemetryWriter } from './telemetry-writer.ts';

/** What the vehicle may now forget, and what it must set aside. */
export interface CommittedBatch {
  readonly vehicle: string;
  readonly epoch: string;
  readonly stream: string;
  /** Held durably, whether new or already known. */
  readonly held: readonly SequenceRange[];
  readonly rejected: readonly Rejection[];
  readonly stored: number;
  readonly duplicates: number;
}

/** Something a live view wants to know. */
export type Notice =
  | { readonly kind: 'sample'; readonly vehicle: string; readonly stream: string; readonly row: TelemetryRow }
  | { readonly kind: 'impact'; readonly vehicle: string; readonly eventId: string }
  | { readonly kind: 'clip'; readonly vehicle: string; readonly eventId: string }
  | { readonly kind: 'vehicle'; readonly vehicle: string; readonly online: boolean };

export interface CommitResult {
  readonly batches: readonly CommittedBatch[];
  readonly notices: readonly Notice[];
}

/** The seam between ingest and the database. */
export interface IngestStore {
  /** Commits all of it in one transaction, or throws and leaves nothing. */
  commit(contents: readonly Content[], nowMs: number): Promise<CommitResult>;
  /** No vehicle is connected: call when the embedded broker starts. */
  markAllOffline(): Promise<void>;
}

/** More new rows than this in one batch are a backlog: the live view gets the newest only. */
const liveRowsPerBatch = 20;
const maxCachedBoots = 20_000;

export class SqliteIngestStore implements IngestStore {
  readonly #writer: SqliteConnection;
  readonly #ledger: Ledger;
  readonly #telemetry: TelemetryWriter;
  readonly #records: RecordWriter;
  readonly #boots = new Map<string, bigint>();
  readonly #findBoot: Statement;
  readonly #insertBoot: Statement;
  readonly #see: Statement;
  readonly #setState: Statement;
  readonly #isOnline: Statement;
  readonly #allOffline: Statement;

  constructor(writer: SqliteConnection) {
    this.#writer = writer;
    this.#ledger = new Ledger(writer);
    this.#telemetry = new TelemetryWriter(writer);
    this.#records = new RecordWriter(writer);
    this.#findBoot = writer.prepare('select id from boots where vehicle = ? and boot_id = ?');
    this.#insertBoot = writer.prepare('insert into boots (vehicle, boot_id) values (?, ?) returning id');
    this.#see = writer.prepare(
      `insert into vehicles (vehicle, online, last_seen_ms) values (?, 0, ?)
       on conflict (vehicle) do update set last_seen_ms = excluded.last_seen_ms`,
    );
    this.#setState = writer.prepare(
      `update vehicles set online = ?, state_at_ns = ?, boot_id = ?, agent_version = ?, model_name = ?, model_version = ?
       where vehicle = ?`,
    );
    this.#isOnline = writer.prepare('select online from vehicles where vehicle = ?');
    this.#allOffline = writer.prepare('update vehicles set online = 0 where online <> 0');
  }

  async commit(contents: readonly Content[], nowMs: number): Promise<CommitResult> {
    const batches: CommittedBatch[] = [];
    const notices: Notice[] = [];
    this.#writer.exec('begin immediate');
    try {
      const vehicles = new Set(contents.map((content) => content.vehicle));
      for (const vehicle of vehicles) this.#see.run(vehicle, nowMs);
      for (const content of contents) {
        if (content.kind === 'telemetry') batches.push(this.#commitTelemetry(content, notices));
        else if (content.kind === 'records') batches.push(this.#commitRecords(content, nowMs, notices));
        else this.#commitState(content, notices);
      }
      this.#writer.exec('commit');
    } catch (error) {
      if (this.#writer.inTransaction) this.#writer.exec('rollback');
      this.#ledger.forget();
      this.#telemetry.forget();
      this.#boots.clear();
      throw error;
    }
    return { batches, notices };
  }

  async markAllOffline(): Promise<void> {
    this.#allOffline.run();
  }

  #commitTelemetry(content: TelemetryContent, notices: Notice[]): CommittedBatch {
    const { vehicle, epoch, stream, rows, nextSequence } = content;
    const sequences = rows.map((row) => row.sequence);
    const entry = this.#ledger.entry(vehicle, epoch, stream);
    const unfit = entry === null ? 'too many ledgers' : this.#telemetry.whyUnfit(vehicle, stream, rows);
    if (entry === null || unfit !== null) return refused(content, sequences.map(BigInt), unfit ?? '');
    const { fresh, duplicates } = this.#ledger.hold(entry, sequences, nextSequence);
    const isNew = duplicates === 0 ? rows : rows.filter((row) => holds(fresh, row.sequence));
    if (isNew.length > 0) {
      const bootKeyOf = (bootId: string) => this.#bootKey(vehicle, bootId);
      const { advanced } = this.#telemetry.write(vehicle, stream, entry.id, isNew, bootKeyOf);
      const shown = advanced.length > liveRowsPerBatch ? advanced.slice(-1) : advanced;
      for (const row of shown) notices.push({ kind: 'sample', vehicle, stream, row });
    }
    const held = mergeRanges(sequences.map((sequence) => [sequence, sequence]));
    return { vehicle, epoch, stream, held, rejected: [], stored: isNew.length, duplicates };
  }

  #commitRecords(content: RecordContent, nowMs: number, notices: Notice[]): CommittedBatch {
    const { vehicle, epoch, stream, nextSequence } = content;
    const entry = this.#ledger.entry(vehicle, epoch, stream);
    const rejected = [...content.rejected];
    if (entry === null) {
      return refused(
        content,
        content.records.map((record) => record.sequence),
        'too many ledgers',
      );
    }
    const fit = content.records.filter((record) => {
      const reason = this.#records.whyUnfit(vehicle, record);
      if (reason !== null) rejected.push({ sequence: record.sequence, reason });
      return reason === null;
    });
    this.#ledger.advance(entry, nextSequence, 0);
    const sequences = fit.map((record) => Number(record.sequence));
    if (sequences.length === 0) {
      return { vehicle, epoch, stream, held: [], rejected, stored: 0, duplicates: 0 };
    }
    const { fresh, duplicates } = this.#ledger.hold(entry, sequences, nextSequence);
    const written = new Set<number>();
    for (const record of fit) {
      const sequence = Number(record.sequence);
      if (written.has(sequence) || !holds(fresh, sequence)) continue;
      written.add(sequence);
      const isNew = this.#records.write(record, {
        vehicle,
        ledgerId: entry.id,
        receivedMs: nowMs,
        bootKey: this.#bootKey(vehicle, record.bootId),
        ledgerOf: (of) => this.#ledger.entry(vehicle, epoch, of)?.id ?? null,
      });
      const { body } = record;
      if (!isNew) continue;
      if (body.case === 'impact') notices.push({ kind: 'impact', vehicle, eventId: body.value.eventId });
      else if (body.case === 'clip') notices.push({ kind: 'clip', vehicle, eventId: body.value.eventId });
    }
    const held = mergeRanges(sequences.map((sequence) => [sequence, sequence]));
    return { vehicle, epoch, stream, held, rejected, stored: written.size, duplicates };
  }

  #commitState({ vehicle, state }: StateContent, notices: Notice[]): void {
    const before = this.#isOnline.get(vehicle) as { online: bigint } | undefined;
    this.#setState.run(
      state.online ? 1 : 0,
      state.atNs,
      state.bootId,
      state.agentVersion,
      state.modelName === '' ? null : state.modelName,
      state.modelVersion === '' ? null : state.modelVersion,
      vehicle,
    );
    if (before === undefined || (before.online !== 0n) !== state.online) {
      notices.push({ kind: 'vehicle', vehicle, online: state.online });
    }
  }

  #bootKey(vehicle: string, bootId: string): bigint {
    const key = `${vehicle} ${bootId}`;
    const cached = this.#boots.get(key);
    if (cached !== undefined) return cached;
    if (this.#boots.size >= maxCachedBoots) this.#boots.clear();
    const row = (this.#findBoot.get(vehicle, bootId) ?? this.#insertBoot.get(vehicle, bootId)) as { id: bigint };
    this.#boots.set(key, row.id);
    return row.id;
  }
}

function refused(
  content: TelemetryContent | RecordContent,
  sequences: readonly bigint[],
  reason: string,
): CommittedBatch {
  const { vehicle, epoch, stream } = content;
  const rejected = [
    ...(content.kind === 'records' ? content.rejected : []),
    ...sequences.map((sequence) => ({ sequence, reason })),
  ];
  return { vehicle, epoch, stream, held: [], rejected, stored: 0, duplicates: 0 };
}
