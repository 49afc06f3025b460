/** Owns the cut of a byte stream into chunks of whole frames, whatever pieces the bytes come in. */

/** A run of whole frames. */
export interface CutChunk {
  /** Frames before this chunk since the stream began. */
  readonly firstFrame: number;
  readonly frames: number;
  /** Int16 [frames × channels]; owned by the receiver. */
  readonly pcm: Int16Array<ArrayBuffer>;
}

/** Collects bytes of one stream. Holds at most one chunk; a new stream takes a new cutter. */
export class ChunkCutter {
  readonly #frameBytes: number;
  readonly #chunkFrames: number;
  #chunk: Uint8Array<ArrayBuffer>;
  #filled = 0;
  #emittedFrames = 0;

  /** Chunks of `chunkFrames` frames of `channels` 16-bit samples, little endian as the machine is. */
  constructor(chunkFrames: number, channels: number) {
    this.#chunkFrames = chunkFrames;
    this.#frameBytes = channels * 2;
    this.#chunk = new Uint8Array(chunkFrames * this.#frameBytes);
  }

  /** Whole frames received so far, those in the unfinished chunk included. */
  get receivedFrames(): number {
    return this.#emittedFrames + Math.floor(this.#filled / this.#frameBytes);
  }

  /** Takes bytes in (they are copied) and returns the chunks they complete, in order. */
  push(bytes: Uint8Array): CutChunk[] {
    const chunks: CutChunk[] = [];
    for (let at = 0; at < bytes.length; ) {
      const taken = Math.min(bytes.length - at, this.#chunk.length - this.#filled);
      this.#chunk.set(bytes.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      at += taken;
      if (this.#filled === this.#chunk.length) chunks.push(this.#emit(this.#chunkFrames));
    }
    return chunks;
  }

  /** At the stream's end: the whole frames left, as a shorter chunk (null when there are none), and the bytes of a half frame dropped. */
  finish(): { chunk: CutChunk | null; droppedBytes: number } {
    const frames = Math.floor(this.#filled / this.#frameBytes);
    const droppedBytes = this.#filled % this.#frameBytes;
    return { chunk: frames === 0 ? null : this.#emit(frames), droppedBytes };
  }

  #emit(frames: number): CutChunk {
    const bytes = frames === this.#chunkFrames ? this.#chunk : this.#chunk.slice(0, frames * this.#frameBytes);
    const chunk = { firstFrame: this.#emittedFrames, frames, pcm: new Int16Array(bytes.buffer) };
    this.#chunk = new Uint8Array(this.#chunkFrames * this.#frameBytes);
    this.#filled = 0;
    this.#emittedFrames += frames;
    return chunk;
  }
}
