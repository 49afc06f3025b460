import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import mqtt from 'mqtt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mayPublish, maySubscribe } from '../../central/embedded-broker.ts';
import { encodeMessage } from '../../sync/wire/frame.ts';
import { encodeTelemetry } from '../../sync/wire/telemetry.ts';
import { StateSchema } from '../../sync/wire/wire_pb.js';
import { type CentralFixture, openCentral, temporaryFolder } from './fixture.ts';
import { epoch, rowsOf, TestVehicle } from './test-vehicle.ts';

/** For a loaded machine. */
const patience = { timeout: 20_000 };

describe('what a vehicle may say and hear', () => {
  test('only its own topics, upwards', () => {
    expect(mayPublish('a', 'fender/v1/a/telemetry')).toBe(true);
    expect(mayPublish('a', `fender/v1/a/blob/${'0'.repeat(64)}/offer`)).toBe(true);
    expect(mayPublish('a', 'fender/v1/a/something-newer')).toBe(true);
    for (const topic of ['fender/v1/b/telemetry', 'fender/v1/a/ack', 'fender/v1/ab/state', '$SYS/x', 'fender/v1/a']) {
      expect(mayPublish('a', topic), topic).toBe(false);
    }
    expect(maySubscribe('a', 'fender/v1/a/ack')).toBe(true);
    expect(maySubscribe('a', 'fender/v1/a/blob/+/status')).toBe(true);
    for (const filter of ['#', '+/#', 'fender/v1/+/ack', 'fender/v1/b/ack', '$share/x/fender/v1/a/ack', '$SYS/#']) {
      expect(maySubscribe('a', filter), filter).toBe(false);
    }
  });
});

describe('embedded broker', () => {
  let central: CentralFixture;
  beforeAll(async () => {
    central = await openCentral();
  });
  afterAll(async () => {
    await central.close();
  });

  test('refuses to publish for another vehicle, hangs up, says so in the log, and stores nothing', async () => {
    const intruder = await TestVehicle.connect('intruder', central.mqtt);
    const payload = encodeTelemetry({ epoch, stream: 's', nextSequence: 4 }, rowsOf(1, 3));
    const closed = new Promise<void>((resolve) => intruder.client.once('close', () => resolve()));
    intruder.client.publish('fender/v1/victim/telemetry', Buffer.from(payload), { qos: 1 });
    await closed;
    expect(central.lines.some((line) => /refused vehicle=intruder reason=publish/.test(line))).toBe(true);
    expect((await central.get('/api/vehicles/victim')).status).toBe(404);
  });

  test('grants no subscription outside its own topics', async () => {
    const curious = await TestVehicle.connect('curious', central.mqtt);
    const granted = await curious.client.subscribeAsync(['fender/v1/curious/desired']);
    expect(granted[0]?.qos).toBe(0);
    await expect(curious.client.subscribeAsync(['fender/v1/+/ack'])).rejects.toThrow();
    expect(central.lines.some((line) => /refused vehicle=curious reason=subscribe/.test(line))).toBe(true);
    await curious.end();
  });

  test.each([
    ['a client id that is no vehicle id', { clientId: 'not a/vehicle' }],
    [
      'a last will in the name of another',
      { clientId: 'liar', will: { topic: 'fender/v1/other/state', payload: 'x', qos: 1, retain: true } },
    ],
  ] as const)('refuses to connect with %s', async (_name, options) => {
    await expect(
      mqtt.connectAsync(
        central.mqtt,
        { protocolVersion: 4, reconnectPeriod: 0, ...options } as mqtt.IClientOptions,
        false,
      ),
    ).rejects.toThrow(/[Nn]ot authorized/);
  });

  test('hangs up on a packet that would never end, and serves the others', async () => {
    const socket = connect(central.service.mqttPort as number, '127.0.0.1');
    await once(socket, 'connect');
    socket.on('error', () => {});
    const id = Buffer.from('bloat');
    const connectPacket = Buffer.concat([
      Buffer.from([0x10, 12 + id.length, 0, 4]),
      Buffer.from('MQTT'),
      Buffer.from([4, 2, 0, 60, 0, id.length]),
      id,
    ]);
    socket.write(connectPacket);
    await once(socket, 'data');
    socket.write(Buffer.from([0x32, 0xff, 0xff, 0xff, 0x7f])); // PUBLISH of 256 MiB − 1 bytes
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    const flood = setInterval(() => socket.write(Buffer.alloc(256 * 1024)), 5);
    await closed;
    clearInterval(flood);
    expect(central.lines.some((line) => /refused vehicle=bloat reason=packet-too-large/.test(line))).toBe(true);
    const vehicle = await TestVehicle.connect('v1', central.mqtt);
    await vehicle.telemetry('s', rowsOf(1, 3));
    await vehicle.until(() => vehicle.acked('s').size === 3, 'acks');
    await vehicle.end();
  });

  test('keeps nothing for a vehicle that is away: neither what it asked for nor what others say', async () => {
    const session = { clean: false };
    const spy = await TestVehicle.connect('spy', central.mqtt, session);
    const both = ['fender/v1/spy/ack', '#'];
    await expect(spy.client.subscribeAsync(both, { qos: 1 })).rejects.toThrow();
    await spy.end();
    const talker = await TestVehicle.connect('talker', central.mqtt);
    await talker.telemetry('s', rowsOf(1, 3));
    await talker.until(() => talker.acked('s').size === 3, 'acks');

    const heard: string[] = [];
    const back = mqtt.connect(central.mqtt, { ...session, clientId: 'spy', protocolVersion: 4, reconnectPeriod: 0 });
    back.on('message', (topic) => heard.push(topic));
    const connack = await new Promise<mqtt.IConnackPacket>((resolve) => back.once('connect', resolve));
    await back.subscribeAsync('fender/v1/spy/ack', { qos: 1 });
    expect(heard).toEqual([]);
    expect(connack.sessionPresent).toBe(false);
    await back.endAsync(true);
    await talker.end();
  });

  test('serves the others while one vehicle does not read what it is sent', async () => {
    const socket = connect(central.service.mqttPort as number, '127.0.0.1');
    await once(socket, 'connect');
    socket.on('error', () => {});
    const packet = (type: number, ...parts: (string | number[])[]) => {
      const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? field(part) : Buffer.from(part))));
      const length = body.length < 128 ? [body.length] : [(body.length & 127) | 128, body.length >> 7];
      return Buffer.concat([Buffer.from([type, ...length]), body]);
    };
    socket.write(packet(0x10, 'MQTT', [4, 2, 0, 0], 'deaf'));
    socket.write(packet(0x82, [0, 1], 'fender/v1/deaf/#', [0]));
    await once(socket, 'readable');
    const echo = packet(0x30, 'fender/v1/deaf/echo', [...Buffer.alloc(250)]);
    const many = Buffer.concat(Array.from({ length: 1000 }, () => echo));
    // Far more than the kernel keeps for a socket whose other end never reads.
    let written = true;
    for (let count = 0; count < 100 && written; count++) {
      if (socket.write(many)) continue;
      written = await Promise.race([
        once(socket, 'drain').then(() => true),
        new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 1000)),
      ]);
    }
    const vehicle = await TestVehicle.connect('v3', central.mqtt);
    await vehicle.telemetry('s', rowsOf(1, 3));
    await vehicle.until(() => vehicle.acked('s').size === 3, 'acks');
    await vehicle.end();
    socket.destroy();
  });

  test('a vehicle that comes back before its old connection is known to be dead stays online', async () => {
    const payload = Buffer.from(encodeMessage(StateSchema, { online: false }));
    const will = { topic: 'fender/v1/v4/state', payload, qos: 1 as const, retain: true };
    const before = await TestVehicle.connect('v4', central.mqtt, { will });
    await before.state(true);
    const gone = new Promise<void>((resolve) => before.client.once('close', () => resolve()));
    const after = await TestVehicle.connect('v4', central.mqtt, { will });
    await gone;
    await after.telemetry('s', rowsOf(1, 3));
    await after.until(() => after.acked('s').size === 3, 'acks');
    expect((await central.get('/api/vehicles/v4')).body).toMatchObject({ online: true });
    await after.end();
  });

  test('shows a vehicle online while it is, and offline by its last will', async () => {
    const will = {
      topic: 'fender/v1/v2/state',
      payload: Buffer.from(encodeMessage(StateSchema, { online: false })),
      qos: 1 as const,
      retain: true,
    };
    const vehicle = await TestVehicle.connect('v2', central.mqtt, { will });
    await vehicle.state(true);
    const online = async () => ((await central.get('/api/vehicles/v2')).body as { online?: boolean }).online;
    await expect.poll(online, patience).toBe(true);
    vehicle.client.stream.destroy();
    await expect.poll(online, patience).toBe(false);
    await vehicle.end();
  });
});

/** Length and text, as MQTT writes strings. */
function field(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length >> 8, text.length & 255]), Buffer.from(text)]);
}

/** A certificate authority, a certificate for the server and some for vehicles, made by openssl. */
function makeCertificates(folder: string, vehicles: readonly string[]): void {
  const run = (args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  for (const authority of ['ca', 'rogue-ca']) {
    run([
      'req',
      '-x509',
      ...ec,
      '-days',
      '2',
      '-subj',
      `/CN=${authority}`,
      '-keyout',
      `${authority}.key`,
      '-out',
      `${authority}.pem`,
    ]);
  }
  const issue = (name: string, subject: string, authority: string) => {
    run([
      'req',
      ...ec,
      '-subj',
      `/CN=${subject}`,
      '-addext',
      'subjectAltName=IP:127.0.0.1',
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
    ]);
    run([
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      `${authority}.pem`,
      '-CAkey',
      `${authority}.key`,
      '-days',
      '2',
      '-copy_extensions',
      'copyall',
      '-out',
      `${name}.pem`,
    ]);
  };
  issue('server', 'fender-central', 'ca');
  for (const vehicle of vehicles) issue(vehicle, vehicle, 'ca');
  issue('rogue', vehicles[0] as string, 'rogue-ca');
}

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!hasOpenssl() && process.env.CI === undefined)('TLS with client certificates (needs openssl)', () => {
  let central: CentralFixture;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let url: string;
  const pem = (name: string) => readFileSync(join(folder.path, name));
  const as = (name: string) => ({ ca: pem('ca.pem'), cert: pem(`${name}.pem`), key: pem(`${name}.key`) });
  beforeAll(async () => {
    folder = await temporaryFolder();
    makeCertificates(folder.path, ['truck-1', 'truck-2']);
    const files = {
      caPath: join(folder.path, 'ca.pem'),
      certPath: join(folder.path, 'server.pem'),
      keyPath: join(folder.path, 'server.key'),
    };
    central = await openCentral({ tls: files });
    url = `mqtts://127.0.0.1:${central.service.mqttPort}`;
  });
  afterAll(async () => {
    await central.close();
    await folder.remove();
  });

  test('a vehicle with its own certificate is served', async () => {
    const vehicle = await TestVehicle.connect('truck-1', url, as('truck-1'));
    await vehicle.telemetry('s', rowsOf(1, 5));
    await vehicle.until(() => vehicle.acked('s').size === 5, 'acks');
    await vehicle.end();
  });

  test('a certificate of one vehicle does not open the door to the name of another', async () => {
    await expect(TestVehicle.connect('truck-1', url, as('truck-2'))).rejects.toThrow(/[Nn]ot authorized/);
  });

  test('a certificate of another authority, or none, is refused', async () => {
    await expect(TestVehicle.connect('truck-1', url, as('rogue'))).rejects.toThrow();
    await expect(TestVehicle.connect('truck-1', url, { ca: pem('ca.pem') })).rejects.toThrow();
  });
});
