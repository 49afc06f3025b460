/**
 * Owns clips: the short bags around events. They are cut from messages in memory, or after a crash from the recorded
 * segments, and are on the disk with their SHA-256 when they are handed out.
 */

import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type McapTypes, Opcode } from '@mcap/core';
import { bagFiles } from '../bag/bag-folder.ts';
import { openSummary } from '../bag/bag-summary.ts';
import { type ByteSource, FileSource } from '../bag/byte-source.ts';
import { ChannelTable } from '../bag/channel-table.ts';
import { ChunkDraft } from '../bag/chunk-draft.ts';
import { createDurable, renameDurably, writeFully } from '../bag/durable-file.ts';
import { RecordingError, systemCode } from '../bag/error.ts';
import { McapBuilder } from '../bag/mcap-builder.ts';
import { openChunk, type RawMessage, readChunkHead, readChunkRecords, readRecordHead } from '../bag/mcap-records.ts';
import { activeSuffix } from '../bag/repair.ts';
import { scanRecords } from '../bag/scan.ts';
import { durationNs } from '../messages/messages.ts';

/** A clip on the disk. */
export interface Clip {
  readonly path: string;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  readonly bytes: number;
  readonly messages: number;
  /** UTC nanoseconds of the first and the last message's stamp. */
  readonly startNs: bigint;
  readonly endNs: bigint;
}

/** A message for a clip. */
export interface ClipMessage {
  readonly topic: string;
  readonly type: string;
  readonly sequence: number;
  readonly logTimeNs: bigint;
  readonly data: Uint8Array;
}

/** Where clips go and what is noted in them. */
export interface ClipOptions {
  readonly clipFolder: string;
  readonly vehicle: string;
  /** Kept in the clip's metadata record `fender.clip`, beside the span: the event's id, for instance. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly schemaText?: (type: string) => string | undefined;
}

const outsideChunks = new Set<number>([Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE]);
const maxChunkBytes = 256 * 1024;
/** Ends the name of a clip that is being written. */
const partialSuffix = '.partial';
/** 80 s of eight channels; a longer span is a mistake of the caller. */
const maxClipBytes = 64 * 1024 * 1024;
/** How much earlier than a span a message may start whose sound reaches into it. */
const longestMessageNs = 2_000_000_000n;

/**
 * Writes a clip of `messages`, given in any order, uncompressed and in order of time, topic and sequence: the same messages and
 * metadata give the same bytes.
 * @throws RecordingError `not-covered` without messages, `too-large` over 64 MiB; the system's errors of writing.
 */
export async function writeClip(
  unordered: readonly ClipMessage[],
  startNs: bigint,
  endNs: bigint,
  options: ClipOptions,
): Promise<Clip> {
  const messages = [...unordered].sort(inOrder);
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
    for (const pieces of clipPieces(messages, startNs, endNs, options)) {
      for (const piece of pieces) hash.update(piece);
      bytes += await writeFully(handle, pieces, bytes);
    }
    await handle.datasync();
    await handle.close();
    const sha256 = hash.digest('hex');
    const path = join(options.clipFolder, `clip_${startNs}_${sha256.slice(0, 12)}.mcap`);
    await renameDurably(partial, path);
    return { path, sha256, bytes, messages: messages.length, startNs: first.logTimeNs, endNs: last.logTimeNs };
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

function inOrder(a: ClipMessage, b: ClipMessage): number {
  if (a.logTimeNs !== b.logTimeNs) return a.logTimeNs < b.logTimeNs ? -1 : 1;
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1;
  return a.sequence - b.sequence;
}

function* clipPieces(
  messages: readonly ClipMessage[],
  startNs: bigint,
  endNs: bigint,
  options: ClipOptions,
): Generator<Uint8Array[]> {
  const builder = new McapBuilder();
  const channels = new ChannelTable(options.schemaText);
  yield builder.begin();
  yield builder.metadata('foxglove', new Map([['deviceName', options.vehicle]]));
  const span = { start_ns: String(startNs), end_ns: String(endNs) };
  yield builder.metadata('fender.clip', new Map(Object.entries({ ...span, ...options.metadata })));
  let draft = new ChunkDraft();
  for (const { topic, type, sequence, logTimeNs, data } of messages) {
    const { channel, schema } = channels.entry(topic, type);
    yield [...builder.schema(schema), ...builder.channel(channel)];
    if (draft.messageCount > 0 && draft.byteLength + data.byteLength > maxChunkBytes) {
      yield builder.chunk(draft, 'none');
      draft = new ChunkDraft();
    }
    draft.add(channel.id, sequence, logTimeNs, data);
  }
  yield builder.chunk(draft, 'none');
  yield builder.end();
}

/**
 * Cuts a clip from the segments of all recordings in `recordings`, finished or not, whole or torn.
 * @param recent messages of the span that are in memory; those that the segments have too are taken once.
 * @throws RecordingError `not-covered` when there is no message in the span; else as `writeClip`.
 */
export async function cutClipFromSegments(
  recordings: string,
  startNs: bigint,
  endNs: bigint,
  options: ClipOptions,
  recent: readonly ClipMessage[] = [],
): Promise<Clip> {
  const found: ClipMessage[] = [];
  for (const entry of await readdir(recordings, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    for (const path of await unlessGone(bagFiles(join(recordings, entry.name)), [])) {
      const source = await unlessGone(openEvenIfFinished(path), null);
      if (source === null) continue;
      try {
        await collect(source, startNs, endNs, found);
      } finally {
        await source.close();
      }
    }
  }
  const key = ({ topic, logTimeNs, sequence }: ClipMessage): string => `${topic} ${logTimeNs} ${sequence}`;
  const once = new Map([...found, ...recent].map((message) => [key(message), message]));
  return writeClip([...once.values()], startNs, endNs, options);
}

/** What is removed meanwhile, to make room on the disk, cannot be in the clip; that is no reason to have none. */
function unlessGone<T>(found: Promise<T>, otherwise: T): Promise<T> {
  return found.catch((error: unknown) => {
    if (error instanceof RecordingError && systemCode(error.cause) === 'ENOENT') return otherwise;
    throw error;
  });
}

/** A segment may get its final name between being listed and being opened. */
async function openEvenIfFinished(path: string): Promise<FileSource> {
  if (!path.endsWith(activeSuffix)) return FileSource.open(path);
  return FileSource.open(path).catch(() => FileSource.open(path.slice(0, -activeSuffix.length)));
}

/** Adds to `found` what a file has of a span; by its summary if it has one, else by reading all of it. */
async function collect(source: ByteSource, startNs: bigint, endNs: bigint, found: ClipMessage[]): Promise<void> {
  const schemas = new Map<number, McapTypes.Schema>();
  const channels = new Map<number, McapTypes.Channel>();
  const take = (message: RawMessage): void => {
    const channel = channels.get(message.channelId);
    const type = schemas.get(channel?.schemaId ?? 0)?.name;
    if (channel === undefined || type === undefined) return;
    const { logTimeNs, sequence, data } = message;
    const reachesIn = logTimeNs >= startNs || logTimeNs + durationNs(type, data) > startNs;
    if (logTimeNs >= endNs || !reachesIn) return;
    found.push({ topic: channel.topic, type, sequence, logTimeNs, data: data.slice() });
  };
  const takeRecords = (records: Uint8Array): void => {
    const content = readChunkRecords(records);
    for (const schema of content.schemas) schemas.set(schema.id, schema);
    for (const channel of content.channels) channels.set(channel.id, channel);
    for (const { message } of content.messages) take(message);
  };

  const opened = await openSummary(source);
  if ('problem' in opened) {
    for await (const item of scanRecords(source)) {
      if (item.kind === 'chunk' && item.records !== null) takeRecords(item.records);
      // A run of records outside chunks reads just like the inside of one.
      else if (item.kind === 'record' && outsideChunks.has(item.opcode)) takeRecords(item.bytes);
    }
    return;
  }
  for (const [id, schema] of opened.reader.schemasById) schemas.set(id, schema);
  for (const [id, channel] of opened.reader.channelsById) channels.set(id, channel);
  for (const index of opened.reader.chunkIndexes) {
    if (index.messageStartTime >= endNs || index.messageEndTime + longestMessageNs < startNs) continue;
    const bytes = await source.read(Number(index.chunkStartOffset), Number(index.chunkLength));
    const record = readRecordHead(bytes);
    const head = record === null ? null : readChunkHead(bytes, record);
    const chunk = head === null ? null : openChunk(bytes, head);
    if (chunk !== null && 'records' in chunk) takeRecords(chunk.records);
  }
}
