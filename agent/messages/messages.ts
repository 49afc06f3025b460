/**
 * Turns the drivers' samples into ROS 2 messages (CDR bytes) and knows the definition of each type recorded. Units are
 * those of the .msg texts, which for standard types are ROS's own (°C, Pa, ratio 0 to 1).
 */

import { parse } from '@foxglove/rosmsg';
import { MessageWriter } from '@foxglove/rosmsg2-serialization';
import type { AudioChunk, Diagnostic, EnvironmentSample, ParticulateSample, Stamp } from '../../drivers/sample.ts';
import type { Direction } from '../direction/direction.ts';
import { isSoundType, soundFrames } from '../sound/raw-audio.ts';
import { readSchemaText } from './schema-text.ts';

/** The types that this vehicle records, with their definitions as `ros2msg` text. */
export const schemaTexts = {
  'foxglove_msgs/msg/RawAudio': readSchemaText('foxglove_msgs/msg/RawAudio'),
  'sensor_msgs/msg/Temperature': readSchemaText('sensor_msgs/msg/Temperature'),
  'sensor_msgs/msg/RelativeHumidity': readSchemaText('sensor_msgs/msg/RelativeHumidity'),
  'sensor_msgs/msg/FluidPressure': readSchemaText('sensor_msgs/msg/FluidPressure'),
  'sensor_msgs/msg/TimeReference': readSchemaText('sensor_msgs/msg/TimeReference'),
  'diagnostic_msgs/msg/DiagnosticArray': readSchemaText('diagnostic_msgs/msg/DiagnosticArray'),
  'fender_msgs/msg/CompressedAudio': readSchemaText('fender_msgs/msg/CompressedAudio'),
  'fender_msgs/msg/GasResistance': readSchemaText('fender_msgs/msg/GasResistance'),
  'fender_msgs/msg/ParticulateMatter': readSchemaText('fender_msgs/msg/ParticulateMatter'),
  'fender_msgs/msg/Impact': readSchemaText('fender_msgs/msg/Impact'),
  'fender_msgs/msg/SynchronizedSet': readSchemaText('fender_msgs/msg/SynchronizedSet'),
} as const;

/** A ROS 2 type name that this vehicle records. */
export type MessageType = keyof typeof schemaTexts;

/** What an event of the vehicle can be. */
export type EventKind = 'impact' | 'snapshot' | 'air' | 'drift';

/** How much a finding of the air is. */
export type AirLevel = 'raised' | 'high' | 'very_high';

/** What was measured for an event: a name with its unit last, the value at its worst so far, and what was usual before (a drift: the threshold). */
export interface EventReading {
  readonly name: string;
  readonly value: number;
  readonly baseline?: number;
}

/** An event as published: mostly an impact; scores from 0 to 1. */
export interface ImpactSample {
  /** `impact` when absent. */
  readonly kind?: EventKind;
  /** Time of the onset. */
  readonly stamp: Stamp;
  /** UTC nanoseconds of the sound's end; of an event that goes on, of its onset. */
  readonly endNs: bigint;
  /** UUID. */
  readonly eventId: string;
  readonly label: string;
  readonly score: number;
  readonly scores: Readonly<Record<string, number>>;
  readonly model: { readonly name: string; readonly version: string };
  /** Whence the sound came; absent when there was no telling. */
  readonly direction?: Direction;
  /** In Pa, around the onset; absent when none stood out. */
  readonly pressureChangePa?: number;
  /** Of an air event. */
  readonly level?: AirLevel;
  /** A sentence for people. */
  readonly detail?: string;
  readonly readings?: readonly EventReading[];
  /** Whether it still goes on. */
  readonly ongoing?: boolean;
}

/** One message of a synchronised set: where to find it, and its time. */
export interface SetMember {
  readonly topic: string;
  readonly sequence: number;
  readonly stamp: Stamp;
}

/** Messages of several topics that belong together, as published. */
export interface SynchronizedSetSample {
  /** Of the earliest member. */
  readonly stamp: Stamp;
  /** Sets since the one before that could not be completed. */
  readonly missedBefore: number;
  readonly members: readonly SetMember[];
  /** From the earliest to the latest member, on the monotonic clock. */
  readonly skewNs: bigint;
}

const textEncoder = new TextEncoder();
const nsPerSecond = 1_000_000_000n;

/**
 * builtin_interfaces/Time of UTC nanoseconds: seconds as int32 (wraps in 2038, as ROS's own does), nanoseconds 0 to 999 999 999.
 */
export function rosTime(ns: bigint): { sec: number; nanosec: number } {
  const nanosec = ((ns % nsPerSecond) + nsPerSecond) % nsPerSecond;
  return { sec: Number(BigInt.asIntN(32, (ns - nanosec) / nsPerSecond)), nanosec: Number(nanosec) };
}

/**
 * The library counts a string's UTF-16 units where CDR wants its UTF-8 bytes, and so cuts `µg` or `°C`. In CDR a string is
 * laid out as a sequence of bytes with a closing zero, so it is written as one.
 */
function text(value: string): Uint8Array {
  return textEncoder.encode(`${value}\0`);
}

/** A writer of one type whose single strings are given as `text(…)`; made at its first use. */
function lazyWriter(type: MessageType): (message: unknown) => Uint8Array {
  let writer: MessageWriter | undefined;
  return (message) => {
    if (writer === undefined) {
      const definitions = parse(schemaTexts[type], { ros2: true });
      for (const field of definitions.flatMap((definition) => definition.definitions)) {
        if (field.type !== 'string' || field.isArray === true || field.isConstant === true) continue;
        field.type = 'uint8';
        field.isArray = true;
      }
      writer = new MessageWriter(definitions);
    }
    return writer.writeMessage(message);
  };
}

const writeTemperature = lazyWriter('sensor_msgs/msg/Temperature');
const writeHumidity = lazyWriter('sensor_msgs/msg/RelativeHumidity');
const writePressure = lazyWriter('sensor_msgs/msg/FluidPressure');
const writeGasResistance = lazyWriter('fender_msgs/msg/GasResistance');
const writeParticulateMatter = lazyWriter('fender_msgs/msg/ParticulateMatter');
const writeImpact = lazyWriter('fender_msgs/msg/Impact');
const writeSynchronizedSet = lazyWriter('fender_msgs/msg/SynchronizedSet');
const writeDiagnosticArray = lazyWriter('diagnostic_msgs/msg/DiagnosticArray');
const writeTimeReference = lazyWriter('sensor_msgs/msg/TimeReference');

function header(stamp: Stamp, frameId: string): { stamp: { sec: number; nanosec: number }; frame_id: Uint8Array } {
  return { stamp: rosTime(stamp.capturedAtNs), frame_id: text(frameId) };
}

/**
 * foxglove_msgs/msg/RawAudio: the samples are copied once, as bytes. Layout as in CDR 1 (OMG DDS-XTypes 1.3, 7.4.3): alignment
 * counts from behind the 4-byte encapsulation header.
 */
export function encodeRawAudio(chunk: AudioChunk): Uint8Array {
  const pcm = new Uint8Array(chunk.pcm.buffer, chunk.pcm.byteOffset, chunk.pcm.byteLength);
  const formatOffset = (16 + pcm.length + 3) & ~3;
  const bytes = new Uint8Array(formatOffset + 20);
  const view = new DataView(bytes.buffer);
  const { sec, nanosec } = rosTime(chunk.stamp.capturedAtNs);
  bytes[1] = 1; // CDR_LE
  view.setInt32(4, sec, true);
  view.setUint32(8, nanosec, true);
  view.setUint32(12, pcm.length, true);
  bytes.set(pcm, 16);
  view.setUint32(formatOffset, 8, true);
  textEncoder.encodeInto('pcm-s16', bytes.subarray(formatOffset + 4));
  view.setUint32(formatOffset + 12, chunk.sampleRateHz, true);
  view.setUint32(formatOffset + 16, chunk.channels, true);
  return bytes;
}

/** sensor_msgs/msg/Temperature in °C; `frameId` names the sensor's place. */
export function encodeTemperature(sample: EnvironmentSample, frameId: string): Uint8Array {
  return writeTemperature({ header: header(sample.stamp, frameId), temperature: sample.temperatureC, variance: 0 });
}

/** sensor_msgs/msg/RelativeHumidity, 0 to 1. */
export function encodeHumidity(sample: EnvironmentSample, frameId: string): Uint8Array {
  return writeHumidity({ header: header(sample.stamp, frameId), relative_humidity: sample.humidity, variance: 0 });
}

/** sensor_msgs/msg/FluidPressure in Pa. */
export function encodePressure(sample: EnvironmentSample, frameId: string): Uint8Array {
  return writePressure({ header: header(sample.stamp, frameId), fluid_pressure: sample.pressurePa, variance: 0 });
}

/** fender_msgs/msg/GasResistance in Ω. */
export function encodeGasResistance(sample: EnvironmentSample, frameId: string): Uint8Array {
  return writeGasResistance({
    header: header(sample.stamp, frameId),
    gas_resistance: sample.gasResistanceOhm,
    gas_valid: sample.gasValid,
    heater_stable: sample.heaterStable,
  });
}

/** fender_msgs/msg/ParticulateMatter in µg/m³ and particles per cm³; NaN where the sample has no value. */
export function encodeParticulateMatter(sample: ParticulateSample, frameId: string): Uint8Array {
  const counts = Object.entries(sample.countsPerCm3)
    .map(([size, perCm3]) => ({ ...sizeSpan(size), perCm3 }))
    .sort((a, b) => a.from - b.from || a.to - b.to);
  return writeParticulateMatter({
    header: header(sample.stamp, frameId),
    pm1: sample.pm1UgM3,
    pm2_5: sample.pm25UgM3,
    pm4: sample.pm4UgM3,
    pm10: sample.pm10UgM3,
    pm1_standard: sample.standardUgM3?.pm1 ?? Number.NaN,
    pm2_5_standard: sample.standardUgM3?.pm25 ?? Number.NaN,
    pm10_standard: sample.standardUgM3?.pm10 ?? Number.NaN,
    typical_size: sample.typicalSizeUm ?? Number.NaN,
    count_from: Float64Array.from(counts, ({ from }) => from),
    count_to: Float64Array.from(counts, ({ to }) => to),
    count_per_cm3: Float64Array.from(counts, ({ perCm3 }) => perCm3),
  });
}

/** The span in µm that a key of `countsPerCm3` names: `>0.3` or `0.3-1.0`. @throws TypeError for anything else. */
function sizeSpan(size: string): { from: number; to: number } {
  const [, above, from, to] = /^(?:>([\d.]+)|([\d.]+)-([\d.]+))$/.exec(size) ?? [];
  if (above !== undefined) return { from: Number(above), to: Number.POSITIVE_INFINITY };
  if (from === undefined) throw new TypeError(`particle size: expected ">0.3" or "0.3-1.0", found "${size}"`);
  return { from: Number(from), to: Number(to) };
}

/** fender_msgs/msg/Impact; labels must be ASCII. What is not known is NaN or empty. */
export function encodeImpact(impact: ImpactSample, frameId: string): Uint8Array {
  const { direction } = impact;
  return writeImpact({
    header: header(impact.stamp, frameId),
    event_id: text(impact.eventId),
    end: rosTime(impact.endNs),
    label: text(impact.label),
    score: impact.score,
    labels: Object.keys(impact.scores),
    scores: Float32Array.from(Object.values(impact.scores)),
    model_name: text(impact.model.name),
    model_version: text(impact.model.version),
    kind: text(impact.kind ?? 'impact'),
    azimuth: direction === undefined ? Number.NaN : (direction.azimuthDeg * Math.PI) / 180,
    azimuth_confidence: direction?.confidence ?? Number.NaN,
    pressure_change: impact.pressureChangePa ?? Number.NaN,
    level: text(impact.level ?? ''),
    detail: text(impact.detail ?? ''),
  });
}

/** fender_msgs/msg/SynchronizedSet; topic names must be ASCII, as those of ROS are. */
export function encodeSynchronizedSet({ stamp, missedBefore, members, skewNs }: SynchronizedSetSample): Uint8Array {
  return writeSynchronizedSet({
    header: header(stamp, ''),
    missed_before: missedBefore,
    topics: members.map(({ topic }) => topic),
    sequences: Uint32Array.from(members, ({ sequence }) => sequence),
    stamps: members.map((member) => rosTime(member.stamp.capturedAtNs)),
    monotonic_ns: BigInt64Array.from(members, (member) => member.stamp.monotonicNs),
    skew: rosTime(skewNs),
  });
}

function diagnosticValues({ code, cure, values }: Diagnostic): [string, unknown][] {
  return Object.entries({ code, ...(cure !== '' && { cure }), ...values });
}

const diagnosticLevels = { ok: 0, warn: 1, error: 2, stale: 3 } as const;

/**
 * diagnostic_msgs/msg/DiagnosticArray: `code` and, where there is one, `cure` become values beside the diagnostic's own. `hardwareId`
 * tells one vehicle's states from another's, where bags of both are opened together.
 */
export function encodeDiagnosticArray(
  stamp: Stamp,
  hardwareId: string,
  diagnostics: readonly Diagnostic[],
): Uint8Array {
  return writeDiagnosticArray({
    header: header(stamp, ''),
    status: diagnostics.map((diagnostic) => ({
      level: diagnosticLevels[diagnostic.level],
      name: text(diagnostic.source),
      message: text(diagnostic.message),
      hardware_id: text(hardwareId),
      values: diagnosticValues(diagnostic).map(([key, value]) => ({ key: text(key), value: text(String(value)) })),
    })),
  });
}

/**
 * sensor_msgs/msg/TimeReference: `header.stamp` is UTC as the vehicle knew it, `time_ref` the monotonic clock of the same moment,
 * `source` says which boot it counts from and how good UTC was: `boot_id=… synchronised=true error_ns=1200` (`error_ns=unknown`).
 */
export function encodeTimeReference(stamp: Stamp): Uint8Array {
  const errorNs = stamp.estimatedErrorNs === null ? 'unknown' : String(stamp.estimatedErrorNs);
  return writeTimeReference({
    header: header(stamp, ''),
    time_ref: rosTime(stamp.monotonicNs),
    source: text(`boot_id=${stamp.bootId} synchronised=${stamp.synchronised} error_ns=${errorNs}`),
  });
}

/**
 * How long a message's content lasts, in nanoseconds: the sound in a RawAudio or CompressedAudio, 0 for what is measured at one
 * moment. Damaged sound counts as 0.
 */
export function durationNs(type: string, data: Uint8Array): bigint {
  const frames = isSoundType(type) ? soundFrames(data) : null;
  return frames === null ? 0n : BigInt(Math.round((frames.count / frames.rateHz) * 1e9));
}
