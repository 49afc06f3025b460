/** Owns what each message adds to a recording's overview: the sums over its sound's samples, or over its few numbers, in one pass. */

import { rawAudioType, viewSamples } from './raw-audio.ts';

/** One series of numbers in the messages of a topic. */
export interface LevelField {
  readonly name: string;
  readonly unit: string;
}

/** What one message adds. */
export interface Levels {
  /** The topic it was published on, whatever the recording makes of it. */
  readonly topic: string;
  readonly fields: readonly LevelField[];
  /** [fields × 5]: count, smallest, largest, sum, sum of squares. */
  readonly sums: Float64Array;
}

/** Numbers for each field in `Levels.sums`. */
export const sumsPerField = 5;
const fullScale = 32_768;

/** The float64 fields that stand one after the other behind the header of these types, in the names and units of their .msg texts. */
const numbersBehindHeader: Readonly<Record<string, readonly LevelField[]>> = {
  'sensor_msgs/msg/Temperature': [{ name: 'temperature', unit: '°C' }],
  'sensor_msgs/msg/RelativeHumidity': [{ name: 'relative_humidity', unit: '1' }],
  'sensor_msgs/msg/FluidPressure': [{ name: 'fluid_pressure', unit: 'Pa' }],
  'fender_msgs/msg/GasResistance': [{ name: 'gas_resistance', unit: 'Ω' }],
  'fender_msgs/msg/ParticulateMatter': ['pm1', 'pm2_5', 'pm4', 'pm10'].map((name) => ({ name, unit: 'µg/m³' })),
};

const soundFields: LevelField[][] = [];

/** `ch0` to the last channel, in shares of full scale; the same array for the same number of channels. */
function channelFields(channels: number): readonly LevelField[] {
  soundFields[channels] ??= Array.from({ length: channels }, (_, channel) => ({ name: `ch${channel}`, unit: '1' }));
  return soundFields[channels];
}

/** More channels than any array has are not summed up. */
const maxChannels = 64;

/** What a message of a type that the overview knows adds to it; null for others, and for damaged ones. Never throws. */
export function levelsOf(topic: string, type: string, data: Uint8Array): Levels | null {
  if (type === rawAudioType) {
    const sound = viewSamples(data);
    if (sound === null || sound.channels > maxChannels || sound.pcm.length === 0) return null;
    return { topic, fields: channelFields(sound.channels), sums: soundSums(sound.pcm, sound.channels) };
  }
  const fields = numbersBehindHeader[type];
  if (fields === undefined) return null;
  const sums = numberSums(data, fields.length);
  return sums === null ? null : { topic, fields, sums };
}

/** So many frames are summed up in integers of 32 bits. */
const blockFrames = 16_384;
const blockSums = new Float64Array(sumsPerField);

/** [channels × 5] as in `Levels.sums`, of [frames × channels] interleaved samples, −1 to 1. */
export function soundSums(pcm: Int16Array, channels: number): Float64Array {
  const sums = new Float64Array(channels * sumsPerField);
  const block = blockFrames * channels;
  for (let start = 0; start < pcm.length; start += block) {
    const end = Math.min(pcm.length, start + block);
    for (let channel = 0; channel < channels; channel += 1) {
      sumSamples(pcm, start + channel, end, channels);
      addSums(sums, channel * sumsPerField, blockSums, 0);
    }
  }
  return sums;
}

/** Sums of every `step`th sample into `blockSums`; integers, with squares in two halves, take less time than doubles. */
function sumSamples(pcm: Int16Array, from: number, to: number, step: number): void {
  let min = pcm[from] as number;
  let max = min;
  let sum = 0;
  let low = 0;
  let high = 0;
  for (let index = from; index < to; index += step) {
    const value = pcm[index] as number;
    if (value < min) min = value;
    else if (value > max) max = value;
    sum = (sum + value) | 0;
    const square = Math.imul(value, value);
    low = (low + (square & 0xffff)) | 0;
    high = (high + (square >>> 16)) | 0;
  }
  blockSums[0] = Math.ceil((to - from) / step);
  blockSums[1] = min / fullScale;
  blockSums[2] = max / fullScale;
  blockSums[3] = sum / fullScale;
  blockSums[4] = (high * 65_536 + low) / fullScale ** 2;
}

/** Adds count, smallest, largest, sum and sum of squares, which stand in `sums` from `from`, to those in `into` from `at`. */
export function addSums(into: Float64Array, at: number, sums: Float64Array, from: number): void {
  const count = sums[from] as number;
  if (count === 0) return;
  const first = into[at] === 0;
  const min = sums[from + 1] as number;
  const max = sums[from + 2] as number;
  if (first || min < (into[at + 1] as number)) into[at + 1] = min;
  if (first || max > (into[at + 2] as number)) into[at + 2] = max;
  into[at] = (into[at] as number) + count;
  into[at + 3] = (into[at + 3] as number) + (sums[from + 3] as number);
  into[at + 4] = (into[at + 4] as number) + (sums[from + 4] as number);
}

/** The first `fields` float64 behind a std_msgs/Header in CDR little endian; what is not a number counts as not measured. */
function numberSums(data: Uint8Array, fields: number): Float64Array | null {
  if (data.byteLength < 16 || data[1] !== 1) return null;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  // Alignment counts from behind the 4 bytes of encapsulation.
  const start = 4 + Math.ceil((12 + view.getUint32(12, true)) / 8) * 8;
  if (start + 8 * fields > data.byteLength) return null;
  const sums = new Float64Array(fields * sumsPerField);
  for (let field = 0; field < fields; field += 1) {
    const value = view.getFloat64(start + 8 * field, true);
    if (Number.isFinite(value)) sums.set([1, value, value, value, value * value], field * sumsPerField);
  }
  return sums;
}
