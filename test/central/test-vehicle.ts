/** A vehicle made of the wire contract alone: publishes batches and remembers what central acknowledged. */
import { create } from '@bufbuild/protobuf';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { decodeMessage, encodeFrame, encodeMessage } from '../../sync/wire/frame.ts';
import { encodeTelemetry, type TelemetryRow } from '../../sync/wire/telemetry.ts';
import { blobChunkTopic, blobOfferTopic, topicOf } from '../../sync/wire/topics.ts';
import {
  type Ack,
  AckSchema,
  BlobOfferSchema,
  type BlobStatus,
  BlobStatusSchema,
  RecordBatchSchema,
  RecordSchema,
  StateSchema,
  type Record as WireRecord,
} from '../../sync/wire/wire_pb.js';

export const epoch = '5d0c7a52-3b0e-4a10-9a8e-000000000001';
export const bootId = '5d0c7a52-3b0e-4a10-9a8e-00000000000b';
/** 2026-01-02T03:04:05Z. */
export const baseNs = 1_767_323_045_000_000_000n;

/** Row `sequence`, one second after the one before. */
export function rowOf(sequence: number, values: Record<string, number> = { temperature_c: sequence }): TelemetryRow {
  const offset = BigInt(sequence) * 1_000_000_000n;
  const stamp = {
    capturedAtNs: baseNs + offset,
    monotonicNs: offset,
    bootId,
    synchronised: true,
    estimatedErrorNs: null,
  };
  return { sequence, stamp, values };
}

export function rowsOf(first: number, count: number): TelemetryRow[] {
  return Array.from({ length: count }, (_, index) => rowOf(first + index));
}

export function recordOf(sequence: number, body: WireRecord['body']): WireRecord {
  const offset = BigInt(sequence) * 1_000_000_000n;
  const times = {
    capturedAtNs: baseNs + offset,
    monotonicNs: offset,
    bootId,
    synchronised: true,
    estimatedErrorNs: -1n,
  };
  const record = create(RecordSchema, { sequence: BigInt(sequence), ...times });
  record.body = body;
  return record;
}

export function impactOf(sequence: number, eventId: string, label = 'glass_break', score = 0.9): WireRecord {
  const body = create(RecordSchema, {
    body: {
      case: 'impact',
      value: {
        eventId,
        label,
        score,
        durationS: 0.25,
        modelName: 'impact',
        modelVersion: '1.0.0',
        scores: [
          { label, score },
          { label: 'background', score: 1 - score },
        ],
      },
    },
  }).body;
  return recordOf(sequence, body);
}

export function encodeBatch(stream: string, records: readonly WireRecord[], nextSequence: number): Uint8Array {
  return encodeMessage(RecordBatchSchema, {
    version: 1,
    epoch,
    stream,
    records: [...records],
    nextSequence: BigInt(nextSequence),
  });
}

export class TestVehicle {
  readonly id: string;
  readonly client: MqttClient;
  readonly acks: Ack[] = [];
  readonly statuses: BlobStatus[] = [];
  #changed: (() => void)[] = [];

  private constructor(id: string, client: MqttClient) {
    this.id = id;
    this.client = client;
    client.on('message', (topic, payload) => {
      if (topic.endsWith('/ack')) this.acks.push(decodeMessage(AckSchema, payload));
      else if (topic.endsWith('/status')) this.statuses.push(decodeMessage(BlobStatusSchema, payload));
      for (const wake of this.#changed.splice(0)) wake();
    });
    client.on('error', () => {});
    client.on('close', () => {
      for (const wake of this.#changed.splice(0)) wake();
    });
  }

  static async connect(id: string, url: string, options: IClientOptions = {}): Promise<TestVehicle> {
    const client = await mqtt.connectAsync(
      url,
      { clientId: id, protocolVersion: 4, reconnectPeriod: 0, ...options },
      false,
    );
    const vehicle = new TestVehicle(id, client);
    await client.subscribeAsync([topicOf(id, 'ack'), `fender/v1/${id}/blob/+/status`], { qos: 1 });
    return vehicle;
  }

  async publish(topic: string, payload: Uint8Array): Promise<void> {
    await this.client.publishAsync(topic, Buffer.from(payload), { qos: 1 });
  }

  async state(online: boolean): Promise<void> {
    const state = { online, bootId, agentVersion: '0.1.0', atNs: baseNs, modelName: 'impact', modelVersion: '1.0.0' };
    await this.publish(topicOf(this.id, 'state'), encodeMessage(StateSchema, state));
  }

  async telemetry(stream: string, rows: readonly TelemetryRow[], nextSequence?: number): Promise<void> {
    const next = nextSequence ?? (rows.at(-1)?.sequence ?? 0) + 1;
    await this.publish(topicOf(this.id, 'telemetry'), encodeTelemetry({ epoch, stream, nextSequence: next }, rows));
  }

  async records(stream: string, records: readonly WireRecord[], nextSequence?: number): Promise<void> {
    const next = nextSequence ?? Number(records.at(-1)?.sequence ?? 0n) + 1;
    await this.publish(topicOf(this.id, 'events'), encodeBatch(stream, records, next));
  }

  async offer(sha256: string, bytes: number): Promise<void> {
    const offer = { sha256, bytes: BigInt(bytes), mediaType: 'application/x-mcap' };
    await this.publish(blobOfferTopic(this.id, sha256), encodeMessage(BlobOfferSchema, offer));
  }

  async chunk(sha256: string, offset: number, data: Uint8Array): Promise<void> {
    await this.publish(blobChunkTopic(this.id, sha256, offset), encodeFrame(data, 0));
  }

  /** Uploads a whole file and waits until central has verified it. */
  async upload(sha256: string, data: Uint8Array, chunkBytes = 64 * 1024): Promise<void> {
    await this.offer(sha256, data.byteLength);
    for (let at = 0; at < data.byteLength; at += chunkBytes)
      await this.chunk(sha256, at, data.subarray(at, at + chunkBytes));
    await this.until(
      () => this.statuses.some((status) => status.sha256 === sha256 && status.complete),
      'upload complete',
    );
  }

  /** Which sequences of a stream central acknowledged so far. */
  acked(stream: string): Set<number> {
    const held = new Set<number>();
    for (const ack of this.acks.filter((one) => one.stream === stream)) {
      for (const { first, last } of ack.ranges) for (let at = first; at <= last; at++) held.add(Number(at));
    }
    return held;
  }

  /** Waits until `done` holds, looking again at each message; throws after 20 s. */
  async until(done: () => boolean, what: string): Promise<void> {
    const deadline = Date.now() + 20_000;
    while (!done()) {
      if (Date.now() > deadline) throw new Error(`vehicle ${this.id}: waited in vain for ${what}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 250);
        this.#changed.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  async end(): Promise<void> {
    await this.client.endAsync(true);
  }
}
