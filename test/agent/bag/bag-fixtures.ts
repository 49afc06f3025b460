/** Bags that the bag tools' tests share: made in memory by the builder alone, with every kind of topic in them. */

import { ChannelTable } from '../../../agent/bag/channel-table.ts';
import { ChunkDraft } from '../../../agent/bag/chunk-draft.ts';
import { McapBuilder } from '../../../agent/bag/mcap-builder.ts';
import {
  encodeDiagnosticArray,
  encodeImpact,
  encodeParticulateMatter,
  encodeRawAudio,
  encodeTemperature,
} from '../../../agent/messages/messages.ts';
import type { Stamp } from '../../../drivers/sample.ts';

export const startNs = 1_764_000_000_000_000_000n;
const second = 1_000_000_000n;

/** A message of a made bag. */
export interface MadeMessage {
  readonly topic: string;
  readonly type: string;
  readonly sequence: number;
  readonly logTimeNs: bigint;
  readonly data: Uint8Array;
}

export function stamp(ns: bigint): Stamp {
  const bootId = '0f6e9b3a-1111-4222-8333-444455556666';
  return { capturedAtNs: ns, monotonicNs: ns - startNs, bootId, synchronised: true, estimatedErrorNs: 1000n };
}

/** The `index`th block of sound, `periodMs` long: a ramp over all frames, another on each channel. */
export function soundMessage(index: number, { channels = 2, rateHz = 8000, periodMs = 100 } = {}): MadeMessage {
  const frames = (rateHz * periodMs) / 1000;
  const ns = startNs + BigInt(index * periodMs) * 1_000_000n;
  const pcm = Int16Array.from({ length: frames * channels }, (_, at) => {
    const frame = index * frames + Math.floor(at / channels);
    return ((frame % 20_000) + (at % channels) * 7) | 0;
  });
  const data = encodeRawAudio({ stamp: stamp(ns), firstFrame: 0n, sampleRateHz: rateHz, channels, frames, pcm });
  return { topic: '/uma8/audio', type: 'foxglove_msgs/msg/RawAudio', sequence: index, logTimeNs: ns, data };
}

export function temperatureMessage(index: number): MadeMessage {
  const ns = startNs + BigInt(index) * second;
  const sample = { stamp: stamp(ns), temperatureC: 20 + index / 8, pressurePa: 0, humidity: 0, gasResistanceOhm: 0 };
  const data = encodeTemperature({ ...sample, gasValid: true, heaterStable: true }, 'bme680');
  return { topic: '/bme680/temperature', type: 'sensor_msgs/msg/Temperature', sequence: index, logTimeNs: ns, data };
}

function particulateMessage(index: number): MadeMessage {
  const ns = startNs + BigInt(index) * second + 1n;
  const countsPerCm3 = { '>0.3': 10 + index, '0.3-1.0': 5 };
  const sample = {
    stamp: stamp(ns),
    pm1UgM3: 1,
    pm25UgM3: 2.5,
    pm4UgM3: Number.NaN,
    pm10UgM3: 10 + index,
    countsPerCm3,
  };
  const data = encodeParticulateMatter(sample, 'pms');
  const type = 'fender_msgs/msg/ParticulateMatter';
  return { topic: '/plantower/particulate_matter', type, sequence: index, logTimeNs: ns, data };
}

function diagnosticMessage(index: number): MadeMessage {
  const ns = startNs + BigInt(index) * second + 2n;
  const diagnostic = {
    source: 'uma8',
    level: 'warn',
    code: 'late',
    message: 'a "quoted", °C text',
    cure: 'wait',
  } as const;
  const data = encodeDiagnosticArray(stamp(ns), 'v-1', [{ ...diagnostic, values: { index } }]);
  return { topic: '/diagnostics', type: 'diagnostic_msgs/msg/DiagnosticArray', sequence: index, logTimeNs: ns, data };
}

function impactMessage(): MadeMessage {
  const ns = startNs + second / 2n;
  const impact = { endNs: ns + second, eventId: 'e-1', label: 'glass_break', score: 0.5, scores: { glass_break: 0.5 } };
  const data = encodeImpact({ ...impact, stamp: stamp(ns), model: { name: 'impact', version: '1' } }, 'uma8');
  return { topic: '/impacts', type: 'fender_msgs/msg/Impact', sequence: 0, logTimeNs: ns, data };
}

/** Sound, and all slow topics, of a drive of `seconds`. In order of time. */
export function driveMessages(seconds: number): MadeMessage[] {
  const messages: MadeMessage[] = [impactMessage()];
  for (let index = 0; index < seconds * 10; index += 1) messages.push(soundMessage(index));
  for (let index = 0; index < seconds; index += 1) {
    messages.push(temperatureMessage(index), particulateMessage(index), diagnosticMessage(index));
  }
  return messages.sort((a, b) => (a.logTimeNs < b.logTimeNs ? -1 : a.logTimeNs > b.logTimeNs ? 1 : 0));
}

/** A whole MCAP file as the recorder lays it out: each block of sound a chunk, slow topics in zstd chunks of a second. */
export function madeBag(messages: readonly MadeMessage[], schemaText?: (type: string) => string | undefined): Buffer {
  const builder = new McapBuilder();
  const table = new ChannelTable(schemaText);
  const pieces: Uint8Array[] = [...builder.begin()];
  pieces.push(...builder.metadata('foxglove', new Map([['deviceName', 'car-7']])));
  pieces.push(...builder.metadata('fender.loss', new Map([['/uma8/audio', 'gap=0 queue=2 space=0 write=0']])));
  let slow = new ChunkDraft();
  const close = (draft: ChunkDraft, compression: 'none' | 'zstd'): void => {
    if (draft.messageCount === 0) return;
    for (const id of draft.index.keys()) {
      const entry = table.byId.get(id);
      if (entry !== undefined) pieces.push(...builder.schema(entry.schema), ...builder.channel(entry.channel));
    }
    pieces.push(...builder.chunk(draft, compression));
  };
  for (const { topic, type, sequence, logTimeNs, data } of messages) {
    const { id } = table.entry(topic, type).channel;
    if (topic.startsWith('/uma8')) {
      const draft = new ChunkDraft();
      draft.add(id, sequence, logTimeNs, data);
      close(draft, 'none');
      continue;
    }
    slow.add(id, sequence, logTimeNs, data);
    if (slow.endNs - slow.startNs < second) continue;
    close(slow, 'zstd');
    slow = new ChunkDraft();
  }
  close(slow, 'zstd');
  pieces.push(...builder.end());
  return Buffer.concat(pieces);
}
