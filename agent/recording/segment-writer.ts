/**
 * Owns one segment file while it is written: its builder, its handle and its unfinished name. Bytes that the disk refused are
 * kept and go first when it takes some again, so a full disk never tears the file.
 */

import type { ChannelEntry } from '../bag/channel-table.ts';
import { type CreateDurable, type DurableHandle, renameDurably, writeFully } from '../bag/durable-file.ts';
import { type Attachment, McapBuilder } from '../bag/mcap-builder.ts';
import { activeSuffix } from '../bag/repair.ts';
import { Overview } from '../sound/overview.ts';
import type { QueuedChunk } from './chunk-queue.ts';

/** One segment from its creation to its final name. Its methods must not overlap, except `sync` with the others. */
export class SegmentWriter {
  readonly builder = new McapBuilder();
  readonly overview = new Overview();
  /** Final path; the file carries `.active` behind it until it is whole. */
  readonly path: string;
  /** Monotonic time of its first message, for splitting by time; null before. */
  firstMonotonicNs: bigint | null = null;
  /** Whether its summary was added: then nothing else may be. */
  ended = false;
  readonly #handle: DurableHandle;
  #pending: Uint8Array[] = [];
  #writtenBytes = 0;
  #syncedBytes = 0;

  private constructor(path: string, handle: DurableHandle) {
    this.path = path;
    this.#handle = handle;
  }

  /** Creates the file with its header and metadata records. @throws the system's error; then there is no usable file. */
  static async create(
    path: string,
    create: CreateDurable,
    metadata: Readonly<Record<string, ReadonlyMap<string, string>>>,
  ): Promise<SegmentWriter> {
    const segment = new SegmentWriter(path, await create(`${path}${activeSuffix}`));
    segment.#pending.push(...segment.builder.begin());
    for (const [name, values] of Object.entries(metadata))
      segment.#pending.push(...segment.builder.metadata(name, values));
    return segment;
  }

  /** Bytes of the file, with those the disk did not take yet. */
  get bytes(): number {
    return this.builder.position;
  }

  get unsynced(): boolean {
    return this.#writtenBytes > this.#syncedBytes;
  }

  /** Adds a chunk, and before it the definitions it needs. `write` brings it to the disk. */
  add({ draft, kind, levels }: QueuedChunk, channels: ReadonlyMap<number, ChannelEntry>): void {
    for (const channelId of draft.index.keys()) {
      const entry = channels.get(channelId);
      if (entry === undefined) continue;
      this.#pending.push(...this.builder.schema(entry.schema), ...this.builder.channel(entry.channel));
    }
    this.#pending.push(...this.builder.chunk(draft, kind === 'slow' ? 'zstd' : 'none'));
    for (const each of levels) this.overview.add(each.levels, each.logTimeNs);
  }

  addMetadata(name: string, values: ReadonlyMap<string, string>): void {
    this.#pending.push(...this.builder.metadata(name, values));
  }

  addAttachment(attachment: Attachment): void {
    this.#pending.push(...this.builder.attachment(attachment));
  }

  /** Writes everything added so far. @throws the system's error; what was added is kept for the next call. */
  async write(): Promise<void> {
    if (this.#pending.length === 0) return;
    const pieces = this.#pending;
    try {
      const written = await writeFully(this.#handle, pieces, this.#writtenBytes);
      this.#pending = [];
      this.#writtenBytes += written;
    } catch (error) {
      // Gives back what a half write took; if that fails too, the next write goes over it.
      await this.#handle.truncate(this.#writtenBytes).catch(() => {});
      throw error;
    }
  }

  /** Brings what was written to the disk. @throws the system's error; then nobody knows what of it is there. */
  async sync(): Promise<void> {
    const upTo = this.#writtenBytes;
    await this.#handle.datasync();
    this.#syncedBytes = Math.max(this.#syncedBytes, upTo);
  }

  /** Ends the file and gives it its final name. @throws the system's error; calling it again goes on where it stopped. */
  async finish(): Promise<void> {
    if (!this.ended) this.#pending.push(...this.builder.end());
    this.ended = true;
    await this.write();
    await this.#handle.datasync();
    await renameDurably(`${this.path}${activeSuffix}`, this.path);
    await this.#handle.close();
  }

  /** Lets go of the file as it is, unfinished name and all. */
  async abandon(): Promise<void> {
    await this.#handle.close().catch(() => {});
  }
}
