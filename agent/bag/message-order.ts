/**
 * Owns reading the messages of bags in order of time: of one file by its index, and of many files as one. What is open at a time is
 * bounded, whatever the files claim: chunks that overlap more than that are read again.
 */

import { Opcode } from '@mcap/core';
import type { BagIndex } from './bag-index.ts';
import type { ByteSource } from './byte-source.ts';
import {
  foundHead,
  maxChunkBytes,
  openChunk,
  type RawMessage,
  readChunkHead,
  readChunkRecords,
  readMessage,
  readRecordHead,
  recordHeadBytes,
} from './mcap-records.ts';
import type { MessageBlock } from './rebuild.ts';

/** Which messages are wanted: of these channels (all if absent), from `fromNs` until before `toNs`. */
export interface Selection {
  readonly channels?: ReadonlySet<number>;
  readonly fromNs?: bigint;
  readonly toNs?: bigint;
}

/** Chunks stay unpacked up to this many bytes together. */
const maxOpenBytes = 256 * 1024 * 1024;

/** No chunk that can be read is larger; an index may say anything. */
const maxBlockBytes = maxChunkBytes + 1024;

/** A message's time and where its record is among its block's records. */
interface Place {
  readonly timeNs: bigint;
  readonly offset: number;
}

/** A block whose messages are being given out. */
interface OpenBlock {
  readonly block: MessageBlock;
  readonly places: readonly Place[];
  next: number;
  /** Null when it was put away to stay within the bound. */
  records: Uint8Array | null;
}

type Block = { readonly records: Uint8Array } | { readonly problem: string };

/** The records of a block, unpacked; or why they cannot be read. */
async function readBlock(source: ByteSource, block: MessageBlock): Promise<Block> {
  if (block.bytes > maxBlockBytes) return { problem: `chunk of ${block.bytes} bytes, the limit is ${maxBlockBytes}` };
  const bytes = await source.read(block.offset, block.bytes);
  if (bytes.byteLength < block.bytes) {
    return { problem: `cut off: expected ${block.bytes} bytes, found ${bytes.byteLength}` };
  }
  if (block.kind === 'messages') return { records: bytes };
  const record = readRecordHead(bytes);
  if (record === null || record.opcode !== Opcode.CHUNK) {
    return { problem: `expected the chunk that the index names, found ${foundHead(bytes)}` };
  }
  const length = recordHeadBytes + record.contentBytes;
  if (length !== bytes.byteLength) {
    return { problem: `expected a chunk of ${bytes.byteLength} bytes, as the index says, found one of ${length}` };
  }
  const head = readChunkHead(bytes, record);
  return head === null ? { problem: 'chunk whose lengths contradict each other' } : openChunk(bytes, head);
}

function comparePlaces(a: Place, b: Place): number {
  if (a.timeNs !== b.timeNs) return a.timeNs < b.timeNs ? -1 : 1;
  return a.offset - b.offset;
}

/** Whose next message comes first: earlier time, then earlier in the file. */
function compareBlocks(a: OpenBlock, b: OpenBlock): number {
  const [placeA, placeB] = [a.places[a.next] as Place, b.places[b.next] as Place];
  if (placeA.timeNs !== placeB.timeNs) return placeA.timeNs < placeB.timeNs ? -1 : 1;
  return a.block.offset - b.block.offset;
}

/** A queue that gives the smallest first. */
class Heap<T> {
  readonly items: T[] = [];
  readonly #compare: (a: T, b: T) => number;
  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  get first(): T | undefined {
    return this.items[0];
  }

  push(item: T): void {
    let index = this.items.push(item) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#swapIfBefore(index, parent)) break;
      index = parent;
    }
  }

  shift(): void {
    const last = this.items.pop();
    if (last === undefined || this.items.length === 0) return;
    this.items[0] = last;
    this.firstChanged();
  }

  /** Puts the first where it belongs now. */
  firstChanged(): void {
    for (let index = 0; ; ) {
      const left = 2 * index + 1;
      if (left >= this.items.length) return;
      const child =
        left + 1 < this.items.length && this.#compare(this.items[left + 1] as T, this.items[left] as T) < 0
          ? left + 1
          : left;
      if (!this.#swapIfBefore(child, index)) return;
      index = child;
    }
  }

  #swapIfBefore(child: number, parent: number): boolean {
    const [a, b] = [this.items[child] as T, this.items[parent] as T];
    if (this.#compare(a, b) >= 0) return false;
    this.items[child] = b;
    this.items[parent] = a;
    return true;
  }
}

/** Told of blocks that cannot be read though the index names them. */
export type OnUnreadable = (block: MessageBlock, reason: string) => void;

class OrderedReader {
  readonly #source: ByteSource;
  readonly #selection: Selection;
  readonly #onUnreadable: OnUnreadable;
  readonly #open = new Heap<OpenBlock>(compareBlocks);
  #openBytes = 0;

  constructor(source: ByteSource, selection: Selection, onUnreadable: OnUnreadable) {
    this.#source = source;
    this.#selection = selection;
    this.#onUnreadable = onUnreadable;
  }

  async *read(blocks: readonly MessageBlock[]): AsyncGenerator<RawMessage> {
    const { fromNs = 0n, toNs } = this.#selection;
    const waiting = blocks
      .filter(({ startNs, endNs }) => endNs >= fromNs && (toNs === undefined || startNs < toNs))
      .sort((a, b) => (a.startNs === b.startNs ? a.offset - b.offset : a.startNs < b.startNs ? -1 : 1));
    let nextWaiting = 0;
    for (;;) {
      const first = this.#open.first;
      const block = waiting[nextWaiting];
      if (block !== undefined && (first === undefined || block.startNs <= (first.places[first.next] as Place).timeNs)) {
        nextWaiting += 1;
        await this.#openBlock(block);
      } else if (first === undefined) {
        return;
      } else {
        const message = await this.#take(first);
        if (message !== null) yield message;
      }
    }
  }

  async #openBlock(block: MessageBlock): Promise<void> {
    const read = await readBlock(this.#source, block);
    if ('problem' in read) return this.#onUnreadable(block, read.problem);
    const { records } = read;
    const { channels, fromNs = 0n, toNs } = this.#selection;
    const places: Place[] = [];
    for (const { offset, message } of readChunkRecords(records).messages) {
      const { channelId, logTimeNs } = message;
      if (channels !== undefined && !channels.has(channelId)) continue;
      if (logTimeNs < fromNs || (toNs !== undefined && logTimeNs >= toNs)) continue;
      places.push({ timeNs: logTimeNs, offset });
    }
    if (places.length === 0) return;
    this.#makeRoom(records.byteLength);
    this.#openBytes += records.byteLength;
    this.#open.push({ block, places: places.sort(comparePlaces), next: 0, records });
  }

  async #take(open: OpenBlock): Promise<RawMessage | null> {
    const place = open.places[open.next] as Place;
    let { records } = open;
    if (records === null) {
      const read = await readBlock(this.#source, open.block);
      records = 'records' in read ? read.records : null;
      this.#makeRoom(records?.byteLength ?? 0);
      this.#openBytes += records?.byteLength ?? 0;
      open.records = records;
    }
    open.next += 1;
    if (open.next < open.places.length) {
      this.#open.firstChanged();
    } else {
      this.#open.shift();
      this.#openBytes -= records?.byteLength ?? 0;
      open.records = null;
    }
    if (records === null) return null;
    const head = readRecordHead(records, place.offset);
    const end = place.offset + recordHeadBytes + (head?.contentBytes ?? 0);
    return readMessage(records.subarray(place.offset, end));
  }

  /** Puts unpacked chunks away when `bytes` more would be too many. */
  #makeRoom(bytes: number): void {
    if (this.#openBytes + bytes <= maxOpenBytes) return;
    for (const open of this.#open.items) open.records = null;
    this.#openBytes = 0;
  }
}

/**
 * The messages of one file in order of their log time; those of the same time as they stand in the file. `data` is a view into
 * bytes that nobody changes.
 * @throws errors of reading; a chunk that cannot be read is told to `onUnreadable` and left out.
 */
export function readInOrder(
  source: ByteSource,
  index: BagIndex,
  selection: Selection = {},
  onUnreadable: OnUnreadable = () => {},
): AsyncGenerator<RawMessage> {
  return new OrderedReader(source, selection, onUnreadable).read(index.blocks);
}

/** One of several files that are read as one. */
export interface OrderedInput {
  /** Before this no message of it comes: it is opened when the others have come that far. */
  readonly startNs: bigint;
  open(): AsyncGenerator<RawMessage>;
}

/** A message with the number of the input it is from. */
export interface JoinedMessage {
  readonly input: number;
  readonly message: RawMessage;
}

interface OpenInput {
  readonly input: number;
  readonly messages: AsyncGenerator<RawMessage>;
  message: RawMessage;
}

/** The messages of many files in order of time; those of the same time in the order of the files. */
export async function* readJoined(inputs: readonly OrderedInput[]): AsyncGenerator<JoinedMessage> {
  const open = new Heap<OpenInput>((a, b) => {
    const [timeA, timeB] = [a.message.logTimeNs, b.message.logTimeNs];
    return timeA === timeB ? a.input - b.input : timeA < timeB ? -1 : 1;
  });
  const waiting = [...inputs.entries()].sort(([, a], [, b]) =>
    a.startNs === b.startNs ? 0 : a.startNs < b.startNs ? -1 : 1,
  );
  try {
    for (;;) {
      const first = open.first;
      const next = waiting[0];
      if (next !== undefined && (first === undefined || next[1].startNs <= first.message.logTimeNs)) {
        waiting.shift();
        const messages = next[1].open();
        const result = await messages.next();
        if (result.done !== true) open.push({ input: next[0], messages, message: result.value });
      } else if (first === undefined) {
        return;
      } else {
        yield { input: first.input, message: first.message };
        const result = await first.messages.next();
        if (result.done === true) open.shift();
        else {
          first.message = result.value;
          open.firstChanged();
        }
      }
    }
  } finally {
    for (const { messages } of open.items) await messages.return(undefined);
  }
}
