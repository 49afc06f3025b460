/** Messages, clocks and readers that the recording's tests and their child processes share. */

import { readFile } from 'node:fs/promises';
import { McapIndexedReader, McapStreamReader, type McapTypes } from '@mcap/core';
import { readableOf } from '../../../agent/bag/bag-summary.ts';
import { memorySource } from '../../../agent/bag/byte-source.ts';
import { decompressHandlers } from '../../../agent/bag/mcap-records.ts';
import type { Message } from '../../../agent/messages/message.ts';
import { encodeRawAudio, encodeTemperature } from '../../../agent/messages/messages.ts';
import type { Clock, Stamp } from '../../../drivers/sample.ts';

export const startNs = 1_764_000_000_000_000_000n;
export const chunkNs = 100_000_000n;

export function stampAt(offsetNs: bigint): Stamp {
  return {
    capturedAtNs: startNs + offsetNs,
    monotonicNs: 1_000_000_000n + offsetNs,
    bootId: '0f6e9b3a-1111-4222-8333-444455556666',
    synchronised: true,
    estimatedErrorNs: 1000n,
  };
}

export const clock: Clock = {
  now: () => stampAt(0n),
  monotonicNs: () => process.hrtime.bigint(),
  at: (monotonicNs) => stampAt(monotonicNs - 1_000_000_000n),
};

/** The `index`th 100 ms of sound: every sample is the index, so that each chunk is known by its content. */
export function sound(index: number, frames = 4800, channels = 8): Message {
  const stamp = stampAt(BigInt(index) * chunkNs);
  const pcm = new Int16Array(frames * channels).fill(index % 32_768);
  const data = encodeRawAudio({
    stamp,
    firstFrame: BigInt(index * frames),
    sampleRateHz: frames * 10,
    channels,
    frames,
    pcm,
  });
  return { topic: '/uma8/audio', type: 'foxglove_msgs/msg/RawAudio', sequence: index, stamp, data };
}

/** The `index`th temperature of a 1 Hz sensor: `index` °C. */
export function temperature(index: number): Message {
  const stamp = stampAt(BigInt(index) * 1_000_000_000n);
  const data = encodeTemperature(
    { stamp, temperatureC: index, pressurePa: 0, humidity: 0, gasResistanceOhm: 0, gasValid: true, heaterStable: true },
    'bme680',
  );
  return { topic: '/bme680/temperature', type: 'sensor_msgs/msg/Temperature', sequence: index, stamp, data };
}

export interface ReadMessage {
  readonly topic: string;
  readonly sequence: number;
  readonly logTime: bigint;
  readonly data: Uint8Array;
}

/** All messages of a whole file by its indexes, in order of time, with every CRC checked. */
export async function readIndexed(bytes: Uint8Array): Promise<ReadMessage[]> {
  const reader = await McapIndexedReader.Initialize({ readable: readableOf(memorySource(bytes)), decompressHandlers });
  const messages: ReadMessage[] = [];
  for await (const { channelId, sequence, logTime, data } of reader.readMessages({ validateCrcs: true })) {
    messages.push({ topic: reader.channelsById.get(channelId)?.topic ?? '', sequence, logTime, data });
  }
  return messages;
}

/** All records of a whole file, front to back. Throws unless it ends as it should. */
export function readStream(bytes: Uint8Array): McapTypes.TypedMcapRecord[] {
  const reader = new McapStreamReader({ decompressHandlers, validateCrcs: true, includeChunks: true });
  reader.append(bytes);
  const records: McapTypes.TypedMcapRecord[] = [];
  for (let record = reader.nextRecord(); record !== undefined; record = reader.nextRecord()) records.push(record);
  if (!reader.done()) throw new Error('file does not end as it should');
  return records;
}

export async function readFileIndexed(path: string): Promise<ReadMessage[]> {
  return readIndexed(await readFile(path));
}

/** Sequences of one topic. */
export function sequencesOf(messages: readonly ReadMessage[], topic: string): number[] {
  return messages.filter((message) => message.topic === topic).map(({ sequence }) => sequence);
}

export function range(count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, index) => from + index);
}
