/** The sound of a clip: its chunks laid out on one time line, as WAV, and its level over time. */
import type { ClipMessage } from './clip-file.ts';

/** 16-bit sound, interleaved [frames × channels]. */
export interface Sound {
  readonly startNs: bigint;
  readonly sampleRateHz: number;
  readonly channels: number;
  readonly frames: number;
  readonly pcm: Int16Array;
  /** Frames of silence that stand for sound that is missing. */
  readonly missingFrames: number;
}

/** The type of the messages that carry sound. */
export const soundType = 'foxglove_msgs/msg/RawAudio';

const maxChannels = 32;
const maxFrames = 1 << 26;
/** Stamps wander by less than this against the counted samples; more is a hole in the recording. */
const toleranceS = 0.02;

interface Piece {
  readonly atNs: bigint;
  readonly rateHz: number;
  readonly channels: number;
  readonly pcm: Int16Array;
}

function toPiece({ fields }: ClipMessage): Piece | null {
  const { timestamp, data, format, sample_rate: rateHz, number_of_channels: channels } = fields;
  if (!(data instanceof Uint8Array) || format !== 'pcm-s16') return null;
  if (typeof rateHz !== 'number' || typeof channels !== 'number' || rateHz < 1 || channels < 1) return null;
  if (channels > maxChannels) return null;
  const stamp = timestamp as { sec?: number; nanosec?: number; nsec?: number } | undefined;
  const atNs = BigInt(stamp?.sec ?? 0) * 1_000_000_000n + BigInt(stamp?.nanosec ?? stamp?.nsec ?? 0);
  const frames = Math.floor(data.byteLength / 2 / channels);
  const pcm = new Int16Array(frames * channels);
  new Uint8Array(pcm.buffer).set(data.subarray(0, pcm.byteLength));
  return { atNs, rateHz, channels, pcm };
}

/**
 * Joins the chunks of the first sound topic. Neighbours are joined sample to sample; where more than 20 ms is missing,
 * silence keeps the time right. null when the clip has no sound that this can read.
 */
export function joinSound(messages: readonly ClipMessage[]): Sound | null {
  const topic = messages.find((message) => message.type === soundType)?.topic;
  const pieces = messages
    .filter((message) => message.type === soundType && message.topic === topic)
    .map(toPiece)
    .filter((piece) => piece !== null);
  const first = pieces[0];
  if (first === undefined) return null;
  const { rateHz, channels, atNs: startNs } = first;
  const placed: { readonly frame: number; readonly pcm: Int16Array }[] = [];
  let frames = 0;
  let missingFrames = 0;
  for (const piece of pieces) {
    if (piece.rateHz !== rateHz || piece.channels !== channels) continue;
    const stamped = Math.round((Number(piece.atNs - startNs) / 1e9) * rateHz);
    const gap = stamped - frames > toleranceS * rateHz ? stamped - frames : 0;
    const count = piece.pcm.length / channels;
    if (frames + gap + count > maxFrames / channels) break;
    missingFrames += gap;
    placed.push({ frame: frames + gap, pcm: piece.pcm });
    frames += gap + count;
  }
  const pcm = new Int16Array(frames * channels);
  for (const { frame, pcm: samples } of placed) pcm.set(samples, frame * channels);
  return { startNs, sampleRateHz: rateHz, channels, frames, pcm, missingFrames };
}

/** A RIFF WAVE file (PCM, 16 bit) of one channel (from 0) or, with null, of all. */
export function toWav(sound: Sound, channel: number | null): Buffer {
  const channels = channel === null ? sound.channels : 1;
  const dataBytes = sound.frames * channels * 2;
  const wav = Buffer.alloc(44 + dataBytes);
  wav.write('RIFF', 0, 'latin1');
  wav.writeUInt32LE(36 + dataBytes, 4);
  wav.write('WAVEfmt ', 8, 'latin1');
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(channels, 22);
  wav.writeUInt32LE(sound.sampleRateHz, 24);
  wav.writeUInt32LE(sound.sampleRateHz * channels * 2, 28);
  wav.writeUInt16LE(channels * 2, 32);
  wav.writeUInt16LE(16, 34);
  wav.write('data', 36, 'latin1');
  wav.writeUInt32LE(dataBytes, 40);
  const samples = new Int16Array(wav.buffer, wav.byteOffset + 44, dataBytes / 2);
  if (channel === null) samples.set(sound.pcm);
  else
    for (let frame = 0; frame < sound.frames; frame++)
      samples[frame] = sound.pcm[frame * sound.channels + channel] ?? 0;
  return wav;
}

/** Root mean square over all channels in windows of `windowS` seconds, in dBFS (0: a full-scale square wave); null: silence. */
export function levels(sound: Sound, windowS: number): { t_s: number[]; values: (number | null)[] } {
  const window = Math.max(1, Math.round(windowS * sound.sampleRateHz));
  const answer: { t_s: number[]; values: (number | null)[] } = { t_s: [], values: [] };
  for (let start = 0; start < sound.frames; start += window) {
    const end = Math.min(sound.frames, start + window);
    let sum = 0;
    for (let at = start * sound.channels; at < end * sound.channels; at++) sum += (sound.pcm[at] as number) ** 2;
    const rms = Math.sqrt(sum / ((end - start) * sound.channels)) / 32_768;
    answer.t_s.push((start + (end - start) / 2) / sound.sampleRateHz);
    answer.values.push(rms > 0 ? 20 * Math.log10(rms) : null);
  }
  return answer;
}
