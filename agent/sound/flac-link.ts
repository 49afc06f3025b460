/** Owns the thread that encodes sound: starts it, counts what it has not answered, and ends it. */

import { Worker } from 'node:worker_threads';
import type { ThreadAnswer } from './flac-thread.ts';

/** What the one who sends it sound is told. */
export interface FlacListener {
  /** It listens. */
  ready(): void;
  /** The answer to the oldest message that has none. */
  answer(answer: ThreadAnswer): void;
  /** It ended by itself, or never began: nothing more will be answered. */
  ended(problem: string): void;
}

/** A connection to an encoder at work. */
export interface FlacLink {
  /** Sends a RawAudio message, whose bytes are its own from now on. */
  send(message: Uint8Array<ArrayBuffer>): void;
  /** Ends it; the listener is told nothing more. */
  end(): Promise<void>;
}

/** It makes little garbage; the heap of libFLAC is not counted here. */
const limits = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16, stackSizeMb: 1 };

/** Starts the thread. Never throws: what hinders it is told to the listener. */
export function startFlacThread(listener: FlacListener): FlacLink {
  let ended = false;
  const end = (problem: string): void => {
    if (ended) return;
    ended = true;
    listener.ended(problem);
  };
  const worker = new Worker(new URL('./flac-thread.ts', import.meta.url), { name: 'flac', resourceLimits: limits });
  worker.unref();
  worker.on('message', (message: 'ready' | ThreadAnswer) => {
    if (ended) return;
    if (message === 'ready') listener.ready();
    else listener.answer(message);
  });
  worker.on('error', (error: Error) => end(error.message));
  worker.on('exit', (code) => end(`it ended with code ${code}`));
  return {
    send: (message) => worker.postMessage(message, [message.buffer]),
    end: async () => {
      ended = true;
      await worker.terminate();
    },
  };
}
