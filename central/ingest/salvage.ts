/**
 * Reads a record batch that does not decode as a whole, record by record: the sound ones are kept, and of the others at
 * least the sequence is told, so that the vehicle sets them aside and does not send them for ever.
 */
import { create, fromBinary, type MessageShape } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { decodeFrame } from '../../sync/wire/frame.ts';
import { RecordBatchSchema, RecordSchema } from '../../sync/wire/wire_pb.js';
import { messageOf } from '../error.ts';

/** What was sound of a batch, and the sequences of the records that were not. */
export interface Salvaged {
  readonly batch: MessageShape<typeof RecordBatchSchema>;
  readonly broken: readonly { readonly sequence: bigint; readonly reason: string }[];
}

/** Throws when not even the envelope can be read, `bad-frame` or `limit-exceeded` for the frame. */
export function salvageRecords(payload: Uint8Array): Salvaged {
  const reader = new BinaryReader(decodeFrame(payload));
  const batch = create(RecordBatchSchema);
  const broken: { sequence: bigint; reason: string }[] = [];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1 && type === WireType.Varint) batch.version = reader.uint32();
    else if (field === 2 && type === WireType.LengthDelimited) batch.epoch = reader.string();
    else if (field === 3 && type === WireType.LengthDelimited) batch.stream = reader.string();
    else if (field === 5 && type === WireType.Varint) batch.nextSequence = BigInt(reader.uint64());
    else if (field === 4 && type === WireType.LengthDelimited) {
      const bytes = reader.bytes();
      try {
        batch.records.push(fromBinary(RecordSchema, bytes));
      } catch (error) {
        broken.push({
          sequence: sequenceOf(bytes),
          reason: `record: expected a fender.v1.Record, ${messageOf(error)}`,
        });
      }
    } else reader.skip(type, field);
  }
  return { batch, broken };
}

/** The sequence comes first in a record, as it is written before the stored body. Throws when it does not. */
function sequenceOf(bytes: Uint8Array): bigint {
  const reader = new BinaryReader(bytes);
  const [field, type] = reader.tag();
  if (field !== 1 || type !== WireType.Varint)
    throw new Error(`record: expected its sequence first, found field ${field}`);
  return BigInt(reader.uint64());
}
