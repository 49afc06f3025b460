/** The power spectrum of real sound: a radix-2 transform (Cooley and Tukey 1965) behind a Hann window. */

/** A transform of `size` samples, a power of two. Its buffers are reused by every call. */
export class PowerSpectrum {
  readonly size: number;
  /** Powers of `size / 2` frequencies, from 0 Hz up; 1 is a full-scale sine. */
  readonly power: Float64Array;
  readonly #window: Float64Array;
  readonly #cosines: Float64Array;
  readonly #sines: Float64Array;
  readonly #reversed: Uint32Array;
  readonly #real: Float64Array;
  readonly #imaginary: Float64Array;

  constructor(size: number) {
    this.size = size;
    const bits = Math.log2(size);
    const turn = (2 * Math.PI) / size;
    this.power = new Float64Array(size / 2);
    this.#window = Float64Array.from({ length: size }, (_, at) => 0.5 - 0.5 * Math.cos(turn * at));
    this.#cosines = Float64Array.from({ length: size / 2 }, (_, at) => Math.cos(turn * at));
    this.#sines = Float64Array.from({ length: size / 2 }, (_, at) => -Math.sin(turn * at));
    this.#reversed = Uint32Array.from({ length: size }, (_, at) => {
      let reversed = 0;
      for (let bit = 0; bit < bits; bit += 1) reversed |= ((at >> bit) & 1) << (bits - 1 - bit);
      return reversed;
    });
    this.#real = new Float64Array(size);
    this.#imaginary = new Float64Array(size);
  }

  /** Transforms the first `size` of `samples`, −1 to 1; the result is in `power` until the next call. */
  transform(samples: Float32Array): void {
    const { size, power } = this;
    const [real, imaginary] = [this.#real, this.#imaginary];
    for (let at = 0; at < size; at += 1) {
      real[this.#reversed[at] as number] = (samples[at] as number) * (this.#window[at] as number);
    }
    imaginary.fill(0);
    for (let width = 2; width <= size; width *= 2) this.#combine(width);
    // The window's mean is a half, and a sine's power is in two frequencies of opposite sign.
    const scale = (4 / size) ** 2;
    for (let at = 0; at < power.length; at += 1) {
      power[at] = ((real[at] as number) ** 2 + (imaginary[at] as number) ** 2) * scale;
    }
  }

  #combine(width: number): void {
    const half = width / 2;
    const stride = this.size / width;
    const [real, imaginary] = [this.#real, this.#imaginary];
    for (let start = 0; start < this.size; start += width) {
      for (let at = 0; at < half; at += 1) {
        const cosine = this.#cosines[at * stride] as number;
        const sine = this.#sines[at * stride] as number;
        const low = start + at;
        const high = low + half;
        const [re, im] = [real[high] as number, imaginary[high] as number];
        const turnedRe = re * cosine - im * sine;
        const turnedIm = re * sine + im * cosine;
        real[high] = (real[low] as number) - turnedRe;
        imaginary[high] = (imaginary[low] as number) - turnedIm;
        real[low] = (real[low] as number) + turnedRe;
        imaginary[low] = (imaginary[low] as number) + turnedIm;
      }
    }
  }
}
