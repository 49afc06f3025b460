/** A clip as a vehicle cuts it: a tone on eight channels, each louder than the one before, and the slow sensors. */
import { readFile } from 'node:fs/promises';
import {
  encodeGasResistance,
  encodeHumidity,
  encodeParticulateMatter,
  encodePressure,
  encodeRawAudio,
  encodeTemperature,
  type MessageType,
} from '../../agent/messages/messages.ts';
import { type ClipMessage, writeClip } from '../../agent/recording/clip.ts';
import type { Stamp } from '../../drivers/sample.ts';
import { baseNs, bootId } from './test-vehicle.ts';

export const sampleRateHz = 48_000;
export const channels = 8;
export const chunkFrames = 4800;

export interface ClipFixture {
  readonly sha256: string;
  readonly data: Buffer;
  readonly startNs: bigint;
  readonly endNs: bigint;
  /** Interleaved, as captured. */
  readonly pcm: Int16Array;
}

function stampAt(ms: number): Stamp {
  const ns = BigInt(ms) * 1_000_000n;
  return { capturedAtNs: baseNs + ns, monotonicNs: ns, bootId, synchronised: true, estimatedErrorNs: null };
}

/** `chunks` × 100 ms of sound from `baseNs` on; those in `lost` are missing. */
export async function makeClip(clipFolder: string, chunks: number, lost: readonly number[] = []): Promise<ClipFixture> {
  const pcm = new Int16Array(chunks * chunkFrames * channels);
  for (let at = 0; at < pcm.length; at++) {
    const frame = Math.floor(at / channels);
    pcm[at] = Math.round(1000 * ((at % channels) + 1) * Math.sin((2 * Math.PI * 440 * frame) / sampleRateHz));
  }
  const messages: ClipMessage[] = [];
  const add = (topic: string, type: MessageType, ms: number, data: Uint8Array): void => {
    const { monotonicNs, capturedAtNs: recordedNs } = stampAt(ms);
    messages.push({ topic, type, sequence: messages.length, monotonicNs, recordedNs, data });
  };
  for (let chunk = 0; chunk < chunks; chunk++) {
    if (lost.includes(chunk)) continue;
    const samples = pcm.slice(chunk * chunkFrames * channels, (chunk + 1) * chunkFrames * channels);
    const stamp = stampAt(chunk * 100);
    const firstFrame = BigInt(chunk * chunkFrames);
    const data = encodeRawAudio({ stamp, firstFrame, sampleRateHz, channels, frames: chunkFrames, pcm: samples });
    add('/uma8/audio', 'foxglove_msgs/msg/RawAudio', chunk * 100, data);
  }
  const environment = {
    stamp: stampAt(250),
    temperatureC: 21.5,
    pressurePa: 101_325,
    humidity: 0.4,
    gasResistanceOhm: 12_000,
    gasValid: true,
    heaterStable: true,
  };
  add('/bme680/temperature', 'sensor_msgs/msg/Temperature', 250, encodeTemperature(environment, 'bme680'));
  add('/bme680/humidity', 'sensor_msgs/msg/RelativeHumidity', 250, encodeHumidity(environment, 'bme680'));
  add('/bme680/pressure', 'sensor_msgs/msg/FluidPressure', 250, encodePressure(environment, 'bme680'));
  add('/bme680/gas', 'fender_msgs/msg/GasResistance', 250, encodeGasResistance(environment, 'bme680'));
  const particulate = {
    stamp: stampAt(400),
    pm1UgM3: 3,
    pm25UgM3: 7,
    pm4UgM3: Number.NaN,
    pm10UgM3: 9,
    countsPerCm3: {},
  };
  const particulateData = encodeParticulateMatter(particulate, 'plantower');
  add('/plantower/particulate', 'fender_msgs/msg/ParticulateMatter', 400, particulateData);
  const startNs = baseNs;
  const endNs = baseNs + BigInt(chunks) * 100_000_000n;
  const anchor = stampAt(0);
  const range = {
    bootId: anchor.bootId,
    startMonotonicNs: anchor.monotonicNs,
    endMonotonicNs: anchor.monotonicNs + (endNs - startNs),
    anchor,
  };
  const clip = await writeClip(messages, range, { clipFolder, vehicle: 'v1' });
  return { sha256: clip.sha256, data: await readFile(clip.path), startNs, endNs, pcm };
}

/** The samples of a WAV file as central writes it. */
export function samplesOf(wav: Buffer): Int16Array {
  return new Int16Array(wav.buffer.slice(wav.byteOffset + 44, wav.byteOffset + wav.byteLength));
}
