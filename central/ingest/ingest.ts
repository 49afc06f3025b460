/**
 * The way of every message from the broker into storage: queued per vehicle, decoded, committed together with what else
 * is waiting, and only then acknowledged. A message that cannot be understood is counted, logged and harms no other.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { decodeFrame, decodeMessage, encodeMessage, maxChunkBytes } from '../../sync/wire/frame.ts';
import { blobStatusTopic, parseTopic, topicOf } from '../../sync/wire/topics.ts';
import { AckSchema, BlobOfferSchema, BlobStatusSchema } from '../../sync/wire/wire_pb.js';
import { messageOf } from '../error.ts';
import type { Log } from '../log.ts';
import { WarningLimiter } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { CommitResult, CommittedBatch, IngestStore, Notice } from '../storage/ingest-store.ts';
import { mergeRanges } from '../storage/ranges.ts';
import type { BlobReceiver, BlobReport } from './blob-receiver.ts';
import {
  type Content,
  type Malformed,
  type Rejection,
  readRecords,
  readReported,
  readState,
  readTelemetry,
  type StateContent,
} from './incoming.ts';
import { type QueuedMessage, type QueueLimits, VehicleQueues } from './vehicle-queues.ts';

export interface IngestParts {
  readonly store: IngestStore;
  readonly blobs: BlobReceiver;
  readonly publish: (topic: string, payload: Uint8Array) => void;
  /** What was just committed, for the live view. */
  readonly notice: (notices: readonly Notice[]) => void;
  readonly log: Log;
  readonly metrics: Metrics;
  /** UTC milliseconds. */
  readonly nowMs: () => number;
}

const queueLimits: QueueLimits = {
  softMessages: 512,
  softBytes: 8 * 1024 * 1024,
  hardMessages: 8192,
  hardBytes: 64 * 1024 * 1024,
};
/** One transaction takes at most about this many records: it blocks the event loop while it runs. */
const maxGroupRecords = 2000;
const maxGroupMessages = 256;
const ingested: ReadonlySet<string> = new Set(['telemetry', 'events', 'log', 'metrics', 'state', 'reported']);
const maxReasonLength = 200;
const maxRejectionsPerAck = 1000;
/** Reasons of refusal that may concern somebody who is no vehicle. */
const strangers: ReadonlySet<string> = new Set(['connect', 'connection', 'tls', 'accept']);
/** SQLite result codes after which trying the same messages one by one is pointless. */
const storageDown = /^SQLITE_(FULL|IOERR|BUSY|READONLY|CANTOPEN|CORRUPT|NOTADB)/;

export class Ingest {
  readonly #parts: IngestParts;
  readonly #queues = new VehicleQueues(queueLimits);
  readonly #warnings: WarningLimiter;
  /** Of each vehicle the newest state that could not be committed: it is said once, and not again like records. */
  readonly #owedStates = new Map<string, StateContent>();
  #draining: Promise<void> | null = null;
  #failure: string | null = null;
  #closed = false;
  #correctionFailed = false;

  constructor(parts: IngestParts) {
    this.#parts = parts;
    this.#warnings = new WarningLimiter(parts.log, 10, parts.nowMs);
    // What a stop interrupted goes on now.
    if (parts.store.isCorrectionOwed) this.#startDraining();
  }

  /** Why the newest transaction failed; null when it did not. */
  get failure(): string | null {
    return this.#failure;
  }

  /** Takes one message from the broker. Resolves when there is room for the next of this vehicle; never rejects. */
  async receive(topic: string, payload: Uint8Array): Promise<void> {
    if (this.#closed) return;
    const parsed = parseTopic(topic);
    if (parsed === null) return this.#ignore(topic, 'unknown', 'a topic of the contract', topic.slice(0, 200));
    const { vehicle, kind } = parsed;
    this.#parts.metrics.messages.inc({ kind });
    if (kind === 'blob-offer') return this.#offer(topic, vehicle, parsed.sha256, payload);
    if (kind === 'blob-chunk') return this.#chunk(topic, vehicle, parsed.sha256, parsed.offset, payload);
    if (!isIngested(kind)) return;
    if (!this.#queues.push({ vehicle, kind, payload })) {
      this.#parts.metrics.overflow.inc();
      this.#warnings.warn(`overflow ${vehicle}`, 'queue full, message dropped until it is sent again', {
        vehicle,
        topic,
      });
    }
    this.#startDraining();
    await this.#queues.room(vehicle);
  }

  /** Takes no more; resolves when what was taken is committed and acknowledged. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#draining;
    await this.#parts.blobs.close();
  }

  /** Says on MQTT how much of a file is here. */
  reportBlob(report: BlobReport): void {
    const { vehicle, sha256, committedBytes, complete, error } = report;
    if (complete || error !== '') this.#parts.metrics.blobs.inc({ outcome: complete ? 'complete' : error });
    const status = { sha256, committedBytes: BigInt(committedBytes), complete, error };
    this.#parts.publish(blobStatusTopic(vehicle, sha256), encodeMessage(BlobStatusSchema, status));
  }

  /** Counts and logs what was refused elsewhere: connections, subscriptions, chunks. */
  refused(client: string, reason: string, found: string): void {
    this.#parts.metrics.refused.inc({ reason });
    const vehicle = client.slice(0, 80);
    // Who did not get in can have any number of names.
    const key = strangers.has(reason) ? `refused ${reason}` : `refused ${vehicle} ${reason}`;
    this.#warnings.warn(key, 'refused', { vehicle, reason, found });
  }

  #ignore(topic: string, kind: string, expected: string, found: string, vehicle = ''): void {
    this.#parts.metrics.malformed.inc({ kind });
    this.#warnings.warn(`malformed ${vehicle} ${kind}`, 'malformed message', { vehicle, topic, expected, found });
  }

  #offer(topic: string, vehicle: string, sha256: string, payload: Uint8Array): void {
    try {
      const offer = decodeMessage(BlobOfferSchema, payload);
      if (offer.sha256 !== sha256) {
        this.#ignore(topic, 'blob-offer', sha256, offer.sha256.slice(0, 80), vehicle);
        return;
      }
      const bytes = offer.bytes > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(offer.bytes);
      this.#parts.blobs.offer(vehicle, sha256, bytes, offer.mediaType.slice(0, 100));
    } catch (error) {
      this.#ignore(topic, 'blob-offer', 'an offer', messageOf(error), vehicle);
    }
  }

  #chunk(topic: string, vehicle: string, sha256: string, offset: number, payload: Uint8Array): void {
    try {
      const data = decodeFrame(payload, maxChunkBytes);
      this.#parts.metrics.blobBytes.inc(data.byteLength);
      this.#parts.blobs.chunk(vehicle, sha256, offset, data);
    } catch (error) {
      this.#ignore(topic, 'blob-chunk', 'a framed chunk', messageOf(error), vehicle);
    }
  }

  #startDraining(): void {
    this.#draining ??= this.#drain().finally(() => {
      this.#draining = null;
      if (this.#queues.size > 0) this.#startDraining();
    });
  }

  /** Times that were learnt are put right in between, a slice after each commit, so that neither waits long. */
  async #correct(): Promise<void> {
    const { store, metrics, log, notice } = this.#parts;
    if (!store.isCorrectionOwed || this.#correctionFailed) return;
    try {
      const { vehicle, records, finished } = await store.correctSlice();
      metrics.corrected.inc(records);
      if (vehicle !== null && finished) notice([{ kind: 'clock', vehicle }]);
    } catch (error) {
      // It is owed still; the next message tries again.
      this.#correctionFailed = true;
      log.error('times not put right', { found: messageOf(error) });
    }
  }

  async #drain(): Promise<void> {
    // One turn first: messages that arrived together are committed together.
    await nextTurn();
    this.#correctionFailed = false;
    while (this.#queues.size > 0 || (this.#parts.store.isCorrectionOwed && !this.#correctionFailed && !this.#closed)) {
      await this.#commit(this.#takeGroup());
      await this.#correct();
      this.#parts.metrics.queuedMessages.set(this.#queues.size);
      await nextTurn();
    }
  }

  /** Decodes messages until a transaction is full. */
  #takeGroup(): Content[] {
    const contents: Content[] = [...this.#owedStates.values()];
    this.#owedStates.clear();
    let records = 0;
    while (records < maxGroupRecords && contents.length < maxGroupMessages) {
      const [message] = this.#queues.take(1);
      if (message === undefined) break;
      const content = readContent(message);
      if (content.kind === 'malformed') this.#reject(message, content);
      else {
        contents.push(content);
        records += recordsIn(content);
      }
    }
    return contents;
  }

  #reject(message: QueuedMessage, content: Malformed): void {
    const { vehicle, expected, found, ledger, rejected } = content;
    this.#ignore(topicOf(vehicle, message.kind as 'telemetry'), message.kind, expected, found, vehicle);
    if (ledger === null || rejected.length === 0) return;
    this.#parts.metrics.records.inc({ outcome: 'rejected' }, rejected.length);
    this.#acknowledge([{ vehicle, ...ledger, held: [], rejected, stored: 0, duplicates: 0 }]);
  }

  async #commit(contents: readonly Content[]): Promise<void> {
    if (contents.length === 0) return;
    const { store, metrics, log, nowMs } = this.#parts;
    const stop = metrics.commitSeconds.startTimer();
    try {
      const result = await store.commit(contents, nowMs());
      stop();
      this.#failure = null;
      this.#committed(result);
    } catch (error) {
      metrics.commitFailures.inc();
      this.#failure = messageOf(error);
      const code = error instanceof Error && 'code' in error ? String(error.code) : '';
      log.error('commit failed, nothing of it is acknowledged', {
        messages: contents.length,
        code,
        found: messageOf(error),
      });
      if (storageDown.test(code)) {
        for (const content of contents) if (content.kind === 'state') this.#owedStates.set(content.vehicle, content);
      } else if (contents.length > 1) {
        // One message that the database will not have must not hold back the others.
        for (const content of contents) await this.#commit([content]);
      }
    }
  }

  #committed(result: CommitResult): void {
    const { metrics, log } = this.#parts;
    for (const { stored, duplicates, rejected, vehicle, stream } of result.batches) {
      if (stored > 0) metrics.records.inc({ outcome: 'stored' }, stored);
      if (duplicates > 0) metrics.records.inc({ outcome: 'duplicate' }, duplicates);
      if (rejected.length === 0) continue;
      metrics.records.inc({ outcome: 'rejected' }, rejected.length);
      const found = rejected[0]?.reason ?? '';
      this.#warnings.warn(`rejected ${vehicle}`, 'records rejected', {
        vehicle,
        stream,
        records: rejected.length,
        found,
      });
    }
    this.#acknowledge(result.batches);
    try {
      this.#parts.notice(result.notices);
    } catch (error) {
      log.error('live view failed', { found: messageOf(error) });
    }
  }

  /** One acknowledgement for all batches of a ledger. */
  #acknowledge(batches: readonly CommittedBatch[]): void {
    const byLedger = Map.groupBy(batches, ({ vehicle, epoch, stream }) => `${vehicle} ${stream} ${epoch}`);
    for (const group of byLedger.values()) {
      const { vehicle, epoch, stream } = group[0] as CommittedBatch;
      const held = mergeRanges(group.flatMap((batch) => batch.held));
      const ranges = held.map(([first, last]) => ({ first: BigInt(first), last: BigInt(last) }));
      const rejected = group.flatMap((batch) => batch.rejected);
      if (ranges.length === 0 && rejected.length === 0) continue;
      const pieces = rejected.length === 0 ? [[]] : cut(rejected, maxRejectionsPerAck);
      for (const [index, piece] of pieces.entries()) {
        const ack = { epoch, stream, ranges: index === 0 ? ranges : [], rejected: piece.map(shorten) };
        this.#parts.publish(topicOf(vehicle, 'ack'), encodeMessage(AckSchema, ack));
      }
    }
  }
}

function recordsIn(content: Content): number {
  if (content.kind === 'telemetry') return content.rows.length;
  return content.kind === 'records' ? content.records.length : 1;
}

function isIngested(kind: string): boolean {
  return ingested.has(kind);
}

function readContent({ vehicle, kind, payload }: QueuedMessage): Content | Malformed {
  if (kind === 'telemetry') return readTelemetry(vehicle, payload);
  if (kind === 'state') return readState(vehicle, payload);
  if (kind === 'reported') return readReported(vehicle, payload);
  return readRecords(vehicle, payload);
}

function shorten({ sequence, reason }: Rejection): Rejection {
  return { sequence, reason: reason.slice(0, maxReasonLength) };
}

function cut<Item>(items: readonly Item[], size: number): Item[][] {
  const pieces: Item[][] = [];
  for (let start = 0; start < items.length; start += size) pieces.push(items.slice(start, start + size));
  return pieces;
}
