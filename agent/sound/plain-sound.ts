/** Turns what a recording holds as FLAC back into the very messages that were published, for all who read recordings. */

import { AgentError } from '../error.ts';
import { type DecodeFlac, openFlacDecoder } from './flac-decoder.ts';
import {
  compressedAudioType,
  plainTopicOf,
  rawAudioMessage,
  rawAudioType,
  soundFrames,
  viewSound,
} from './raw-audio.ts';

/** What of a message changes with its compression. */
interface SoundMessage {
  readonly topic: string;
  readonly type: string;
  readonly data: Uint8Array;
}

/** Loaded with the first message that needs it. */
let opening: Promise<DecodeFlac> | null = null;

/**
 * The message as it was published: a CompressedAudio message on `/uma8/audio/flac` as the RawAudio message on `/uma8/audio`, byte for
 * byte; any other message as it is.
 * @throws AgentError `sound-file` when the FLAC in it cannot be decoded, or is not the sound that the message says.
 */
export async function plainSound<Given extends SoundMessage>(message: Given): Promise<Given> {
  if (message.type !== compressedAudioType) return message;
  opening ??= openFlacDecoder();
  const data = rawAudioOf(message.data, message.topic, await opening);
  return { ...message, topic: plainTopicOf(message.topic), type: rawAudioType, data };
}

/** The RawAudio message of a CompressedAudio message; `where` is named in errors, which are those of `plainSound`. */
function rawAudioOf(compressed: Uint8Array, where: string, decode: DecodeFlac): Uint8Array {
  const sound = viewSound(compressed);
  if (sound?.format !== 'flac') {
    const found = sound === null ? `${compressed.byteLength} other bytes` : `format ${sound.format}`;
    throw new AgentError('sound-file', `${where}: expected ${compressedAudioType} with FLAC, found ${found}`);
  }
  const { pcm, channels, sampleRateHz } = decode(sound.data);
  const frames = pcm.length / channels;
  const told = soundFrames(compressed)?.count;
  if (channels !== sound.channels || sampleRateHz !== sound.sampleRateHz || frames !== told) {
    const expected = `${told} frames of ${sound.channels} channels at ${sound.sampleRateHz} Hz`;
    const found = `${frames} of ${channels} at ${sampleRateHz} Hz`;
    throw new AgentError('sound-file', `${where}: expected ${expected}, found ${found}`);
  }
  return rawAudioMessage(sound, new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength));
}
