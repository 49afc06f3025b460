/** Cuts a stream of samples into overlapping windows, the same ones however the stream arrives in pieces. */

/** What a model's description says of its windows, in seconds. Reckoned here, where nothing is loaded that only checking needs. */
export interface WindowLengths {
  readonly sample_rate_hz: number;
  readonly window_s: number;
  readonly hop_s: number;
}

/** Samples (mono, at `sample_rate_hz`) of one window and of one hop. */
export function lengthsInSamples(input: WindowLengths): { window: number; hop: number } {
  const rate = input.sample_rate_hz;
  return { window: Math.round(input.window_s * rate), hop: Math.round(input.hop_s * rate) };
}

/** The latest stretch of a mono stream, in windows of a fixed length and hop; memory is two windows. */
export class SlidingWindows {
  readonly #window: number;
  readonly #hop: number;
  readonly #buffer: Float32Array;
  #filled = 0;
  #start = 0;

  /** Both in samples, 1 ≤ hop ≤ window. */
  constructor(window: number, hop: number) {
    if (!Number.isInteger(window) || !Number.isInteger(hop) || hop < 1 || hop > window) {
      throw new RangeError(`expected whole samples with 1 ≤ hop ≤ window, found hop ${hop}, window ${window}`);
    }
    this.#window = window;
    this.#hop = hop;
    this.#buffer = new Float32Array(window);
  }

  /**
   * Adds samples and yields each window completed by them: `start` is the index of its first sample since the last
   * reset; `samples` is a view that is valid until the next step only. Consume the iterator wholly.
   */
  *push(samples: Float32Array): Generator<{ start: number; samples: Float32Array }> {
    let taken = 0;
    while (taken < samples.length) {
      const count = Math.min(this.#window - this.#filled, samples.length - taken);
      this.#buffer.set(samples.subarray(taken, taken + count), this.#filled);
      this.#filled += count;
      taken += count;
      if (this.#filled === this.#window) {
        yield { start: this.#start, samples: this.#buffer };
        this.#buffer.copyWithin(0, this.#hop);
        this.#filled -= this.#hop;
        this.#start += this.#hop;
      }
    }
  }

  /** Forgets everything; the next sample has index 0. */
  reset(): void {
    this.#filled = 0;
    this.#start = 0;
  }
}

/**
 * Mean over the channels of interleaved 16-bit samples [frames × channels], as float32 −1..1 [frames]: the beginning of `into` where that is
 * long enough, a new array where not.
 */
export function downmix(pcm: Int16Array, channels: number, into?: Float32Array): Float32Array {
  const frames = Math.floor(pcm.length / channels);
  const mono = into !== undefined && into.length >= frames ? into.subarray(0, frames) : new Float32Array(frames);
  const scale = 1 / (32768 * channels);
  for (let frame = 0, at = 0; frame < frames; frame++) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++) {
      sum += pcm[at++] as number;
    }
    mono[frame] = sum * scale;
  }
  return mono;
}
