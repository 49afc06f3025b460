/**
 * The vehicle's MQTT session with central: connects, stays connected, tells the vehicle's state, and lets the senders of
 * batches and files use the line. Nothing waits inside the MQTT client: each connection has a new one.
 */

import { readFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import type { Clock } from '../drivers/sample.ts';
import { type BatchCounters, BatchSender } from './batch-sender.ts';
import { type BlobProgress, BlobSender, type BlobTransport } from './blob-sender.ts';
import type { StoredBlob } from './blob-table.ts';
import { type CommandOutcome, CommandReceiver, type OnCommand } from './command-receiver.ts';
import { connectionTrouble, withoutSecrets } from './connection-trouble.ts';
import type { Outbox } from './outbox.ts';
import { SyncError } from './wire/error.ts';
import { decodeMessage, encodeMessage, maxChunkBytes } from './wire/frame.ts';
import { parseTopic, topicOf, vehicleSubscriptions } from './wire/topics.ts';
import { AckSchema, BlobStatusSchema, CommandSchema, ReportedSchema, StateSchema } from './wire/wire_pb.js';

/** PEM files for TLS; read anew at each connection, so that a renewed certificate is used without a restart. */
interface TlsFiles {
  /** Authorities that may sign the broker's certificate; without it those of the system. */
  readonly caPath?: string;
  /** The vehicle's certificate and key; their common name is the vehicle's id. */
  readonly certPath?: string;
  readonly keyPath?: string;
}

/** What the retained `state` message says beside `online`. */
interface VehicleState {
  readonly bootId: string;
  readonly agentVersion: string;
  readonly modelName: string;
  readonly modelVersion: string;
}

export interface SyncSessionOptions {
  readonly outbox: Outbox;
  /** `mqtt://host:port` or `mqtts://host:port`; `ws:` and `wss:` work too. */
  readonly url: string;
  /** The vehicle's id: client id and topic level. */
  readonly vehicle: string;
  readonly clock: Clock;
  /** Asked at each connection and at `announce`. */
  readonly state: () => VehicleState;
  readonly tls?: TlsFiles;
  readonly username?: string;
  readonly password?: string;
  /** Default 100. */
  readonly batchRows?: number;
  /** Unacknowledged batches. Default 16. */
  readonly windowBatches?: number;
  /** How long telemetry waits for company, in ms: longer costs fewer bytes. Default 1000. */
  readonly lingerMs?: number;
  /** Default 10 000. */
  readonly ackTimeoutMs?: number;
  /** First and longest wait between connection attempts. Defaults 500 and 30 000. */
  readonly reconnectMinMs?: number;
  readonly reconnectMaxMs?: number;
  /** Bytes in one piece of a file, at most 128 KiB. Default 64 KiB. */
  readonly chunkBytes?: number;
  /** Called with each change of the connection; must not throw. */
  readonly onNotice?: (notice: SessionNotice) => void;
  /** Called when central has a whole file and it has left the outbox: the file may be deleted; must not throw. */
  readonly onBlobStored?: (blob: StoredBlob) => void;
  /** Does what central commands, once for each command; without it every command is refused as `not-supported`. */
  readonly onCommand?: OnCommand;
}

export interface SessionNotice {
  readonly level: 'ok' | 'warn';
  readonly code: 'ok' | 'connection';
  readonly message: string;
  readonly cure: string;
}

export interface SessionStatus extends Readonly<BatchCounters> {
  readonly connected: boolean;
  /** UTC nanoseconds of the last ack from central; null before the first. */
  readonly lastAckAtNs: bigint | null;
  readonly inFlightBatches: number;
  readonly inFlightRows: number;
  /** Connections made since the start. */
  readonly connections: number;
  /** Messages from the broker that made no sense. */
  readonly badMessages: number;
  readonly upload: BlobProgress | null;
  readonly uploadedBlobs: number;
  /** Why there is no connection; null while there is one. */
  readonly trouble: SessionNotice | null;
}

const connectTimeoutMs = 10_000;
const goodbyeMs = 1000;
const steadyMs = 5000;
/** Bytes in the socket's queue above which nothing is added. */
const maxQueuedBytes = 256 * 1024;
const windowChunks = 8;

export class SyncSession {
  readonly #options: SyncSessionOptions;
  readonly #batches: BatchSender;
  readonly #blobs: BlobSender;
  readonly #commands: CommandReceiver;
  #client: MqttClient | null = null;
  #timer: NodeJS.Timeout | null = null;
  #immediate: NodeJS.Immediate | null = null;
  #lastAckAtNs: bigint | null = null;
  #connections = 0;
  #blobsSeen = 0;
  #badMessages = 0;
  #trouble: SessionNotice | null = null;
  #lastNotice = '';

  /** Throws `bad-name` for a vehicle id or `connection` for an address that can never work. */
  constructor(options: SyncSessionOptions) {
    topicOf(options.vehicle, 'state');
    checkUrl(options.url);
    this.#options = options;
    const ackTimeoutMs = options.ackTimeoutMs ?? 10_000;
    this.#batches = new BatchSender(options.outbox, options.vehicle, {
      batchRows: options.batchRows ?? 100,
      batchBytes: 256 * 1024,
      windowBatches: options.windowBatches ?? 16,
      lingerMs: options.lingerMs ?? 1000,
      ackTimeoutMs,
    });
    const chunkBytes = Math.min(maxChunkBytes, options.chunkBytes ?? 64 * 1024);
    const onStored = options.onBlobStored ?? ((): void => {});
    this.#blobs = new BlobSender(options.outbox, options.vehicle, { chunkBytes, windowChunks, ackTimeoutMs }, onStored);
    const { outbox, clock, onCommand } = options;
    const memory = {
      read: () => outbox.note('commands'),
      write: (text: string) => outbox.writeNote('commands', text),
    };
    this.#commands = new CommandReceiver(clock, memory, onCommand ?? null, (id, outcome) => this.#reply(id, outcome));
  }

  /** Keeps a session with central until `signal` aborts, then says goodbye within about a second. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { outbox, reconnectMinMs = 500, reconnectMaxMs = 30_000 } = this.#options;
    const stopListening = outbox.onCommit(() => this.#schedulePump());
    let delayMs = reconnectMinMs;
    try {
      while (!signal.aborted) {
        const startedMs = performance.now();
        const trouble = await this.#connection(signal);
        if (signal.aborted) break;
        this.#report(trouble);
        if (performance.now() - startedMs > steadyMs) delayMs = reconnectMinMs;
        // Half of the wait is by chance, so that a fleet does not return in one moment.
        await sleep(delayMs * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => {});
        delayMs = Math.min(reconnectMaxMs, delayMs * 2);
      }
    } finally {
      stopListening();
    }
  }

  /** For health and metrics. */
  status(): SessionStatus {
    return {
      ...this.#batches.counters,
      connected: this.#client?.connected ?? false,
      lastAckAtNs: this.#lastAckAtNs,
      inFlightBatches: this.#batches.inFlightBatches,
      inFlightRows: this.#batches.inFlightRows,
      connections: this.#connections,
      badMessages: this.#badMessages,
      upload: this.#blobs.progress,
      uploadedBlobs: this.#blobs.uploadedBlobs,
      trouble: this.#trouble,
    };
  }

  /** Publishes the state again, for instance after a change of model; does nothing while offline. */
  announce(): void {
    const client = this.#client;
    if (client?.connected) this.#publishState(client, true);
  }

  /** One connection from its attempt to its end; resolves with what ended it. */
  async #connection(signal: AbortSignal): Promise<SyncError> {
    const { url } = this.#options;
    let client: MqttClient;
    try {
      client = mqtt.connect(url, await this.#clientOptions());
    } catch (error) {
      return connectionTrouble(url, error);
    }
    const ended = new AbortController();
    const onAbort = (): void => ended.abort();
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) ended.abort();
    let cause: unknown = null;
    let uploads: Promise<void> = Promise.resolve();
    client.on('error', (error) => {
      cause ??= error;
      ended.abort();
    });
    client.on('close', () => {
      cause ??= new Error(this.#client === client ? 'the connection was closed again' : 'no answer');
      ended.abort();
    });
    client.on('message', (topic, payload) => this.#receive(topic, payload));
    client.on('connect', () => {
      withoutDelay(client);
      this.#greet(client, ended.signal).then(
        () => {
          if (!ended.signal.aborted)
            uploads = this.#blobs.run(this.#blobTransport(client), ended.signal).catch(() => {});
        },
        (error: unknown) => {
          cause ??= error;
          ended.abort();
        },
      );
    });
    await aborted(ended.signal);
    signal.removeEventListener('abort', onAbort);
    this.#client = null;
    this.#stopPump();
    if (signal.aborted) await this.#goodbye(client);
    client.end(true);
    await uploads;
    return connectionTrouble(url, cause ?? new Error('stopped'));
  }

  async #clientOptions(): Promise<IClientOptions> {
    const { vehicle, tls, username, password } = this.#options;
    const [ca, cert, key] = await Promise.all([readPem(tls?.caPath), readPem(tls?.certPath), readPem(tls?.keyPath)]);
    return {
      protocolVersion: 4,
      clientId: vehicle,
      clean: false,
      keepalive: 15,
      connectTimeout: connectTimeoutMs,
      reconnectPeriod: 0,
      queueQoSZero: false,
      resubscribe: false,
      rejectUnauthorized: true,
      will: { topic: topicOf(vehicle, 'state'), payload: this.#statePayload(false), qos: 1, retain: true },
      ...(ca && { ca }),
      ...(cert && { cert }),
      ...(key && { key }),
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
    };
  }

  async #greet(client: MqttClient, ended: AbortSignal): Promise<void> {
    await client.subscribeAsync(vehicleSubscriptions(this.#options.vehicle), { qos: 1 });
    // After a goodbye `online` would stand for ever: a connection that was ended in order has no last will.
    if (ended.aborted) return;
    this.#publishState(client, true);
    // Acks that wait for their commit must not be read as rows to send.
    await this.#options.outbox.flush();
    this.#client = client;
    this.#connections += 1;
    this.#batches.restart();
    this.#report(null);
    this.#schedulePump();
  }

  async #goodbye(client: MqttClient): Promise<void> {
    if (!client.connected) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, goodbyeMs);
      this.#publishState(client, false, () => {
        client.end(false, {}, () => {
          clearTimeout(timer);
          resolve();
        });
      });
    });
  }

  #publishState(client: MqttClient, online: boolean, done: () => void = () => {}): void {
    const topic = topicOf(this.#options.vehicle, 'state');
    client.publish(topic, this.#statePayload(online), { qos: 1, retain: true }, () => done());
  }

  #statePayload(online: boolean): Buffer {
    const { clock, state } = this.#options;
    return asBuffer(encodeMessage(StateSchema, { ...state(), online, atNs: clock.now().capturedAtNs }));
  }

  #receive(topic: string, payload: Buffer): void {
    const parsed = parseTopic(topic);
    try {
      if (parsed?.vehicle !== this.#options.vehicle) throw new SyncError('bad-name', `topic ${topic}: not ours`);
      if (parsed.kind === 'ack') {
        this.#batches.acknowledge(decodeMessage(AckSchema, payload));
        this.#lastAckAtNs = this.#options.clock.now().capturedAtNs;
        this.#schedulePump();
      } else if (parsed.kind === 'blob-status') {
        this.#blobs.handleStatus(decodeMessage(BlobStatusSchema, payload));
      } else if (parsed.kind === 'command') {
        this.#commands.receive(decodeMessage(CommandSchema, payload));
      }
    } catch (error) {
      if (!(error instanceof SyncError)) throw error;
      this.#badMessages += 1;
    }
  }

  /** While offline nothing is said: central asks again. */
  #reply(id: string, { status, code, message, values }: CommandOutcome): void {
    const client = this.#client;
    if (!client?.connected) return;
    const value = { commandId: id, status, code, message, values: { ...values } };
    const payload = encodeMessage(ReportedSchema, { body: { case: 'commandResult', value } });
    client.publish(topicOf(this.#options.vehicle, 'reported'), asBuffer(payload), { qos: 1 }, () => {});
  }

  #blobTransport(client: MqttClient): BlobTransport {
    return {
      isIdle: () => client.stream.writableLength <= maxChunkBytes && !this.#batches.hasUnsentEvents(),
      publish: (topic, payload) =>
        new Promise((resolve) => {
          if (!client.connected) {
            resolve(false);
            return;
          }
          const onClose = (): void => resolve(false);
          client.once('close', onClose);
          client.publish(topic, asBuffer(payload), { qos: 1 }, (error) => {
            client.off('close', onClose);
            resolve(!error);
          });
        }),
    };
  }

  #schedulePump(): void {
    if (this.#client === null || this.#immediate !== null) return;
    this.#immediate = setImmediate(() => {
      this.#immediate = null;
      this.#pump();
    });
  }

  #stopPump(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#immediate !== null) clearImmediate(this.#immediate);
    this.#timer = null;
    this.#immediate = null;
  }

  #pump(): void {
    const client = this.#client;
    if (client === null || !client.connected) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const dueMs = this.#batches.pump(performance.now(), (topic, payload) => {
      if (!client.connected || client.stream.writableLength > maxQueuedBytes) return false;
      // The broker's acknowledgement frees what lay in the client; only central's moves the window.
      client.publish(topic, asBuffer(payload), { qos: 1 }, () => {});
      return true;
    });
    if (this.#blobs.progress !== null || this.#blobsSeen !== this.#options.outbox.blobsAdded) this.#blobs.wake();
    this.#blobsSeen = this.#options.outbox.blobsAdded;
    if (dueMs === 0) this.#schedulePump();
    else this.#timer = setTimeout(() => this.#schedulePump(), Math.min(dueMs, 1000));
  }

  #report(trouble: SyncError | null): void {
    const { url, onNotice } = this.#options;
    this.#trouble =
      trouble === null ? null : { level: 'warn', code: 'connection', message: trouble.message, cure: trouble.cure };
    const notice = this.#trouble ?? {
      level: 'ok',
      code: 'ok',
      message: `connected to ${withoutSecrets(url)}`,
      cure: '',
    };
    if (notice.message === this.#lastNotice) return;
    this.#lastNotice = notice.message;
    onNotice?.(notice);
  }
}

/** MQTT.js leaves Nagle's algorithm on, which holds back a small packet until the last one is confirmed: 40 ms a round. */
function withoutDelay({ stream }: MqttClient): void {
  if (stream instanceof Socket) stream.setNoDelay(true);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

async function readPem(path: string | undefined): Promise<Buffer | null> {
  return path === undefined ? null : await readFile(path);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function checkUrl(url: string): void {
  if (/^(mqtts?|wss?):\/\/[^/]/.test(url) && URL.canParse(url)) return;
  throw new SyncError(
    'connection',
    `broker address: expected mqtt://host:port, found ${JSON.stringify(withoutSecrets(url))}`,
    {
      cure: 'Set the address of the broker in the configuration, for instance mqtts://central.example:8883.',
    },
  );
}
