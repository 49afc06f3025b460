/**
 * Owns what waits for the disk: messages gathered into chunks of at most 256 KiB, sound and slow topics apart, within a bound
 * of bytes.
 */

import type { Stamp } from '../../drivers/sample.ts';
import { ChunkDraft } from '../bag/chunk-draft.ts';
import type { Message } from '../messages/message.ts';
import type { Levels } from '../sound/levels.ts';
import { isSoundType } from '../sound/raw-audio.ts';

/** A message on its way into a recording. */
export interface RecordedMessage extends Message {
  /** What it adds to the overview of its segment. */
  readonly levels?: Levels;
}

/** A chunk on its way. */
export interface QueuedChunk {
  readonly draft: ChunkDraft;
  /** Sound is stored as it is; slow topics compress well. */
  readonly kind: 'sound' | 'slow';
  /** Its first message's. */
  readonly stamp: Stamp;
  /** What its messages add to the segment's overview, by their log times. */
  readonly levels: { readonly levels: Levels; readonly logTimeNs: bigint }[];
}

const maxChunkBytes = 256 * 1024;
/** Sound goes to the disk at once and as it is, however short or well packed it is; so do other messages from this size on. */
const soundBytes = 16 * 1024;

/** Chunks in the order in which they were filled. */
export class ChunkQueue {
  /** Bytes waiting, with those handed out by `next` and not yet `done`. */
  bytes = 0;
  readonly maxBytes: number;
  readonly #full: QueuedChunk[] = [];
  #sound: QueuedChunk | null = null;
  #slow: QueuedChunk | null = null;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  get empty(): boolean {
    return this.#full.length === 0 && this.#sound === null && this.#slow === null;
  }

  /** Whether chunks wait that grow no more. */
  get backlog(): boolean {
    return this.#full.length > 0;
  }

  /** Takes a message; null when the bound is reached (half of it for topics of others), else the kind of chunk that it went to. */
  add(channelId: number, message: RecordedMessage): QueuedChunk['kind'] | null {
    const { data, sequence, stamp, levels } = message;
    // What others publish, however much, leaves half of the room to the vehicle's own sensors.
    const maxBytes = message.foreign === undefined ? this.maxBytes : this.maxBytes / 2;
    if (this.bytes + data.byteLength > maxBytes) return null;
    const kind = isSoundType(message.type) || data.byteLength >= soundBytes ? 'sound' : 'slow';
    let chunk = kind === 'sound' ? this.#sound : this.#slow;
    if (chunk !== null && chunk.draft.byteLength + data.byteLength + 64 > maxChunkBytes) {
      this.#full.push(chunk);
      chunk = null;
    }
    chunk ??= { draft: new ChunkDraft(), kind, stamp, levels: [] };
    if (kind === 'sound') this.#sound = chunk;
    else this.#slow = chunk;
    const before = chunk.draft.byteLength;
    const logTimeNs = loggedNs(stamp.capturedAtNs);
    chunk.draft.add(channelId, sequence, logTimeNs, data);
    if (levels !== undefined) chunk.levels.push({ levels, logTimeNs });
    this.bytes += chunk.draft.byteLength - before;
    return kind;
  }

  /** Lets the slow messages gathered so far go. */
  releaseSlow(): void {
    if (this.#slow !== null) this.#full.push(this.#slow);
    this.#slow = null;
  }

  /** The stamp of the chunk that `next` will give; null when nothing has to go. */
  get nextStamp(): Stamp | null {
    return (this.#full[0] ?? this.#sound)?.stamp ?? null;
  }

  /** The next chunk to write: full or released ones first, then the sound there is. Null when nothing has to go. */
  next(): QueuedChunk | null {
    const full = this.#full.shift();
    if (full !== undefined) return full;
    const sound = this.#sound;
    this.#sound = null;
    return sound;
  }

  /** A chunk that `next` gave is written, or given up. */
  done(chunk: QueuedChunk): void {
    this.bytes -= chunk.draft.byteLength;
  }
}

/** MCAP's times are unsigned: what a clock that has just woken puts before 1970 is logged at 0. */
export function loggedNs(capturedAtNs: bigint): bigint {
  return capturedAtNs < 0n ? 0n : capturedAtNs;
}
