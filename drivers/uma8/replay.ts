/** Owns replayed sound: recordings paced as if the array heard them now, over and over if wanted. */
import { DriverError } from '../error.ts';
import { MICROPHONES } from './geometry.ts';
import { type BlockReader, pacedSource } from './paced-source.ts';
import { arrayBlocks, findRecordings } from './recording-reader.ts';
import type { OpenSoundSource } from './sound-source.ts';

export interface ReplayOptions {
  /** A sound file, or a folder that is searched for them with all folders below it. */
  readonly path: string;
  /** Begins again after the last file; default true. */
  readonly loop?: boolean;
  /** 1 (default) is real time, larger is faster; Infinity does not wait. The device judges rates by its clock: give it one as fast. */
  readonly speed?: number;
  /** Default 48000. */
  readonly sampleRateHz?: number;
  /** CLOCK_MONOTONIC in nanoseconds; default the process's. */
  readonly monotonicNs?: () => bigint;
  /** Hears of files that could not be read and were left out. */
  readonly onSkip?: (file: string, error: DriverError) => void;
}

/**
 * Plays recordings as 8-channel sound. Opening rejects with `no-recording`; a file that cannot be read is left out, and when none can, the stream
 * ends with that file's fault (`bad-recording`, `sox-missing`).
 */
export function openReplay(options: ReplayOptions): OpenSoundSource {
  const sampleRateHz = options.sampleRateHz ?? 48_000;
  return async () => {
    const files = await findRecordings(options.path);
    const reader = new ReplayReader(files, sampleRateHz, options.loop ?? true, options.onSkip ?? (() => {}));
    return pacedSource(reader, {
      bytesPerS: sampleRateHz * MICROPHONES.length * 2,
      speed: options.speed ?? 1,
      monotonicNs: options.monotonicNs ?? process.hrtime.bigint,
    });
  };
}

class ReplayReader implements BlockReader {
  readonly #blocks: AsyncGenerator<Uint8Array>;
  readonly #stop = new AbortController();

  constructor(
    files: readonly string[],
    sampleRateHz: number,
    loop: boolean,
    onSkip: (file: string, error: DriverError) => void,
  ) {
    this.#blocks = playlist(files, sampleRateHz, loop, onSkip, this.#stop.signal);
  }

  async read(): Promise<Uint8Array | null> {
    const block = await this.#blocks.next();
    return block.done === true ? null : block.value;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#blocks.return(undefined);
  }
}

async function* playlist(
  files: readonly string[],
  sampleRateHz: number,
  loop: boolean,
  onSkip: (file: string, error: DriverError) => void,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const blockFrames = Math.round(sampleRateHz / 20);
  do {
    let played = false;
    let fault: DriverError | null = null;
    for (const [place, file] of files.entries()) {
      try {
        for await (const block of arrayBlocks(file, sampleRateHz, blockFrames, place, signal)) {
          played = true;
          yield block;
          if (signal.aborted) return;
        }
      } catch (error) {
        if (!(error instanceof DriverError)) throw error;
        fault = error;
        onSkip(file, error);
      }
    }
    if (!played && !signal.aborted)
      throw fault ?? new DriverError('bad-recording', `no sound in ${files.length} files`);
  } while (loop && !signal.aborted);
}
