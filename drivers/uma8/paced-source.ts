/** Owns real time for sound that has none: blocks that are ready at any time leave when a microphone would have delivered them. */
import { setTimeout as delay } from 'node:timers/promises';
import type { SoundSource } from './sound-source.ts';

/** Where a paced source takes its sound from. */
export interface BlockReader {
  /** The next bytes (interleaved Int16, any cut, not used again by the reader), or null at the end. Rejects with a DriverError. */
  read(): Promise<Uint8Array | null>;
  /** Lets go of everything; a pending read ends. Harmless when repeated. */
  close(): Promise<void>;
}

export interface Pace {
  /** Bytes of one second of sound. */
  readonly bytesPerS: number;
  /** 1 is real time; larger is faster; Infinity does not wait at all. */
  readonly speed: number;
  /** CLOCK_MONOTONIC in nanoseconds. */
  readonly monotonicNs: () => bigint;
}

/** After a pause of the process up to this long, the sound catches up at once; after a longer one it goes on late, with a gap in time. */
const MOST_BEHIND_S = 2;

/** Paces `reader` against the monotonic clock: each block's end is due at start + bytes so far / rate, so errors do not add up. */
export function pacedSource(reader: BlockReader, pace: Pace): SoundSource {
  const stop = new AbortController();
  let data: (bytes: Uint8Array) => void = () => {};
  let ended: (error: Error | null) => void = () => {};
  let finished: Promise<void> | null = null;
  const start = () => {
    finished ??= run(reader, pace, (bytes) => data(bytes), stop.signal)
      .then(
        () => ended(null),
        (error: unknown) => ended(error instanceof Error ? error : new Error(String(error))),
      )
      .finally(() => reader.close().catch(() => {}));
  };
  return {
    onData: (listener) => {
      data = listener;
      start();
    },
    onEnd: (listener) => {
      ended = listener;
    },
    stop: async () => {
      stop.abort();
      data = () => {};
      await reader.close().catch(() => {});
      await finished;
    },
  };
}

async function run(
  reader: BlockReader,
  pace: Pace,
  emit: (bytes: Uint8Array) => void,
  signal: AbortSignal,
): Promise<void> {
  const nsPerByte = 1e9 / (pace.bytesPerS * pace.speed);
  let originNs: bigint | null = null;
  let sent = 0;
  while (!signal.aborted) {
    const bytes = await reader.read();
    if (bytes === null || signal.aborted) return;
    originNs ??= pace.monotonicNs();
    sent += bytes.length;
    const aheadMs = (sent * nsPerByte - Number(pace.monotonicNs() - originNs)) / 1e6;
    if (aheadMs < -MOST_BEHIND_S * 1000) originNs += BigInt(Math.round(-aheadMs * 1e6));
    else if (aheadMs >= 1) await delay(aheadMs, undefined, { signal }).catch(() => {});
    else if (pace.speed === Number.POSITIVE_INFINITY) await new Promise(setImmediate);
    if (!signal.aborted) emit(bytes);
  }
}
