/**
 * What central understands of an MQTT message: decodes and validates one payload into typed content, or says what was
 * expected. Pure; never throws.
 */
import type { MessageShape } from '@bufbuild/protobuf';
import { decodeMessage } from '../../sync/wire/frame.ts';
import { decodeTelemetry, isFieldName, maxBatchRows, type TelemetryRow } from '../../sync/wire/telemetry.ts';
import { isSha256, isStreamName } from '../../sync/wire/topics.ts';
import {
  type CommandResult,
  type Impact,
  type Reading,
  RecordBatchSchema,
  ReportedSchema,
  StateSchema,
  TelemetryBatchSchema,
  type Record as WireRecord,
} from '../../sync/wire/wire_pb.js';
import { messageOf } from '../error.ts';
import { type Salvaged, salvageRecords } from './salvage.ts';

/** Names the ledger a batch belongs to. */
interface BatchHeader {
  readonly vehicle: string;
  readonly epoch: string;
  readonly stream: string;
  /** What the vehicle will give next; greater than every sequence in the batch. */
  readonly nextSequence: number;
}

/** A sequence that can never be stored, and why. */
export interface Rejection {
  readonly sequence: bigint;
  readonly reason: string;
}

export interface TelemetryContent extends BatchHeader {
  readonly kind: 'telemetry';
  readonly rows: readonly TelemetryRow[];
}

export interface RecordContent extends BatchHeader {
  readonly kind: 'records';
  /** Valid records; sequences are safe integers from 1. */
  readonly records: readonly WireRecord[];
  readonly rejected: readonly Rejection[];
}

export interface StateContent {
  readonly kind: 'state';
  readonly vehicle: string;
  readonly state: MessageShape<typeof StateSchema>;
}

export interface ReportedContent {
  readonly kind: 'reported';
  readonly vehicle: string;
  readonly result: CommandResult;
}

/** What can be committed. */
export type Content = TelemetryContent | RecordContent | StateContent | ReportedContent;

/** A message that says nothing that can be stored. `rejected` tells the vehicle which sequences to set aside, if known. */
export interface Malformed {
  readonly kind: 'malformed';
  readonly vehicle: string;
  readonly expected: string;
  readonly found: string;
  readonly ledger: { readonly epoch: string; readonly stream: string } | null;
  readonly rejected: readonly Rejection[];
}

const maxEpochLength = 64;
/** Names of recordings: `2026-11-21T06-48-40Z_000123`. */
const recordingPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const eventIdPattern = /^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/;
const levels: ReadonlySet<string> = new Set(['ok', 'warn', 'error', 'stale']);
const outcomes: ReadonlySet<string> = new Set(['done', 'refused', 'failed']);
const kinds: ReadonlySet<string> = new Set(['impact', 'snapshot', 'air', 'drift']);
/** Empty: no telling. */
const sides: ReadonlySet<string> = new Set(['', 'front', 'left', 'rear', 'right']);
/** Empty: of no air event, or as it was. */
const airLevels: ReadonlySet<string> = new Set(['', 'raised', 'high', 'very_high']);
const maxReadings = 32;
/** An event of the air may go on for long: a year. */
const maxEventS = 31_536_000;
const maxRecords = 4096;
const maxTextLength = 16_384;
/** Names, versions, codes. */
const maxNameLength = 256;
const maxSafe = BigInt(Number.MAX_SAFE_INTEGER);

function malformed(vehicle: string, expected: string, found: string): Malformed {
  return { kind: 'malformed', vehicle, expected, found, ledger: null, rejected: [] };
}

/** Decodes the payload of `fender/v1/<vehicle>/telemetry`. */
export function readTelemetry(vehicle: string, payload: Uint8Array): TelemetryContent | Malformed {
  try {
    const batch = decodeTelemetry(payload);
    const odd = batch.rows.find(({ stamp }) => BigInt.asIntN(64, stamp.monotonicNs) !== stamp.monotonicNs);
    if (odd !== undefined) {
      throw new Error(`monotonic: expected times of 64 bits, found ${odd.stamp.monotonicNs} ns`);
    }
    return {
      kind: 'telemetry',
      vehicle,
      epoch: batch.epoch,
      stream: batch.stream,
      nextSequence: batch.nextSequence,
      rows: batch.rows,
    };
  } catch (error) {
    return { ...malformed(vehicle, 'a telemetry batch', messageOf(error)), ...telemetryEnvelope(payload, error) };
  }
}

/** When the envelope is sound but the columns are not, the vehicle can at least be told which records to set aside. */
function telemetryEnvelope(payload: Uint8Array, error: unknown): Pick<Malformed, 'ledger' | 'rejected'> {
  const none = { ledger: null, rejected: [] };
  try {
    const batch = decodeMessage(TelemetryBatchSchema, payload);
    const { epoch, stream, firstSequence, count } = batch;
    const last = firstSequence + BigInt(count) - 1n;
    if (!isLedger(epoch, stream) || firstSequence < 1n || count < 1 || count > maxBatchRows || last > maxSafe)
      return none;
    const reason = messageOf(error);
    const rejected = Array.from({ length: count }, (_, index) => ({ sequence: firstSequence + BigInt(index), reason }));
    return { ledger: { epoch, stream }, rejected };
  } catch {
    return none;
  }
}

function isLedger(epoch: string, stream: string): boolean {
  return epoch.length >= 1 && epoch.length <= maxEpochLength && isStreamName(stream);
}

/** Decodes the payload of `fender/v1/<vehicle>/{events,log,metrics}`; single invalid records are rejected by sequence. */
export function readRecords(vehicle: string, payload: Uint8Array): RecordContent | Malformed {
  let read: Salvaged;
  try {
    read = decodeRecordBatch(payload);
  } catch (error) {
    return malformed(vehicle, 'a record batch', messageOf(error));
  }
  const { batch, broken } = read;
  if (!isLedger(batch.epoch, batch.stream)) {
    const found = `epoch ${JSON.stringify(batch.epoch.slice(0, 80))}, stream ${JSON.stringify(batch.stream.slice(0, 80))}`;
    return malformed(vehicle, 'an epoch of 1 to 64 characters and a stream name', found);
  }
  if (batch.records.length > maxRecords) {
    return malformed(vehicle, `at most ${maxRecords} records`, String(batch.records.length));
  }
  const records: WireRecord[] = [];
  const rejected: Rejection[] = [...broken];
  for (const record of batch.records) {
    const reason = batch.version === 1 ? whyInvalid(record) : `version: expected 1, found ${batch.version}`;
    if (reason === null) records.push(record);
    else rejected.push({ sequence: record.sequence, reason });
  }
  const highest = records.reduce((high, record) => Math.max(high, Number(record.sequence)), 0);
  const told = batch.nextSequence > maxSafe ? 0 : Number(batch.nextSequence);
  return {
    kind: 'records',
    vehicle,
    epoch: batch.epoch,
    stream: batch.stream,
    nextSequence: Math.max(told, highest + 1),
    records,
    rejected,
  };
}

function decodeRecordBatch(payload: Uint8Array): Salvaged {
  try {
    return { batch: decodeMessage(RecordBatchSchema, payload), broken: [] };
  } catch {
    return salvageRecords(payload);
  }
}

function whyInvalid(record: WireRecord): string | null {
  if (record.sequence < 1n || record.sequence >= maxSafe) {
    return `sequence: expected 1 to 2^53 − 2, found ${record.sequence}`;
  }
  if (record.bootId.length > 64) return `boot_id: expected at most 64 characters, found ${record.bootId.length}`;
  const { body } = record;
  switch (body.case) {
    case 'impact': {
      const { eventId, label, score, durationS, scores, modelName, modelVersion } = body.value;
      if (!eventIdPattern.test(eventId))
        return `event_id: expected a UUID, found ${JSON.stringify(eventId.slice(0, 80))}`;
      if (label.length < 1 || label.length > 64) return `label: expected 1 to 64 characters, found ${label.length}`;
      if (!(score >= 0 && score <= 1)) return `score: expected 0 to 1, found ${score}`;
      if (!(durationS >= 0 && durationS < 86_400)) return `duration_s: expected 0 to 86400, found ${durationS}`;
      if (scores.length > 256) return `scores: expected at most 256, found ${scores.length}`;
      return (
        whyLong([modelName, modelVersion, ...scores.map((one) => one.label)], maxNameLength) ??
        whyOddEvent(body.value) ??
        whyOddDetails(body.value)
      );
    }
    case 'eventUpdate': {
      const { eventId, durationS = 0 } = body.value;
      if (!eventIdPattern.test(eventId))
        return `event_id: expected a UUID, found ${JSON.stringify(eventId.slice(0, 80))}`;
      if (!(durationS >= 0 && durationS < maxEventS))
        return `duration_s: expected 0 to ${maxEventS}, found ${durationS}`;
      return whyOddDetails(body.value);
    }
    case 'clip': {
      const { eventId, sha256, bytes } = body.value;
      if (!eventIdPattern.test(eventId))
        return `event_id: expected a UUID, found ${JSON.stringify(eventId.slice(0, 80))}`;
      if (!isSha256(sha256)) return `sha256: expected 64 hex digits, found ${JSON.stringify(sha256.slice(0, 80))}`;
      return bytes <= maxSafe ? null : `bytes: expected at most 2^53 − 1, found ${bytes}`;
    }
    case 'drop': {
      const { stream, firstSequence, lastSequence, reason } = body.value;
      const isFile = isLostFileName(stream);
      if (!isFile && !isStreamName(stream)) {
        return `stream: expected a stream name, blob/<sha256>, clip/<event id> or recording/<id>, found ${JSON.stringify(stream.slice(0, 80))}`;
      }
      const lowest = isFile ? 0n : 1n; // bytes and segments count from 0
      if (firstSequence < lowest || lastSequence < firstSequence || lastSequence >= maxSafe) {
        return `sequences: expected ${lowest} ≤ first ≤ last, found ${firstSequence} to ${lastSequence}`;
      }
      return reason.length <= 256 ? null : `reason: expected at most 256 characters, found ${reason.length}`;
    }
    case 'diagnostic': {
      const { source, level, code, message, cure, values } = body.value;
      if (source.length < 1 || source.length > 64) return `source: expected 1 to 64 characters, found ${source.length}`;
      if (!levels.has(level))
        return `level: expected ok, warn, error or stale, found ${JSON.stringify(level.slice(0, 80))}`;
      return whyLong([code], maxNameLength) ?? whyLong([message, cure, JSON.stringify(values)], maxTextLength);
    }
    default:
      return null;
  }
}

/** What an event is: as it says, or, of a vehicle that knows no kinds, by its label. */
export function kindOf({ kind, label }: Impact): string {
  return kind === '' ? (label === 'snapshot' ? 'snapshot' : 'impact') : kind;
}

function whyOddEvent({ kind, azimuthDeg, azimuthConfidence = 0, side }: Impact): string | null {
  if (kind !== '' && !kinds.has(kind)) {
    return `kind: expected impact, snapshot, air or drift, found ${JSON.stringify(kind.slice(0, 80))}`;
  }
  if (azimuthDeg !== undefined && !(azimuthDeg > -180 && azimuthDeg <= 180)) {
    return `azimuth_deg: expected more than −180, at most 180, found ${azimuthDeg}`;
  }
  if (!(azimuthConfidence >= 0 && azimuthConfidence <= 1)) {
    return `azimuth_confidence: expected 0 to 1, found ${azimuthConfidence}`;
  }
  return sides.has(side)
    ? null
    : `side: expected front, left, rear or right, found ${JSON.stringify(side.slice(0, 80))}`;
}

/** What is wrong with that of an event which updates may change. */
function whyOddDetails(details: {
  readonly pressureChangePa?: number | undefined;
  readonly level: string;
  readonly detail: string;
  readonly readings: readonly Reading[];
}): string | null {
  const { pressureChangePa = 0, level, detail, readings } = details;
  if (!Number.isFinite(pressureChangePa)) return `pressure_change_pa: expected a number, found ${pressureChangePa}`;
  if (!airLevels.has(level)) {
    return `level: expected raised, high or very_high, found ${JSON.stringify(level.slice(0, 80))}`;
  }
  if (readings.length > maxReadings) return `readings: expected at most ${maxReadings}, found ${readings.length}`;
  const odd = readings.find(({ name, value, baseline = 0 }) => {
    return !isFieldName(name) || !Number.isFinite(value) || !Number.isFinite(baseline);
  });
  if (odd !== undefined) {
    return `readings: expected field names and numbers, found ${JSON.stringify(odd.name.slice(0, 80))} ${odd.value}`;
  }
  return whyLong([detail], maxTextLength);
}

function whyLong(texts: readonly string[], most: number): string | null {
  const length = texts.reduce((longest, text) => Math.max(longest, text.length), 0);
  return length <= most ? null : `text: expected at most ${most} characters, found ${length}`;
}

/**
 * Whether a drop names a file instead of a stream: `blob/<sha256>`, `clip/<event id>` for a clip that was never made, or `recording/<id>`,
 * whose sequences are then its segments.
 */
export function isLostFileName(stream: string): boolean {
  if (stream.startsWith('recording/')) return recordingPattern.test(stream.slice('recording/'.length));
  if (stream.startsWith('blob/')) return isSha256(stream.slice('blob/'.length));
  return stream.startsWith('clip/') && eventIdPattern.test(stream.slice('clip/'.length));
}

/** Decodes the payload of `fender/v1/<vehicle>/reported`. */
export function readReported(vehicle: string, payload: Uint8Array): ReportedContent | Malformed {
  try {
    const { body } = decodeMessage(ReportedSchema, payload);
    if (body.case !== 'commandResult') return malformed(vehicle, 'the result of a command', String(body.case));
    const result = body.value;
    const { commandId, status, code, message, values } = result;
    if (!outcomes.has(status)) {
      return malformed(vehicle, 'status done, refused or failed', JSON.stringify(status.slice(0, 80)));
    }
    const why = whyLong([commandId, code], maxNameLength) ?? whyLong([message, JSON.stringify(values)], maxTextLength);
    return why === null ? { kind: 'reported', vehicle, result } : malformed(vehicle, 'the result of a command', why);
  } catch (error) {
    return malformed(vehicle, 'what a vehicle reports', messageOf(error));
  }
}

/** Decodes the payload of `fender/v1/<vehicle>/state`. */
export function readState(vehicle: string, payload: Uint8Array): StateContent | Malformed {
  try {
    const state = decodeMessage(StateSchema, payload);
    const { bootId, agentVersion, modelName, modelVersion } = state;
    const why = whyLong([bootId, agentVersion, modelName, modelVersion], maxNameLength);
    return why === null ? { kind: 'state', vehicle, state } : malformed(vehicle, 'a state', why);
  } catch (error) {
    return malformed(vehicle, 'a state', messageOf(error));
  }
}
