/** Measures how loud each channel is, once a second of sound, in one pass over the samples. */
import type { AudioChunk, Stamp } from '../../drivers/sample.ts';
import { soundSums, sumsPerField } from '../sound/levels.ts';

/** The level of digital silence, dBFS: below the last bit of 16-bit sound. */
const SILENCE_DBFS = -120;

/** Root mean square levels of one second; `ch<n>_dbfs`, 0 dBFS is the RMS of a full-scale square wave. */
export interface SoundLevel {
  readonly stamp: Stamp;
  readonly values: Readonly<Record<string, number>>;
}

/** Adds up chunks to levels. A change of format begins anew. */
export class SoundLevelMeter {
  #sums = new Float64Array(0);
  #frames = 0;
  #stamp: Stamp | null = null;

  /** Takes a chunk; returns the level when a second is complete, stamped with its first frame. */
  add(chunk: AudioChunk): SoundLevel | null {
    const { channels, pcm, frames } = chunk;
    if (this.#sums.length !== channels) {
      this.#sums = new Float64Array(channels);
      this.#frames = 0;
    }
    if (this.#frames === 0) this.#stamp = chunk.stamp;
    const chunkSums = soundSums(pcm, channels);
    for (let channel = 0; channel < channels; channel += 1) {
      this.#sums[channel] = (this.#sums[channel] as number) + (chunkSums[channel * sumsPerField + 4] as number);
    }
    this.#frames += frames;
    if (this.#frames < chunk.sampleRateHz || this.#stamp === null) return null;
    const level = { stamp: this.#stamp, values: levels(this.#sums, this.#frames) };
    this.#sums.fill(0);
    this.#frames = 0;
    return level;
  }
}

function levels(sums: Float64Array, frames: number): Record<string, number> {
  const values: Record<string, number> = {};
  sums.forEach((sum, channel) => {
    const dbfs = 10 * Math.log10(sum / frames);
    values[`ch${channel}_dbfs`] = Math.max(SILENCE_DBFS, dbfs);
  });
  return values;
}
