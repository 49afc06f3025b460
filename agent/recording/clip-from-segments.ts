/**
 * Owns cutting clips from recorded segments, finished or torn, of any recording of a boot: what an event is owed after a crash, or
 * when it reaches further back than memory.
 */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type McapTypes, Opcode } from '@mcap/core';
import { parse } from 'yaml';
import type { Stamp } from '../../drivers/sample.ts';
import { segmentNames } from '../bag/bag-folder.ts';
import { openSummary } from '../bag/bag-summary.ts';
import { type ByteSource, FileSource } from '../bag/byte-source.ts';
import { type RecordingError, systemCode } from '../bag/error.ts';
import {
  openChunk,
  parseRecordBytes,
  type RawMessage,
  readChunkHead,
  readChunkRecords,
  readRecordHead,
} from '../bag/mcap-records.ts';
import { scanRecords } from '../bag/scan.ts';
import type { ForeignTopic } from '../messages/message.ts';
import { durationNs, type MessageType, schemaTexts } from '../messages/messages.ts';
import { type Clip, type ClipMessage, type ClipOptions, type ClipRange, writeClip } from './clip.ts';
import { parseClockMetadata } from './clock-metadata.ts';

const outsideChunks = new Set<number>([Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE]);
/** How much earlier than a span a message may start whose sound reaches into it. */
const longestMessageNs = 2_000_000_000n;
/** The metadata that says whose segment it is stands before everything else. */
const mostHeadRecords = 64;
/** UTC runs at most 1 in 2000 off the monotonic clock within a recording; twice that, and a little, is looked through. */
const driftDivisor = 1000n;
const leastMarginNs = 100_000_000n;
const timeReferenceType = 'sensor_msgs/msg/TimeReference';

/** The same moment by both clocks, in nanoseconds. */
interface Moment {
  readonly utcNs: bigint;
  readonly monotonicNs: bigint;
}

type FoundMessage = Omit<ClipMessage, 'monotonicNs'>;

/**
 * Cuts a clip from the segments of all recordings in `recordings` that the range's boot left, finished or not, whole or torn. What cannot
 * be read is named in the clip's metadata as `unreadable`, and is no reason to have none.
 * @param recent messages of the range that are in memory; those that the segments have too are taken once.
 * @throws RecordingError `not-covered` when there is no message in the range; else as `writeClip`.
 */
export async function cutClipFromSegments(
  recordings: string,
  range: ClipRange,
  options: ClipOptions,
  recent: readonly ClipMessage[] = [],
): Promise<Clip> {
  const found: ClipMessage[] = [];
  const unreadable: string[] = [];
  for (const path of await segmentsIn(recordings)) {
    try {
      found.push(...(await readSegment(path, range, options)));
    } catch (error) {
      // What is removed meanwhile, to make room on the disk, cannot be in the clip.
      if (systemCode((error as RecordingError).cause) !== 'ENOENT') unreadable.push(path);
    }
  }
  const metadata = { ...options.metadata, ...(unreadable.length > 0 && { unreadable: unreadable.join(' ') }) };
  return writeClip([...found, ...recent], range, { ...options, metadata });
}

/** All segments of all recordings, with the unfinished ones. */
async function segmentsIn(recordings: string): Promise<string[]> {
  const paths: string[] = [];
  for (const entry of await readdir(recordings, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    const folder = join(recordings, entry.name);
    const names = await segmentNames(folder).catch(() => []);
    paths.push(...names.map((name) => join(folder, name)));
  }
  return paths;
}

/** What a segment has of a range. @throws the errors of reading. */
async function readSegment(path: string, range: ClipRange, { unpack }: ClipOptions): Promise<ClipMessage[]> {
  const source = await FileSource.open(path);
  try {
    const moment = await momentOf(source, range);
    if (moment === null) return [];
    const found: ClipMessage[] = [];
    for (const packed of await collect(source, moment, range)) {
      const message = unpack === undefined ? packed : await unpack(packed);
      // Unpacking takes milliseconds a message: what waits for this thread has its turn in between.
      if (message !== packed) await nextTurn();
      if (reachesInto(range, message)) found.push(message);
    }
    return found;
  } finally {
    await source.close();
  }
}

function reachesInto(range: ClipRange, { monotonicNs, type, data }: ClipMessage): boolean {
  if (monotonicNs >= range.endMonotonicNs) return false;
  return monotonicNs >= range.startMonotonicNs || monotonicNs + durationNs(type, data) > range.startMonotonicNs;
}

/** A moment of the segment by both clocks; null when it is of another boot, or nobody says. */
async function momentOf(source: ByteSource, { bootId, anchor }: ClipRange): Promise<Moment | null> {
  let left = mostHeadRecords;
  let recordedIn = '';
  for await (const item of scanRecords(source)) {
    left -= 1;
    if (left === 0 || item.kind === 'chunk') break;
    if (item.kind !== 'record' || item.opcode !== Opcode.METADATA) continue;
    const record = parseRecordBytes(item.bytes);
    if (record.type !== 'Metadata') continue;
    if (record.name === 'fender.recording') recordedIn = record.metadata.get('boot_id') ?? '';
    const stamp = record.name === 'fender.clock' ? parseClockMetadata(record.metadata) : null;
    if (stamp !== null) return stamp.bootId === bootId ? momentAt(stamp) : null;
  }
  // Earlier versions noted the boot alone: then the clock is taken to have run as at the event.
  return recordedIn === bootId ? momentAt(anchor) : null;
}

function momentAt({ capturedAtNs, monotonicNs }: Stamp): Moment {
  return { utcNs: capturedAtNs, monotonicNs };
}

/** What a file has of a range, and a little around it; by its summary if it has one, else by reading all of it. */
async function collect(source: ByteSource, moment: Moment, range: ClipRange): Promise<ClipMessage[]> {
  const collector = new Collector(moment, range);
  const opened = await openSummary(source);
  if ('problem' in opened) {
    for await (const item of scanRecords(source)) {
      if (item.kind === 'chunk' && item.records !== null) collector.takeRecords(item.records);
      // A run of records outside chunks reads just like the inside of one.
      else if (item.kind === 'record' && outsideChunks.has(item.opcode)) collector.takeRecords(item.bytes);
    }
    return collector.messages();
  }
  for (const [id, schema] of opened.reader.schemasById) collector.schemas.set(id, schema);
  for (const [id, channel] of opened.reader.channelsById) collector.channels.set(id, channel);
  for (const index of opened.reader.chunkIndexes) {
    if (!collector.wants(index.messageStartTime, index.messageEndTime)) continue;
    const bytes = await source.read(Number(index.chunkStartOffset), Number(index.chunkLength));
    const record = readRecordHead(bytes);
    const head = record === null ? null : readChunkHead(bytes, record);
    const chunk = head === null ? null : openChunk(bytes, head);
    if (chunk !== null && 'records' in chunk) collector.takeRecords(chunk.records);
  }
  return collector.messages();
}

/** Gathers the messages of one segment around a range, then tells their monotonic times by all moments that it has met. */
class Collector {
  readonly schemas = new Map<number, McapTypes.Schema>();
  readonly channels = new Map<number, McapTypes.Channel>();
  readonly #startNs: bigint;
  readonly #endNs: bigint;
  readonly #moments: Moment[];
  readonly #found: FoundMessage[] = [];
  readonly #foreign = new Map<number, ForeignTopic | undefined>();

  constructor(moment: Moment, { startMonotonicNs, endMonotonicNs }: ClipRange) {
    this.#moments = [moment];
    this.#startNs = moment.utcNs + (startMonotonicNs - moment.monotonicNs) - marginNs(startMonotonicNs, moment);
    this.#endNs = moment.utcNs + (endMonotonicNs - moment.monotonicNs) + marginNs(endMonotonicNs, moment);
  }

  /** Whether messages logged between these times may belong to the range. */
  wants(firstNs: bigint, lastNs: bigint): boolean {
    return firstNs < this.#endNs && lastNs + longestMessageNs >= this.#startNs;
  }

  takeRecords(records: Uint8Array): void {
    const content = readChunkRecords(records);
    for (const schema of content.schemas) this.schemas.set(schema.id, schema);
    for (const channel of content.channels) this.channels.set(channel.id, channel);
    for (const { message } of content.messages) this.#take(message);
  }

  /** All that was gathered; its data is the caller's. */
  messages(): ClipMessage[] {
    const moments = this.#moments.sort((a, b) => (a.utcNs < b.utcNs ? -1 : 1));
    return this.#found.map((message) => ({ ...message, monotonicNs: monotonicAt(moments, message.recordedNs) }));
  }

  #take({ channelId, sequence, logTimeNs, data }: RawMessage): void {
    if (!this.wants(logTimeNs, logTimeNs)) return;
    const channel = this.channels.get(channelId);
    const type = this.schemas.get(channel?.schemaId ?? 0)?.name;
    if (channel === undefined || type === undefined) return;
    if (type === timeReferenceType) {
      const monotonicNs = readTimeReference(data);
      if (monotonicNs !== null && channel.topic === '/fender/time_reference') {
        this.#moments.push({ utcNs: logTimeNs, monotonicNs });
      }
    }
    const foreign = this.#foreignOf(channel);
    const message = { topic: channel.topic, type, sequence, recordedNs: logTimeNs, data: data.slice() };
    this.#found.push({ ...message, ...(foreign && { foreign }) });
  }

  /** What the segment knows of a topic that is not this vehicle's own. */
  #foreignOf({ id, schemaId, metadata }: McapTypes.Channel): ForeignTopic | undefined {
    if (this.#foreign.has(id)) return this.#foreign.get(id);
    const schema = this.schemas.get(schemaId);
    let foreign: ForeignTopic | undefined;
    if (schema !== undefined && schemaTexts[schema.name as MessageType] === undefined) {
      const qos: unknown = parse(metadata.get('offered_qos_profiles') ?? '', { intAsBigInt: true });
      const offeredQos = Array.isArray(qos) ? (qos as Record<string, unknown>[]) : [];
      const schemaText = new TextDecoder().decode(schema.data);
      foreign = { schemaText, offeredQos, typeHash: metadata.get('topic_type_hash') ?? '' };
    }
    this.#foreign.set(id, foreign);
    return foreign;
  }
}

function marginNs(monotonicNs: bigint, moment: Moment): bigint {
  const distanceNs = monotonicNs - moment.monotonicNs;
  return leastMarginNs + (distanceNs < 0n ? -distanceNs : distanceNs) / driftDivisor;
}

/** The monotonic time of what was logged at `utcNs`: by the last moment before it, or the first of all. */
function monotonicAt(moments: readonly Moment[], utcNs: bigint): bigint {
  const moment = moments.findLast((each) => each.utcNs <= utcNs) ?? moments[0];
  return moment === undefined ? utcNs : moment.monotonicNs + (utcNs - moment.utcNs);
}

/** `time_ref` of a sensor_msgs/msg/TimeReference in nanoseconds; null for bytes that are none. */
function readTimeReference(data: Uint8Array): bigint | null {
  if (data.byteLength < 28) return null;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const offset = ((12 + view.getUint32(12, true) + 3) & ~3) + 4;
  if (offset < 20 || offset + 8 > data.byteLength) return null;
  return BigInt(view.getInt32(offset, true)) * 1_000_000_000n + BigInt(view.getUint32(offset + 4, true));
}
