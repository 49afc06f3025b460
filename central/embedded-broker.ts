/**
 * The embedded broker: aedes over TCP or over TLS with client certificates. A client is a vehicle: its client id is the
 * common name of its certificate, and it sees and says nothing outside `fender/v1/<its id>/`.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, TLSSocket } from 'node:tls';
import { Aedes, type AuthenticateError, type Client } from 'aedes';
import { isVehicleId, parseTopic, topicOf } from '../sync/wire/topics.ts';
import { type Broker, type Receive, readTls, type TlsFiles } from './broker.ts';
import { CentralError, messageOf } from './error.ts';

export interface EmbeddedBrokerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** With these, TLS alone, with client certificates signed by the authority in `caPath`; all three are needed. */
  readonly tls: TlsFiles | null;
  readonly receive: Receive;
  /** Called for each violation: a foreign topic, a wrong client id, an oversized packet, a broken connection. */
  readonly refused: (client: string, reason: string, found: string) => void;
  readonly maxPacketBytes: number;
  readonly maxConnections: number;
}

/** CONNACK return code 5, MQTT 3.1.1 section 3.2.2.3. */
const notAuthorised = 5;
/**
 * Bytes waiting in one vehicle's socket beyond which nothing more is sent to it, and how long it may go without reading
 * any, in ms: acknowledgements are said again when the vehicle asks again.
 */
const maxWaitingBytes = 256 * 1024;
const drainTimeoutMs = 10_000;
const downKinds: ReadonlySet<string> = new Set(['ack', 'desired', 'command', 'blob-status']);

/** Whether vehicle `id` may publish to `topic`: its own, upwards. What it does not know yet of its own is let through. */
export function mayPublish(id: string, topic: string): boolean {
  if (!topic.startsWith(`fender/v1/${id}/`)) return false;
  const parsed = parseTopic(topic);
  return parsed === null || !downKinds.has(parsed.kind);
}

/** Whether vehicle `id` may subscribe to `filter`: anything under its own topics. */
export function maySubscribe(id: string, filter: string): boolean {
  return filter.startsWith(`fender/v1/${id}/`);
}

/** The common name of the client's certificate; null over plain TCP. */
function certifiedName(client: Client): string | null {
  const { conn } = client;
  if (!(conn instanceof TLSSocket)) return null;
  const name = conn.getPeerCertificate().subject?.CN;
  return typeof name === 'string' ? name : '';
}

function whyNotConnect(client: Client, willTopic: string | undefined): string | null {
  if (!isVehicleId(client.id))
    return `client id: expected a vehicle id, found ${JSON.stringify(client.id.slice(0, 80))}`;
  const name = certifiedName(client);
  if (name !== null && name !== client.id) {
    return `client id: expected the certificate's common name ${JSON.stringify(name)}, found ${client.id}`;
  }
  if (willTopic !== undefined && willTopic !== topicOf(client.id, 'state')) {
    return `last will: expected ${topicOf(client.id, 'state')}, found ${JSON.stringify(willTopic.slice(0, 200))}`;
  }
  return null;
}

/** aedes waits for a packet of any length: this looks at how much of one has gathered, and hangs up beyond the bound. */
function boundPacket(client: Client, socket: Socket, options: EmbeddedBrokerOptions): void {
  const parser = (client as unknown as { _parser?: { _list?: { length: number } } })._parser;
  socket.on('readable', () => {
    const gathered = parser?._list?.length ?? 0;
    if (gathered <= options.maxPacketBytes) return;
    options.refused(client.id ?? '', 'packet-too-large', `${gathered} bytes, at most ${options.maxPacketBytes}`);
    socket.destroy();
  });
}

function createBroker(options: EmbeddedBrokerOptions): Aedes {
  const willTopics = new WeakMap<Client, string>();
  const connected = new Map<string, Client>();
  const broker = new Aedes({
    heartbeatInterval: 60_000,
    connectTimeout: 10_000,
    maxClientsIdLength: 64,
    maxTopicLevels: 8,
    // Without a bound over all vehicles: a few that do not read what they are sent would use it up and stop the rest.
    concurrency: 0,
    drainTimeout: drainTimeoutMs,
    preConnect(client, packet, done) {
      // Nothing is kept for who is away: all that is sent to vehicles is said again. (aedes would also store filters that
      // were refused, and queue for their owner what others publish.)
      packet.clean = true;
      if (packet.will !== undefined) willTopics.set(client, packet.will.topic);
      done(null, true);
    },
    authenticate(client, _username, _password, done) {
      const why = whyNotConnect(client, willTopics.get(client));
      if (why === null) return done(null, true);
      options.refused(client.id, 'connect', why);
      done(Object.assign(new Error(why), { returnCode: notAuthorised }) as AuthenticateError, false);
    },
    authorizePublish(client, packet, done) {
      if (client === null || mayPublish(client.id, packet.topic)) {
        // Only the state is kept: anything else retained would grow without bound.
        if (client !== null && parseTopic(packet.topic)?.kind !== 'state') packet.retain = false;
        return done(null);
      }
      options.refused(client.id, 'publish', packet.topic.slice(0, 200));
      done(new Error(`topic: expected one under fender/v1/${client.id}/ for vehicles to publish to`));
    },
    authorizeSubscribe(client, subscription, done) {
      if (client === null || maySubscribe(client.id, subscription.topic)) return done(null, subscription);
      options.refused(client.id, 'subscribe', subscription.topic.slice(0, 200));
      done(null, null);
    },
    authorizeForward(client, packet) {
      const { conn } = client;
      return 'writableLength' in conn && Number(conn.writableLength) > maxWaitingBytes ? null : packet;
    },
    published(packet, client, done) {
      if (client === null || client === undefined) return done(null);
      // The will of a connection that a newer one has replaced says nothing about the vehicle.
      const current = connected.get(client.id);
      if (client.closed && current !== undefined && current !== client) return done(null);
      const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
      options.receive(packet.topic, payload).then(
        () => done(null),
        (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
      );
    },
  });
  broker.on('client', (client) => connected.set(client.id, client));
  broker.on('clientDisconnect', (client) => {
    if (connected.get(client.id) === client) connected.delete(client.id);
  });
  broker.on('clientError', (client, error) => options.refused(client.id, 'connection', error.message));
  broker.on('connectionError', (client, error) => options.refused(client.id ?? '', 'connection', error.message));
  return broker;
}

/** Resolves with the port; an error after that (accepting a connection, say) is told and ends nothing. */
function listen(server: Server, { host, port, refused }: EmbeddedBrokerOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.on('error', (cause) => {
      if (server.listening) return refused('', 'accept', cause.message);
      const message = `MQTT: expected to listen on ${host}:${port}, ${cause.message}`;
      reject(new CentralError('listen', message, { cause }));
    });
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}

/** Starts the broker; it listens when the promise resolves. Throws CentralError `listen` or `options`. */
export async function startEmbeddedBroker(options: EmbeddedBrokerOptions): Promise<Broker> {
  const sockets = new Set<Socket>();
  const broker = createBroker(options);
  const serve = (socket: Socket): void => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.setNoDelay(true);
    boundPacket(broker.handle(socket), socket, options);
  };
  const server = options.tls === null ? createServer(serve) : await tlsServer(options.tls, serve, options);
  server.maxConnections = options.maxConnections;
  await broker.listen();
  try {
    const port = await listen(server, options);
    return {
      publish(topic, payload) {
        if (broker.closed) return;
        const packet = {
          cmd: 'publish',
          topic,
          payload: Buffer.from(payload),
          qos: 0,
          retain: false,
          dup: false,
        } as const;
        broker.publish(packet, () => {});
      },
      status: () => ({
        up: server.listening && !broker.closed,
        message: `${broker.connectedClients} vehicles connected`,
      }),
      address: `mqtt${options.tls === null ? '' : 's'}://${options.host}:${port}`,
      port,
      async close() {
        server.close();
        await new Promise<void>((resolve) => broker.close(() => resolve()));
        for (const socket of sockets) socket.destroy();
      },
    };
  } catch (error) {
    broker.close();
    throw error;
  }
}

async function tlsServer(
  files: TlsFiles,
  serve: (socket: Socket) => void,
  options: EmbeddedBrokerOptions,
): Promise<Server> {
  const { ca, cert, key } = await readTls(files);
  if (ca === undefined || cert === undefined || key === undefined) {
    throw new CentralError('options', 'tls: expected authority, certificate and key, found one missing');
  }
  const limits = {
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    handshakeTimeout: 10_000,
  } as const;
  let server: Server;
  try {
    server = createTlsServer({ ca, cert, key, ...limits }, serve);
  } catch (cause) {
    throw new CentralError('options', `tls: expected certificate and key that fit, ${messageOf(cause)}`, { cause });
  }
  server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
    options.refused(socket.remoteAddress ?? '', 'tls', error.message);
    socket.destroy();
  });
  return server;
}
