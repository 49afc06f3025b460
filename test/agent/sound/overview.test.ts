import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeParticulateMatter, encodeRawAudio, encodeTemperature } from '../../../agent/messages/messages.ts';
import { levelsOf } from '../../../agent/sound/levels.ts';
import { Overview } from '../../../agent/sound/overview.ts';
import { makeSegment, repairedInMemory } from '../bag/torn-segment.ts';
import { readStream, stampAt, startNs, temperature } from '../recording/recording-fixtures.ts';

interface Series {
  readonly topic: string;
  readonly field: string;
  readonly unit: string;
  readonly count: number[];
  readonly min: (number | null)[];
  readonly max: (number | null)[];
  readonly mean: (number | null)[];
  readonly mean_square: (number | null)[];
}

interface Document {
  readonly version: number;
  readonly period_ns: string;
  readonly start_ns: string;
  readonly periods: number;
  readonly series: Series[];
}

function documentOf(overview: Overview): Document {
  const attachment = overview.attachment();
  expect([attachment?.name, attachment?.mediaType]).toEqual(['fender.overview', 'application/json']);
  return JSON.parse(new TextDecoder().decode(attachment?.data));
}

const soundType = 'foxglove_msgs/msg/RawAudio';

function soundMessage(pcm: Int16Array<ArrayBuffer>, channels: number, ns: bigint): Uint8Array {
  const chunk = {
    stamp: stampAt(ns),
    firstFrame: 0n,
    sampleRateHz: 48_000,
    channels,
    frames: pcm.length / channels,
    pcm,
  };
  return encodeRawAudio(chunk);
}

const second = 1_000_000_000n;

test('the overview of sound is what a plain count over all samples of each second gives', () => {
  const chunk = fc.record({
    atMs: fc.nat(4000),
    frames: fc.constantFrom(1, 7, 480, 20_000),
    value: fc.constantFrom(-32_768, 32_767, 0, 1, 20_000),
    noise: fc.nat(1000),
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.array(chunk, { minLength: 1, maxLength: 8 }), (channels, chunks) => {
      const overview = new Overview();
      const plain = new Map<string, number[]>();
      for (const { atMs, frames, value, noise } of chunks) {
        const ns = BigInt(atMs) * 1_000_000n;
        const pcm = Int16Array.from({ length: frames * channels }, (_, at) =>
          Math.max(-32_768, Math.min(32_767, value + ((at * 7919) % (noise + 1)) - (noise >> 1))),
        );
        const levels = levelsOf('/uma8/audio', soundType, soundMessage(pcm, channels, ns));
        if (levels === null) throw new Error('expected levels of sound');
        overview.add(levels, startNs + ns);
        pcm.forEach((sample, at) => {
          const key = `ch${at % channels} ${(startNs + ns) / second}`;
          const there = plain.get(key) ?? [];
          plain.set(key, there);
          there.push(sample / 32_768);
        });
      }
      const { period_ns, start_ns, periods, series } = documentOf(overview);
      expect(period_ns).toBe('1000000000');
      expect(series.map(({ field }) => field)).toEqual(Array.from({ length: channels }, (_, at) => `ch${at}`));
      for (const { field, count, min, max, mean, mean_square } of series) {
        expect([count.length, min.length, mean.length]).toEqual([periods, periods, periods]);
        for (let period = 0; period < periods; period += 1) {
          const samples = plain.get(`${field} ${BigInt(start_ns) / second + BigInt(period)}`) ?? [];
          expect(count[period]).toBe(samples.length);
          if (samples.length === 0) {
            expect([min[period], max[period], mean[period], mean_square[period]]).toEqual([null, null, null, null]);
            continue;
          }
          expect(min[period]).toBeCloseTo(
            samples.reduce((a, b) => Math.min(a, b)),
            5,
          );
          expect(max[period]).toBeCloseTo(
            samples.reduce((a, b) => Math.max(a, b)),
            5,
          );
          expect(mean[period]).toBeCloseTo(samples.reduce((a, b) => a + b) / samples.length, 5);
          expect(mean_square[period]).toBeCloseTo(samples.reduce((a, b) => a + b * b, 0) / samples.length, 5);
        }
      }
    }),
    { numRuns: 12 },
  );
});

test('slow topics have their numbers in it, and what a sensor does not measure counts as nothing', () => {
  const overview = new Overview();
  const dust = { stamp: stampAt(0n), pm1UgM3: 1, pm25UgM3: 7.5, pm4UgM3: Number.NaN, pm10UgM3: 9, countsPerCm3: {} };
  for (const [at, celsius] of [-3.25, 21, 22].entries()) {
    const stamp = stampAt(0n);
    const air = {
      stamp,
      temperatureC: celsius,
      pressurePa: 0,
      humidity: 0,
      gasResistanceOhm: 0,
      gasValid: true,
      heaterStable: true,
    };
    const levels = levelsOf(
      '/bme680/temperature',
      'sensor_msgs/msg/Temperature',
      encodeTemperature(air, 'a longer frame'),
    );
    if (levels !== null) overview.add(levels, startNs + BigInt(at === 2 ? 1 : 0) * second);
  }
  const levels = levelsOf(
    '/plantower/particulate',
    'fender_msgs/msg/ParticulateMatter',
    encodeParticulateMatter(dust, 'p'),
  );
  if (levels !== null) overview.add(levels, startNs);
  const { series } = documentOf(overview);
  const brief = series.map(({ field, unit, count, min, max, mean }) => ({ field, unit, count, min, max, mean }));
  expect(brief).toEqual([
    { field: 'temperature', unit: '°C', count: [2, 1], min: [-3.25, 22], max: [21, 22], mean: [8.875, 22] },
    { field: 'pm1', unit: 'µg/m³', count: [1, 0], min: [1, null], max: [1, null], mean: [1, null] },
    { field: 'pm2_5', unit: 'µg/m³', count: [1, 0], min: [7.5, null], max: [7.5, null], mean: [7.5, null] },
    { field: 'pm4', unit: 'µg/m³', count: [0, 0], min: [null, null], max: [null, null], mean: [null, null] },
    { field: 'pm10', unit: 'µg/m³', count: [1, 0], min: [9, null], max: [9, null], mean: [9, null] },
  ]);
});

test('a bag of days, or one whose clock was wrong, gets longer periods instead of more', () => {
  const overview = new Overview();
  const levels = levelsOf('/bme680/temperature', 'sensor_msgs/msg/Temperature', temperature(20).data);
  if (levels === null) throw new Error('expected levels of a temperature');
  for (const ns of [0n, second, startNs, startNs + 1000n * second]) overview.add(levels, ns);
  const { period_ns, periods, series } = documentOf(overview);
  expect(periods).toBeLessThanOrEqual(4096);
  expect(BigInt(period_ns) * 4096n).toBeGreaterThan(startNs / 2n);
  expect(series[0]?.count.reduce((a, b) => a + b)).toBe(4);
});

test('what is damaged, foreign or no number is left out and never throws', () => {
  const whole = soundMessage(new Int16Array(64), 2, 0n);
  for (let end = 0; end < whole.byteLength; end += 1)
    expect(levelsOf('/a', soundType, whole.subarray(0, end))).toBe(null);
  expect(levelsOf('/a', 'sensor_msgs/msg/Imu', whole)).toBe(null);
  expect(new Overview().attachment()).toBe(null);
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 80 }),
      fc.constantFrom(soundType, 'sensor_msgs/msg/Temperature'),
      (bytes, type) => {
        const levels = levelsOf('/a', type, bytes);
        if (levels !== null) new Overview().add(levels, 1n);
      },
    ),
  );
});

test('a torn segment gets its overview with the repair, once', async () => {
  const { bytes, chunks } = makeSegment(7, 4800, 2);
  const torn = bytes.subarray(0, (chunks[5]?.end ?? 0) + 7);
  const { file } = await repairedInMemory(torn);
  const again = await repairedInMemory(file.subarray(0, file.byteLength - 30));
  for (const repaired of [file, again.file]) {
    const found = readStream(repaired).filter((record) => record.type === 'Attachment');
    expect(found.map(({ name }) => name)).toEqual(['fender.overview']);
    const { series } = JSON.parse(new TextDecoder().decode(found[0]?.data)) as Document;
    expect(series.map(({ topic, field }) => `${topic} ${field}`)).toEqual([
      '/bme680/temperature temperature',
      '/uma8/audio ch0',
      '/uma8/audio ch1',
    ]);
    const sounds = chunks
      .slice(0, 6)
      .flatMap(({ messages }) => messages.filter((key) => key.startsWith('/uma8/audio')));
    expect(series[1]?.count.reduce((a, b) => a + b)).toBe(sounds.length * 4800);
  }
});
