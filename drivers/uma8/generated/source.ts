/** Owns generated sound as a source: a process of its own makes it, this side paces it as if the array heard it now. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { DriverError } from '../../error.ts';
import { stopChild } from '../arecord.ts';
import { MICROPHONES } from '../geometry.ts';
import { type BlockReader, pacedSource } from '../paced-source.ts';
import type { OpenSoundSource } from '../sound-source.ts';
import type { ConfuserEntry, SceneOptions, TruthEntry } from './scene.ts';

export interface GeneratedOptions extends SceneOptions {
  /** 1 (default) is real time, larger is faster; Infinity does not wait. The device judges rates by its clock: give it one as fast. */
  readonly speed?: number;
  /** CLOCK_MONOTONIC in nanoseconds; default the process's. */
  readonly monotonicNs?: () => bigint;
  /** Hears what the scene contains, up to a second before it sounds; times count from the stream's first frame. */
  readonly onTruth?: (truth: readonly TruthEntry[], confusers: readonly ConfuserEntry[]) => void;
}

/** Opens endless generated sound; each opening begins the same scene anew. The stream ends with `generator-failed` when its process does. */
export function openGenerated(options: GeneratedOptions): OpenSoundSource {
  const { speed = 1, monotonicNs = process.hrtime.bigint, onTruth, ...scene } = options;
  const sampleRateHz = scene.sampleRateHz ?? 48_000;
  return async () => {
    const main = fileURLToPath(new URL('./main.ts', import.meta.url));
    const child = spawn(process.execPath, [main, JSON.stringify(scene)], {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    child.on('message', (message) => {
      const told = message as { truth: TruthEntry[]; confusers: ConfuserEntry[] };
      onTruth?.(told.truth, told.confusers);
    });
    const bytesPerS = sampleRateHz * MICROPHONES.length * 2;
    return pacedSource(new ChildReader(child, child.stdout as Readable), { bytesPerS, speed, monotonicNs });
  };
}

class ChildReader implements BlockReader {
  readonly #child: ChildProcess;
  readonly #pieces: AsyncIterator<Buffer>;
  #closing = false;

  constructor(child: ChildProcess, stdout: Readable) {
    this.#child = child;
    this.#pieces = stdout[Symbol.asyncIterator]();
    child.on('error', (cause) => stdout.destroy(failure(cause.message, cause)));
  }

  async read(): Promise<Uint8Array | null> {
    const piece = await this.#pieces.next();
    if (piece.done !== true) return piece.value;
    if (this.#closing) return null;
    throw failure('it ended');
  }

  async close(): Promise<void> {
    this.#closing = true;
    await stopChild(this.#child);
  }
}

function failure(reason: string, cause?: unknown): DriverError {
  return new DriverError('generator-failed', `the process that generates sound failed: ${reason}`, { cause });
}
