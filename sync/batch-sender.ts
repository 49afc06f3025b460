/**
 * Decides which rows go to central when: batches of one stream each, a window of unacknowledged ones, events first, and
 * again after a silence. Knows no sockets: it is handed a way to publish and told of acks and of the time.
 */

import type { Outbox } from './outbox.ts';
import type { OutgoingRows } from './outbox-types.ts';
import { lengthOf, rangesOf, type SequenceRange, without } from './sequence-ranges.ts';
import { encodeRecords } from './wire/records.ts';
import { encodeTelemetry } from './wire/telemetry.ts';
import { recordTopicKind, topicOf, type UpTopic } from './wire/topics.ts';
import type { Ack } from './wire/wire_pb.js';

export interface BatchLimits {
  /** Rows in one batch, 1 to 4096. */
  readonly batchRows: number;
  /** Bodies in one batch, in bytes; a larger single row travels alone. */
  readonly batchBytes: number;
  /** Unacknowledged batches; events may use four more. */
  readonly windowBatches: number;
  /** How long rows that are not events wait for company, in ms. */
  readonly lingerMs: number;
  /** Silence after which a stream's unacknowledged rows are sent again, in ms; doubles each time up to 30 s. */
  readonly ackTimeoutMs: number;
}

export interface BatchCounters {
  sentBatches: number;
  sentRows: number;
  /** Times a stream's unacknowledged rows were sent again after a silence or a reconnection. */
  resends: number;
  acknowledgedRows: number;
  rejectedRows: number;
}

/** Sends one payload at QoS 1; false when the transport cannot take it now. */
export type Publish = (topic: string, payload: Uint8Array) => boolean;

interface Flight {
  /** What of the batch is unacknowledged. */
  ranges: SequenceRange[];
  readonly sentMs: number;
}

interface StreamProgress {
  /** Rows up to this sequence were sent on this connection. */
  sentTo: number;
  flights: Flight[];
  /** Silences since the last ack; more than 0: one batch at a time. */
  silences: number;
  /** When the first unsent row was seen, by the monotonic clock. */
  waitingSinceMs: number | null;
}

const eventReserve = 4;
const maxAckTimeoutMs = 30_000;
/** Encoding a batch takes about a millisecond; the event loop is given back after these. */
const batchesPerTurn = 4;

export class BatchSender {
  readonly counters: BatchCounters = { sentBatches: 0, sentRows: 0, resends: 0, acknowledgedRows: 0, rejectedRows: 0 };
  readonly #outbox: Outbox;
  readonly #vehicle: string;
  readonly #limits: BatchLimits;
  readonly #streams = new Map<string, StreamProgress>();
  #epoch: string;

  constructor(outbox: Outbox, vehicle: string, limits: BatchLimits) {
    this.#outbox = outbox;
    this.#vehicle = vehicle;
    this.#limits = limits;
    this.#epoch = outbox.epoch;
  }

  /** Forgets what was sent: on a new connection everything unacknowledged is sent again. */
  restart(): void {
    for (const progress of this.#streams.values()) {
      if (progress.flights.length > 0) this.counters.resends += 1;
      Object.assign(progress, { sentTo: 0, flights: [], silences: 0 });
    }
  }

  get inFlightBatches(): number {
    return this.#sum((progress) => progress.flights.length);
  }

  get inFlightRows(): number {
    return this.#sum((progress) => progress.flights.reduce((rows, flight) => rows + lengthOf(flight.ranges), 0));
  }

  #sum(of: (progress: StreamProgress) => number): number {
    let sum = 0;
    for (const progress of this.#streams.values()) sum += of(progress);
    return sum;
  }

  /** Takes central's word for what it has committed or can never store. Acks of another epoch are not for us. */
  acknowledge(ack: Ack): void {
    if (ack.epoch !== this.#outbox.epoch) return;
    const ranges = ack.ranges.map((range) => ({ first: Number(range.first), last: Number(range.last) }));
    const rejected = ack.rejected.map(({ sequence, reason }) => ({ sequence: Number(sequence), reason }));
    if (ranges.length > 0) void this.#outbox.acknowledge(ack.stream, ranges);
    if (rejected.length > 0) void this.#outbox.quarantine(ack.stream, rejected);
    const progress = this.#streams.get(ack.stream);
    if (progress === undefined) return;
    const settled = [...ranges, ...rejected.map(({ sequence }) => ({ first: sequence, last: sequence }))];
    for (const flight of progress.flights) {
      const before = lengthOf(flight.ranges);
      for (const range of settled) flight.ranges = without(flight.ranges, range);
      this.counters.acknowledgedRows += before - lengthOf(flight.ranges);
    }
    this.counters.rejectedRows += rejected.length;
    this.counters.acknowledgedRows -= Math.min(rejected.length, this.counters.acknowledgedRows);
    progress.flights = progress.flights.filter((flight) => flight.ranges.length > 0);
    progress.silences = 0;
  }

  /** Sends what may go now. Returns in how many ms it wants to be called again, 0: there is more; Infinity: when something happens. */
  pump(nowMs: number, publish: Publish): number {
    if (this.#epoch !== this.#outbox.epoch) {
      this.#epoch = this.#outbox.epoch;
      this.#streams.clear();
    }
    this.#noticeSilence(nowMs);
    let budget = batchesPerTurn;
    let dueMs = Number.POSITIVE_INFINITY;
    let sentAny = true;
    while (sentAny && budget > 0) {
      sentAny = false;
      for (const waiting of this.#outbox.waitingStreams()) {
        const progress = this.#progressOf(waiting.stream);
        const waitMs = this.#waitMs(progress, waiting, nowMs);
        if (waitMs > 0) {
          dueMs = Math.min(dueMs, waitMs);
          continue;
        }
        if (budget === 0) return 0;
        const outcome = this.#sendOne(waiting.stream, progress, nowMs, publish);
        if (outcome === 'refused') return Math.min(dueMs, this.#nextSilenceMs(nowMs));
        if (outcome === 'sent') {
          sentAny = true;
          budget -= 1;
        }
      }
    }
    return budget === 0 ? 0 : Math.min(dueMs, this.#nextSilenceMs(nowMs));
  }

  /** Whether an event is committed here but not sent yet. */
  hasUnsentEvents(): boolean {
    return this.#outbox.waitingStreams().some(({ stream, priority, nextSequence }) => {
      return priority === 'events' && this.#progressOf(stream).sentTo < nextSequence - 1;
    });
  }

  #progressOf(stream: string): StreamProgress {
    let progress = this.#streams.get(stream);
    if (progress === undefined) {
      progress = { sentTo: 0, flights: [], silences: 0, waitingSinceMs: null };
      this.#streams.set(stream, progress);
    }
    return progress;
  }

  /** How long a stream must wait: 0 go, Infinity nothing to send or the window is full. */
  #waitMs(
    progress: StreamProgress,
    waiting: { readonly priority: string; readonly nextSequence: number },
    nowMs: number,
  ): number {
    const unsent = waiting.nextSequence - 1 - progress.sentTo;
    if (unsent <= 0) return Number.POSITIVE_INFINITY;
    const { windowBatches, batchRows, lingerMs } = this.#limits;
    const isEvent = waiting.priority === 'events';
    const window = windowBatches + (isEvent ? eventReserve : 0);
    if (progress.silences > 0 && progress.flights.length > 0) return Number.POSITIVE_INFINITY;
    if (this.inFlightBatches >= window) return Number.POSITIVE_INFINITY;
    if (isEvent || unsent >= batchRows) return 0;
    progress.waitingSinceMs ??= nowMs;
    return Math.max(0, progress.waitingSinceMs + lingerMs - nowMs);
  }

  #sendOne(stream: string, progress: StreamProgress, nowMs: number, publish: Publish): 'sent' | 'refused' | 'nothing' {
    const { batchRows, batchBytes } = this.#limits;
    const batch = this.#outbox.read(stream, progress.sentTo, batchRows, batchBytes);
    const last = batch?.rows.at(-1);
    if (batch === null || last === undefined) {
      // What the counters promised has been acknowledged or given up meanwhile.
      progress.sentTo = Math.max(progress.sentTo, this.#lastSequence(stream));
      progress.waitingSinceMs = null;
      return 'nothing';
    }
    const encoded = this.#encode(batch);
    if (encoded === null) {
      // Only the first row is known to be at fault; the loop goes on after it.
      progress.sentTo = batch.rows[0]?.sequence ?? last.sequence;
      return 'sent';
    }
    const { topic, payload, rows } = encoded;
    if (!publish(topic, payload)) return 'refused';
    progress.sentTo = rows.at(-1)?.sequence ?? last.sequence;
    progress.waitingSinceMs = null;
    progress.flights.push({ ranges: rangesOf(rows.map(({ sequence }) => sequence)), sentMs: nowMs });
    this.counters.sentBatches += 1;
    this.counters.sentRows += rows.length;
    return 'sent';
  }

  /**
   * The batch as it travels, shortened to its first row where the whole cannot be encoded: stored bytes can be broken
   * where no checksum tells. A first row that cannot be encoded is quarantined, which declares it dropped; null then.
   */
  #encode(batch: OutgoingRows): (ReturnType<typeof encodeBatch> & { rows: OutgoingRows['rows'] }) | null {
    try {
      return { ...encodeBatch(this.#vehicle, this.#outbox.epoch, batch), rows: batch.rows };
    } catch (error) {
      const [first, ...rest] = batch.rows;
      if (first === undefined) return null;
      if (rest.length > 0) return this.#encode({ ...batch, rows: [first] });
      const reason = `cannot be encoded: ${error instanceof Error ? error.message : String(error)}`;
      void this.#outbox.quarantine(batch.stream, [{ sequence: first.sequence, reason }]);
      return null;
    }
  }

  #lastSequence(stream: string): number {
    const waiting = this.#outbox.waitingStreams().find((candidate) => candidate.stream === stream);
    return waiting === undefined ? 0 : waiting.nextSequence - 1;
  }

  #timeoutMs(progress: StreamProgress): number {
    return Math.min(maxAckTimeoutMs, this.#limits.ackTimeoutMs * 2 ** Math.min(progress.silences, 10));
  }

  /** Goes back to the first unacknowledged row of each stream that central has been silent about for too long. */
  #noticeSilence(nowMs: number): void {
    for (const progress of this.#streams.values()) {
      const oldest = progress.flights[0];
      if (oldest === undefined || nowMs - oldest.sentMs < this.#timeoutMs(progress)) continue;
      progress.sentTo = Math.min(...progress.flights.map((flight) => flight.ranges[0]?.first ?? 1)) - 1;
      progress.flights = [];
      progress.silences += 1;
      this.counters.resends += 1;
    }
  }

  #nextSilenceMs(nowMs: number): number {
    let dueMs = Number.POSITIVE_INFINITY;
    for (const progress of this.#streams.values()) {
      const oldest = progress.flights[0];
      if (oldest !== undefined) dueMs = Math.min(dueMs, oldest.sentMs + this.#timeoutMs(progress) - nowMs);
    }
    return Math.max(1, dueMs);
  }
}

/** The topic and payload of one batch. */
function encodeBatch(vehicle: string, epoch: string, batch: OutgoingRows): { topic: string; payload: Uint8Array } {
  const header = { epoch, stream: batch.stream, nextSequence: batch.nextSequence };
  const kind: UpTopic = batch.kind === 'telemetry' ? 'telemetry' : recordTopicKind(batch.stream);
  const topic = topicOf(vehicle, kind);
  if (batch.kind === 'record') return { topic, payload: encodeRecords(header, batch.rows) };
  const rows = batch.rows.map(({ sequence, stamp, fields, body }) => {
    const values: Record<string, number> = {};
    for (const [index, field] of fields.entries()) values[field] = body.readDoubleLE(index * 8);
    return { sequence, stamp, values };
  });
  return { topic, payload: encodeTelemetry(header, rows) };
}
