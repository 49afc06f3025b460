/** What the access list for Mosquitto promises: no vehicle commands another, hears its commands or speaks for it. */
import { join } from 'node:path';
import mqtt, { type MqttClient } from 'mqtt';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { outsideSubscriptions } from '../../central/outside-broker.ts';
import { topicOf, vehicleSubscriptions } from '../../sync/wire/topics.ts';
import { mosquittoPath, startMosquitto } from '../sync/brokers.ts';
import { temporaryFolder } from './fixture.ts';

const aclPath = join(import.meta.dirname, '../../systemd/mosquitto.acl');

describe.skipIf(mosquittoPath() === null && process.env.CI === undefined)('the access list (needs mosquitto)', () => {
  const closers: (() => Promise<unknown>)[] = [];
  let port: number;
  beforeEach(async () => {
    const folder = await temporaryFolder();
    closers.push(() => folder.remove());
    const broker = await startMosquitto({ folder: folder.path, extra: [`acl_file ${aclPath}`] });
    closers.push(broker.stop);
    ({ port } = broker);
  });
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  /** A connection with the name that its certificate would say. */
  async function connect(name: string, clientId: string): Promise<MqttClient> {
    const options = { username: name, clientId, reconnectPeriod: 0 };
    const connection = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, options);
    closers.push(() => connection.endAsync(true));
    return connection;
  }

  /** A client and what it hears. A refused filter is no error to the broker: it delivers nothing of it. */
  async function client(name: string, filters: readonly string[]) {
    const heard: string[] = [];
    const connection = await connect(name, `of-${name}`);
    connection.on('message', (topic, payload) => heard.push(`${topic} ${payload}`));
    for (const filter of filters) await connection.subscribeAsync(filter, { qos: 1 });
    return { heard, say: (topic: string, text: string) => connection.publishAsync(topic, text, { qos: 1 }) };
  }

  /** Says what must not get through; resolves when the broker has taken it, or hung up because of it. */
  async function intrude(name: string, topic: string): Promise<void> {
    const connection = await connect(name, `intruder-${topic.length}-${name}`);
    await new Promise<void>((resolve) => {
      connection.once('close', () => resolve());
      connection.publish(topic, 'intrusion', { qos: 1 }, () => resolve());
    });
  }

  test('lets central and a vehicle talk, and a third hear and say nothing of it', async () => {
    const commandTopic = topicOf('truck-1', 'command');
    const telemetryTopic = topicOf('truck-1', 'telemetry');
    const central = await client('central', outsideSubscriptions());
    const truck = await client('truck-1', vehicleSubscriptions('truck-1'));
    const spy = await client('truck-2', ['#', 'fender/v1/+/command', 'fender/v1/+/telemetry', commandTopic]);
    await intrude('truck-2', commandTopic);
    await intrude('truck-2', telemetryTopic);
    await intrude('truck-2', topicOf('truck-1', 'reported'));
    await intrude('truck-1', commandTopic);
    await central.say(commandTopic, 'by central');
    await truck.say(telemetryTopic, 'by itself');
    await spy.say(topicOf('truck-2', 'telemetry'), 'by itself');
    await expect.poll(() => central.heard.length, { timeout: 20_000 }).toBe(2);
    for (const name of ['truck-1', 'truck-2']) await central.say(topicOf(name, 'ack'), 'the last');
    await expect.poll(() => spy.heard.at(-1), { timeout: 20_000 }).toBe('fender/v1/truck-2/ack the last');
    await expect.poll(() => truck.heard.at(-1), { timeout: 20_000 }).toBe('fender/v1/truck-1/ack the last');
    expect(truck.heard).toEqual([`${commandTopic} by central`, 'fender/v1/truck-1/ack the last']);
    expect(central.heard.toSorted()).toEqual([`${telemetryTopic} by itself`, 'fender/v1/truck-2/telemetry by itself']);
    expect(spy.heard).toEqual(['fender/v1/truck-2/ack the last']);
  });
});
