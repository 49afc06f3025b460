/**
 * Owns one recording: takes messages without ever waiting, brings them to the disk in small chunks, and survives a full or failing
 * disk.
 *
 * Sound goes to the disk as soon as the disk is idle; slow topics are gathered into compressed chunks. While the disk is busy
 * both gather, up to a bound; what comes above it is dropped and counted.
 */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Diagnostic } from '../../drivers/sample.ts';
import { ChannelTable } from '../bag/channel-table.ts';
import { type CreateDurable, syncFolder } from '../bag/durable-file.ts';
import type { Attachment } from '../bag/mcap-builder.ts';
import { plainTopicOf } from '../sound/raw-audio.ts';
import { ChunkQueue, type RecordedMessage } from './chunk-queue.ts';
import { LossLedger, type TopicLoss } from './loss-ledger.ts';
import { nextRecordingNumber, recordingName } from './recording-names.ts';
import { SegmentLoop } from './segment-loop.ts';
import { SequenceBeginnings } from './sequence-beginnings.ts';

/** How to record. Times in milliseconds, sizes in bytes; what is not given is taken from `recorderDefaults`. */
export interface RecorderOptions {
  /** The vehicle's id: the bag's `deviceName`. */
  readonly vehicle: string;
  /** Slow topics are gathered this long; a crash costs this much of them, and what a write takes. */
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
  /** `ros2msg` texts of types that are not this vehicle's own. */
  readonly schemaText?: (type: string) => string | undefined;
  /** Metadata records of others, by name: asked when a segment ends. Must not throw. */
  readonly segmentMetadata?: () => Readonly<Record<string, ReadonlyMap<string, string>>>;
  /** Attachments of others: asked when a segment ends. Must not throw. */
  readonly segmentAttachments?: () => readonly Attachment[];
  /** Told when the recorder pauses, goes on, or starts to drop messages. */
  readonly onDiagnostic?: (diagnostic: Diagnostic) => void;
  /** Puts another disk under the recorder, for tests. */
  readonly createFile?: CreateDurable;
  readonly freeBytes?: (folder: string) => Promise<number>;
}

/** What is taken for options that are not given. */
const recorderDefaults = {
  slowFlushMs: 300,
  syncIntervalMs: 100,
  maxSegmentBytes: 256 * 1024 * 1024,
  maxSegmentMs: 300_000,
  maxQueueBytes: 16 * 1024 * 1024,
  minFreeBytes: 64 * 1024 * 1024,
  retryMs: 1000,
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
  /** Segments that a failing disk left unfinished, and that are not repaired yet. */
  readonly abandonedSegments: number;
  /** Lost messages per topic since the recording started. */
  readonly lost: Readonly<Record<string, Readonly<TopicLoss>>>;
  readonly lostMessages: number;
  /** Monotonic nanoseconds of the last data sync that succeeded; null before the first. */
  readonly lastSyncMonotonicNs: bigint | null;
}

/** One recording, from its beginning to `close`. */
export class Recorder {
  readonly recordingId: string;
  readonly #options: RecorderOptions;
  readonly #slowFlushMs: number;
  readonly #channels: ChannelTable;
  readonly #queue: ChunkQueue;
  readonly #loss: LossLedger;
  readonly #beginnings: SequenceBeginnings;
  readonly #loop: SegmentLoop;
  #closed = false;
  #closing: Promise<boolean> | null = null;
  #dropping = false;
  #messages = 0;
  #slowTimer: NodeJS.Timeout | null = null;
  #waiting: (() => void)[] = [];

  /**
   * Begins a recording: its folder `recordingId` in `recordings` is made with its first segment.
   * @param nextSequence which sequence each topic gives next: handed on from the recording that this one follows without a gap.
   * @param beginnings which sequence of each topic is 0 in the recording.
   */
  constructor(
    recordings: string,
    recordingId: string,
    options: RecorderOptions,
    clock: Clock,
    nextSequence = new Map<string, number>(),
    beginnings = new SequenceBeginnings(),
  ) {
    const settings = { ...recorderDefaults, ...options };
    this.recordingId = recordingId;
    this.#options = options;
    this.#slowFlushMs = settings.slowFlushMs;
    this.#channels = new ChannelTable(options.schemaText);
    this.#queue = new ChunkQueue(settings.maxQueueBytes);
    this.#loss = new LossLedger(nextSequence);
    this.#beginnings = beginnings;
    const parts = { queue: this.#queue, channels: this.#channels, loss: this.#loss, clock };
    this.#loop = new SegmentLoop(join(recordings, recordingId), parts, {
      ...settings,
      onPause: (pausedBy, message) => this.#paused(pausedBy, message),
      onRoom: () => this.#roomMade(),
    });
  }

  /**
   * Begins a recording in a new folder of `recordings`, which is made at once.
   * @param recordingId by default its UTC start and the next number.
   * @throws the system's error when the folder cannot be made.
   */
  static async open(
    recordings: string,
    options: RecorderOptions & { readonly recordingId?: string },
    clock: Clock,
  ): Promise<Recorder> {
    await mkdir(recordings, { recursive: true });
    const number = await nextRecordingNumber(recordings);
    const recordingId = options.recordingId ?? recordingName(clock.now().capturedAtNs, number);
    await mkdir(join(recordings, recordingId));
    await syncFolder(recordings);
    return new Recorder(recordings, recordingId, options, clock);
  }

  /**
   * Takes a message; never waits and never throws. Its data must not change any more.
   * @returns false when it was dropped because the queue is at its bound, or the recorder is closed.
   */
  write(message: RecordedMessage): boolean {
    if (this.#closed) return false;
    // One and the same sequence runs through sound that was compressed and sound that was not.
    this.#loss.arrived(plainTopicOf(message.topic), message.sequence);
    const kind = this.#queue.add(
      this.#channels.entry(message.topic, message.type, message.foreign).channel.id,
      this.#beginnings.renumbered(message),
    );
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

  /** Finished segments were removed to make room: `metadata.yaml` shall not name them any more. */
  async segmentsRemoved(): Promise<void> {
    await this.#loop.segmentsRemoved();
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
      abandonedSegments: this.#loop.abandonedSegments,
      lost: Object.fromEntries(this.#loss.topics),
      lostMessages: this.#loss.total,
      lastSyncMonotonicNs: this.#loop.lastSyncMonotonicNs,
    };
  }

  /**
   * Writes what is left and ends the segment. Never rejects.
   * @returns whether all segments are whole; what the disk refused keeps its unfinished name for a later repair.
   */
  async close(): Promise<boolean> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<boolean> {
    this.#closed = true;
    const lostBefore = this.#loss.total;
    this.#releaseSlow();
    await this.#loop.close();
    this.#roomMade();
    const lost = this.#loss.total - lostBefore;
    // The bag has no more room for this.
    if (lost > 0)
      this.#tell('error', 'lost-at-end', `${lost} messages at the end of ${this.recordingId} found no room`);
    return this.#loop.abandonedSegments === 0;
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
      'lost-at-end': 'Free space on the disk of the recordings before the agent is stopped.',
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
