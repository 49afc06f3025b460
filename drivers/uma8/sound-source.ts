/** The port that the array's device loop listens through: a stream of interleaved 16-bit little-endian samples. */

/** One open stream of sound. Listeners are set right after opening, before the first byte; one listener a kind. */
export interface SoundSource {
  /** Bytes as they come, in any cut; the receiver must not keep them beyond the call. */
  onData(listener: (bytes: Uint8Array) => void): void;
  /** Called once, after the last byte: with the fault, or null at a plain end (of a file, or after `stop()`). */
  onEnd(listener: (error: Error | null) => void): void;
  /** Resolves when the stream is released; harmless when it has ended already. */
  stop(): Promise<void>;
}

/** Opens the stream; rejects with a DriverError that says the cure. */
export type OpenSoundSource = () => Promise<SoundSource>;
