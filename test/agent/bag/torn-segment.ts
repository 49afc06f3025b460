/** A segment as the recorder writes it, and what a torn one must become: for the tests that cut and damage it. */

import { memorySource } from '../../../agent/bag/byte-source.ts';
import { ChannelTable } from '../../../agent/bag/channel-table.ts';
import { ChunkDraft } from '../../../agent/bag/chunk-draft.ts';
import { McapBuilder } from '../../../agent/bag/mcap-builder.ts';
import { readRecordHead, recordHeadBytes } from '../../../agent/bag/mcap-records.ts';
import { type RebuildReport, type RebuildSink, rebuild } from '../../../agent/bag/rebuild.ts';
import { planCompletion } from '../../../agent/bag/repair.ts';
import type { ForeignTopic } from '../../../agent/messages/message.ts';
import { range, sound, temperature } from '../recording/recording-fixtures.ts';

/** A chunk record, its place in the file, and the sequences of the messages in it. */
export interface MadeChunk {
  readonly start: number;
  readonly end: number;
  readonly messages: readonly string[];
}

export interface MadeSegment {
  readonly bytes: Buffer;
  readonly chunks: readonly MadeChunk[];
  /** Where each record starts and ends, chunks taken as one. */
  readonly boundaries: readonly number[];
}

/** How a message is known again: by its topic and sequence. */
export function messageKey({ topic, sequence }: { readonly topic: string; readonly sequence: number }): string {
  return `${topic} ${sequence}`;
}

/** A definition of a few bytes, where those of ROS would be most of a small file. */
const brief: ForeignTopic = { schemaText: 'uint8 x\n', offeredQos: [{ depth: 10 }], typeHash: '' };

/**
 * Chunks of sound of `frames` × `channels`, every third a compressed one of a slow topic.
 * @param definitions brief ones make a file small enough to be cut at every byte.
 */
export function makeSegment(
  chunks: number,
  frames: number,
  channels: number,
  definitions: 'ros' | 'brief' = 'ros',
): MadeSegment {
  const builder = new McapBuilder();
  const table = new ChannelTable();
  const pieces = [...builder.begin(), ...builder.metadata('foxglove', new Map([['deviceName', 'car-7']]))];
  const made: MadeChunk[] = [];
  for (const index of range(chunks)) {
    const slow = index % 3 === 1;
    const draft = new ChunkDraft();
    const added = slow
      ? range(6, index * 6).map(temperature)
      : range(2, index * 2).map((item) => sound(item, frames, channels));
    for (const message of added) {
      const { channel, schema } =
        definitions === 'ros'
          ? table.entry(message.topic, message.type)
          : table.entry(message.topic, `car_msgs/msg/${slow ? 'Slow' : 'Sound'}`, brief);
      pieces.push(...builder.schema(schema), ...builder.channel(channel));
      draft.add(channel.id, message.sequence, message.stamp.capturedAtNs, message.data);
    }
    const start = builder.position;
    const chunk = builder.chunk(draft, slow ? 'zstd' : 'none');
    const end = start + recordHeadBytes + (readRecordHead(Buffer.concat(chunk))?.contentBytes ?? 0);
    made.push({ start, end, messages: added.map(messageKey) });
    pieces.push(...chunk);
  }
  pieces.push(...builder.end());
  const bytes = Buffer.concat(pieces);
  const boundaries = [0, 8];
  for (let offset = 8; offset < bytes.byteLength - 8; ) {
    offset += recordHeadBytes + (readRecordHead(bytes, offset)?.contentBytes ?? 0);
    boundaries.push(offset);
  }
  return { bytes, chunks: made, boundaries };
}

class MemorySink implements RebuildSink {
  readonly pieces: Uint8Array[] = [];
  async copy(bytes: Uint8Array): Promise<void> {
    this.pieces.push(bytes);
  }
  async fresh(pieces: readonly Uint8Array[]): Promise<void> {
    this.pieces.push(...pieces);
  }
}

/** What the repair makes of a file, in memory: the same decisions, without the disk. */
export async function repairedInMemory(
  torn: Uint8Array,
): Promise<{ readonly file: Buffer; readonly inPlace: boolean; readonly report: RebuildReport }> {
  const source = memorySource(torn);
  const completion = await planCompletion(source);
  if (completion !== null) {
    const { keptBytes, tail, report } = completion;
    return { file: Buffer.concat([torn.subarray(0, keptBytes), ...tail]), inPlace: true, report };
  }
  const sink = new MemorySink();
  const report = await rebuild(source, sink);
  return { file: Buffer.concat(sink.pieces), inPlace: false, report };
}
