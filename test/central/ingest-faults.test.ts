import { randomBytes } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readRecords, readState, readTelemetry } from '../../central/ingest/incoming.ts';
import { VehicleQueues } from '../../central/ingest/vehicle-queues.ts';
import { encodeFrame, encodeMessage } from '../../sync/wire/frame.ts';
import { encodeTelemetry } from '../../sync/wire/telemetry.ts';
import { StateSchema, TelemetryBatchSchema } from '../../sync/wire/wire_pb.js';
import { type CentralFixture, openCentral } from './fixture.ts';
import { encodeBatch, epoch, impactOf, recordOf, rowsOf, TestVehicle } from './test-vehicle.ts';

let central: CentralFixture;
beforeAll(async () => {
  central = await openCentral();
});
afterAll(async () => {
  await central.close();
});

test('any bytes whatever are decoded or called malformed, never thrown at', () => {
  const payloads = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => encodeFrame(bytes)),
  );
  fc.assert(
    fc.property(payloads, (payload) => {
      for (const read of [readTelemetry, readRecords, readState]) {
        expect(['malformed', 'telemetry', 'records', 'state']).toContain(read('v1', payload).kind);
      }
    }),
  );
});

test('malformed messages are counted and logged with vehicle, topic and what was expected; the next good one is served', async () => {
  const vehicle = await TestVehicle.connect('noisy', central.mqtt);
  for (const kind of ['telemetry', 'events', 'log', 'state']) {
    await vehicle.publish(`fender/v1/noisy/${kind}`, Buffer.concat([Buffer.from([9]), randomBytes(50)]));
  }
  await vehicle.publish(`fender/v1/noisy/blob/${'a'.repeat(64)}/offer`, randomBytes(20));
  await vehicle.publish('fender/v1/noisy/unheard-of', randomBytes(20));
  await vehicle.telemetry('s', rowsOf(1, 4));
  await vehicle.until(() => vehicle.acked('s').size === 4, 'acks');
  expect(central.lines.find((line) => line.includes('topic=fender/v1/noisy/telemetry'))).toMatch(
    /central warn malformed message vehicle=noisy topic=\S+ expected="a telemetry batch" found=".*frame byte.*"/,
  );
  const metrics = await (await fetch(`${central.http}/metrics`)).text();
  for (const kind of ['telemetry', 'events', 'log', 'state', 'blob-offer', 'unknown']) {
    expect(metrics).toMatch(new RegExp(`fender_central_malformed_messages_total\\{kind="${kind}"\\} [1-9]`));
  }
  await vehicle.end();
});

test('a batch whose columns are broken is rejected by its sequences, so that the vehicle can go on', async () => {
  const vehicle = await TestVehicle.connect('broken', central.mqtt);
  const batch = create(TelemetryBatchSchema, {
    version: 1,
    epoch,
    stream: 's',
    firstSequence: 7n,
    count: 3,
    nextSequence: 10n,
    columns: [{ name: 'Not A Field', deltas: [1n, 2n, 3n] }],
  });
  await vehicle.publish('fender/v1/broken/telemetry', encodeFrame(toBinary(TelemetryBatchSchema, batch)));
  await vehicle.until(() => vehicle.acks.length > 0, 'a rejection');
  expect(vehicle.acks[0]).toMatchObject({ epoch, stream: 's', ranges: [] });
  expect(vehicle.acks[0]?.rejected.map(({ sequence }) => sequence)).toEqual([7n, 8n, 9n]);
  await vehicle.end();
});

test('times that no database column can hold are rejected, and health stays good', async () => {
  const vehicle = await TestVehicle.connect('timeless', central.mqtt);
  const latest = 2n ** 63n - 10_000n;
  const row = (monotonicNs: bigint) => {
    const stamp = { capturedAtNs: latest, monotonicNs, bootId: 'b', synchronised: true, estimatedErrorNs: null };
    return { sequence: 1, stamp, values: { x: 1 } };
  };
  const payload = encodeTelemetry({ epoch, stream: 's', nextSequence: 2 }, [row(2n * latest)]);
  await vehicle.publish('fender/v1/timeless/telemetry', payload);
  await vehicle.until(() => vehicle.acks.length > 0, 'a rejection');
  expect(vehicle.acks[0]?.rejected).toMatchObject([{ sequence: 1n }]);
  expect(await central.get('/healthz')).toMatchObject({ status: 200 });
  await vehicle.end();
});

test('one impossible record is rejected alone; an event id of another vehicle is not taken over', async () => {
  const owner = await TestVehicle.connect('owner', central.mqtt);
  await owner.records('events', [impactOf(1, 'shared-id')]);
  await owner.until(() => owner.acked('events').has(1), 'ack');
  const thief = await TestVehicle.connect('thief', central.mqtt);
  await thief.records('events', [
    impactOf(1, 'own-id'),
    impactOf(2, 'shared-id'),
    impactOf(3, 'bad-score', 'x', 7),
    impactOf(4, 'own-2'),
  ]);
  await thief.until(() => thief.acked('events').has(4), 'ack');
  expect([...thief.acked('events')]).toEqual([1, 4]);
  expect(thief.acks.flatMap(({ rejected }) => rejected.map(({ sequence }) => sequence)).sort()).toEqual([2n, 3n]);
  const { body } = await central.get('/api/events/shared-id');
  expect(body).toMatchObject({ vehicle: 'owner' });
  await owner.end();
  await thief.end();
});

test('texts that would swell every answer about a vehicle are refused', () => {
  const long = 'x'.repeat(20_000);
  expect(readState('v1', encodeMessage(StateSchema, { online: true, agentVersion: long })).kind).toBe('malformed');
  const impact = impactOf(1, 'event-1');
  if (impact.body.case === 'impact') impact.body.value.modelName = long;
  const diagnostic = recordOf(2, {
    case: 'diagnostic',
    value: {
      $typeName: 'fender.v1.Diagnostic',
      source: 's',
      level: 'ok',
      code: '',
      message: '',
      cure: '',
      values: { long },
    },
  });
  const content = readRecords('v1', encodeBatch('events', [impact, diagnostic, impactOf(3, 'event-3')], 4));
  expect(content.rejected.map(({ sequence }) => sequence)).toEqual([1n, 2n]);
});

test('bodies that this version does not know are kept', () => {
  const content = readRecords('v1', encodeBatch('future', [recordOf(1, { case: undefined })], 2));
  expect(content).toMatchObject({ kind: 'records', rejected: [], records: [{ sequence: 1n }] });
});

test('a full queue drops the messages of its own vehicle only, and serves vehicles in turn', async () => {
  const queues = new VehicleQueues({ softMessages: 2, softBytes: 1e6, hardMessages: 4, hardBytes: 1e6 });
  const message = (vehicle: string) => ({ vehicle, kind: 'telemetry', payload: new Uint8Array(10) });
  const taken = Array.from({ length: 6 }, () => queues.push(message('loud')));
  expect(taken).toEqual([true, true, true, true, false, false]);
  expect(queues.push(message('quiet'))).toBe(true);
  let roomy = false;
  const room = queues.room('loud').then(() => {
    roomy = true;
  });
  await Promise.resolve();
  expect(roomy).toBe(false);
  expect(queues.take(2).map(({ vehicle }) => vehicle)).toEqual(['loud', 'quiet']);
  queues.take(2);
  await room;
  expect(queues.size).toBe(1);
});
