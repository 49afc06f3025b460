/** The wire contract: what goes in comes out, any bytes give a typed error, and a sample costs at most 12 bytes. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SyncError } from '../../sync/wire/error.ts';
import { decodeFrame, decodeMessage, encodeFrame, encodeMessage, maxMessageBytes } from '../../sync/wire/frame.ts';
import { decodeRecordBody, decodeRecords, encodeRecordBody, encodeRecords } from '../../sync/wire/records.ts';
import {
  decodeTelemetry,
  encodeTelemetry,
  errorClassNs,
  exponentOf,
  type TelemetryRow,
} from '../../sync/wire/telemetry.ts';
import {
  blobChunkTopic,
  blobOfferTopic,
  blobStatusTopic,
  centralSubscriptions,
  downTopics,
  parseTopic,
  topicOf,
  upTopics,
} from '../../sync/wire/topics.ts';
import { AckSchema, RecordBatchSchema, TelemetryBatchSchema } from '../../sync/wire/wire_pb.js';
import { seededRandom, stampAt } from './stamps.ts';

const epoch = '0b7a9fd0-22c5-43a2-9d3f-6f6f4a1f6d55';
const sha256 = 'ab'.repeat(32);

/** Runs `work`; any error but a SyncError fails the test. */
function onlyTyped(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof SyncError)) throw error;
  }
}

describe('topics', () => {
  it('are taken apart into what they were built from', () => {
    for (const kind of [...upTopics, ...downTopics]) {
      expect(parseTopic(topicOf('car-7', kind))).toEqual({ vehicle: 'car-7', kind });
    }
    expect(parseTopic(blobOfferTopic('car-7', sha256))).toEqual({ vehicle: 'car-7', kind: 'blob-offer', sha256 });
    expect(parseTopic(blobStatusTopic('car-7', sha256))).toEqual({ vehicle: 'car-7', kind: 'blob-status', sha256 });
    expect(parseTopic(blobChunkTopic('car-7', sha256, 65_536))).toEqual({
      vehicle: 'car-7',
      kind: 'blob-chunk',
      sha256,
      offset: 65_536,
    });
  });

  it('give null for anything else and never throw', () => {
    const part = fc.oneof(
      fc.string(),
      fc.constantFrom('fender', 'v1', 'car', 'blob', sha256, 'chunk', 'offer', '0', '01'),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 9 }), (parts) => {
        const parsed = parseTopic(parts.join('/'));
        if (parsed !== null) expect(parts.slice(0, 2)).toEqual(['fender', 'v1']);
      }),
    );
    for (const wrong of [
      'fender/v1/a b/ack',
      'fender/v2/a/ack',
      'fender/v1/a/ack/x',
      'fender/v1/+/ack',
      `fender/v1/a/blob/${sha256}/chunk/007`,
    ]) {
      expect(parseTopic(wrong)).toBeNull();
    }
  });

  it('refuse a vehicle id that would be a wildcard or another level', () => {
    for (const vehicle of ['', '+', '#', 'a/b', '-a', 'x'.repeat(65)])
      expect(() => topicOf(vehicle, 'ack')).toThrow(SyncError);
    expect(centralSubscriptions().every((topic) => topic.startsWith('fender/v1/+/'))).toBe(true);
  });
});

describe('frames', () => {
  it('return any content at any level', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), fc.integer({ min: 0, max: 5 }), (content, level) => {
        expect(Buffer.from(decodeFrame(encodeFrame(content, level)))).toEqual(Buffer.from(content));
      }),
    );
  });

  it('refuse what unfolds beyond the bound', () => {
    const bomb = encodeFrame(new Uint8Array(8 * maxMessageBytes));
    expect(bomb.byteLength).toBeLessThan(10_000);
    expect(() => decodeFrame(bomb)).toThrow(expect.objectContaining({ code: 'limit-exceeded' }));
  });

  it('turn any bytes into content or a typed error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.constantFrom(0, 1, 2), (bytes, kind) => {
        const payload = Uint8Array.of(kind, ...bytes);
        onlyTyped(() => decodeFrame(payload));
        onlyTyped(() => decodeTelemetry(payload));
        onlyTyped(() => decodeRecords(payload));
        onlyTyped(() => decodeMessage(AckSchema, payload));
        onlyTyped(() => decodeRecordBody(bytes));
      }),
      { numRuns: 1000 },
    );
  });

  it('turn a broken telemetry payload into rows or a typed error', () => {
    const payload = encodeTelemetry({ epoch, stream: 'bme680/environment', nextSequence: 31 }, environmentRows(30, 1));
    const content = Uint8Array.from(decodeFrame(payload));
    fc.assert(
      fc.property(
        fc.nat(content.length - 1),
        fc.integer({ min: 0, max: 255 }),
        fc.nat(content.length),
        (at, value, cut) => {
          const broken = content.slice(0, cut);
          if (at < cut) broken[at] = value;
          onlyTyped(() => decodeTelemetry(encodeFrame(broken)));
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('refuse a batch whose counts do not agree', () => {
    const batch = { version: 1, epoch, stream: 'a', firstSequence: 1n, nextSequence: 5000n, bootId: 'b' };
    const time = { firstNs: 0n, unitNs: 1000, deltas: [] };
    const wrong = [
      { ...batch, count: 0 },
      { ...batch, count: 4097, capturedAt: time, monotonic: time },
      { ...batch, count: 2, capturedAt: time, monotonic: time },
      { ...batch, count: 1, capturedAt: time },
      { ...batch, count: 1, capturedAt: time, monotonic: time, nextSequence: 1n },
      {
        ...batch,
        count: 1,
        capturedAt: time,
        monotonic: time,
        columns: [{ name: 'x', exponent: 0, deltas: [1n, 2n] }],
      },
      { ...batch, count: 1, capturedAt: time, monotonic: time, columns: [{ name: 'x' }, { name: 'x' }] },
      { ...batch, count: 1, capturedAt: time, monotonic: time, columns: [{ name: 'x', deltas: [1n], missing: [7] }] },
    ];
    for (const init of wrong) {
      expect(() => decodeTelemetry(encodeMessage(TelemetryBatchSchema, init))).toThrow(
        expect.objectContaining({ code: 'bad-message' }),
      );
    }
  });
});

describe('telemetry', () => {
  const known = fc.constantFrom('temperature_c', 'pressure_pa', 'pm2_5_ugm3', 'gas_resistance_ohm', 'ch3_dbfs');
  const knownValue = fc.oneof(fc.double({ min: -1e6, max: 1e6, noNaN: true }), fc.constant(Number.NaN));
  const unknownValue = fc.oneof(
    fc.double(),
    fc.integer().map((value) => value / 1000),
    fc.constantFrom(0, -0, Number.MAX_VALUE, 5e-324, 2 ** 53, Number.NEGATIVE_INFINITY),
  );
  const row = fc.record({
    stepNs: fc.bigInt({ min: -1_000_000_000n, max: 10_000_000_000n }),
    known: fc.dictionary(known, knownValue, { maxKeys: 4 }),
    unknown: fc.dictionary(fc.constantFrom('speed_mps', 'x', 'constructor'), unknownValue, { maxKeys: 3 }),
  });

  it('returns known fields to their resolution, unknown ones to the bit, stamps to 10 µs, whatever the rows', () => {
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 1e9 }), (drawn, first) => {
        let ns = 0n;
        const rows: TelemetryRow[] = drawn.map((entry, index) => {
          ns += entry.stepNs;
          const stamp = stampAt(0);
          return {
            sequence: first + index,
            stamp: { ...stamp, capturedAtNs: stamp.capturedAtNs + ns, monotonicNs: stamp.monotonicNs + ns },
            values: { ...entry.known, ...entry.unknown },
          };
        });
        const header = { epoch, stream: 'any/stream', nextSequence: first + rows.length };
        const read = decodeTelemetry(encodeTelemetry(header, rows));
        expect(read).toMatchObject(header);
        expect(read.rows.map(({ sequence }) => sequence)).toEqual(rows.map(({ sequence }) => sequence));
        for (const [index, sent] of rows.entries()) expectSame(sent, read.rows[index]);
      }),
      { numRuns: 300 },
    );
  });

  it('makes the same row of a sample whichever rows travel with it', () => {
    const rows = environmentRows(40, 3);
    const header = { epoch, stream: 'bme680/environment', nextSequence: 41 };
    const together = decodeTelemetry(encodeTelemetry(header, rows)).rows;
    const apart = rows.flatMap((one) => decodeTelemetry(encodeTelemetry(header, [one])).rows);
    expect(apart).toEqual(together);
  });

  it('refuses to mix boots or clock qualities', () => {
    const rows = environmentRows(2, 4);
    const second = rows[1] as TelemetryRow;
    const header = { epoch, stream: 'a', nextSequence: 3 };
    for (const replaced of [{ bootId: 'other' }, { synchronised: false }, { estimatedErrorNs: null }]) {
      const mixed = { ...second, stamp: { ...second.stamp, ...replaced } };
      expect(() => encodeTelemetry(header, [rows[0] as TelemetryRow, mixed])).toThrow(SyncError);
    }
    expect([null, 0n, 1n, 2n, 3n, 1_000_000n].map(errorClassNs)).toEqual([-1n, 0n, 1n, 2n, 4n, 1_048_576n]);
  });

  const measured = [
    ['bme680/environment', environmentRows],
    ['uma8/level', levelRows],
    ['sps30/particulate', particulateRows],
  ] as const;
  it.each(measured)('costs at most 12 bytes a sample of 8 fields on the wire at batches of 100: %s', (stream, make) => {
    for (const seed of [1, 2, 3]) {
      const rows = make(100, seed);
      expect(Object.keys(rows[0]?.values ?? {}).length).toBe(8);
      const payload = encodeTelemetry({ epoch, stream, nextSequence: 1_000_101 }, rows);
      const perSample = publishBytes(topicOf('vehicle-0042', 'telemetry'), payload) / 100;
      if (seed === 1) console.log(`${stream}: ${perSample.toFixed(2)} bytes a sample`);
      expect(perSample).toBeLessThanOrEqual(12);
    }
  });
});

describe('records', () => {
  it('come back with their stamps and bodies', () => {
    const impact = {
      eventId: 'e',
      label: 'glass_break',
      score: 0.97,
      durationS: 0.3,
      modelName: 'm',
      modelVersion: '1',
    };
    const body = encodeRecordBody({
      case: 'impact',
      value: { ...impact, scores: [{ label: 'glass_break', score: 0.97 }] },
    });
    const records = [3, 4, 9].map((sequence) => ({ sequence, stamp: stampAt(sequence), body }));
    const read = decodeRecords(encodeRecords({ epoch, stream: 'events', nextSequence: 10 }, records));
    expect(read.records.map(({ sequence }) => sequence)).toEqual([3, 4, 9]);
    expect(read.records[0]?.stamp).toEqual({ ...stampAt(3), estimatedErrorNs: errorClassNs(2_000_000n) });
    expect(read.records[2]?.body).toMatchObject({ case: 'impact', value: impact });
  });

  it('carry opaque bodies of any length as protobuf would', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40_000, size: 'max' }), (value) => {
        const read = decodeRecordBody(encodeRecordBody({ case: 'opaque', value }));
        expect(read.case).toBe('opaque');
        expect(Buffer.from(read.value as Uint8Array).equals(value)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it('are refused out of order, at 0, or beyond next_sequence', () => {
    for (const sequences of [[2n, 1n], [0n], [5n], [1n, 1n]]) {
      const records = sequences.map((sequence) => ({ sequence }));
      const payload = encodeMessage(RecordBatchSchema, { version: 1, epoch, stream: 'log', records, nextSequence: 5n });
      expect(() => decodeRecords(payload)).toThrow(SyncError);
    }
  });
});

function expectSame(sent: TelemetryRow, read: TelemetryRow | undefined): void {
  if (read === undefined) throw new Error(`row ${sent.sequence} is missing`);
  const apartNs = read.stamp.capturedAtNs - sent.stamp.capturedAtNs;
  expect(apartNs >= -5000n && apartNs <= 5000n).toBe(true);
  const monotonicApartNs = read.stamp.monotonicNs - sent.stamp.monotonicNs;
  expect(monotonicApartNs >= -10_000n && monotonicApartNs <= 10_000n).toBe(true);
  for (const [field, value] of Object.entries(sent.values)) {
    const found = read.values[field] ?? Number.POSITIVE_INFINITY;
    const exponent = exponentOf(field);
    if (exponent === null || Number.isNaN(value)) expect(found).toBe(value);
    else expect(Math.abs(found - value)).toBeLessThanOrEqual(10 ** exponent * 0.5000001);
  }
  for (const [field, value] of Object.entries(read.values)) if (!(field in sent.values)) expect(value).toBeNaN();
}

/** Bytes of a whole MQTT 3.1.1 PUBLISH packet at QoS 1: fixed header, topic, packet id, payload. */
function publishBytes(topic: string, payload: Uint8Array): number {
  const remaining = 2 + topic.length + 2 + payload.byteLength;
  const lengthBytes = remaining < 128 ? 1 : remaining < 16_384 ? 2 : 3;
  return 1 + lengthBytes + remaining;
}

/** Samples once a second with the jitter of a loaded Linux (σ 1 ms, now and then 20 ms), a drifting clock and
 * more sensor noise than the data sheets tell (BME680: 0.12 Pa, 0.005 °C). */
function rowsOf(
  count: number,
  seed: number,
  values: (gauss: (sigma: number) => number, index: number) => Record<string, number>,
) {
  const random = seededRandom(seed);
  const gauss = (sigma: number): number =>
    sigma * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Array.from({ length: count }, (_, index): TelemetryRow => {
    const lateMs = Math.abs(gauss(1)) + (random() < 0.03 ? 20 * random() : 0);
    const monotonicNs = 5_000_000_123n + BigInt(Math.round((index * 1000 + lateMs) * 1e6));
    const driftNs = BigInt(Math.round(index * 20_000 + gauss(300)));
    const capturedAtNs = 1_790_000_000_000_000_456n + monotonicNs + driftNs;
    return {
      sequence: 1_000_001 - count + index,
      stamp: { ...stampAt(0), monotonicNs, capturedAtNs, estimatedErrorNs: 1_100_000n + BigInt(index * 500) },
      values: values(gauss, index),
    };
  });
}

function environmentRows(count: number, seed: number): TelemetryRow[] {
  return rowsOf(count, seed, (gauss, index) => ({
    temperature_c: 21.4 + 0.002 * index + gauss(0.02),
    humidity_ratio: 0.4312 + 0.0001 * Math.sin(index / 9) + gauss(0.0002),
    pressure_pa: 98_213 + gauss(1.5),
    gas_resistance_ohm: 51_200 + 12 * index + gauss(60),
    gas_valid: 1,
    heater_stable: 1,
    pm2_5_ugm3: Math.round(8 + gauss(0.7)),
    pm10_ugm3: Math.round(11 + gauss(1)),
  })).map((row, index) => ({ ...row, sequence: index + 1 }));
}

function levelRows(count: number, seed: number): TelemetryRow[] {
  let level = -35;
  return rowsOf(count, seed, (gauss) => {
    level = Math.min(-12, Math.max(-50, level + gauss(1.2)));
    return Object.fromEntries(
      Array.from({ length: 8 }, (_, channel) => [`ch${channel}_dbfs`, level + channel / 4 + gauss(0.4)]),
    );
  });
}

function particulateRows(count: number, seed: number): TelemetryRow[] {
  return rowsOf(count, seed, (gauss) => ({
    pm1_ugm3: 6.2 + gauss(0.3),
    pm2_5_ugm3: 8.4 + gauss(0.4),
    pm4_ugm3: 9.1 + gauss(0.4),
    pm10_ugm3: 9.7 + gauss(0.5),
    temperature_c: 20 + gauss(0.02),
    pressure_pa: 98_200 + gauss(0.8),
    humidity_ratio: 0.43 + gauss(0.0001),
    gas_resistance_ohm: 51_200 + gauss(30),
  }));
}
