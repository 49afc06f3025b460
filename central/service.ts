/** Joins the parts of central into one running service, and takes them apart again in order. */
import { randomUUID } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Api, ApiParts } from './api/parts.ts';
import type { Health } from './api/schemas.ts';
import { createApi } from './api/server.ts';
import type { Broker, TlsFiles } from './broker.ts';
import { ClipLibrary } from './clips/clip-library.ts';
import { CommandDesk } from './commands/command-desk.ts';
import { startEmbeddedBroker } from './embedded-broker.ts';
import { CentralError, messageOf } from './error.ts';
import { BlobReceiver } from './ingest/blob-receiver.ts';
import { Ingest, type IngestParts } from './ingest/ingest.ts';
import { LiveHub } from './live.ts';
import { LiveTeller } from './live-teller.ts';
import type { Log } from './log.ts';
import { createMetrics } from './metrics.ts';
import { startOutsideBroker } from './outside-broker.ts';
import { BlobFolder } from './storage/blob-folder.ts';
import { SqliteBlobIndex } from './storage/blob-index.ts';
import { CommandStore } from './storage/command-store.ts';
import { type OpenDatabase, openDatabase } from './storage/database.ts';
import { countOnline } from './storage/fleet-queries.ts';
import { type Notice, SqliteIngestStore } from './storage/ingest-store.ts';

/** How central runs. Ports: 0 takes any free one. */
export interface CentralOptions {
  /** Where the database and the files are; made when missing. */
  readonly dataDir: string;
  /** Default 127.0.0.1. */
  readonly httpHost?: string;
  /** Default 8080. */
  readonly httpPort?: number;
  /** Embedded broker. Default 127.0.0.1. */
  readonly mqttHost?: string;
  /** Embedded broker. Default 1883. */
  readonly mqttPort?: number;
  /** An outside broker instead of the embedded one: mqtt:// or mqtts://. */
  readonly mqttUrl?: string;
  /**
   * Embedded broker: all three files, and then it speaks TLS alone, to clients whose certificate's common name is their
   * vehicle. Outside broker: what it asks for.
   */
  readonly tls?: TlsFiles;
  /** Folder of the built dashboard; default: the one of this checkout. */
  readonly webFolder?: string;
}

/** A running central. */
export interface CentralService {
  readonly httpHost: string;
  readonly httpPort: number;
  /** Of the embedded broker; null when there is none. */
  readonly mqttPort: number | null;
  /** For people: `mqtt://127.0.0.1:1883`. */
  readonly mqttAddress: string;
  /** Stops taking, commits what was taken, closes everything. */
  close(): Promise<void>;
}

const maxPacketBytes = 2 * 1024 * 1024;
const maxConnections = 10_000;

/** Proves that the folder takes a write. */
async function probeFolder(folder: string): Promise<void> {
  const handle = await open(join(folder, 'health.probe'), 'w');
  try {
    await handle.write(new Date().toISOString());
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

async function check(probe: () => Promise<string>): Promise<{ ok: boolean; message: string }> {
  try {
    return { ok: true, message: await probe() };
  } catch (error) {
    return { ok: false, message: messageOf(error) };
  }
}

async function readHealth(folder: string, database: OpenDatabase, ingest: Ingest, broker: Broker): Promise<Health> {
  const { up, message } = broker.status();
  const checks = {
    storage: await check(async () => {
      await probeFolder(folder);
      return 'writable';
    }),
    database: await check(async () => `${await countOnline(database.reader)} vehicles online`),
    ingest: { ok: ingest.failure === null, message: ingest.failure ?? 'committing' },
    broker: { ok: up, message },
  };
  return { status: Object.values(checks).every(({ ok }) => ok) ? 'ok' : 'failing', checks };
}

async function startBroker(options: CentralOptions, ingest: Ingest, log: Log): Promise<Broker> {
  const receive = (topic: string, payload: Uint8Array) => ingest.receive(topic, payload);
  if (options.mqttUrl !== undefined) {
    return await startOutsideBroker({
      url: options.mqttUrl,
      clientId: `fender-central-${randomUUID()}`,
      tls: options.tls ?? null,
      receive,
      lost: (reason) => log.warn('broker lost', { reason }),
      connected: () => log.info('broker connected'),
    });
  }
  return await startEmbeddedBroker({
    host: options.mqttHost ?? '127.0.0.1',
    port: options.mqttPort ?? 1883,
    tls: options.tls ?? null,
    receive,
    refused: (client, reason, found) => ingest.refused(client, reason, found),
    maxPacketBytes,
    maxConnections,
  });
}

/** Ingest with the files it receives; `send` publishes on MQTT. */
function createIngest(
  { writer }: OpenDatabase,
  folder: BlobFolder,
  teller: LiveTeller,
  parts: Omit<IngestParts, 'blobs' | 'nowMs'>,
): Ingest {
  const blobs = new BlobReceiver({
    index: new SqliteBlobIndex(writer),
    folder,
    report: (report) => {
      ingest.reportBlob(report);
      teller.received(report);
    },
    refused: (vehicle, reason, found) => ingest.refused(vehicle, reason, found),
    failed: (error, vehicle, sha256) => {
      parts.log.error('file not written', { vehicle, sha256, found: messageOf(error) });
    },
  });
  const ingest = new Ingest({ ...parts, blobs, nowMs: Date.now });
  return ingest;
}

async function listen(api: Api, host: string, port: number): Promise<number> {
  await api.listen({ host, port }).catch((cause: unknown) => {
    const message = `HTTP: expected to listen on ${host}:${port}, ${messageOf(cause)}`;
    throw new CentralError('listen', message, { cause });
  });
  return (api.server.address() as AddressInfo).port;
}

/**
 * Starts central: when the promise resolves, MQTT and HTTP answer. Throws CentralError `data-dir-in-use`, `listen`,
 * `migration`, `storage` or `options`; nothing is left running then.
 */
export async function startCentral(options: CentralOptions, log: Log): Promise<CentralService> {
  const { dataDir } = options;
  const database = await openDatabase(dataDir);
  const closers: (() => Promise<void>)[] = [() => database.close()];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) {
      await closer().catch((error: unknown) => log.error('closing failed', { found: messageOf(error) }));
    }
  };
  try {
    const folder = new BlobFolder(dataDir);
    const live = new LiveHub();
    const teller = new LiveTeller(live, database.reader, log);
    const metrics = createMetrics();
    const store = new SqliteIngestStore(database.writer);
    let send: (topic: string, payload: Uint8Array) => void = () => {};
    const publish = (topic: string, payload: Uint8Array) => send(topic, payload);
    const commands = new CommandDesk({
      store: new CommandStore(database.writer),
      publish,
      changed: (vehicle, commandId) => teller.committed([{ kind: 'command', vehicle, commandId }]),
      metrics,
      log,
      nowMs: Date.now,
    });
    const notice = (notices: readonly Notice[]): void => {
      for (const one of notices) if (one.kind === 'vehicle' && one.online) commands.vehicleOnline(one.vehicle);
      teller.committed(notices);
    };
    const ingest = createIngest(database, folder, teller, { store, publish, notice, log, metrics });
    if (options.mqttUrl === undefined) await store.markAllOffline();
    const broker = await startBroker(options, ingest, log);
    send = (topic, payload) => broker.publish(topic, payload);
    commands.start();
    closers.push(
      async () => commands.close(),
      () => teller.close(),
      () => broker.close(),
      () => ingest.close(), // before the broker goes: what was taken is committed and acknowledged
    );
    const parts: ApiParts = {
      reader: database.reader,
      clips: new ClipLibrary(folder),
      live,
      commands,
      metrics,
      log,
      nowMs: Date.now,
      health: () => readHealth(dataDir, database, ingest, broker),
      webFolder: options.webFolder ?? fileURLToPath(new URL('./web/dist', import.meta.url)),
    };
    const api = await createApi(parts);
    closers.push(() => api.close());
    const httpHost = options.httpHost ?? '127.0.0.1';
    const httpPort = await listen(api, httpHost, options.httpPort ?? 8080);
    return { httpHost, httpPort, mqttPort: broker.port, mqttAddress: broker.address, close };
  } catch (error) {
    await close();
    throw error;
  }
}
