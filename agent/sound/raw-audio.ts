/**
 * Knows the two messages that carry sound, foxglove_msgs/msg/RawAudio and fender_msgs/msg/CompressedAudio, as CDR bytes (OMG
 * DDS-XTypes 1.3, 7.4.3: alignment counts from behind the 4-byte encapsulation header), and which topics they are on.
 */

/** Sound as samples. */
export const rawAudioType = 'foxglove_msgs/msg/RawAudio';
/** Sound as FLAC. */
export const compressedAudioType = 'fender_msgs/msg/CompressedAudio';

const flacEnding = '/flac';

export function isSoundType(type: string): boolean {
  return type === rawAudioType || type === compressedAudioType;
}

/** The topic that a recording has instead of `topic` when it holds the topic's sound as FLAC: `/uma8/audio/flac`. */
export function flacTopicOf(topic: string): string {
  return `${topic}${flacEnding}`;
}

/** The topic whose sound is on `topic`: `/uma8/audio` for itself and for `/uma8/audio/flac`. */
export function plainTopicOf(topic: string): string {
  return topic.endsWith(flacEnding) ? topic.slice(0, -flacEnding.length) : topic;
}

/** What either message says of its sound, with views into its bytes. */
export interface SoundView {
  /** The stamp of the first sample, builtin_interfaces/Time. */
  readonly sec: number;
  readonly nanosec: number;
  readonly data: Uint8Array;
  readonly format: string;
  readonly sampleRateHz: number;
  readonly channels: number;
}

function aligned(offset: number): number {
  return Math.ceil(offset / 4) * 4;
}

/** Reads the fields that both messages begin with; null when the bytes are not such a message. */
export function viewSound(message: Uint8Array): SoundView | null {
  if (message.byteLength < 28 || message[1] !== 1) return null;
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const dataEnd = 16 + view.getUint32(12, true);
  const formatAt = aligned(dataEnd);
  if (formatAt + 4 > message.byteLength) return null;
  const formatBytes = view.getUint32(formatAt, true);
  const rateAt = aligned(formatAt + 4 + formatBytes);
  if (formatBytes === 0 || rateAt + 8 > message.byteLength) return null;
  return {
    sec: view.getInt32(4, true),
    nanosec: view.getUint32(8, true),
    data: message.subarray(16, dataEnd),
    format: Buffer.from(message.subarray(formatAt + 4, formatAt + 3 + formatBytes)).toString('latin1'),
    sampleRateHz: view.getUint32(rateAt, true),
    channels: view.getUint32(rateAt + 4, true),
  };
}

/** The samples of a RawAudio message, [frames × channels], as a view where its bytes lie so; null when it holds no such whole frames. */
export function viewSamples(message: Uint8Array): (SoundView & { readonly pcm: Int16Array }) | null {
  const sound = viewSound(message);
  if (sound === null || sound.format !== 'pcm-s16' || sound.channels === 0 || sound.sampleRateHz === 0) return null;
  const samples = sound.data.byteLength / 2;
  if (samples % sound.channels !== 0) return null;
  // Not slice: that of a Buffer copies nothing.
  const data = sound.data.byteOffset % 2 === 0 ? sound.data : new Uint8Array(sound.data);
  return { ...sound, pcm: new Int16Array(data.buffer, data.byteOffset, samples) };
}

/** How many samples of each channel a sound message holds, as it says, and at which rate in Hz; null when it is damaged. */
export function soundFrames(message: Uint8Array): { readonly count: number; readonly rateHz: number } | null {
  const sound = viewSound(message);
  if (sound === null || sound.channels === 0 || sound.sampleRateHz === 0) return null;
  let count = sound.data.byteLength / 2 / sound.channels;
  if (sound.format === 'flac') {
    const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
    count = view.getUint32(message.byteLength - 4, true);
  }
  return { count, rateHz: sound.sampleRateHz };
}

/** The bytes of a message: `data`, `format`, and the numbers behind it. */
function soundMessage(
  sound: Omit<SoundView, 'channels' | 'sampleRateHz'>,
  numbers: readonly number[],
): Uint8Array<ArrayBuffer> {
  const { sec, nanosec, data, format } = sound;
  const formatAt = aligned(16 + data.byteLength);
  const numbersAt = aligned(formatAt + 4 + format.length + 1);
  const bytes = new Uint8Array(numbersAt + 4 * numbers.length);
  const view = new DataView(bytes.buffer);
  bytes[1] = 1; // CDR_LE
  view.setInt32(4, sec, true);
  view.setUint32(8, nanosec, true);
  view.setUint32(12, data.byteLength, true);
  bytes.set(data, 16);
  view.setUint32(formatAt, format.length + 1, true);
  new TextEncoder().encodeInto(format, bytes.subarray(formatAt + 4));
  for (const [index, number] of numbers.entries()) view.setUint32(numbersAt + 4 * index, number, true);
  return bytes;
}

/** A CompressedAudio message of the sound of a RawAudio message whose FLAC stream is `flac`. */
export function compressedAudioMessage(sound: SoundView, flac: Uint8Array): Uint8Array<ArrayBuffer> {
  const frames = Math.floor(sound.data.byteLength / 2 / sound.channels);
  return soundMessage({ ...sound, data: flac, format: 'flac' }, [sound.sampleRateHz, sound.channels, frames]);
}

/** A RawAudio message with `pcm` ([frames × channels], little endian) and the stamp of another sound message. */
export function rawAudioMessage(sound: SoundView, pcm: Uint8Array): Uint8Array {
  return soundMessage({ ...sound, data: pcm, format: 'pcm-s16' }, [sound.sampleRateHz, sound.channels]);
}
