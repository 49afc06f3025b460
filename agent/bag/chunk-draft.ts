/**
 * Owns one MCAP chunk while it grows: message records, their index and their CRC. Large payloads are kept by reference,
 * so that sound is never copied on its way to the disk.
 */

import { crc32 } from 'node:zlib';
import { Opcode } from '@mcap/core';

/** Bytes of a message record before its payload: opcode, length, channel, sequence, log time, publish time. */
const messageHeadBytes = 1 + 8 + 2 + 4 + 8 + 8;
/** Smaller payloads are copied beside their head: fewer buffers for the system call to gather. */
const copyBelowBytes = 4096;

/** Log time and offset of each message of a channel, as MCAP's MessageIndex wants them. */
export type ChunkIndexEntries = Map<number, [logTimeNs: bigint, offset: bigint][]>;

/** The records of one chunk, uncompressed, with what describes them. */
export interface ChunkContent {
  readonly pieces: readonly Uint8Array[];
  readonly byteLength: number;
  readonly crc: number;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly index: ChunkIndexEntries;
}

/** A chunk that still takes messages. */
export class ChunkDraft implements ChunkContent {
  readonly pieces: Uint8Array[] = [];
  readonly index: ChunkIndexEntries = new Map();
  byteLength = 0;
  messageCount = 0;
  crc = 0;
  startNs = 0n;
  endNs = 0n;

  /** Adds a message record; `data` must not change afterwards. Times are UTC nanoseconds, ≥ 0. */
  add(channelId: number, sequence: number, logTimeNs: bigint, data: Uint8Array, publishTimeNs = logTimeNs): void {
    if (this.messageCount === 0 || logTimeNs < this.startNs) this.startNs = logTimeNs;
    if (this.messageCount === 0 || logTimeNs > this.endNs) this.endNs = logTimeNs;
    const entry: [bigint, bigint] = [logTimeNs, BigInt(this.byteLength)];
    const entries = this.index.get(channelId);
    if (entries === undefined) this.index.set(channelId, [entry]);
    else entries.push(entry);
    this.messageCount += 1;

    const copied = data.byteLength < copyBelowBytes;
    const head = new Uint8Array(messageHeadBytes + (copied ? data.byteLength : 0));
    const view = new DataView(head.buffer);
    view.setUint8(0, Opcode.MESSAGE);
    view.setBigUint64(1, BigInt(messageHeadBytes - 9 + data.byteLength), true);
    view.setUint16(9, channelId, true);
    view.setUint32(11, sequence, true);
    view.setBigUint64(15, logTimeNs, true);
    view.setBigUint64(23, publishTimeNs, true);
    if (copied) head.set(data, messageHeadBytes);
    this.#push(head);
    if (!copied) this.#push(data);
  }

  #push(piece: Uint8Array): void {
    this.pieces.push(piece);
    this.byteLength += piece.byteLength;
    this.crc = crc32(piece, this.crc);
  }
}
