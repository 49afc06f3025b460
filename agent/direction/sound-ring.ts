/** Owns the latest seconds of sound of all channels, as they came: pushing is one copy, and everything else waits until it is asked for. */

/** Chunks whose time differs more than this from the frames counted are a gap, as in the detector. */
const GAP_NS = 50_000_000;

/** A ring of interleaved Int16 frames with the time of each. */
export class SoundRing {
  readonly #samples: Int16Array;
  readonly #frames: number;
  readonly #channels: number;
  readonly #sampleRateHz: number;
  /** Frames taken since the last gap. */
  #count = 0;
  /** Time of frame 0, as the latest chunk tells it. */
  #startNs = 0n;

  constructor(sampleRateHz: number, channels: number, seconds: number) {
    this.#sampleRateHz = sampleRateHz;
    this.#channels = channels;
    this.#frames = Math.round(seconds * sampleRateHz);
    this.#samples = new Int16Array(this.#frames * channels);
  }

  /** First frame that is still held, and the one behind the last. */
  get held(): readonly [from: number, to: number] {
    return [Math.max(0, this.#count - this.#frames), this.#count];
  }

  /**
   * Copies interleaved whole frames in. Missing sound becomes silence, so that an event before it can still be looked at; after a gap
   * longer than the ring, or time going back, all is forgotten.
   */
  push(pcm: Int16Array, firstSampleNs: bigint): void {
    const startNs = firstSampleNs - this.#durationNs(this.#count);
    const gapNs = Number(startNs - this.#startNs);
    if (this.#count > 0 && Math.abs(gapNs) > GAP_NS) this.#skip(Math.round((gapNs * this.#sampleRateHz) / 1e9));
    this.#startNs = firstSampleNs - this.#durationNs(this.#count);
    const frames = Math.floor(pcm.length / this.#channels);
    // Of a chunk longer than the ring only the end is kept.
    let done = Math.max(0, frames - this.#frames);
    while (done < frames) {
      const at = (this.#count + done) % this.#frames;
      const part = Math.min(frames - done, this.#frames - at);
      const from = done * this.#channels;
      this.#samples.set(pcm.subarray(from, from + part * this.#channels), at * this.#channels);
      done += part;
    }
    this.#count += frames;
  }

  /** The frame at this time, fractional, held or not. */
  frameAt(timeNs: bigint): number {
    return (Number(timeNs - this.#startNs) * this.#sampleRateHz) / 1e9;
  }

  /** Fills `line` with one channel's samples of held frames from `from` on. */
  read(channel: number, from: number, line: Float32Array): void {
    let at = (from % this.#frames) * this.#channels + channel;
    for (let i = 0; i < line.length; i++) {
      line[i] = this.#samples[at] as number;
      at += this.#channels;
      if (at >= this.#samples.length) at -= this.#samples.length;
    }
  }

  clear(): void {
    this.#count = 0;
  }

  #skip(frames: number): void {
    if (frames < 0 || frames >= this.#frames) {
      this.clear();
      return;
    }
    for (let frame = this.#count; frame < this.#count + frames; frame++) {
      const at = (frame % this.#frames) * this.#channels;
      this.#samples.fill(0, at, at + this.#channels);
    }
    this.#count += frames;
  }

  #durationNs(frames: number): bigint {
    return (BigInt(frames) * 1_000_000_000n) / BigInt(this.#sampleRateHz);
  }
}
