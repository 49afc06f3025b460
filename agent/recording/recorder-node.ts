/**
 * Owns what is recorded when: the recording that runs, its start, its end and the change to a new one when the clock steps; the last
 * seconds in memory, which are kept whether or not a recording runs; and the clips that are cut of both.
 *
 * A recording runs from the start of the agent on. One that was stopped stays stopped until somebody starts it, or until the agent starts
 * again: a vehicle must not be silent for ever because somebody forgot.
 */

import { mkdir } from 'node:fs/promises';
import type { Clock, Stamp } from '../../drivers/sample.ts';
import { RecordingError } from '../bag/error.ts';
import type { RepairReport } from '../bag/repair.ts';
import type { ClockStep } from '../clock.ts';
import type { Message } from '../messages/message.ts';
import { levelsOf } from '../sound/levels.ts';
import { loggedNs, type RecordedMessage } from './chunk-queue.ts';
import {
  type Clip,
  type ClipMessage,
  type ClipOptions,
  type ClipRange,
  removePartialClips,
  writeClip,
} from './clip.ts';
import { cutClipFromSegments } from './clip-from-segments.ts';
import { addLoss, type TopicLoss } from './loss-ledger.ts';
import { MessageRing, type RingBounds } from './message-ring.ts';
import { Recorder, type RecorderOptions } from './recorder.ts';
import { nextRecordingNumber, recordingName } from './recording-names.ts';
import { repairDiagnostic, repairRecordings } from './repair-recordings.ts';
import { SequenceBeginnings } from './sequence-beginnings.ts';
import type { Snapshot, SnapshotRequest, TakeSnapshot } from './snapshot.ts';

/** How to record. */
export interface RecorderNodeOptions extends RecorderOptions {
  /** Where clips go. */
  readonly clipFolder: string;
  /** What is kept in memory. */
  readonly ring: RingBounds;
  /** What a snapshot holds when nobody says, in seconds. */
  readonly snapshot: { readonly preRollS: number; readonly postRollS: number };
  /** Makes an event of a snapshot; see snapshot.ts. */
  readonly takeSnapshot: TakeSnapshot;
  /** For tests: how long a recording that ended unfinished waits for each repair. */
  readonly repairRetryMs?: number;
  /** Stands in front of the recording and packs sound; without it, sound is recorded as it comes. */
  readonly packer?: (write: (message: Message) => void) => Packer;
  /** Undoes what the packer did, for clips. */
  readonly unpack?: ClipOptions['unpack'];
}

/** Changes what is recorded, message by message and in their order. */
export interface Packer {
  start(): void;
  /** Never waits and never throws. */
  write(message: Message): void;
  /** Resolves when everything taken so far has gone on. */
  drain(): Promise<void>;
  stats(): PackerStats;
  close(): Promise<void>;
}

/** What a packer did since it started, in messages. */
export interface PackerStats {
  readonly compressed: number;
  /** Recorded as they came, by reason. */
  readonly plain: Readonly<Record<'starting' | 'late' | 'refused', number>>;
}

/** How the recorder is. Counts are since the agent started. */
export interface RecorderNodeStats {
  readonly state: 'recording' | 'paused' | 'stopped' | 'closed';
  /** The recording that runs; null when none does. */
  readonly recordingId: string | null;
  /** Why it is paused, as a system error's code; null otherwise. */
  readonly pausedBy: string | null;
  /** Recordings begun. */
  readonly recordings: number;
  readonly snapshots: number;
  readonly messages: number;
  readonly writtenBytes: number;
  readonly queueBytes: number;
  readonly segments: number;
  readonly lost: Readonly<Record<string, Readonly<TopicLoss>>>;
  readonly lostMessages: number;
  /** Monotonic nanoseconds of the last data sync that succeeded; null before the first. */
  readonly lastSyncMonotonicNs: bigint | null;
  readonly ringMessages: number;
  readonly ringBytes: number;
  /** Null when sound is recorded as it comes. */
  readonly packer: PackerStats | null;
}

/** What services, commands and the control socket may do. */
export type RecordingControl = Pick<RecorderNode, 'start' | 'stop' | 'snapshot' | 'stats'>;

/** A recording that takes messages from a moment on. */
interface Running {
  readonly recorder: Recorder;
  /** What is older belongs to the recording before; null when there is none. */
  readonly first: Stamp | null;
  readonly beginnings: SequenceBeginnings;
}

/** How long the recording before a step takes what was on its way. */
const lateMs = 2_000;
/** A clock that steps again and again has so many recordings open at most. */
const maxRetiring = 3;
/** Memory holds messages of so many recordings at most that it knows by their numbers; a clock steps more seldom. */
const maxBeginnings = 16;
/** Eight channels of sound fill a clip in 80 s. */
const maxSnapshotS = 60;
/** How long a recording that ended unfinished waits for each repair. */
const repairRetryMs = 10_000;
/** What a snapshot's end may take to arrive, and its clip to be cut. */
const holdMarginNs = 5_000_000_000n;

/** The recorder; `write` for each message. */
export class RecorderNode {
  /** Resolves when everything that an earlier run left unfinished is repaired, with what was found; never rejects. */
  readonly repairs: Promise<readonly RepairReport[]>;
  readonly #folder: string;
  readonly #options: RecorderNodeOptions;
  readonly #clock: Clock;
  readonly #ring: MessageRing;
  readonly #bootId: string;
  readonly #packer: Packer | null;
  #number: number;
  #current: Running | null = null;
  /** Recordings before steps, the newest first, that take what is late. */
  #retiring: Running[] = [];
  /** Recordings that take no more messages and are not closed yet. */
  readonly #ending = new Map<Recorder, Promise<boolean>>();
  #nextSequence = new Map<string, number>();
  /** The sequence behind each topic's last message, recorded or not. */
  readonly #published = new Map<string, number>();
  /** Of recordings, the newest first. */
  #beginnings: SequenceBeginnings[] = [];
  #recordings = 0;
  #snapshots = 0;
  /** Of recordings that have ended. */
  readonly #before = { messages: 0, writtenBytes: 0, segments: 0, lost: new Map<string, TopicLoss>() };
  #lastSyncMonotonicNs: bigint | null = null;
  #repairTimer: NodeJS.Timeout | null = null;
  #repairing: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(folder: string, number: number, options: RecorderNodeOptions, clock: Clock) {
    this.#folder = folder;
    this.#number = number;
    this.#options = options;
    this.#clock = clock;
    this.#ring = new MessageRing(options.ring);
    this.#bootId = clock.now().bootId;
    this.#packer = options.packer?.((message) => this.#record(message)) ?? null;
    this.#packer?.start();
    this.#begin();
    this.repairs = this.#repair();
  }

  /**
   * Begins a recording in `folder`, which is made if needed, and the repair of what is there already.
   * @throws the system's error when the folder cannot be made.
   */
  static async open(folder: string, options: RecorderNodeOptions, clock: Clock): Promise<RecorderNode> {
    await mkdir(folder, { recursive: true });
    await removePartialClips(options.clipFolder);
    return new RecorderNode(folder, await nextRecordingNumber(folder), options, clock);
  }

  /** Takes a message; never waits and never throws. Its data must not change any more. */
  write(message: Message): void {
    this.#ring.push(message);
    this.#published.set(message.topic, (message.sequence + 1) >>> 0);
    if (this.#current === null) return;
    const { first, beginnings } = this.#current;
    if (first !== null && this.#recordingBefore(first, message.stamp) !== undefined) {
      beginnings.leaveOut(message.topic, message.sequence);
    }
    const levels = levelsOf(message.topic, message.type, message.data);
    const recorded: RecordedMessage = levels === null ? message : { ...message, levels };
    if (this.#packer === null) this.#record(recorded);
    else this.#packer.write(recorded);
  }

  /** Begins a recording unless one runs. Resolves to the id of the one that runs. @throws RecordingError `closed`. */
  async start(): Promise<string> {
    if (this.#closed) throw new RecordingError('closed', 'expected a running agent, found one that ends');
    if (this.#current === null) {
      // What is published while nothing records is not lost.
      this.#nextSequence = new Map();
      this.#begin();
    }
    return (this.#current as Running | null)?.recorder.recordingId ?? '';
  }

  /**
   * Ends the recording; resolves to its id when it is whole and closed, to null when none ran. Memory keeps the last seconds on.
   * @throws RecordingError `write-failed` when the disk did not take all of it: it has ended, and is repaired later.
   */
  async stop(): Promise<string | null> {
    await this.#packer?.drain();
    const current = this.#current;
    if (current === null) {
      await Promise.all(this.#ending.values());
      return null;
    }
    this.#current = null;
    const all = [current, ...this.#retiring.splice(0)];
    const whole = await Promise.all(all.map(({ recorder }) => this.#end(recorder)));
    const { recordingId } = current.recorder;
    if (this.#current === null) this.#tell('warn', 'stopped', 'nothing is recorded: somebody stopped the recording');
    if (whole.every((each) => each)) return recordingId;
    const message = `${recordingId}: expected all of it on the disk, found a disk that refuses; it is repaired later`;
    throw new RecordingError('write-failed', message);
  }

  /**
   * Makes an event of the seconds before and after now; resolves when the event is on the disk. Its clip is cut when the post-roll is
   * over. What is older than memory comes from the recording, if there is one.
   * @throws RecordingError `too-large` for a longer span than a clip can hold; what `takeSnapshot` throws.
   */
  async snapshot(request: SnapshotRequest): Promise<Snapshot> {
    const { snapshot: defaults, takeSnapshot } = this.#options;
    const { reason, preRollS = defaults.preRollS, postRollS = defaults.postRollS } = request;
    const spanS = preRollS + postRollS;
    if (!(preRollS >= 0 && postRollS >= 0 && spanS > 0 && spanS <= maxSnapshotS)) {
      throw new RecordingError(
        'too-large',
        `snapshot: expected more than 0 and at most ${maxSnapshotS} s of pre- and post-roll together, found ${preRollS} and ${postRollS} s`,
      );
    }
    const stamp = this.#clock.now();
    const preRollNs = BigInt(Math.round(preRollS * 1e9));
    const postRollNs = BigInt(Math.round(postRollS * 1e9));
    this.#ring.hold(stamp.monotonicNs - preRollNs, stamp.monotonicNs + postRollNs + holdMarginNs);
    const eventId = await takeSnapshot({ stamp, reason, preRollNs, postRollNs });
    this.#snapshots += 1;
    return { eventId, stamp, preRollS, postRollS };
  }

  /**
   * Cuts a clip of all topics: from memory, or where that does not reach back far enough, from the segments too.
   * @param metadata is kept in the clip, in its metadata record `fender.clip`.
   * @throws RecordingError `not-covered`, `too-large`; the system's errors of writing.
   */
  async cutClip(range: ClipRange, metadata: Readonly<Record<string, string>> = {}): Promise<Clip> {
    const { vehicle, clipFolder, unpack } = this.#options;
    const options: ClipOptions = { vehicle, clipFolder, metadata, ...(unpack && { unpack }) };
    const isOfThisBoot = range.bootId === this.#bootId;
    const { startMonotonicNs, endMonotonicNs } = range;
    const recent = isOfThisBoot
      ? this.#ring.span(startMonotonicNs, endMonotonicNs).map((each) => this.#toClipMessage(each))
      : [];
    if (isOfThisBoot && this.#ring.covers(startMonotonicNs)) return writeClip(recent, range, options);
    await this.repairs;
    await Promise.all([
      ...this.#running().map((recorder) => recorder.flush().catch(() => {})),
      ...this.#ending.values(),
    ]);
    return cutClipFromSegments(this.#folder, range, options, recent);
  }

  /** The clock stepped: what is stamped in the new time goes into a new recording, so that time only rises within one. */
  clockStepped({ stamp }: ClockStep): void {
    const old = this.#current;
    if (old === null || this.#closed) return;
    this.#retiring.unshift(old);
    this.#begin(stamp);
    while (this.#retiring.length > maxRetiring) this.#retire(this.#retiring.at(-1) as Running);
    setTimeout(() => this.#retire(old), lateMs).unref();
  }

  /** Finished segments of the running recordings were removed to make room. */
  async segmentsRemoved(): Promise<void> {
    await Promise.all(this.#running().map((recorder) => recorder.segmentsRemoved()));
  }

  /** Whether a recording is still being written. */
  isOpen(recordingId: string): boolean {
    return this.#unclosed().some((recorder) => recorder.recordingId === recordingId);
  }

  /** How it is, and what was lost. */
  stats(): RecorderNodeStats {
    const open = this.#unclosed().map((recorder) => recorder.stats());
    const current = this.#current?.recorder.stats() ?? null;
    const lost = new Map([...this.#before.lost].map(([topic, loss]) => [topic, { ...loss }]));
    for (const stats of open) addLoss(lost, stats.lost);
    const sum = (key: 'messages' | 'writtenBytes' | 'segments'): number =>
      open.reduce((total, stats) => total + stats[key], this.#before[key]);
    const syncs = [this.#lastSyncMonotonicNs, ...open.map(({ lastSyncMonotonicNs }) => lastSyncMonotonicNs)];
    return {
      state: this.#closed ? 'closed' : current === null ? 'stopped' : current.state,
      recordingId: current?.recordingId ?? null,
      pausedBy: current?.pausedBy ?? null,
      recordings: this.#recordings,
      snapshots: this.#snapshots,
      messages: sum('messages'),
      writtenBytes: sum('writtenBytes'),
      queueBytes: open.reduce((total, { queueBytes }) => total + queueBytes, 0),
      segments: sum('segments'),
      lost: Object.fromEntries(lost),
      lostMessages: [...lost.values()].reduce(
        (total, { gap, queue, space, write }) => total + gap + queue + space + write,
        0,
      ),
      lastSyncMonotonicNs: syncs.reduce((a, b) => (b === null || (a !== null && a >= b) ? a : b), null),
      ringMessages: this.#ring.length,
      ringBytes: this.#ring.bytes,
      packer: this.#packer?.stats() ?? null,
    };
  }

  /** Ends the recording and a repair that still runs. Never rejects: what the disk refuses is for the next start. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#packer?.drain();
    await this.#packer?.close();
    const all = this.#running();
    this.#current = null;
    this.#retiring = [];
    for (const recorder of all) void this.#end(recorder);
    await Promise.all(this.#ending.values());
    if (this.#repairTimer !== null) clearTimeout(this.#repairTimer);
    await Promise.all([this.repairs, this.#repairing]);
  }

  /** @param first the moment from which on messages belong to it; without one, there is no other recording for older ones. */
  #begin(first?: Stamp): void {
    const id = recordingName((first ?? this.#clock.now()).capturedAtNs, this.#number);
    this.#number += 1;
    this.#recordings += 1;
    const beginnings = new SequenceBeginnings(this.#published);
    this.#beginnings = [beginnings, ...this.#beginnings].slice(0, maxBeginnings);
    const recorder = new Recorder(this.#folder, id, this.#options, this.#clock, this.#nextSequence, beginnings);
    this.#current = { recorder, first: first ?? null, beginnings };
    this.#tell('ok', 'ok', `${id} is recorded`);
  }

  #record(message: RecordedMessage): void {
    if (this.#current === null) return;
    const { recorder, first } = this.#current;
    if (first === null || first.monotonicNs <= message.stamp.monotonicNs) recorder.write(message);
    else this.#writeLate(message, recorder, first);
  }

  #writeLate(message: RecordedMessage, current: Recorder, first: Stamp): void {
    const { stamp } = message;
    const before = this.#recordingBefore(first, stamp);
    if (before !== undefined) {
      before.recorder.write(message);
      return;
    }
    // Its own recording has ended: it is logged by the clock of this one, so that time only rises there.
    const capturedAtNs = first.capturedAtNs - (first.monotonicNs - stamp.monotonicNs);
    current.write({ ...message, stamp: { ...stamp, capturedAtNs } });
  }

  /** The recording that a message belongs to which is older than the `first` of the one that runs, while it takes any. */
  #recordingBefore(first: Stamp, stamp: Stamp): Running | undefined {
    if (first.monotonicNs <= stamp.monotonicNs) return undefined;
    return this.#retiring.find((each) => each.first === null || each.first.monotonicNs <= stamp.monotonicNs);
  }

  #retire(running: Running): void {
    if (!this.#retiring.includes(running)) return;
    this.#retiring = this.#retiring.filter((each) => each !== running);
    void this.#end(running.recorder);
  }

  /** Resolves to whether all of the recording is whole. */
  #end(recorder: Recorder): Promise<boolean> {
    const ending = recorder.close().then((whole) => {
      const { messages, writtenBytes, segments, lost, lastSyncMonotonicNs } = recorder.stats();
      this.#before.messages += messages;
      this.#before.writtenBytes += writtenBytes;
      this.#before.segments += segments;
      addLoss(this.#before.lost, lost);
      this.#lastSyncMonotonicNs = lastSyncMonotonicNs ?? this.#lastSyncMonotonicNs;
      this.#ending.delete(recorder);
      if (!whole) this.#repairLater();
      return whole;
    });
    this.#ending.set(recorder, ending);
    return ending;
  }

  async #repair(): Promise<readonly RepairReport[]> {
    const reports = await repairRecordings(this.#folder, (name) => this.isOpen(name), this.#stopIfClosed);
    const diagnostic = this.#closed ? null : repairDiagnostic(reports);
    if (diagnostic !== null) this.#options.onDiagnostic?.(diagnostic);
    return reports;
  }

  /** What the disk refused at the end of a recording is made whole as soon as it takes it. */
  #repairLater(): void {
    if (this.#closed || this.#repairTimer !== null) return;
    this.#repairTimer = setTimeout(() => {
      this.#repairing = this.#repairAgain();
    }, this.#options.repairRetryMs ?? repairRetryMs);
    this.#repairTimer.unref();
  }

  async #repairAgain(): Promise<void> {
    await this.repairs;
    const reports = await this.#repair();
    this.#repairTimer = null;
    if (reports.some(({ outcome }) => outcome === 'failed')) this.#repairLater();
  }

  readonly #stopIfClosed = (): void => {
    if (this.#closed) {
      throw new Error('the repair was stopped by the end of the agent; the next start goes on with it');
    }
  };

  /** The recordings that take messages, the newest first. */
  #running(): Recorder[] {
    const all = this.#current === null ? this.#retiring : [this.#current, ...this.#retiring];
    return all.map(({ recorder }) => recorder);
  }

  #unclosed(): Recorder[] {
    return [...this.#running(), ...this.#ending.keys()];
  }

  #tell(level: 'ok' | 'warn', code: string, message: string): void {
    const cure =
      code === 'stopped' ? 'Start it again: fender record start. It starts by itself when the agent does.' : '';
    this.#options.onDiagnostic?.({ source: 'recorder', level, code, message, cure, values: {} });
  }

  /** A message of memory as its recording counts it; one published while nothing was recorded goes on from the recording before. */
  #toClipMessage(message: Message): ClipMessage {
    const { topic, sequence, stamp } = message;
    const beginnings = this.#beginnings.find((each) => each.includes(topic, sequence)) ?? this.#beginnings.at(-1);
    const { type, sequence: number, data, foreign } = beginnings?.renumbered(message) ?? message;
    const { monotonicNs, capturedAtNs } = stamp;
    const recordedNs = loggedNs(capturedAtNs);
    return { topic, type, sequence: number, monotonicNs, recordedNs, data, ...(foreign && { foreign }) };
  }
}
