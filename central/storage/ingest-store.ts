/**
 * The writing side of storage: commits decoded messages, many in one transaction, each record exactly once. What it
 * returns is durable when the promise resolves.
 */
import type { Statement } from 'better-sqlite3';
import type { TelemetryRow } from '../../sync/wire/telemetry.ts';
import type {
  Content,
  RecordContent,
  Rejection,
  ReportedContent,
  StateContent,
  TelemetryContent,
} from '../ingest/incoming.ts';
import { BootClocks, type StoredTime } from './boot-clocks.ts';
import { ClockCorrector, type CorrectedSlice } from './clock-corrector.ts';
import { CommandStore } from './command-store.ts';
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
  | {
      readonly kind: 'sample';
      readonly vehicle: string;
      readonly stream: string;
      readonly row: TelemetryRow;
      readonly time: StoredTime;
    }
  | { readonly kind: 'command'; readonly vehicle: string; readonly commandId: string }
  /** Stored records of the vehicle have their right time now. */
  | { readonly kind: 'clock'; readonly vehicle: string }
  | { readonly kind: 'impact'; readonly vehicle: string; readonly eventId: string }
  /** More became known of an event. */
  | { readonly kind: 'update'; readonly vehicle: string; readonly eventId: string }
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
  /** Whether stored records are owed their right time, because their vehicle learnt it. */
  readonly isCorrectionOwed: boolean;
  /** Puts some of them right in one transaction, or throws and leaves all as it was. */
  correctSlice(): Promise<CorrectedSlice>;
  /** No vehicle is connected: call when the embedded broker starts. */
  markAllOffline(): Promise<void>;
}

/** More new rows than this in one batch are a backlog: the live view gets the newest only. */
const liveRowsPerBatch = 20;
/** Offsets of one clock within a batch: stamps travel in steps of 10 µs. */
const sameOffsetNs = 1_000_000n;

export class SqliteIngestStore implements IngestStore {
  readonly #writer: SqliteConnection;
  readonly #ledger: Ledger;
  readonly #telemetry: TelemetryWriter;
  readonly #records: RecordWriter;
  readonly #commands: CommandStore;
  readonly #boots: BootClocks;
  readonly #corrector: ClockCorrector;
  #correctionOwed: boolean;
  readonly #see: Statement;
  readonly #setState: Statement;
  readonly #isOnline: Statement;
  readonly #allOffline: Statement;

  constructor(writer: SqliteConnection) {
    this.#writer = writer;
    this.#ledger = new Ledger(writer);
    this.#telemetry = new TelemetryWriter(writer);
    this.#records = new RecordWriter(writer);
    this.#commands = new CommandStore(writer);
    this.#corrector = new ClockCorrector(writer);
    this.#boots = new BootClocks(writer, () => {
      this.#corrector.restart();
      this.#correctionOwed = true;
    });
    this.#correctionOwed = this.#corrector.isOwed;
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
        else if (content.kind === 'state') this.#commitState(content, notices);
        else this.#commitResult(content, nowMs, notices);
      }
      this.#writer.exec('commit');
    } catch (error) {
      if (this.#writer.inTransaction) this.#writer.exec('rollback');
      this.#ledger.forget();
      this.#telemetry.forget();
      this.#boots.forget();
      throw error;
    }
    return { batches, notices };
  }

  get isCorrectionOwed(): boolean {
    return this.#correctionOwed;
  }

  async correctSlice(): Promise<CorrectedSlice> {
    const slice = this.#corrector.correctSlice();
    this.#correctionOwed = slice.vehicle !== null;
    return slice;
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
      this.#learnFrom(vehicle, isNew);
      const bootOf = (bootId: string) => this.#boots.boot(vehicle, bootId);
      const advanced = this.#telemetry.write(vehicle, stream, entry.id, isNew, bootOf);
      const shown = advanced.length > liveRowsPerBatch ? advanced.slice(-1) : advanced;
      for (const { row, time } of shown) notices.push({ kind: 'sample', vehicle, stream, row, time });
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
    for (const record of fit) {
      if (record.synchronised) this.#boots.learn(this.#boots.boot(vehicle, record.bootId), record);
    }
    const written = new Set<number>();
    for (const record of fit) {
      const sequence = Number(record.sequence);
      if (written.has(sequence) || !holds(fresh, sequence)) continue;
      written.add(sequence);
      const isNew = this.#records.write(record, {
        vehicle,
        ledgerId: entry.id,
        receivedMs: nowMs,
        boot: this.#boots.boot(vehicle, record.bootId),
        ledgerOf: (of) => this.#ledger.entry(vehicle, epoch, of)?.id ?? null,
      });
      const { body } = record;
      if (!isNew) continue;
      if (body.case === 'impact') notices.push({ kind: 'impact', vehicle, eventId: body.value.eventId });
      else if (body.case === 'eventUpdate') notices.push({ kind: 'update', vehicle, eventId: body.value.eventId });
      else if (body.case === 'clip') notices.push({ kind: 'clip', vehicle, eventId: body.value.eventId });
    }
    const held = mergeRanges(sequences.map((sequence) => [sequence, sequence]));
    return { vehicle, epoch, stream, held, rejected, stored: written.size, duplicates };
  }

  #commitResult({ vehicle, result }: ReportedContent, nowMs: number, notices: Notice[]): void {
    if (!this.#commands.finish(vehicle, result, nowMs)) return; // it is said again as often as the command
    notices.push({ kind: 'command', vehicle, commandId: result.commandId });
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

  /** The clock is learnt from before anything of the batch is stored. Between two steps its ends tell all. */
  #learnFrom(vehicle: string, rows: readonly TelemetryRow[]): void {
    const first = rows[0]?.stamp;
    const last = rows.at(-1)?.stamp;
    if (first === undefined || last === undefined || !first.synchronised) return; // a batch has one clock quality
    const boot = this.#boots.boot(vehicle, first.bootId);
    this.#boots.learn(boot, first);
    const apartNs = last.capturedAtNs - last.monotonicNs - first.capturedAtNs + first.monotonicNs;
    if (apartNs > sameOffsetNs || apartNs < -sameOffsetNs) for (const row of rows) this.#boots.learn(boot, row.stamp);
    else this.#boots.learn(boot, last);
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
