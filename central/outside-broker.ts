/**
 * An outside MQTT broker, by URL. Records come by shared subscriptions, so that several central processes divide them;
 * states (retained) and files (whose chunks belong together) come to each.
 */
import mqtt from 'mqtt';
import { centralSubscriptions } from '../sync/wire/topics.ts';
import { type Broker, type Receive, readTls, type TlsFiles } from './broker.ts';
import { CentralError } from './error.ts';

export interface OutsideBrokerOptions {
  /** mqtt:// or mqtts:// with host and port, user and password where the broker wants them. */
  readonly url: string;
  readonly clientId: string;
  readonly tls: TlsFiles | null;
  readonly receive: Receive;
  readonly lost: (reason: string) => void;
  readonly connected: () => void;
}

/** The filters that central subscribes to at an outside broker. */
export function outsideSubscriptions(): string[] {
  return centralSubscriptions().map((filter) =>
    filter.endsWith('/state') || filter.includes('/blob/') ? filter : `$share/central/${filter}`,
  );
}

/**
 * Connects, and stays connected: the promise resolves at once, `status()` tells how it is. Throws CentralError `options`
 * for an address that can never work.
 */
export async function startOutsideBroker(options: OutsideBrokerOptions): Promise<Broker> {
  if (!/^(mqtts?|wss?):\/\/[^/]/.test(options.url) || !URL.canParse(options.url)) {
    const found = JSON.stringify(options.url.replace(/\/\/.*@/, '//…@').slice(0, 200));
    throw new CentralError('options', `address of the broker: expected mqtt://host:port or mqtts://…, found ${found}`);
  }
  const client = mqtt.connect(options.url, {
    clientId: options.clientId,
    protocolVersion: 4,
    clean: true,
    resubscribe: false,
    queueQoSZero: false,
    reconnectPeriod: 1000,
    connectTimeout: 10_000,
    ...(options.tls === null ? {} : await readTls(options.tls)),
  });
  // MQTT.js acknowledges a message, and reads the next, when this calls back: that is the backpressure.
  client.handleMessage = (packet, done) => {
    const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
    options.receive(packet.topic, payload).then(
      () => done(),
      (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
    );
  };
  let subscribed = false;
  client.on('connect', () => {
    client.subscribe(outsideSubscriptions(), { qos: 1 }, (error) => {
      subscribed = error === null || error === undefined;
      if (subscribed) options.connected();
      else options.lost(`subscribe: ${error?.message ?? ''}`);
    });
  });
  client.on('error', (error) => options.lost(error.message));
  client.on('close', () => {
    if (subscribed) options.lost('connection closed');
    subscribed = false;
  });
  const { host, protocol } = new URL(options.url);
  return {
    publish(topic, payload) {
      if (client.connected) client.publish(topic, Buffer.from(payload), { qos: 0 });
    },
    status: () => ({
      up: subscribed,
      message: subscribed ? `connected to ${protocol}//${host}` : `not connected to ${protocol}//${host}`,
    }),
    address: `${protocol}//${host}`,
    port: null,
    async close() {
      await client.endAsync(true);
    },
  };
}
