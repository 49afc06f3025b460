/**
 * Owns the way of chunks to the disk: writes one after the other, syncs at a bounded interval beside that, splits segments, and
 * pauses while the disk is full or failing. There is at most one write and one sync under way.
 */

import { mkdir, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Clock, Stamp } from '../../drivers/sample.ts';
import type { ChannelTable } from '../bag/channel-table.ts';
import { type CreateDurable, createDurable, syncFolder } from '../bag/durable-file.ts';
import { RecordingError, systemCode } from '../bag/error.ts';
import type { Attachment } from '../bag/mcap-builder.ts';
import type { ChunkQueue, QueuedChunk } from './chunk-queue.ts';
import { clockMetadata } from './clock-metadata.ts';
import { FinishedSegments } from './finished-segments.ts';
import type { LossLedger } from './loss-ledger.ts';
import { SegmentWriter } from './segment-writer.ts';

/** How the loop writes; see `RecorderOptions`. */
export interface SegmentLoopOptions {
  readonly vehicle: string;
  readonly syncIntervalMs: number;
  readonly maxSegmentBytes: number;
  readonly maxSegmentMs: number;
  readonly minFreeBytes: number;
  readonly retryMs: number;
  readonly createFile?: CreateDurable;
  readonly freeBytes?: (folder: string) => Promise<number>;
  readonly segmentMetadata?: () => Readonly<Record<string, ReadonlyMap<string, string>>>;
  readonly segmentAttachments?: () => readonly Attachment[];
  /** Told when a pause begins (with the cause) and ends (null). */
  readonly onPause: (pausedBy: string | null, message: string) => void;
  /** Told when a chunk left the queue. */
  readonly onRoom: () => void;
}

const maxWriteBytes = 1024 * 1024;
const spaceCheckMs = 1000;
const lossRecordMs = 1000;
const spaceErrors = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

async function freeBytesOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** Writes one recording's segments. */
export class SegmentLoop {
  /** Why writing is paused: a system error's code; null while it goes on. */
  pausedBy: string | null = null;
  segmentCount = 0;
  lastSyncMonotonicNs: bigint | null = null;
  readonly #folder: string;
  readonly #queue: ChunkQueue;
  readonly #channels: ChannelTable;
  readonly #loss: LossLedger;
  readonly #clock: Clock;
  readonly #options: SegmentLoopOptions;
  readonly #finished: FinishedSegments;
  #segment: SegmentWriter | null = null;
  #segmentIndex = 0;
  /** Chunks that are in the segment's hands and not in its file yet. */
  #unwritten: QueuedChunk[] = [];
  #running: Promise<void> | null = null;
  #again = false;
  #syncing: Promise<void> | null = null;
  #folderSynced = false;
  #syncError: unknown = null;
  #syncedAtMs = Number.NEGATIVE_INFINITY;
  #spaceCheckedAtMs = Number.NEGATIVE_INFINITY;
  #lossRecordedAtMs = Number.NEGATIVE_INFINITY;
  #lossRecorded = 0;
  /** No writing now; false also while a round tries whether the pause is over. */
  #halted = false;
  #closing = false;
  #syncTimer: NodeJS.Timeout | null = null;
  #retryTimer: NodeJS.Timeout | null = null;

  /** @param folder the recording's own, made with the first segment; its name is the recording's id. */
  constructor(
    folder: string,
    parts: { queue: ChunkQueue; channels: ChannelTable; loss: LossLedger; clock: Clock },
    options: SegmentLoopOptions,
  ) {
    this.#folder = folder;
    this.#queue = parts.queue;
    this.#channels = parts.channels;
    this.#loss = parts.loss;
    this.#clock = parts.clock;
    this.#options = options;
    this.#finished = new FinishedSegments(folder, options.vehicle);
  }

  get bytes(): number {
    return this.#finished.bytes + (this.#segment?.bytes ?? 0);
  }

  /** Segments that a failing disk left unfinished, and that are not repaired yet. */
  get abandonedSegments(): number {
    return this.#finished.abandoned;
  }

  /** Finished segments were removed to make room: `metadata.yaml` shall not name them any more. */
  async segmentsRemoved(): Promise<void> {
    await this.#finished.writeMetadata();
  }

  /** There may be something to write. */
  kick(): void {
    this.#again = true;
    if (this.#running !== null || this.#halted) return;
    this.#running = this.#run().finally(() => {
      this.#running = null;
      if (this.#again && !this.#halted) this.kick();
    });
  }

  /** Writes and syncs what `next` of the queue gives. @throws RecordingError when the disk does not take it now. */
  async flush(): Promise<void> {
    this.kick();
    while (this.#running !== null || this.#syncing !== null) await (this.#running ?? this.#syncing);
    if (this.#halted) throw this.#pausedError();
    if (this.#segment?.unsynced) await this.#sync();
    if (this.#syncError !== null) throw this.#pausedError();
  }

  /** Ends the segment, or leaves it for the next start's repair if the disk does not take it. Never rejects. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#resume();
    while (this.#running !== null || this.#syncing !== null) await (this.#running ?? this.#syncing);
    if (!this.#halted) await this.#finishSegment().catch((error: unknown) => this.#pause(error));
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
    if (this.#syncTimer !== null) clearTimeout(this.#syncTimer);
    await this.#giveUpSegment();
    for (let chunk = this.#queue.next(); chunk !== null; chunk = this.#queue.next()) this.#giveUp(chunk);
    // A repair that still runs ends at its next look.
    await this.#finished.settled();
  }

  async #run(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      try {
        if (this.#syncError !== null) throw this.#syncError;
        await this.#segment?.write();
        this.#written();
        if (this.#segment?.ended) await this.#finishSegment();
        await this.#writeQueue();
        this.#syncSoon();
      } catch (error) {
        await this.#pause(error);
        return;
      }
    }
  }

  async #writeQueue(): Promise<void> {
    for (let stamp = this.#queue.nextStamp; stamp !== null; stamp = this.#queue.nextStamp) {
      const segment = await this.#openSegment(stamp);
      this.#addLoss(segment);
      let last: QueuedChunk | null = null;
      // A backlog goes in larger writes: fewer round trips to the disk.
      for (let bytes = 0; bytes < maxWriteBytes && (last === null || this.#queue.backlog); ) {
        const chunk = this.#queue.next();
        if (chunk === null) return;
        this.#unwritten.push(chunk);
        segment.firstMonotonicNs ??= chunk.stamp.monotonicNs;
        segment.add(chunk, this.#channels.byId);
        bytes += chunk.draft.byteLength;
        last = chunk;
      }
      await segment.write();
      this.#written();
      this.#syncSoon();
      if (last !== null && this.#isFull(segment, last)) await this.#finishSegment();
    }
  }

  #written(): void {
    for (const chunk of this.#unwritten) this.#queue.done(chunk);
    if (this.#unwritten.length > 0) this.#options.onRoom();
    this.#unwritten = [];
  }

  #isFull(segment: SegmentWriter, chunk: QueuedChunk): boolean {
    const { maxSegmentBytes, maxSegmentMs } = this.#options;
    const { monotonicNs } = chunk.stamp;
    const ageNs = monotonicNs - (segment.firstMonotonicNs ?? monotonicNs);
    return segment.bytes >= maxSegmentBytes || ageNs >= BigInt(maxSegmentMs) * 1_000_000n;
  }

  /**
   * The segment to write into; made when there is none.
   * @param first of the message that comes next. @throws when there is no space for more.
   */
  async #openSegment(first: Stamp): Promise<SegmentWriter> {
    await this.#checkSpace();
    if (this.#segment !== null) return this.#segment;
    // Synced with what is written first: sound does not wait in memory for a disk that is slow to sync.
    if (this.#segmentIndex === 0) await mkdir(this.#folder, { recursive: true });
    const { vehicle } = this.#options;
    const recording = basename(this.#folder);
    const path = join(this.#folder, `${recording}_${this.#segmentIndex}.mcap`);
    this.#segment = await SegmentWriter.create(path, this.#options.createFile ?? createDurable, {
      foxglove: new Map([['deviceName', vehicle]]),
      'fender.recording': new Map([
        ['vehicle', vehicle],
        ['recording', recording],
        ['segment', String(this.#segmentIndex)],
        ['boot_id', first.bootId],
        ['clock_synchronised', String(first.synchronised)],
      ]),
      'fender.clock': clockMetadata(first),
    });
    this.#segmentIndex += 1;
    this.segmentCount += 1;
    // A segment that a crash tears says what was lost before it.
    if (this.#loss.total > 0) this.#segment.addMetadata('fender.loss', this.#loss.values());
    return this.#segment;
  }

  /** @throws ENOSPC when less than the reserve is left; what the recording still holds at its end may use the reserve. */
  async #checkSpace(): Promise<void> {
    const nowMs = performance.now();
    if (this.#closing || nowMs - this.#spaceCheckedAtMs < spaceCheckMs) return;
    const free = await (this.#options.freeBytes ?? freeBytesOf)(dirname(this.#folder));
    if (free < this.#options.minFreeBytes) {
      // A whole segment can be fetched, or removed to make room, while the pause lasts.
      await this.#finishSegment();
      const message = `expected ${this.#options.minFreeBytes} free bytes in ${this.#folder}, found ${free}`;
      throw Object.assign(new Error(message), { code: 'ENOSPC' });
    }
    this.#spaceCheckedAtMs = nowMs;
  }

  /** Notes in the bag what was lost since the recording started: when it changed, at most once a second, and at the end. */
  #addLoss(segment: SegmentWriter): void {
    const nowMs = performance.now();
    if (this.#loss.total === this.#lossRecorded || nowMs - this.#lossRecordedAtMs < lossRecordMs) return;
    segment.addMetadata('fender.loss', this.#loss.values());
    this.#lossRecorded = this.#loss.total;
    this.#lossRecordedAtMs = nowMs;
  }

  async #finishSegment(): Promise<void> {
    const segment = this.#segment;
    if (segment === null) return;
    // One that ends may begin the next.
    while (this.#syncing !== null) await this.#syncing;
    // A second sync would succeed without having kept what the first one lost.
    if (this.#syncError !== null) throw this.#syncError;
    await this.#syncNewFolder();
    if (!segment.ended) this.#addClosingRecords(segment);
    await segment.finish();
    this.#segment = null;
    this.lastSyncMonotonicNs = this.#clock.monotonicNs();
    await this.#finished.add(segment.path, segment.builder);
    this.#repairAbandoned();
  }

  /** What is known when a segment ends: an empty `fender.loss` says that nothing was lost. */
  #addClosingRecords(segment: SegmentWriter): void {
    segment.addMetadata('fender.loss', this.#loss.values());
    const overview = segment.overview.attachment();
    if (overview !== null) segment.addAttachment(overview);
    try {
      for (const [name, values] of Object.entries(this.#options.segmentMetadata?.() ?? {})) {
        segment.addMetadata(name, values);
      }
      for (const attachment of this.#options.segmentAttachments?.() ?? []) segment.addAttachment(attachment);
    } catch (error) {
      // What others have to say about a segment must not cost it.
      segment.addMetadata('fender.problem', new Map([['closing_records', String(error)]]));
    }
  }

  /** In the background, while the recording goes on. */
  #repairAbandoned(): void {
    if (this.#finished.abandoned === 0 || this.#closing) return;
    void this.#finished.repairAbandoned(() => !(this.#closing || this.#halted));
  }

  #syncSoon(): void {
    if (this.#syncing !== null || this.#syncTimer !== null) return;
    if (this.#segment === null || this.#segment.ended || !this.#segment.unsynced) return;
    const waitMs = this.#syncedAtMs + this.#options.syncIntervalMs - performance.now();
    if (waitMs <= 0) {
      void this.#sync();
      return;
    }
    this.#syncTimer = setTimeout(() => {
      this.#syncTimer = null;
      this.#syncSoon();
    }, waitMs);
  }

  /** Never rejects: a failure is kept for the loop, which gives the segment up, because nobody knows what of it is on the disk. */
  #sync(): Promise<void> {
    const segment = this.#segment;
    if (segment === null) return Promise.resolve();
    this.#syncedAtMs = performance.now();
    this.#syncing = this.#syncNewFolder()
      .then(() => segment.sync())
      .then(() => {
        this.lastSyncMonotonicNs = this.#clock.monotonicNs();
      })
      .catch((error: unknown) => {
        this.#syncError = error;
        this.kick();
      })
      .finally(() => {
        this.#syncing = null;
        this.#syncSoon();
      });
    return this.#syncing;
  }

  /** Without it a power cut could take the recording's folder with all that is in it. @throws the system's error. */
  async #syncNewFolder(): Promise<void> {
    if (this.#folderSynced) return;
    await syncFolder(dirname(this.#folder));
    this.#folderSynced = true;
  }

  async #pause(error: unknown): Promise<void> {
    const code = systemCode(error);
    const broken = this.#syncError !== null || !spaceErrors.has(code);
    if (broken) await this.#giveUpSegment();
    this.#spaceCheckedAtMs = Number.NEGATIVE_INFINITY;
    this.#halted = true;
    const known = this.pausedBy === code;
    this.pausedBy = code;
    if (!known) this.#options.onPause(code, (error as Error).message);
    this.#retryTimer = setTimeout(() => this.#resume(), this.#options.retryMs);
  }

  /** Leaves a segment that cannot be written any more to the next start's repair, and counts what was not in it yet. */
  async #giveUpSegment(): Promise<void> {
    for (const chunk of this.#unwritten) this.#giveUp(chunk);
    this.#written();
    const segment = this.#segment;
    this.#segment = null;
    await this.#syncing;
    this.#syncError = null;
    if (segment === null) return;
    await segment.abandon();
    this.#finished.abandon(segment.path, segment.bytes);
  }

  #giveUp(chunk: QueuedChunk): void {
    for (const [channelId, entries] of chunk.draft.index) {
      const topic = this.#channels.byId.get(channelId)?.channel.topic ?? String(channelId);
      this.#loss.add(topic, 'write', entries.length);
    }
  }

  #resume(): void {
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
    this.#retryTimer = null;
    this.#halted = false;
    this.kick();
    if (this.pausedBy === null) return;
    // One round decides whether the pause is over; one that goes on is not told again.
    const round = this.#running ?? Promise.resolve();
    void round.then(() => {
      if (this.#halted || this.pausedBy === null) return;
      this.pausedBy = null;
      this.#options.onPause(null, '');
      this.#repairAbandoned();
    });
  }

  #pausedError(): RecordingError {
    const code = this.pausedBy ?? systemCode(this.#syncError);
    const kind = spaceErrors.has(code) ? 'no-space' : 'write-failed';
    return new RecordingError(kind, `${dirname(this.#folder)}: recording is paused by ${code}`, { retryable: true });
  }
}
