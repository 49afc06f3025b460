/**
 * Makes the bag of a drive as the recorder makes it, but in seconds instead of an hour: eight channels of sound in chunks of 100 ms,
 * slow topics compressed, impacts, an overview, segments of five minutes. Silence is left as holes in the files.
 */
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ChannelTable } from '../../agent/bag/channel-table.ts';
import { ChunkDraft } from '../../agent/bag/chunk-draft.ts';
import { McapBuilder } from '../../agent/bag/mcap-builder.ts';
import {
  encodeImpact,
  encodeParticulateMatter,
  encodePressure,
  encodeRawAudio,
  encodeTemperature,
} from '../../agent/messages/messages.ts';
import type { Stamp } from '../../drivers/sample.ts';

export interface HourBagOptions {
  readonly folder: string;
  readonly seconds: number;
  readonly segmentSeconds?: number;
  /** Whether each segment carries `fender.overview`. */
  readonly overview?: boolean;
  /** Seconds of which one has sound in it; 1: every one, so that nothing is a hole. */
  readonly soundEvery?: number;
}

export interface HourBag {
  readonly paths: readonly string[];
  readonly bytes: number;
  readonly startNs: bigint;
  /** Seconds of the impacts. */
  readonly impactsS: readonly number[];
}

const channels = 8;
const rateHz = 48_000;
const chunkFrames = 4_800;
const startNs = 1_777_809_600_000_000_000n;

/** Temperature in °C, pressure in Pa and PM2.5 in µg/m³ at a second of the drive. */
export const driveValues = {
  temperatureC: (second: number) => 21 + 4 * Math.sin(second / 600),
  pressurePa: (second: number) => 101_325 + 250 * Math.cos(second / 900),
  pm25UgM3: (second: number) => 8 + 3 * Math.sin(second / 97) + (second % 700 < 5 ? 30 : 0),
};

/** One sample of sound, −32 768 to 32 767: a tone whose pitch and loudness tell the channel. */
export function driveSample(second: number, frame: number, channel: number): number {
  const blow = second % 60 === 30 ? 9 : 1;
  const wave = Math.sin((2 * Math.PI * (220 * (channel + 1)) * frame) / rateHz);
  const hum = Math.sin((2 * Math.PI * 50 * frame) / rateHz);
  return Math.round(blow * (900 + 120 * channel) * (0.7 * wave + 0.3 * hum));
}

function stampAt(second: number): Stamp {
  const ns = startNs + BigInt(Math.round(second * 1e9));
  return { capturedAtNs: ns, bootId: 'bench', monotonicNs: ns - startNs, synchronised: true, estimatedErrorNs: 1000n };
}

/** A second of sound as ten messages, made once for each kind of second; only their stamps change. */
function secondOfSound(second: number, sounds: Map<string, Uint8Array[]>, isSilent: boolean): Uint8Array[] {
  const kind = isSilent ? 'silent' : second % 60 === 30 ? 'blow' : 'drive';
  const known = sounds.get(kind);
  if (known) return known;
  const made = Array.from({ length: 10 }, (_, part) => {
    const pcm = new Int16Array(chunkFrames * channels);
    if (!isSilent) {
      for (let frame = 0; frame < chunkFrames; frame += 1) {
        for (let channel = 0; channel < channels; channel += 1) {
          pcm[frame * channels + channel] = driveSample(second, part * chunkFrames + frame, channel);
        }
      }
    }
    return encodeRawAudio({
      stamp: stampAt(0),
      firstFrame: 0n,
      frames: chunkFrames,
      pcm,
      channels,
      sampleRateHz: rateHz,
    });
  });
  sounds.set(kind, made);
  return made;
}

/** Writes a segment; the middle of silent sound is left out, so that the file has holes there. */
class SparseFile {
  bytes = 0;
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, 'w');
  }

  add(pieces: readonly Uint8Array[], isSilent: boolean): void {
    for (const piece of pieces) {
      if (isSilent && piece.byteLength > 60_000) {
        writeSync(this.#file, piece, 0, 16, this.bytes);
        writeSync(this.#file, piece, piece.byteLength - 64, 64, this.bytes + piece.byteLength - 64);
      } else if (piece.byteLength > 0) {
        writeSync(this.#file, piece, 0, piece.byteLength, this.bytes);
      }
      this.bytes += piece.byteLength;
    }
  }

  close(): void {
    ftruncateSync(this.#file, this.bytes);
    closeSync(this.#file);
  }
}

/** One second's numbers of each series of the overview. */
class OverviewColumns {
  readonly #series = new Map<
    string,
    { topic: string; field: string; unit: string; rows: (readonly number[] | null)[] }
  >();
  readonly #startS: number;

  constructor(startS: number) {
    this.#startS = startS;
  }

  /** @param row as `summedUp` gives it. */
  add(topic: string, field: string, unit: string, second: number, row: readonly number[]): void {
    const key = `${topic} ${field}`;
    const series = this.#series.get(key) ?? { topic, field, unit, rows: [] };
    this.#series.set(key, series);
    series.rows[second - this.#startS] = row;
  }

  /** The attachment's text (version 1). */
  text(periods: number): string {
    const column = (rows: readonly (readonly number[] | null)[], at: number) =>
      Array.from({ length: periods }, (_, row) => rows[row]?.[at] ?? null);
    const series = [...this.#series.values()].map(({ topic, field, unit, rows }) => ({
      topic,
      field,
      unit,
      ...Object.fromEntries(['count', 'min', 'max', 'mean', 'mean_square'].map((name, at) => [name, column(rows, at)])),
    }));
    const start_ns = String(startNs + BigInt(this.#startS) * 1_000_000_000n);
    return JSON.stringify({ version: 1, period_ns: '1000000000', start_ns, periods, series });
  }
}

/** Count, least, greatest, mean and mean square. */
function summedUp(values: Iterable<number>): number[] {
  let [count, min, max, sum, squares] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0];
  for (const value of values) {
    count += 1;
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value;
    squares += value * value;
  }
  return [count, min, max, sum / count, squares / count];
}

/** A second of sound by channel, summed up; the same for all of its kind. */
function soundSummedUp(second: number, channel: number, isSilent: boolean): number[] {
  if (isSilent) return [rateHz, 0, 0, 0, 0];
  return summedUp(Array.from({ length: rateHz }, (_, frame) => driveSample(second, frame, channel) / 32_768));
}

/** Writes the bag; its folder is made. */
export async function makeHourBag(options: HourBagOptions): Promise<HourBag> {
  const { folder, seconds, segmentSeconds = 300, overview = true, soundEvery = 60 } = options;
  await mkdir(folder, { recursive: true });
  const sounds = new Map<string, Uint8Array[]>();
  const summed = new Map<string, number[]>();
  const paths: string[] = [];
  const impactsS: number[] = [];
  let bytes = 0;
  for (let startS = 0; startS < seconds; startS += segmentSeconds) {
    const path = join(folder, `drive_${paths.length}.mcap`);
    const endS = Math.min(seconds, startS + segmentSeconds);
    const segment = new Segment(path, startS, sounds, summed, overview ? new OverviewColumns(startS) : null);
    for (let second = startS; second < endS; second += 1) {
      const isSilent = second % soundEvery !== 30 % soundEvery;
      segment.second(second, isSilent);
      if (second % 60 === 30) impactsS.push(second + 0.25);
    }
    bytes += segment.end(endS - startS);
    paths.push(path);
  }
  return { paths, bytes, startNs, impactsS };
}

class Segment {
  readonly #builder = new McapBuilder();
  readonly #table = new ChannelTable();
  readonly #file: SparseFile;
  readonly #sounds: Map<string, Uint8Array[]>;
  readonly #summed: Map<string, number[]>;
  readonly #overview: OverviewColumns | null;
  readonly #startS: number;
  #sequence = 0;

  constructor(
    path: string,
    startS: number,
    sounds: Map<string, Uint8Array[]>,
    summed: Map<string, number[]>,
    overview: OverviewColumns | null,
  ) {
    this.#file = new SparseFile(path);
    this.#startS = startS;
    this.#sounds = sounds;
    this.#summed = summed;
    this.#overview = overview;
    this.#file.add(this.#builder.begin(), false);
    this.#file.add(this.#builder.metadata('foxglove', new Map([['deviceName', 'van-07']])), false);
  }

  second(second: number, isSilent: boolean): void {
    for (const [part, data] of secondOfSound(second, this.#sounds, isSilent).entries()) {
      const stamp = stampAt(second + part / 10);
      const view = new DataView(data.buffer, data.byteOffset);
      view.setInt32(4, Number(stamp.capturedAtNs / 1_000_000_000n), true);
      view.setUint32(8, Number(stamp.capturedAtNs % 1_000_000_000n), true);
      this.#chunk([['/uma8/audio', 'foxglove_msgs/msg/RawAudio', stamp, data]], 'none', second * 10 + part, isSilent);
      if (part === 4) this.#slow(second);
    }
    if (this.#overview === null) return;
    for (let channel = 0; channel < channels; channel += 1) {
      const kind = `${isSilent ? 'silent' : second % 60 === 30} ${channel}`;
      const row = this.#summed.get(kind) ?? soundSummedUp(second, channel, isSilent);
      this.#summed.set(kind, row);
      this.#overview.add('/uma8/audio', `ch${channel}`, '1', second, row);
    }
  }

  /** @returns the file's size. */
  end(periods: number): number {
    if (this.#overview !== null) {
      const data = new TextEncoder().encode(this.#overview.text(periods));
      const times = { logTime: stampAt(this.#startS).capturedAtNs, createTime: stampAt(this.#startS).capturedAtNs };
      this.#file.add(
        this.#builder.attachment({ name: 'fender.overview', mediaType: 'application/json', ...times, data }),
        false,
      );
    }
    this.#file.add(this.#builder.end(), false);
    this.#file.close();
    return this.#file.bytes;
  }

  #slow(second: number): void {
    const stamp = stampAt(second + 0.5);
    const temperatureC = driveValues.temperatureC(second);
    const environment = {
      stamp,
      temperatureC,
      humidity: 0.4,
      pressurePa: driveValues.pressurePa(second),
      gasResistanceOhm: 50_000,
      gasValid: true,
      heaterStable: true,
    };
    const pm25UgM3 = driveValues.pm25UgM3(second);
    const particles = {
      stamp,
      pm1UgM3: pm25UgM3 * 0.6,
      pm25UgM3,
      pm4UgM3: pm25UgM3 * 1.2,
      pm10UgM3: pm25UgM3 * 1.4,
      countsPerCm3: {},
    };
    const messages: [string, string, Stamp, Uint8Array][] = [
      ['/bme680/temperature', 'sensor_msgs/msg/Temperature', stamp, encodeTemperature(environment, 'windshield')],
      ['/bme680/pressure', 'sensor_msgs/msg/FluidPressure', stamp, encodePressure(environment, 'windshield')],
      [
        '/plantower/particulate',
        'fender_msgs/msg/ParticulateMatter',
        stamp,
        encodeParticulateMatter(particles, 'windshield'),
      ],
    ];
    if (second % 60 === 30) messages.push(['/fender/impacts', 'fender_msgs/msg/Impact', stamp, impactAt(second)]);
    this.#chunk(messages, 'zstd', second, false);
    this.#overview?.add('/bme680/temperature', 'temperature', '°C', second, summedUp([temperatureC]));
    this.#overview?.add('/bme680/pressure', 'fluid_pressure', 'Pa', second, summedUp([environment.pressurePa]));
    for (const [field, value] of [
      ['pm1', particles.pm1UgM3],
      ['pm2_5', pm25UgM3],
      ['pm4', particles.pm4UgM3],
      ['pm10', particles.pm10UgM3],
    ] as const) {
      this.#overview?.add('/plantower/particulate', field, 'µg/m³', second, summedUp([value]));
    }
  }

  #chunk(
    messages: readonly [string, string, Stamp, Uint8Array][],
    compress: 'none' | 'zstd',
    sequence: number,
    isSilent: boolean,
  ): void {
    const draft = new ChunkDraft();
    for (const [topic, type, stamp, data] of messages) {
      const { channel, schema } = this.#table.entry(topic, type);
      this.#file.add([...this.#builder.schema(schema), ...this.#builder.channel(channel)], false);
      draft.add(channel.id, topic === '/fender/impacts' ? this.#sequence++ : sequence, stamp.capturedAtNs, data);
    }
    this.#file.add(this.#builder.chunk(draft, compress), isSilent);
  }
}

function impactAt(second: number): Uint8Array {
  const glass = second % 120 === 30;
  return encodeImpact(
    {
      stamp: stampAt(second + 0.25),
      endNs: stampAt(second + 0.8).capturedAtNs,
      eventId: `00000000-0000-4000-8000-${String(second).padStart(12, '0')}`,
      label: glass ? 'glass_break' : 'body_impact',
      score: glass ? 0.94 : 0.88,
      scores: { glass_break: glass ? 0.94 : 0.05, body_impact: glass ? 0.05 : 0.88, other: 0.01 },
      model: { name: 'impact', version: '1.0.0' },
    },
    'windshield',
  );
}
