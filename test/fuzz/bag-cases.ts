/**
 * Owns what must hold of the bag tools whatever the bytes are: they throw nothing but their own errors, take little time and memory,
 * recover no message that was not there, and every message of chunks that nobody touched.
 */

import { McapWriter } from '@mcap/core';
import { indexBag } from '../../agent/bag/bag-index.ts';
import { infoOf } from '../../agent/bag/bag-info.ts';
import { verifySource } from '../../agent/bag/bag-verify.ts';
import { type ByteSource, memorySource } from '../../agent/bag/byte-source.ts';
import { RecordingError } from '../../agent/bag/error.ts';
import { cdrRows } from '../../agent/bag/export/table-columns.ts';
import {
  openChunk,
  readChunkHead,
  readChunkRecords,
  readRecordHead,
  recordHeadBytes,
} from '../../agent/bag/mcap-records.ts';
import { readInOrder } from '../../agent/bag/message-order.ts';
import { rebuild } from '../../agent/bag/rebuild.ts';
import { CdrError } from '../../agent/messages/cdr-reader.ts';
import { driveMessages, madeBag } from '../agent/bag/bag-fixtures.ts';
import { below, mutate, type Random, randomFrom } from './mutations.ts';

/** A whole file to damage. */
export interface Original {
  readonly name: string;
  readonly bytes: Buffer;
  /** Chunk records by their bytes, with the messages in each. */
  readonly chunks: readonly { readonly offset: number; readonly end: number; readonly messages: readonly string[] }[];
  readonly messages: ReadonlySet<string>;
}

/** How a message is known again. Its channel's number is all that a file without definitions tells. */
function keyOf(message: { channelId: number; sequence: number; logTimeNs: bigint; data: Uint8Array }): string {
  const data = Buffer.from(message.data);
  return `${message.channelId} ${message.sequence} ${message.logTimeNs} ${data.toString('latin1')}`;
}

function original(name: string, bytes: Buffer): Original {
  const chunks: { offset: number; end: number; messages: string[] }[] = [];
  const messages = new Set<string>();
  let offset = 8;
  for (let head = readRecordHead(bytes, offset); head !== null; head = readRecordHead(bytes, offset)) {
    const end = offset + recordHeadBytes + head.contentBytes;
    const record = bytes.subarray(offset, end);
    const chunkHead = head.opcode === 6 ? readChunkHead(record, head) : null;
    const opened = chunkHead === null ? null : openChunk(record, chunkHead);
    if (opened !== null && 'records' in opened) {
      const keys = readChunkRecords(opened.records).messages.map(({ message }) => keyOf(message));
      chunks.push({ offset, end, messages: keys });
      for (const key of keys) messages.add(key);
    } else if (head.opcode === 5) {
      for (const { message } of readChunkRecords(record).messages) messages.add(keyOf(message));
    }
    offset = end;
  }
  return { name, bytes, chunks, messages };
}

async function foreignBag(useChunks: boolean): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let length = 0n;
  const write = async (bytes: Uint8Array): Promise<void> => {
    parts.push(bytes.slice());
    length += BigInt(bytes.byteLength);
  };
  const writer = new McapWriter({ writable: { position: () => length, write }, useChunks, chunkSize: 400 });
  await writer.start({ profile: '', library: 'another' });
  const data = new TextEncoder().encode('int32[] numbers\nstring text\nInner[] inner\n===\nMSG: a/Inner\nbool b\n');
  const schemaId = await writer.registerSchema({ name: 'a/msg/A', encoding: 'ros2msg', data });
  const metadata = new Map([['offered_qos_profiles', '- depth: 10']]);
  const channelId = await writer.registerChannel({ schemaId, topic: '/a', messageEncoding: 'cdr', metadata });
  for (let sequence = 0; sequence < 24; sequence += 1) {
    const body = Buffer.from(
      `00010000 02000000 0100000002000000 04000000 61626300 0200000001${'00'.repeat(sequence)}`.replaceAll(' ', ''),
      'hex',
    );
    await writer.addMessage({ channelId, sequence, logTime: BigInt(sequence * 1000), publishTime: 0n, data: body });
  }
  await writer.addAttachment({
    name: 'note',
    mediaType: 'text/plain',
    logTime: 1n,
    createTime: 2n,
    data: new Uint8Array(50),
  });
  await writer.addMetadata({ name: 'where', metadata: new Map([['town', 'Köln']]) });
  await writer.end();
  return Buffer.concat(parts);
}

/** The files that are damaged: as our recorder writes them, and as others do. */
export async function originals(): Promise<Original[]> {
  // Long sound would only make each case slower.
  const brief = driveMessages(1).filter(({ topic, sequence }) => topic !== '/uma8/audio' || sequence % 3 === 0);
  return [
    original('recording', madeBag(brief)),
    original('foreign, chunks', await foreignBag(true)),
    original('foreign, no chunks', await foreignBag(false)),
  ];
}

const maxReadBytes = 257 * 1024 * 1024;

/** A source that says no to reads that no bound allows. */
function boundedSource(bytes: Uint8Array): ByteSource {
  const source = memorySource(bytes, 'case.mcap');
  return {
    name: source.name,
    size: source.size,
    read: async (offset, length) => {
      if (length > maxReadBytes) throw new Error(`read of ${length} bytes`);
      return source.read(offset, length);
    },
  };
}

/** Runs a tool; only its own errors are swallowed. */
export async function allowed<T>(tool: Promise<T>): Promise<T | null> {
  try {
    return await tool;
  } catch (error) {
    if (error instanceof RecordingError) return null;
    throw error;
  }
}

/** The file that `fender bag recover` would make. */
async function recovered(source: ByteSource): Promise<Buffer | null> {
  const pieces: Uint8Array[] = [];
  let end = 0;
  const take = (bytes: Uint8Array, position: number): void => {
    if (position !== end) throw new Error(`rebuilt bytes at ${position}, expected ${end}`);
    pieces.push(bytes);
    end += bytes.byteLength;
  };
  const report = await allowed(
    rebuild(source, {
      copy: async (bytes, position) => take(bytes.slice(), position),
      fresh: async (all, position) => {
        let at = position;
        for (const piece of all) {
          take(piece.slice(), at);
          at += piece.byteLength;
        }
      },
    }),
  );
  return report === null ? null : Buffer.concat(pieces);
}

/** Keys of all messages of a file, in the order in which they are read. */
async function messagesOf(source: ByteSource): Promise<string[]> {
  const index = await allowed(indexBag(source));
  if (index === null) return [];
  const rows = new Map<number, ReturnType<typeof cdrRows> | null>();
  const keys: string[] = [];
  let lastNs = -1n;
  for await (const message of readInOrder(source, index)) {
    if (index.blocks.length === 1 && message.logTimeNs < lastNs) throw new Error('messages out of order');
    lastNs = message.logTimeNs;
    keys.push(keyOf(message));
    if (!rows.has(message.channelId)) {
      const schema = index.schemas.get(index.channels.get(message.channelId)?.schemaId ?? 0);
      rows.set(
        message.channelId,
        schema === undefined ? null : rowsOrNull(schema.name, new TextDecoder().decode(schema.data)),
      );
    }
    try {
      rows.get(message.channelId)?.row(message.data);
    } catch (error) {
      if (!(error instanceof CdrError)) throw error;
    }
  }
  return keys;
}

function rowsOrNull(type: string, text: string): ReturnType<typeof cdrRows> | null {
  try {
    return cdrRows(type, text);
  } catch (error) {
    if (error instanceof CdrError || error instanceof TypeError) return null;
    throw error;
  }
}

/** Looks at one damaged file, `bytes`, made from `from`. @throws Error that says what did not hold. */
export type CheckCase = (from: Original, bytes: Buffer<ArrayBuffer>, contentIsWhole: boolean) => Promise<void>;

/** What must hold of one damaged file. @throws Error that says what did not. */
async function checkCase(from: Original, bytes: Buffer, contentIsWhole: boolean): Promise<void> {
  const source = boundedSource(bytes);
  await allowed(infoOf(source));
  await allowed(verifySource(source));
  await messagesOf(source);
  const whole = await recovered(source);
  if (whole === null) return;
  const check = await verifySource(memorySource(whole, 'recovered.mcap')).catch((error: unknown) => {
    // Nothing was found in the case, so nothing is in what was made of it.
    if (error instanceof RecordingError) return null;
    throw error;
  });
  if (check === null) return;
  const wrong = check.findings.filter(({ severity, code }) => severity === 'error' && !aboutContent.has(code));
  if (wrong.length > 0) throw new Error(`the recovered file is wrong: ${JSON.stringify(wrong.slice(0, 3))}`);
  const kept = await messagesOf(memorySource(whole, 'recovered.mcap'));
  if (kept.length !== check.messages) throw new Error(`read ${kept.length} of ${check.messages} recovered messages`);
  const keptSet = new Set(kept);
  if (contentIsWhole) {
    const made = kept.find((key) => !from.messages.has(key));
    if (made !== undefined) throw new Error(`recovered a message that was not there: ${made.slice(0, 60)}`);
  }
  for (const chunk of from.chunks) {
    if (!bytes.includes(from.bytes.subarray(chunk.offset, chunk.end))) continue;
    const lost = chunk.messages.find((key) => !keptSet.has(key));
    if (lost !== undefined)
      throw new Error(`lost a message of the untouched chunk at ${chunk.offset}: ${lost.slice(0, 40)}`);
  }
}

/** Findings that a rebuilt file inherits: what was in the chunks, and what they say of times, is copied as it is. */
export const aboutContent: ReadonlySet<string> = new Set([
  'sequence-gap',
  'message',
  'chunk-times',
  'schema',
  'channel',
  'compression',
  'statistics',
  'chunk-records',
]);

/** Damage that changes no message, or not without its chunk's CRC telling: then nothing may be recovered that was not there. */
const leavesContent =
  /^(truncate|splice|drop record|repeat record|change length|change field|insert noise)(, CRCs right)?$/;

/** How a run went. */
export interface FuzzReport {
  readonly cases: number;
  readonly failures: readonly {
    readonly seed: number;
    readonly original: string;
    readonly mutation: string;
    readonly problem: string;
  }[];
  readonly slowestMs: number;
  readonly slowestSeed: number;
  readonly largestResidentBytes: number;
}

const maxCaseMs = 60_000;

/** Runs the cases of seeds `firstSeed` to `firstSeed + cases − 1`, and tells before each; each can be run again by its seed alone. */
export async function fuzzBags(
  firstSeed: number,
  cases: number,
  onCase: (done: number) => void = () => {},
  check: CheckCase = checkCase,
): Promise<FuzzReport> {
  const files = await originals();
  const failures: { seed: number; original: string; mutation: string; problem: string }[] = [];
  let [slowestMs, slowestSeed, largestResidentBytes] = [0, firstSeed, 0];
  for (let seed = firstSeed; seed < firstSeed + cases && failures.length < 20; seed += 1) {
    onCase(seed - firstSeed);
    const random: Random = randomFrom(seed);
    const from = files[below(random, files.length)] as Original;
    const { name, bytes } = mutate(from.bytes, random);
    const started = performance.now();
    let problem = '';
    try {
      await check(from, Buffer.from(bytes), from.chunks.length > 0 && leavesContent.test(name));
    } catch (error) {
      problem = (error as Error).stack?.split('\n').slice(0, 4).join(' | ') ?? String(error);
    }
    const took = performance.now() - started;
    if (took > slowestMs) [slowestMs, slowestSeed] = [took, seed];
    if (took > maxCaseMs) problem ||= `took ${Math.round(took)} ms`;
    if (problem !== '') failures.push({ seed, original: from.name, mutation: name, problem });
    if (seed % 64 === 0) largestResidentBytes = Math.max(largestResidentBytes, process.memoryUsage.rss());
  }
  return { cases, failures, slowestMs, slowestSeed, largestResidentBytes };
}
