/**
 * Owns clips: the short bags around events. They are written from messages that were gathered, and are on the disk with their SHA-256
 * when they are handed out.
 */

import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Stamp } from '../../drivers/sample.ts';
import { ChannelTable } from '../bag/channel-table.ts';
import { ChunkDraft } from '../bag/chunk-draft.ts';
import { createDurable, renameDurably, writeFully } from '../bag/durable-file.ts';
import { RecordingError } from '../bag/error.ts';
import { McapBuilder } from '../bag/mcap-builder.ts';
import type { ForeignTopic } from '../messages/message.ts';
import { loggedNs } from './chunk-queue.ts';
import { clockMetadata } from './clock-metadata.ts';

/** What a clip is cut of: a span of one boot's monotonic clock, which no step of the system clock bends. */
export interface ClipRange {
  readonly bootId: string;
  /** Nanoseconds; what reaches into the span belongs to it. */
  readonly startMonotonicNs: bigint;
  readonly endMonotonicNs: bigint;
  /** A moment of the same boot with its UTC: the clip's log times are counted from it. */
  readonly anchor: Stamp;
}

/** UTC of a monotonic moment by the range's anchor, in nanoseconds. */
export function anchoredNs({ anchor }: ClipRange, monotonicNs: bigint): bigint {
  return anchor.capturedAtNs + (monotonicNs - anchor.monotonicNs);
}

/** A clip on the disk. */
export interface Clip {
  readonly path: string;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  readonly bytes: number;
  readonly messages: number;
  /** UTC nanoseconds of the first and the last message, by the range's anchor. */
  readonly startNs: bigint;
  readonly endNs: bigint;
}

/** A message for a clip. */
export interface ClipMessage {
  readonly topic: string;
  readonly type: string;
  readonly sequence: number;
  readonly monotonicNs: bigint;
  /** Its log time in the recording: with topic and sequence it tells messages apart. */
  readonly recordedNs: bigint;
  readonly data: Uint8Array;
  readonly foreign?: ForeignTopic;
}

/** Where clips go and what is noted in them. */
export interface ClipOptions {
  readonly clipFolder: string;
  readonly vehicle: string;
  /** Kept in the clip's metadata record `fender.clip`, beside the span: the event's id, for instance. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Makes of a message as it was recorded the one that a clip holds: sound that was packed is unpacked. */
  readonly unpack?: (message: ClipMessage) => ClipMessage | Promise<ClipMessage>;
}

const maxChunkBytes = 256 * 1024;
/** Ends the name of a clip that is being written. */
const partialSuffix = '.partial';
/** 80 s of eight channels; a longer span is a mistake of the caller. */
const maxClipBytes = 64 * 1024 * 1024;

/**
 * Writes a clip of `messages`, given in any order and some of them perhaps twice, uncompressed and in order of time, topic and
 * sequence: the same messages and metadata give the same bytes. Log times are those of the range's anchor.
 * @throws RecordingError `not-covered` without messages, `too-large` over 64 MiB; the system's errors of writing.
 */
export async function writeClip(
  unordered: readonly ClipMessage[],
  range: ClipRange,
  options: ClipOptions,
): Promise<Clip> {
  const messages = [...new Map(unordered.map((message) => [keyOf(message), message])).values()].sort(inOrder);
  const startNs = anchoredNs(range, range.startMonotonicNs);
  const endNs = anchoredNs(range, range.endMonotonicNs);
  const [first] = messages;
  const last = messages.at(-1);
  if (first === undefined || last === undefined) {
    throw new RecordingError('not-covered', `clip ${startNs} to ${endNs}: expected recorded messages, found none`);
  }
  const size = messages.reduce((sum, { data }) => sum + data.byteLength, 0);
  if (size > maxClipBytes) {
    throw new RecordingError(
      'too-large',
      `clip ${startNs} to ${endNs}: expected at most ${maxClipBytes} bytes, found ${size}`,
    );
  }
  await mkdir(options.clipFolder, { recursive: true });
  const partial = join(options.clipFolder, `${randomUUID()}${partialSuffix}`);
  const handle = await createDurable(partial);
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for (const pieces of clipPieces(messages, range, options)) {
      for (const piece of pieces) hash.update(piece);
      bytes += await writeFully(handle, pieces, bytes);
    }
    await handle.datasync();
    await handle.close();
    const sha256 = hash.digest('hex');
    const path = join(options.clipFolder, `clip_${startNs}_${sha256.slice(0, 12)}.mcap`);
    await renameDurably(partial, path);
    const times = {
      startNs: anchoredNs(range, first.monotonicNs),
      endNs: anchoredNs(range, last.monotonicNs),
    };
    return { path, sha256, bytes, messages: messages.length, ...times };
  } catch (error) {
    await handle.close().catch(() => {});
    await rm(partial, { force: true });
    throw error;
  }
}

/** Removes what a crash left of clips that were being written. Only before the first clip is written. */
export async function removePartialClips(clipFolder: string): Promise<void> {
  const names = await readdir(clipFolder).catch(() => []);
  for (const name of names) {
    if (name.endsWith(partialSuffix)) await rm(join(clipFolder, name), { force: true });
  }
}

function keyOf({ topic, recordedNs, sequence }: ClipMessage): string {
  return `${topic} ${recordedNs} ${sequence}`;
}

function inOrder(a: ClipMessage, b: ClipMessage): number {
  if (a.monotonicNs !== b.monotonicNs) return a.monotonicNs < b.monotonicNs ? -1 : 1;
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1;
  return a.sequence - b.sequence;
}

function* clipPieces(
  messages: readonly ClipMessage[],
  range: ClipRange,
  options: ClipOptions,
): Generator<Uint8Array[]> {
  const builder = new McapBuilder();
  const channels = new ChannelTable();
  yield builder.begin();
  yield builder.metadata('foxglove', new Map([['deviceName', options.vehicle]]));
  const { bootId, startMonotonicNs, endMonotonicNs, anchor } = range;
  const span = {
    start_ns: String(anchoredNs(range, startMonotonicNs)),
    end_ns: String(anchoredNs(range, endMonotonicNs)),
    boot_id: bootId,
    start_monotonic_ns: String(startMonotonicNs),
    end_monotonic_ns: String(endMonotonicNs),
  };
  yield builder.metadata('fender.clip', new Map(Object.entries({ ...span, ...options.metadata })));
  yield builder.metadata('fender.clock', clockMetadata(anchor));
  let draft = new ChunkDraft();
  for (const { topic, type, sequence, monotonicNs, data, foreign } of messages) {
    const { channel, schema } = channels.entry(topic, type, foreign);
    yield [...builder.schema(schema), ...builder.channel(channel)];
    if (draft.messageCount > 0 && draft.byteLength + data.byteLength > maxChunkBytes) {
      yield builder.chunk(draft, 'none');
      draft = new ChunkDraft();
    }
    draft.add(channel.id, sequence, loggedNs(anchoredNs(range, monotonicNs)), data);
  }
  yield builder.chunk(draft, 'none');
  yield builder.end();
}
