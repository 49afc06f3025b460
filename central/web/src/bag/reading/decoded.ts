/** Turns the messages of one topic in one chunk into columns of numbers. */
import type { McapTypes } from '@mcap/core';
import { type NumericField, numberAt, type ReadMessage } from './flatten.ts';
import type { SoundBlock } from './sound.ts';

/** Numbers of a topic in a chunk. Times in seconds from the bag's start, in order of the file. */
export interface DecodedNumbers {
  readonly kind: 'numbers';
  readonly t: Float64Array;
  readonly sequence: Uint32Array;
  /** A column a field. */
  readonly values: readonly Float64Array[];
}

/** Sound of a topic in a chunk; a block a message. */
export interface DecodedSound {
  readonly kind: 'sound';
  readonly t: Float64Array;
  readonly sequence: Uint32Array;
  readonly blocks: readonly SoundBlock[];
}

/** Messages as they were read, for lists and events. */
export interface DecodedMessages {
  readonly kind: 'messages';
  readonly t: Float64Array;
  readonly sequence: Uint32Array;
  readonly messages: readonly unknown[];
}

export type Decoded = DecodedNumbers | DecodedSound | DecodedMessages;

interface Columns {
  readonly t: Float64Array;
  readonly sequence: Uint32Array;
}

function columnsOf(messages: readonly McapTypes.TypedMcapRecords['Message'][], originNs: bigint): Columns {
  return {
    t: Float64Array.from(messages, ({ logTime }) => Number(logTime - originNs) / 1e9),
    sequence: Uint32Array.from(messages, ({ sequence }) => sequence),
  };
}

/** @throws Error for messages that do not fit their type. */
export function decodeNumbers(
  messages: readonly McapTypes.TypedMcapRecords['Message'][],
  originNs: bigint,
  read: ReadMessage,
  fields: readonly NumericField[],
): DecodedNumbers {
  const values = fields.map(() => new Float64Array(messages.length));
  messages.forEach(({ data }, row) => {
    const message = read(data);
    fields.forEach(({ path }, column) => {
      const numbers = values[column];
      if (numbers) numbers[row] = numberAt(message, path);
    });
  });
  return { kind: 'numbers', ...columnsOf(messages, originNs), values };
}

/** @throws Error for messages that do not fit their type. */
export function decodeSound(
  messages: readonly McapTypes.TypedMcapRecords['Message'][],
  originNs: bigint,
  read: (message: McapTypes.TypedMcapRecords['Message']) => SoundBlock,
): DecodedSound {
  return { kind: 'sound', ...columnsOf(messages, originNs), blocks: messages.map(read) };
}

/** @throws Error for messages that do not fit their type. */
export function decodeMessages(
  messages: readonly McapTypes.TypedMcapRecords['Message'][],
  originNs: bigint,
  read: ReadMessage,
): DecodedMessages {
  return { kind: 'messages', ...columnsOf(messages, originNs), messages: messages.map(({ data }) => read(data)) };
}

/** About how much memory it takes. */
export function decodedBytes(decoded: Decoded): number {
  const base = 200 + 12 * decoded.t.length;
  if (decoded.kind === 'numbers') return base + decoded.values.length * (100 + 8 * decoded.t.length);
  if (decoded.kind === 'messages') return base + 2_000 * decoded.messages.length;
  return base + decoded.blocks.reduce((sum, { samples }) => sum + 150 + samples.byteLength, 0);
}

/** Frames summed up in one entry of `SoundPeaks`. */
export const peakFrames = 240;

/** Least and greatest sample of each channel in every `peakFrames` frames of a message. */
export interface SoundPeaks {
  readonly t: Float64Array;
  readonly blocks: readonly {
    readonly rateHz: number;
    readonly channels: number;
    readonly frames: number;
    /** [part][channel][least, greatest] */
    readonly peaks: Int16Array;
  }[];
}

export function soundPeaks(sound: DecodedSound): SoundPeaks {
  const blocks = sound.blocks.map(({ samples, channels, rateHz }) => {
    const frames = samples.length / channels;
    const parts = Math.ceil(frames / peakFrames);
    const peaks = new Int16Array(parts * channels * 2);
    for (let part = 0; part < parts; part += 1) {
      const first = part * peakFrames * channels;
      const end = Math.min(samples.length, first + peakFrames * channels);
      for (let channel = 0; channel < channels; channel += 1) {
        let least = 32_767;
        let greatest = -32_768;
        for (let at = first + channel; at < end; at += channels) {
          const sample = samples[at] as number;
          if (sample < least) least = sample;
          if (sample > greatest) greatest = sample;
        }
        const place = (part * channels + channel) * 2;
        peaks[place] = least;
        peaks[place + 1] = greatest;
      }
    }
    return { rateHz, channels, frames, peaks };
  });
  return { t: sound.t, blocks };
}

export function peaksBytes({ blocks }: SoundPeaks): number {
  return blocks.reduce((sum, { peaks }) => sum + 200 + peaks.byteLength, 200);
}
