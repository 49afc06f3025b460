/** A command on its whole way: REST → central → a real broker → the vehicle's session → its result → REST and live view. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Command, commandSchema } from '../../central/api/schemas.ts';
import { CommandDesk } from '../../central/commands/command-desk.ts';
import { createMetrics } from '../../central/metrics.ts';
import { CommandStore, readCommand } from '../../central/storage/command-store.ts';
import { openDatabase } from '../../central/storage/database.ts';
import type { Clock, Stamp } from '../../drivers/sample.ts';
import type { CommandOutcome, OnCommand, VehicleCommand } from '../../sync/command-receiver.ts';
import { Outbox } from '../../sync/outbox.ts';
import { SyncSession } from '../../sync/session.ts';
import { decodeMessage, encodeFrame, encodeMessage } from '../../sync/wire/frame.ts';
import { topicOf } from '../../sync/wire/topics.ts';
import { type CommandResult, CommandSchema, ReportedSchema } from '../../sync/wire/wire_pb.js';
import { mosquittoPath, startMosquitto } from '../sync/brokers.ts';
import { type CentralFixture, openCentral, temporaryFolder } from './fixture.ts';
import { TestVehicle } from './test-vehicle.ts';

const vehicle = 'truck-1';
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
/** What a test opened, closed in reverse. */
const closers: (() => Promise<unknown>)[] = [];
let central: CentralFixture;

beforeEach(async () => {
  folder = await temporaryFolder();
  closers.push(() => folder.remove());
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** The system's time; `lateS` ahead of it, and known to be right or not. */
function clockOf({ lateS = 0, synchronised = true } = {}): Clock {
  const monotonicNs = () => process.hrtime.bigint();
  const offsetNs = BigInt(Date.now()) * 1_000_000n - monotonicNs() + BigInt(lateS) * 1_000_000_000n;
  const at = (ns: bigint): Stamp => ({
    capturedAtNs: ns + offsetNs,
    monotonicNs: ns,
    bootId: '5f1c0b52-9c0f-4a53-8f0c-5b8a1f5d9a11',
    synchronised,
    estimatedErrorNs: null,
  });
  return { now: () => at(monotonicNs()), monotonicNs, at };
}

const snapshotDone: CommandOutcome = { status: 'done', code: 'ok', message: 'taken', values: { event_id: 'event-1' } };

/** A real session over a real outbox; returns what it was commanded and how to stop it. */
async function startVehicle(url: string, onCommand: OnCommand | null, clock = clockOf()) {
  const outbox = await Outbox.open(join(folder.path, 'outbox.sqlite'), { clock });
  const commanded: VehicleCommand[] = [];
  const session = new SyncSession({
    outbox,
    url,
    vehicle,
    clock,
    state: () => ({ bootId: 'b', agentVersion: '0.1.0', modelName: '', modelVersion: '' }),
    reconnectMinMs: 30,
    ...(onCommand !== null && {
      onCommand: async (command) => {
        commanded.push(command);
        return await onCommand(command);
      },
    }),
  });
  const abort = new AbortController();
  const running = session.run(abort.signal);
  let stopped = false;
  const stop = async () => {
    if (stopped) return;
    stopped = true;
    abort.abort();
    await running;
    await outbox.close();
  };
  closers.push(stop);
  await expect.poll(async () => (await central.get(`/api/vehicles/${vehicle}`)).status, { timeout: 20_000 }).toBe(200);
  return { commanded, stop };
}

async function post(body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`${central.http}/api/vehicles/${vehicle}/commands`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return {
    status: response.status,
    body: (await response.json()) as Command & { error: { code: string; message: string } },
  };
}

async function settled(id: string): Promise<Command> {
  const read = async () =>
    commandSchema.strict().parse((await central.get(`/api/vehicles/${vehicle}/commands/${id}`)).body);
  await expect.poll(async () => (await read()).state, { timeout: 20_000 }).not.toBe('pending');
  return await read();
}

const noMosquitto = mosquittoPath() === null && process.env.CI === undefined;

describe.each([
  { name: 'the embedded broker', outside: false },
  { name: 'Mosquitto', outside: true },
])('over $name', ({ outside }) => {
  let url: string;
  const skip = outside && noMosquitto;

  async function start(): Promise<void> {
    if (outside) {
      const broker = await startMosquitto({ folder: folder.path });
      closers.push(() => broker.stop());
      url = `mqtt://127.0.0.1:${broker.port}`;
      central = await openCentral({ mqttUrl: url });
    } else {
      central = await openCentral();
      url = central.mqtt;
    }
    closers.push(() => central.close());
  }

  test.skipIf(skip)('a snapshot is done once, and its result is told by REST and live', async () => {
    await start();
    const { commanded } = await startVehicle(url, async () => snapshotDone);
    const live = await fetch(`${central.http}/api/live`);
    const id = randomUUID();
    const asked = { id, kind: 'snapshot', reason: 'by hand', pre_roll_s: 5 };
    expect((await post(asked)).status).toBe(202);
    expect(await settled(id)).toMatchObject({
      kind: 'snapshot',
      vehicle,
      parameters: { reason: 'by hand', pre_roll_s: 5 },
      state: 'done',
      code: 'ok',
      message: 'taken',
      values: { event_id: 'event-1' },
    });
    expect((await post(asked)).body).toMatchObject({ id, state: 'done' });
    expect(commanded).toEqual([{ kind: 'snapshot', id, reason: 'by hand', preRollS: 5, postRollS: undefined }]);
    let text = '';
    const decoder = new TextDecoder();
    for await (const piece of live.body as ReadableStream<Uint8Array>) {
      text += decoder.decode(piece, { stream: true });
      if (text.includes('"state":"done"')) break;
    }
    expect(text).toContain('event: command');
  });

  test.skipIf(skip)(
    'what is asked while the vehicle is away is said when it comes, and not when its time is over',
    async () => {
      await start();
      const first = await startVehicle(url, async () => snapshotDone);
      await first.stop();
      const { body: soon } = await post({ kind: 'start_recording', valid_for_s: 600 });
      const { commanded } = await startVehicle(url, async () => ({ ...snapshotDone, values: { recording: 'r1' } }));
      expect(await settled(soon.id)).toMatchObject({ state: 'done', values: { recording: 'r1' } });
      expect(commanded.map(({ kind }) => kind)).toEqual(['start_recording']);
    },
  );
});

describe('a vehicle', () => {
  beforeEach(async () => {
    central = await openCentral();
    closers.push(() => central.close());
  });

  test('that fails, or takes no commands, says so', async () => {
    const failing = await startVehicle(central.mqtt, async () => {
      throw new Error('the disk is full');
    });
    const failed = await post({ kind: 'stop_recording' });
    expect(await settled(failed.body.id)).toMatchObject({
      state: 'failed',
      code: 'failed',
      message: 'the disk is full',
    });
    await failing.stop();
    await startVehicle(central.mqtt, null);
    const refused = await post({ kind: 'stop_recording' });
    expect(await settled(refused.body.id)).toMatchObject({ state: 'refused', code: 'not-supported' });
  });

  test('that was stopped in the middle does not do it again', async () => {
    let begun: () => void = () => {};
    const beginning = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const first = await startVehicle(central.mqtt, () => {
      begun();
      return new Promise(() => {});
    });
    const { body } = await post({ kind: 'snapshot', valid_for_s: 600 });
    await beginning;
    await first.stop();
    const { commanded } = await startVehicle(central.mqtt, async () => snapshotDone);
    expect(await settled(body.id)).toMatchObject({ state: 'failed', code: 'interrupted' });
    expect(commanded).toEqual([]);
  });

  test('refuses what it does not know and what is over, answers the same each time, and is deaf to nonsense', async () => {
    const results: CommandResult[] = [];
    const broker = await startMosquittoOrSkip();
    if (broker === null) return;
    const mqtt = `mqtt://127.0.0.1:${broker.port}`;
    const ear = await TestVehicle.connect('ear', mqtt);
    closers.push(() => ear.end());
    await ear.client.subscribeAsync(topicOf(vehicle, 'reported'));
    ear.client.on('message', (_topic, payload) => {
      const { body } = decodeMessage(ReportedSchema, payload);
      if (body.case === 'commandResult') results.push(body.value);
    });
    await central.close();
    central = await openCentral({ mqttUrl: mqtt });
    closers.push(() => central.close());
    const { commanded } = await startVehicle(mqtt, async () => snapshotDone, clockOf({ lateS: 3600 }));
    const topic = topicOf(vehicle, 'command');
    const unknown = new BinaryWriter();
    unknown.tag(1, WireType.LengthDelimited).string(randomUUID());
    unknown.tag(2, WireType.Varint).int64(BigInt(Date.now()) * 1_000_000n);
    unknown.tag(3, WireType.Varint).uint32(7200);
    unknown.tag(99, WireType.LengthDelimited).fork().join();
    const payload = encodeFrame(unknown.finish());
    await ear.publish(topic, new Uint8Array([0, 255, 255]));
    await ear.publish(topic, encodeMessage(CommandSchema, { id: 'not-a-uuid' }));
    await ear.publish(topic, payload);
    await expect.poll(() => results.length, { timeout: 20_000 }).toBe(1);
    await ear.publish(topic, payload);
    await expect.poll(() => results.length, { timeout: 20_000 }).toBe(2);
    expect(results.map(({ status, code }) => [status, code])).toEqual([
      ['refused', 'unknown-command'],
      ['refused', 'unknown-command'],
    ]);
    const { body } = await post({ kind: 'snapshot', valid_for_s: 60 });
    expect(await settled(body.id)).toMatchObject({ state: 'refused', code: 'expired' });
    expect(commanded).toEqual([]);
  });

  test('that does not know the time trusts central', async () => {
    await startVehicle(central.mqtt, async () => snapshotDone, clockOf({ lateS: -1_700_000_000, synchronised: false }));
    const { body } = await post({ kind: 'snapshot' });
    expect(await settled(body.id)).toMatchObject({ state: 'done' });
  });

  test('cannot answer for another', async () => {
    const first = await startVehicle(central.mqtt, async () => snapshotDone);
    await first.stop();
    const { body } = await post({ kind: 'snapshot', valid_for_s: 600 });
    const liar = await TestVehicle.connect('liar', central.mqtt);
    const value = { commandId: body.id, status: 'done', code: 'ok', message: 'I did', values: {} };
    await liar.publish(
      topicOf('liar', 'reported'),
      encodeMessage(ReportedSchema, { body: { case: 'commandResult', value } }),
    );
    await liar.state(true);
    await expect.poll(async () => (await central.get('/api/vehicles/liar')).status, { timeout: 20_000 }).toBe(200);
    await liar.end();
    const read = await central.get(`/api/vehicles/${vehicle}/commands/${body.id}`);
    expect(read.body).toMatchObject({ state: 'pending' });
  });
});

test('central says a command again until its time is over, and gives it up when nobody answered', async () => {
  vi.useFakeTimers();
  closers.push(async () => vi.useRealTimers());
  const database = await openDatabase(folder.path);
  closers.push(() => database.close());
  const said: string[] = [];
  const metrics = createMetrics();
  const store = new CommandStore(database.writer);
  const desk = new CommandDesk({
    store,
    publish: (topic, payload) => said.push(`${topic} ${decodeMessage(CommandSchema, payload).body.case}`),
    changed: () => {},
    metrics,
    log: { info: () => {}, warn: () => {}, error: () => {} },
    nowMs: Date.now,
  });
  closers.push(async () => desk.close());
  const issuedMs = Date.now();
  const asked = { id: randomUUID(), vehicle, kind: 'snapshot', issuedMs, expiresMs: issuedMs + 9000 } as const;
  expect(desk.ask({ ...asked, parameters: { post_roll_s: 5 } })).toBe('asked');
  await vi.advanceTimersByTimeAsync(9500);
  expect(said).toEqual(Array(5).fill(`fender/v1/${vehicle}/command snapshot`));
  await vi.advanceTimersByTimeAsync(24_000);
  expect(said).toHaveLength(5);
  expect(store.pending()).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(3000);
  expect(store.pending()).toEqual([]);
  expect((await readCommand(database.reader, vehicle, asked.id))?.state).toBe('expired');
  expect(vi.getTimerCount()).toBe(0);
});

async function startMosquittoOrSkip() {
  if (noMosquitto) return null;
  const broker = await startMosquitto({ folder: folder.path });
  closers.push(() => broker.stop());
  return broker;
}

describe('the REST API', () => {
  test('refuses what makes no sense, too many, and pages of other sites', async () => {
    central = await openCentral();
    closers.push(() => central.close());
    expect((await post({ kind: 'snapshot' })).status).toBe(404);
    const known = await TestVehicle.connect(vehicle, central.mqtt);
    await known.state(true);
    await expect
      .poll(async () => (await central.get(`/api/vehicles/${vehicle}`)).status, { timeout: 20_000 })
      .toBe(200);
    await known.end();
    const explode = await post({ kind: 'explode' });
    expect(explode.status).toBe(400);
    expect(explode.body.error.message).toContain('expected snapshot, start_recording or stop_recording');
    for (const body of [
      {},
      { kind: 'snapshot', pre_roll_s: -1 },
      { kind: 'stop_recording', reason: 'x' },
      { kind: 'snapshot', id: 'x' },
    ]) {
      expect((await post(body)).status, JSON.stringify(body)).toBe(400);
    }
    expect((await post({ kind: 'snapshot' }, { 'sec-fetch-site': 'cross-site' })).status).toBe(403);
    expect((await post({ kind: 'snapshot' }, { 'content-type': 'text/plain' })).status).toBe(400);
    const id = randomUUID();
    expect((await post({ id, kind: 'snapshot' })).status).toBe(202);
    expect((await post({ id, kind: 'stop_recording' })).body.error.code).toBe('id-taken');
    for (let more = 1; more < 16; more += 1) expect((await post({ kind: 'snapshot' })).status).toBe(202);
    expect((await post({ kind: 'snapshot' })).status).toBe(429);
    const { body } = await central.get(`/api/vehicles/${vehicle}/commands`);
    expect((body as { commands: Command[] }).commands).toHaveLength(16);
    expect((await central.get(`/api/vehicles/${vehicle}/commands/${randomUUID()}`)).status).toBe(404);
  });
});
