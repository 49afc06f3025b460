/**
 * The thread that encodes sound as FLAC: takes RawAudio messages, answers each with the CompressedAudio message of the same sound. In a
 * thread of its own, neither its work nor a fault of it holds up the recording.
 */

import { isMainThread, parentPort } from 'node:worker_threads';
import { type EncodeFlac, openFlacEncoder } from './flac-encoder.ts';
import { compressedAudioMessage, viewSamples } from './raw-audio.ts';

/** The answer to a message: what was made of it, or why nothing was. */
export type ThreadAnswer = { readonly compressed: Uint8Array<ArrayBuffer> } | { readonly problem: string };

function compress(encode: EncodeFlac, message: Uint8Array): ThreadAnswer {
  const sound = viewSamples(message);
  if (sound === null) return { problem: 'expected whole frames of 16-bit samples, found others' };
  try {
    return { compressed: compressedAudioMessage(sound, encode(sound.pcm, sound.channels, sound.sampleRateHz)) };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}

// Being imported to be compiled ahead, it does nothing.
if (!isMainThread && parentPort !== null) {
  const port = parentPort;
  const encode = await openFlacEncoder();
  port.on('message', (message: Uint8Array) => {
    const answer = compress(encode, message);
    port.postMessage(answer, 'compressed' in answer ? [answer.compressed.buffer] : []);
  });
  port.postMessage('ready');
}
