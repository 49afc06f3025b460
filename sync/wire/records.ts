/**
 * Records that are not columns (events, clips, drops, diagnostics, log) ↔ `RecordBatch`. A record's body is serialised
 * once, when it is appended, and travels as it was stored.
 */

import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { Stamp } from '../../drivers/sample.ts';
import { SyncError } from './error.ts';
import { decodeMessage, encodeFrame } from './frame.ts';
import { errorClassNs, maxBatchRows } from './telemetry.ts';
import { isStreamName } from './topics.ts';
import { RecordBatchSchema, type Record as RecordMessage, RecordSchema } from './wire_pb.js';

/** What a record says: one case of the message's oneof, for instance `{ case: 'impact', value: { … } }`. */
export type RecordBody = NonNullable<MessageInitShape<typeof RecordSchema>['body']>;
/** The same as read from the wire. */
export type ReadRecordBody = RecordMessage['body'];

/** A record on its way out; `body` as `encodeRecordBody` made it. */
export interface OutgoingRecord {
  readonly sequence: number;
  readonly stamp: Stamp;
  readonly body: Uint8Array;
}

/** A record as central reads it. `body.case` is undefined for a kind this version does not know. */
export interface IncomingRecord {
  readonly sequence: number;
  readonly stamp: Stamp;
  readonly body: ReadRecordBody;
}

export interface RecordHeader {
  readonly epoch: string;
  readonly stream: string;
  /** The sequence the stream's next record will get; larger than every record's. */
  readonly nextSequence: number;
}

/** Largest serialised body of one record, in bytes. */
const maxRecordBytes = 256 * 1024;

/** Serialises a body. Throws `limit-exceeded` over 256 KiB, `bad-message` when a value does not fit its field. */
export function encodeRecordBody(body: RecordBody): Uint8Array {
  let bytes: Uint8Array;
  if (body.case === 'opaque') return encodeOpaque(body.value);
  try {
    bytes = toBinary(RecordSchema, create(RecordSchema, { body }));
  } catch (cause) {
    throw new SyncError('bad-message', `record body ${String(body.case)}: a value does not fit its field`, { cause });
  }
  checkBodySize(bytes.byteLength, String(body.case));
  return bytes;
}

/** Opaque bytes need no message object: tag, length, bytes. */
function encodeOpaque(value: Uint8Array): Uint8Array {
  checkBodySize(value.byteLength + 4, 'opaque');
  const bytes = Buffer.allocUnsafe(value.byteLength + 4);
  let offset = 0;
  bytes[offset++] = (15 << 3) | WireType.LengthDelimited;
  let length = value.byteLength;
  for (; length > 127; length >>>= 7) bytes[offset++] = (length & 127) | 128;
  bytes[offset++] = length;
  bytes.set(value, offset);
  return bytes.subarray(0, offset + value.byteLength);
}

function checkBodySize(bytes: number, kind: string): void {
  if (bytes <= maxRecordBytes) return;
  throw new SyncError(
    'limit-exceeded',
    `record body ${kind}: expected at most ${maxRecordBytes} bytes, found ${bytes}`,
  );
}

/** Reads a body back; `case` undefined when unknown. Throws `bad-message`. */
export function decodeRecordBody(bytes: Uint8Array): ReadRecordBody {
  try {
    return fromBinary(RecordSchema, bytes).body;
  } catch (cause) {
    throw new SyncError('bad-message', `${bytes.byteLength} bytes are not a record body`, { cause });
  }
}

/** The framed payload of 1 to 4096 records with ascending sequences. Throws `limit-exceeded` or `bad-message`. */
export function encodeRecords(header: RecordHeader, records: readonly OutgoingRecord[]): Uint8Array {
  checkRecords(header, records);
  const writer = new BinaryWriter();
  writer.tag(1, WireType.Varint).uint32(1);
  writer.tag(2, WireType.LengthDelimited).string(header.epoch);
  writer.tag(3, WireType.LengthDelimited).string(header.stream);
  for (const record of records) {
    const { stamp } = record;
    writer.tag(4, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.Varint).uint64(record.sequence);
    writer.tag(2, WireType.Varint).int64(stamp.capturedAtNs);
    writer.tag(3, WireType.Varint).int64(stamp.monotonicNs);
    writer.tag(4, WireType.LengthDelimited).string(stamp.bootId);
    writer.tag(5, WireType.Varint).bool(stamp.synchronised);
    writer.tag(6, WireType.Varint).int64(errorClassNs(stamp.estimatedErrorNs));
    // The stored body is a serialised Record that has only its body: appending it merges the two.
    writer.raw(record.body).join();
  }
  writer.tag(5, WireType.Varint).uint64(header.nextSequence);
  return encodeFrame(writer.finish());
}

/** The records of a framed payload. Throws `bad-frame`, `limit-exceeded` or `bad-message`, nothing else. */
export function decodeRecords(payload: Uint8Array): RecordHeader & { readonly records: IncomingRecord[] } {
  const batch = decodeMessage(RecordBatchSchema, payload);
  if (batch.version !== 1) throw bad('version', '1', batch.version);
  if (batch.nextSequence > BigInt(Number.MAX_SAFE_INTEGER))
    throw bad('next_sequence', 'at most 2^53', batch.nextSequence);
  const records = batch.records.map((record) => {
    if (record.sequence > BigInt(Number.MAX_SAFE_INTEGER)) throw bad('sequence', 'at most 2^53', record.sequence);
    return {
      sequence: Number(record.sequence),
      stamp: {
        capturedAtNs: record.capturedAtNs,
        monotonicNs: record.monotonicNs,
        bootId: record.bootId.slice(0, 64),
        synchronised: record.synchronised,
        estimatedErrorNs: record.estimatedErrorNs < 0n ? null : record.estimatedErrorNs,
      },
      body: record.body,
    };
  });
  const header = { epoch: batch.epoch, stream: batch.stream, nextSequence: Number(batch.nextSequence) };
  checkRecords(header, records);
  return { ...header, records };
}

function checkRecords(header: RecordHeader, records: readonly { readonly sequence: number }[]): void {
  if (records.length < 1 || records.length > maxBatchRows) throw bad('count', `1 to ${maxBatchRows}`, records.length);
  if (!isStreamName(header.stream)) throw bad('stream', 'a stream name', JSON.stringify(header.stream.slice(0, 80)));
  if (header.epoch.length < 1 || header.epoch.length > 64) throw bad('epoch', 'a UUID', header.epoch.slice(0, 80));
  let previous = 0;
  for (const { sequence } of records) {
    if (sequence <= previous) throw bad('sequence', `more than ${previous}`, sequence);
    previous = sequence;
  }
  if (header.nextSequence <= previous) throw bad('next_sequence', `more than ${previous}`, header.nextSequence);
}

function bad(where: string, expected: string, found: string | number | bigint): SyncError {
  return new SyncError('bad-message', `record batch ${where}: expected ${expected}, found ${found}`);
}
