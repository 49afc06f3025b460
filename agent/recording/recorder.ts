/**
 * Owns the recording of one run: takes messages without ever waiting, brings them to the disk in small chunks, survives a full
 * or failing disk, and keeps the last seconds in memory for clips.
 *
 * Sound goes to the disk as soon as the disk is idle; slow topics are gathered into compressed chunks. While the disk is busy
 * both gather, up to a bound; what comes above it is dropped and counted.
 */

import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Diagnostic } from '../../drivers/sample.ts';
import { ChannelTable } from '../bag/channel-table.ts';
import { type CreateDurable, syncFolder } from '../bag/durable-file.ts';
import type { RepairReport } from '../bag/repair.ts';
import type { Message } from '../messages/message.ts';
import { ChunkQueue, loggedNs } from './chunk-queue.ts';
import { type Clip, type ClipOptions, cutClipFromSegments, removePartialClips, writeClip } from './clip.ts';
import { LossLedger, type TopicLoss } from './loss-ledger.ts';
import { MessageRing, type RingBounds } from './message-ring.ts';
import { repairRecordings } from './repair-recordings.ts';
import { SegmentLoop } from './segment-loop.ts';

/** How to record. Times in milliseconds, sizes in bytes; what is not given is taken from `recorderDefaults`. */
export interface RecorderOptions {
  /** The vehicle's id: the bag's `deviceName`. */
  readonly vehicle: string;
  /** Where clips go. */
  readonly clipFolder: string;
  /** Name of the recording; by default its UTC start and six random digits. */
  readonly recordingId?: string;
  /** Slow topics are gathered this long, so a crash costs this much of them. */
  readonly slowFlushMs?: number;
  /** At most one data sync in this time; a power cut costs this much more than a crash. */
  readonly syncIntervalMs?: number;
  readonly maxSegmentBytes?: number;
  readonly maxSegmentMs?: number;
  /** Bound of what waits for the disk. */
  readonly maxQueueBytes?: number;
  /** Recording pauses with less free space than this, so that segments can still be ended. */
  readonly minFreeBytes?: number;
  /** How long a paused recording waits before it tries again. */
  readonly retryMs?: number;
  readonly ring?: RingBounds;
  /** `ros2msg` texts of types that are not this vehicle's own. */
  readonly schemaText?: (type: string) => string | undefined;
  /** Told when the recorder pauses, goes on, or starts to drop messages. */
  readonly onDiagnostic?: (diagnostic: Diagnostic) => void;
  /** Puts another disk under the recorder, for tests. */
  readonly createFile?: CreateDurable;
  readonly freeBytes?: (folder: string) => Promise<number>;
}

/** What is taken for options that are not given. */
const recorderDefaults = {
  slowFlushMs: 500,
  syncIntervalMs: 100,
  maxSegmentBytes: 256 * 1024 * 1024,
  maxSegmentMs: 300_000,
  maxQueueBytes: 16 * 1024 * 1024,
  minFreeBytes: 64 * 1024 * 1024,
  retryMs: 1000,
  ring: { maxAgeMs: 15_000, maxBytes: 16 * 1024 * 1024 },
};

/** How the recorder is. */
export interface RecorderStats {
  readonly recordingId: string;
  readonly state: 'recording' | 'paused' | 'closed';
  /** Why it is paused, as a system error's code (`ENOSPC`, also when only little space is left); null otherwise. */
  readonly pausedBy: string | null;
  /** Messages taken, without those dropped. */
  readonly messages: number;
  readonly writtenBytes: number;
  readonly queueBytes: number;
  readonly segments: number;
  /** Lost messages per topic since the recording started. */
  readonly lost: Readonly<Record<string, Readonly<TopicLoss>>>;
  readonly lostMessages: number;
  /** Monotonic nanoseconds of the last data sync that succeeded; null before the first. */
  readonly lastSyncMonotonicNs: bigint | null;
  readonly ringMessages: number;
  readonly ringBytes: number;
}

function newRecordingId(clock: Clock): string {
  const time = new Date(Number(clock.now().capturedAtNs / 1_000_000n)).toISOString();
  return `${time.slice(0, 19).replaceAll(':', '-')}Z_${randomBytes(3).toString('hex')}`;
}

/** One recording, from `open` to `close`. */
export class Recorder {
  readonly recordingId: string;
  /** Resolves when everything that an earlier run left unfinished is repaired, with what was found; never rejects. */
  readonly repairs: Promise<readonly RepairReport[]>;
  readonly #recordings: string;
  readonly #options: RecorderOptions;
  readonly #slowFlushMs: number;
  readonly #channels: ChannelTable;
  readonly #queue: ChunkQueue;
  readonly #loss = new LossLedger();
  readonly #ring: MessageRing;
  readonly #loop: SegmentLoop;
  #closed = false;
  #dropping = false;
  #messages = 0;
  #slowTimer: NodeJS.Timeout | null = null;
  #waiting: (() => void)[] = [];

  private constructor(recordings: string, recordingId: string, options: RecorderOptions, clock: Clock) {
    const settings = { ...recorderDefaults, ...options };
    this.#recordings = recordings;
    this.recordingId = recordingId;
    this.#options = options;
    this.#slowFlushMs = settings.slowFlushMs;
    this.#channels = new ChannelTable(options.schemaText);
    this.#queue = new ChunkQueue(settings.maxQueueBytes);
    this.#ring = new MessageRing(settings.ring);
    const parts = { queue: this.#queue, channels: this.#channels, loss: this.#loss, clock };
    this.#loop = new SegmentLoop(join(recordings, recordingId), parts, {
      ...settings,
      onPause: (pausedBy, message) => this.#paused(pausedBy, message),
      onRoom: () => this.#roomMade(),
    });
    this.repairs = repairRecordings(recordings, recordingId, () => {
      if (this.#closed)
        throw new Error('the repair was stopped by the end of this recording; the next start goes on with it');
    });
  }

  /**
   * Starts a recording in a new folder of `recordings`, which is made if needed, and the repair of what is there already.
   * @throws the system's error when the folder cannot be made.
   */
  static async open(recordings: string, options: RecorderOptions, clock: Clock): Promise<Recorder> {
    const recordingId = options.recordingId ?? newRecordingId(clock);
    await mkdir(recordings, { recursive: true });
    await mkdir(join(recordings, recordingId));
    await removePartialClips(options.clipFolder);
    await syncFolder(recordings);
    return new Recorder(recordings, recordingId, options, clock);
  }

  /**
   * Takes a message; never waits and never throws. Its data must not change any more.
   * @returns false when it was dropped because the queue is at its bound, or the recorder is closed.
   */
  write(message: Message): boolean {
    this.#ring.push(message);
    if (this.#closed) return false;
    this.#loss.arrived(message.topic, message.sequence);
    const kind = this.#queue.add(this.#channels.entry(message.topic, message.type).channel.id, message);
    if (kind === null) {
      this.#dropped(message.topic);
      return false;
    }
    this.#messages += 1;
    if (kind === 'sound') {
      this.#loop.kick();
    } else {
      this.#slowTimer ??= setTimeout(() => this.#releaseSlow(), this.#slowFlushMs);
    }
    return true;
  }

  /** Resolves when at least half of the queue's bound is free: for sources that can wait. */
  async room(): Promise<void> {
    while (!this.#closed && this.#queue.bytes > this.#queue.maxBytes / 2) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /**
   * Resolves when everything taken so far is on the disk.
   * @throws RecordingError `no-space` or `write-failed` while the recording is paused.
   */
  async flush(): Promise<void> {
    this.#releaseSlow();
    await this.#loop.flush();
  }

  /**
   * Cuts a clip of all topics from `startNs` to `endNs` (UTC ns): from memory, or where that does not reach back far enough, from
   * the segments.
   * @param metadata is kept in the clip, in its metadata record `fender.clip`.
   * @throws RecordingError `not-covered`, `too-large`; the system's errors of writing.
   */
  async cutClip(startNs: bigint, endNs: bigint, metadata: Readonly<Record<string, string>> = {}): Promise<Clip> {
    const options: ClipOptions = { ...this.#options, metadata };
    const recent = this.#ring
      .span(startNs, endNs)
      .map((message) => ({ ...message, logTimeNs: loggedNs(message.stamp.capturedAtNs) }));
    if (this.#ring.covers(startNs)) return writeClip(recent, startNs, endNs, options);
    await this.repairs;
    await this.flush().catch(() => {});
    return cutClipFromSegments(this.#recordings, startNs, endNs, options, recent);
  }

  /** How it is, and what was lost. */
  stats(): RecorderStats {
    const { pausedBy } = this.#loop;
    return {
      recordingId: this.recordingId,
      state: this.#closed ? 'closed' : pausedBy === null ? 'recording' : 'paused',
      pausedBy,
      messages: this.#messages,
      writtenBytes: this.#loop.bytes,
      queueBytes: this.#queue.bytes,
      segments: this.#loop.segmentCount,
      lost: Object.fromEntries(this.#loss.topics),
      lostMessages: this.#loss.total,
      lastSyncMonotonicNs: this.#loop.lastSyncMonotonicNs,
      ringMessages: this.#ring.length,
      ringBytes: this.#ring.bytes,
    };
  }

  /**
   * Writes what is left, ends the segment, and stops a repair that still runs. Never rejects: what the disk refuses, and what is not
   * repaired yet, is for the next start.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#releaseSlow();
    await this.#loop.close();
    this.#roomMade();
    await this.repairs;
  }

  #releaseSlow(): void {
    if (this.#slowTimer !== null) clearTimeout(this.#slowTimer);
    this.#slowTimer = null;
    this.#queue.releaseSlow();
    this.#loop.kick();
  }

  #dropped(topic: string): void {
    const full = this.#loop.pausedBy !== null;
    this.#loss.add(topic, full ? 'space' : 'queue');
    if (!full && !this.#dropping) {
      this.#tell('warn', 'slow-disk', `messages wait for the disk: expected at most ${this.#queue.maxBytes} bytes`);
    }
    this.#dropping = true;
  }

  #roomMade(): void {
    if (!this.#closed && this.#queue.bytes > this.#queue.maxBytes / 2) return;
    if (this.#dropping && this.#loop.pausedBy === null) {
      this.#dropping = false;
      this.#tell('ok', 'ok', 'the disk takes everything again');
    }
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #paused(pausedBy: string | null, message: string): void {
    if (pausedBy === null) this.#tell('ok', 'ok', 'recording goes on');
    else
      this.#tell(
        'error',
        pausedBy === 'ENOSPC' ? 'disk-full' : 'write-failed',
        `recording is paused: ${pausedBy}: ${message}`,
      );
  }

  #tell(level: Diagnostic['level'], code: string, message: string): void {
    const cures: Record<string, string> = {
      'disk-full': 'Free space on the disk of the recordings; recording goes on by itself.',
      'write-failed':
        'Check the disk of the recordings (dmesg, fsck); recording goes on by itself when it takes data again.',
      'slow-disk': 'Use a faster disk or memory card, or record fewer topics.',
    };
    const values = {
      lost_messages: this.#loss.total,
      queue_bytes: this.#queue.bytes,
      segments: this.#loop.segmentCount,
    };
    this.#options.onDiagnostic?.({ source: 'recorder', level, code, message, cure: cures[code] ?? '', values });
  }
}
