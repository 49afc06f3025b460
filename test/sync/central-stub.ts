/**
 * A small central for the tests of sync/: commits what arrives to a real SQLite file, then acknowledges. It can lose its
 * acks, be silent, reject records and forget files, as a test asks.
 */

import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import mqtt, { type MqttClient } from 'mqtt';
import { decodeFrame, decodeMessage, encodeMessage, maxChunkBytes } from '../../sync/wire/frame.ts';
import { decodeRecords } from '../../sync/wire/records.ts';
import { decodeTelemetry } from '../../sync/wire/telemetry.ts';
import { blobStatusTopic, centralSubscriptions, parseTopic, topicOf } from '../../sync/wire/topics.ts';
import { AckSchema, BlobOfferSchema, BlobStatusSchema, StateSchema } from '../../sync/wire/wire_pb.js';

export interface StubRow {
  readonly epoch: string;
  readonly stream: string;
  readonly sequence: number;
  readonly body: string;
}

export interface StubBehaviour {
  /** Whether the ack of the n-th batch (from 0) is kept back. */
  loseAck?: (batch: number) => boolean;
  /** Reason to refuse a record for ever, or null. */
  reject?: (stream: string, sequence: number) => string | null;
  /** Answers an offer's or chunk's status once with a hash mismatch. */
  mismatchOnce?: boolean;
}

interface Blob {
  bytes: number;
  committed: number;
}

export class CentralStub {
  batches = 0;
  duplicates = 0;
  chunkOffsets: number[] = [];
  /** Order in which records and chunks came in, as `stream:sequence` and `chunk`. */
  arrivals: string[] = [];
  states: boolean[] = [];
  /** Files that are here whole, by hash. */
  completed: string[] = [];
  behaviour: StubBehaviour = {};
  readonly #db: Database.Database;
  readonly #folder: string;
  readonly #blobs = new Map<string, Blob>();
  readonly #inserts: { row: Database.Statement };
  #client: MqttClient | null = null;

  constructor(folder: string) {
    mkdirSync(folder, { recursive: true });
    this.#folder = folder;
    this.#db = new Database(join(folder, 'central.sqlite'));
    this.#db.pragma('journal_mode = WAL');
    this.#db.pragma('synchronous = FULL');
    this.#db.exec(
      `CREATE TABLE IF NOT EXISTS row (epoch TEXT, stream TEXT, sequence INTEGER, body TEXT,
       PRIMARY KEY (epoch, stream, sequence)) STRICT, WITHOUT ROWID`,
    );
    this.#inserts = { row: this.#db.prepare('INSERT OR IGNORE INTO row VALUES (?, ?, ?, ?)') };
  }

  async connect(url: string, options: mqtt.IClientOptions = {}): Promise<void> {
    const client = mqtt.connect(url, {
      clientId: 'central',
      clean: false,
      reconnectPeriod: 100,
      resubscribe: false,
      ...options,
    });
    this.#client = client;
    client.on('error', () => {});
    client.on('message', (topic, payload) => this.#receive(topic, payload));
    await new Promise<void>((resolve, reject) => {
      client.on('connect', () => {
        if (client.stream instanceof Socket) client.stream.setNoDelay(true);
        client.subscribeAsync(centralSubscriptions(), { qos: 1 }).then(() => resolve(), reject);
      });
    });
  }

  rows(): StubRow[] {
    return this.#db.prepare<[], StubRow>('SELECT * FROM row ORDER BY epoch, stream, sequence').all();
  }

  count(stream: string): number {
    return Number(this.#db.prepare('SELECT count(*) FROM row WHERE stream = ?').pluck().get(stream));
  }

  blob(sha256: string): Buffer {
    return readFileSync(join(this.#folder, sha256));
  }

  async close(): Promise<void> {
    await this.#client?.endAsync(true);
    this.#db.close();
  }

  #receive(topic: string, payload: Buffer): void {
    const parsed = parseTopic(topic);
    if (parsed === null) throw new Error(`topic ${topic}`);
    if (parsed.kind === 'state') this.states.push(decodeMessage(StateSchema, payload).online);
    else if (parsed.kind === 'telemetry') this.#receiveTelemetry(parsed.vehicle, payload);
    else if (parsed.kind === 'blob-offer') {
      const offer = decodeMessage(BlobOfferSchema, payload);
      const known = this.#blobs.get(offer.sha256) ?? { bytes: Number(offer.bytes), committed: 0 };
      this.#blobs.set(offer.sha256, known);
      this.#sendStatus(parsed.vehicle, offer.sha256, known);
    } else if (parsed.kind === 'blob-chunk') {
      this.#receiveChunk(parsed.vehicle, parsed.sha256, parsed.offset, decodeFrame(payload, maxChunkBytes));
    } else this.#receiveRecords(parsed.vehicle, payload);
  }

  #receiveTelemetry(vehicle: string, payload: Buffer): void {
    const batch = decodeTelemetry(payload);
    const rows = batch.rows.map((row) => ({ sequence: row.sequence, body: JSON.stringify(row.values) }));
    this.#store(vehicle, batch.epoch, batch.stream, rows);
  }

  #receiveRecords(vehicle: string, payload: Buffer): void {
    const batch = decodeRecords(payload);
    const rows = batch.records.map(({ sequence, body }) => ({
      sequence,
      body:
        body.case === 'opaque'
          ? Buffer.from(body.value).toString('latin1')
          : JSON.stringify(body.value, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)),
    }));
    this.#store(vehicle, batch.epoch, batch.stream, rows);
  }

  #store(vehicle: string, epoch: string, stream: string, rows: { sequence: number; body: string }[]): void {
    const rejected = rows.flatMap(({ sequence }) => {
      const reason = this.behaviour.reject?.(stream, sequence) ?? null;
      return reason === null ? [] : [{ sequence: BigInt(sequence), reason }];
    });
    const refused = new Set(rejected.map(({ sequence }) => Number(sequence)));
    const kept = rows.filter(({ sequence }) => !refused.has(sequence));
    this.#db.transaction(() => {
      for (const { sequence, body } of kept) {
        const { changes } = this.#inserts.row.run(epoch, stream, sequence, body);
        if (changes === 0) this.duplicates += 1;
        this.arrivals.push(`${stream}:${sequence}`);
      }
    })();
    const batch = this.batches;
    this.batches += 1;
    if (this.behaviour.loseAck?.(batch)) return;
    const ranges = kept.map(({ sequence }) => ({ first: BigInt(sequence), last: BigInt(sequence) }));
    const joined: { first: bigint; last: bigint }[] = [];
    for (const range of ranges) {
      const previous = joined.at(-1);
      if (previous !== undefined && previous.last + 1n === range.first) previous.last = range.last;
      else joined.push(range);
    }
    this.#publish(topicOf(vehicle, 'ack'), encodeMessage(AckSchema, { epoch, stream, ranges: joined, rejected }));
  }

  #receiveChunk(vehicle: string, sha256: string, offset: number, bytes: Uint8Array): void {
    const blob = this.#blobs.get(sha256);
    this.arrivals.push('chunk');
    this.chunkOffsets.push(offset);
    if (blob === undefined) return;
    if (offset === blob.committed) {
      const path = join(this.#folder, sha256);
      const file = openSync(path, offset === 0 ? 'w' : 'r+');
      writeSync(file, bytes, 0, bytes.byteLength, offset);
      closeSync(file);
      blob.committed += bytes.byteLength;
    }
    this.#sendStatus(vehicle, sha256, blob);
  }

  #sendStatus(vehicle: string, sha256: string, blob: Blob): void {
    let error = '';
    let complete = blob.committed === blob.bytes;
    if (complete) {
      const found = createHash('sha256').update(this.blob(sha256)).digest('hex');
      if (found !== sha256 || this.behaviour.mismatchOnce) {
        this.behaviour.mismatchOnce = false;
        complete = false;
        error = 'hash-mismatch';
        blob.committed = 0;
      }
    }
    if (complete) this.completed.push(sha256);
    const status = { sha256, committedBytes: BigInt(blob.committed), complete, error };
    this.#publish(blobStatusTopic(vehicle, sha256), encodeMessage(BlobStatusSchema, status));
  }

  #publish(topic: string, payload: Uint8Array): void {
    this.#client?.publish(topic, Buffer.from(payload), { qos: 1 });
  }
}
