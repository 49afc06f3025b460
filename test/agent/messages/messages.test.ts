import { parse } from '@foxglove/rosmsg';
import { MessageReader, MessageWriter } from '@foxglove/rosmsg2-serialization';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  encodeDiagnosticArray,
  encodeGasResistance,
  encodeHumidity,
  encodeImpact,
  encodeParticulateMatter,
  encodePressure,
  encodeRawAudio,
  encodeTemperature,
  encodeTimeReference,
  type MessageType,
  rosTime,
  schemaTexts,
} from '../../../agent/messages/messages.ts';
import { decodeMeasurement, encodeMeasurement } from '../../../drivers/plantower/codec.ts';
import type { AudioChunk, ParticulateSample, Stamp } from '../../../drivers/sample.ts';
import { decodeReport, encodeReport } from '../../../drivers/sds011/codec.ts';
import { decodeReading, encodeReading } from '../../../drivers/sps30/codec.ts';

const stamp: Stamp = {
  capturedAtNs: 1_764_000_000_123_456_789n,
  monotonicNs: 5_000_000_007n,
  bootId: '0f6e9b3a-1111-4222-8333-444455556666',
  synchronised: true,
  estimatedErrorNs: 1200n,
};
const time = { sec: 1_764_000_000, nanosec: 123_456_789 };
const environment = {
  stamp,
  temperatureC: 21.5,
  pressurePa: 101_325,
  humidity: 0.45,
  gasResistanceOhm: 12_345.5,
  gasValid: true,
  heaterStable: false,
};

function read(type: MessageType, data: Uint8Array): unknown {
  return new MessageReader(parse(schemaTexts[type], { ros2: true })).readMessage(data);
}

function chunk(pcm: Int16Array<ArrayBuffer>, channels: number, capturedAtNs = stamp.capturedAtNs): AudioChunk {
  const frames = pcm.length / channels;
  return { stamp: { ...stamp, capturedAtNs }, firstFrame: 0n, sampleRateHz: 48_000, channels, frames, pcm };
}

describe('schema texts', () => {
  test.each(Object.entries(schemaTexts))('%s is complete: every type it uses is in it, each once', (_, text) => {
    const definitions = parse(text, { ros2: true });
    const names = definitions.map((definition) => definition.name);
    for (const field of definitions.flatMap((definition) => definition.definitions)) {
      if (field.isComplex) expect(names).toContain(field.type);
    }
    const headings = text.match(/^MSG: .*$/gm) ?? [];
    expect(headings).toContain('MSG: builtin_interfaces/Time');
    expect(new Set(headings).size).toBe(headings.length);
  });
});

describe('rosTime', () => {
  test('keeps every nanosecond, before 1970 too', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 31n) * 1_000_000_000n, max: 2n ** 31n * 1_000_000_000n - 1n }), (ns) => {
        const { sec, nanosec } = rosTime(ns);
        expect(BigInt(sec) * 1_000_000_000n + BigInt(nanosec)).toBe(ns);
        expect(nanosec).toBeGreaterThanOrEqual(0);
        expect(nanosec).toBeLessThan(1_000_000_000);
      }),
    );
  });
});

describe('RawAudio', () => {
  test("is byte for byte what the library's writer makes", () => {
    const writer = new MessageWriter(parse(schemaTexts['foxglove_msgs/msg/RawAudio'], { ros2: true }));
    fc.assert(
      fc.property(
        fc.int16Array({ maxLength: 67 }),
        fc.bigInt({ min: 0n, max: 4_000_000_000_000_000_000n }),
        (values, ns) => {
          const audio = chunk(new Int16Array(values), 1, ns % (2n ** 31n * 1_000_000_000n));
          const expected = writer.writeMessage({
            timestamp: rosTime(audio.stamp.capturedAtNs),
            data: new Uint8Array(audio.pcm.buffer),
            format: 'pcm-s16',
            sample_rate: 48_000,
            number_of_channels: 1,
          });
          expect(Buffer.compare(encodeRawAudio(audio), expected)).toBe(0);
        },
      ),
    );
  });

  test('reads a view into a larger buffer, not the buffer', () => {
    const whole = Int16Array.from({ length: 32 }, (_, index) => index);
    const message = read('foxglove_msgs/msg/RawAudio', encodeRawAudio(chunk(whole.subarray(8, 24), 8)));
    expect(message).toMatchObject({ timestamp: time, format: 'pcm-s16', sample_rate: 48_000, number_of_channels: 8 });
    const data = (message as { data: Uint8Array }).data;
    expect([...new Int16Array(data.slice().buffer)]).toEqual([...whole.subarray(8, 24)]);
  });
});

describe('samples come back from their CDR bytes', () => {
  const header = { stamp: time, frame_id: 'bme680_link' };
  test('BME680', () => {
    expect(read('sensor_msgs/msg/Temperature', encodeTemperature(environment, 'bme680_link'))).toEqual({
      header,
      temperature: 21.5,
      variance: 0,
    });
    expect(read('sensor_msgs/msg/RelativeHumidity', encodeHumidity(environment, 'bme680_link'))).toMatchObject({
      header,
      relative_humidity: 0.45,
    });
    expect(read('sensor_msgs/msg/FluidPressure', encodePressure(environment, 'bme680_link'))).toMatchObject({
      header,
      fluid_pressure: 101_325,
    });
    expect(read('fender_msgs/msg/GasResistance', encodeGasResistance(environment, 'bme680_link'))).toEqual({
      header,
      gas_resistance: 12_345.5,
      gas_valid: true,
      heater_stable: false,
    });
  });

  test('particulate matter, with what the sensor does not measure as NaN', () => {
    const sample = {
      stamp,
      pm1UgM3: 1,
      pm25UgM3: 2.5,
      pm4UgM3: Number.NaN,
      pm10UgM3: 10,
      countsPerCm3: { '>10': 0.5, '>0.3': 7 },
    };
    expect(read('fender_msgs/msg/ParticulateMatter', encodeParticulateMatter(sample, 'front'))).toEqual({
      header: { stamp: time, frame_id: 'front' },
      pm1: 1,
      pm2_5: 2.5,
      pm4: Number.NaN,
      pm10: 10,
      pm1_standard: Number.NaN,
      pm2_5_standard: Number.NaN,
      pm10_standard: Number.NaN,
      typical_size: Number.NaN,
      count_from: Float64Array.of(0.3, 10),
      count_to: Float64Array.of(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY),
      count_per_cm3: Float64Array.of(7, 0.5),
    });
  });

  test('particle counts of each sensor keep the sizes that the sensor counts by', () => {
    const counts = (sample: ParticulateSample) => {
      const message = read('fender_msgs/msg/ParticulateMatter', encodeParticulateMatter(sample, '')) as {
        count_from: Float64Array;
        count_to: Float64Array;
        count_per_cm3: Float64Array;
      };
      return [...message.count_from].map((from, i) => [from, message.count_to[i], message.count_per_cm3[i]]);
    };
    const plantower = encodeMeasurement({
      standardUgM3: [1, 2, 3],
      atmosphericUgM3: [1, 2, 3],
      counts: [600, 500, 400, 300, 200, 100],
      version: 0,
      errorCode: 0,
    });
    const above = [0.3, 0.5, 1, 2.5, 5, 10].map((from, i) => [from, Number.POSITIVE_INFINITY, 6 - i]);
    expect(counts(decodeMeasurement(plantower, stamp))).toEqual(above);
    const sps30 = encodeReading([1, 2, 3, 4, 5, 6, 7, 8, 9, 0.5]);
    const spans = [0.5, 1, 2.5, 4, 10].map((to, i) => [0.3, to, 5 + i]);
    expect(counts(decodeReading(sps30, stamp))).toEqual(spans);
    expect(counts(decodeReport(encodeReport(1, 2, 3), stamp))).toEqual([]);
  });

  test('impact', () => {
    const data = encodeImpact(
      {
        stamp,
        endNs: stamp.capturedAtNs + 500_000_000n,
        eventId: 'e1',
        label: 'glass_break',
        score: 0.75,
        scores: { background: 0.25, glass_break: 0.75 },
        model: { name: 'impact', version: '1.0.0' },
      },
      'array',
    );
    expect(read('fender_msgs/msg/Impact', data)).toEqual({
      header: { stamp: time, frame_id: 'array' },
      event_id: 'e1',
      end: { sec: time.sec, nanosec: time.nanosec + 500_000_000 },
      label: 'glass_break',
      score: 0.75,
      labels: ['background', 'glass_break'],
      scores: Float32Array.of(0.25, 0.75),
      model_name: 'impact',
      model_version: '1.0.0',
      kind: 'impact',
      azimuth: Number.NaN,
      azimuth_confidence: Number.NaN,
      pressure_change: Number.NaN,
      level: '',
      detail: '',
    });
  });

  test('an impact from the left, and an event of the air', () => {
    const about = {
      stamp,
      endNs: stamp.capturedAtNs,
      eventId: 'e',
      score: 1,
      scores: {},
      model: { name: '', version: '' },
    };
    const direction = { azimuthDeg: 90, side: 'left', confidence: 0.75 } as const;
    const heard = encodeImpact(
      { ...about, kind: 'impact', label: 'body_impact', direction, pressureChangePa: -8 },
      'a',
    );
    expect(read('fender_msgs/msg/Impact', heard)).toMatchObject({
      kind: 'impact',
      azimuth: Math.fround(Math.PI / 2),
      azimuth_confidence: 0.75,
      pressure_change: -8,
    });
    const detail = 'PM2.5 rose to 60 µg/m³';
    const smelt = encodeImpact({ ...about, kind: 'air', label: 'smoke', level: 'high', detail }, '');
    const nothing = { azimuth: Number.NaN, azimuth_confidence: Number.NaN, pressure_change: Number.NaN };
    expect(read('fender_msgs/msg/Impact', smelt)).toMatchObject({ kind: 'air', level: 'high', detail, ...nothing });
  });

  test('diagnostics, with text outside ASCII whole', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (message) => {
        fc.pre(!message.includes('\0'));
        const data = encodeDiagnosticArray(stamp, 'v-1', [
          {
            source: 'uma8',
            level: 'stale',
            code: 'silent',
            message,
            cure: 'Stecker prüfen',
            values: { temperature: '21 °C', n: 3 },
          },
        ]);
        expect(read('diagnostic_msgs/msg/DiagnosticArray', data)).toMatchObject({
          status: [
            {
              level: 3,
              name: 'uma8',
              hardware_id: 'v-1',
              message,
              values: [
                { key: 'code', value: 'silent' },
                { key: 'cure', value: 'Stecker prüfen' },
                { key: 'temperature', value: '21 °C' },
                { key: 'n', value: '3' },
              ],
            },
          ],
        });
      }),
    );
  });

  test('a diagnostic without a cure has no row for one', () => {
    const well = { source: 'uma8', level: 'ok', code: 'ok', message: '', cure: '', values: { starts: 1 } } as const;
    const values = [
      { key: 'code', value: 'ok' },
      { key: 'starts', value: '1' },
    ];
    const data = encodeDiagnosticArray(stamp, 'v-1', [well]);
    expect(read('diagnostic_msgs/msg/DiagnosticArray', data)).toMatchObject({ status: [{ values }] });
  });

  test('time reference', () => {
    expect(read('sensor_msgs/msg/TimeReference', encodeTimeReference({ ...stamp, estimatedErrorNs: null }))).toEqual({
      header: { stamp: time, frame_id: '' },
      time_ref: { sec: 5, nanosec: 7 },
      source: `boot_id=${stamp.bootId} synchronised=true error_ns=unknown`,
    });
  });
});
