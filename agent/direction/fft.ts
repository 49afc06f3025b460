/** Owns the fast Fourier transform of short pieces of sound (Cooley & Tukey 1965, radix 2, in place). */

/** Transforms of one size; keeps its tables, allocates nothing while transforming. */
export class Fft {
  readonly size: number;
  readonly #cos: Float64Array;
  readonly #sin: Float64Array;
  readonly #reversed: Uint32Array;

  /** `size` is a power of two, 2 or more; throws a RangeError otherwise. */
  constructor(size: number) {
    if (!Number.isInteger(Math.log2(size)) || size < 2)
      throw new RangeError(`expected a power of two, 2 or more, as the size of a transform, found ${size}`);
    this.size = size;
    this.#cos = Float64Array.from({ length: size / 2 }, (_, k) => Math.cos((2 * Math.PI * k) / size));
    this.#sin = Float64Array.from({ length: size / 2 }, (_, k) => -Math.sin((2 * Math.PI * k) / size));
    this.#reversed = new Uint32Array(size);
    for (let i = 1; i < size; i++) {
      this.#reversed[i] = ((this.#reversed[i >> 1] as number) >> 1) | (i & 1 ? size >> 1 : 0);
    }
  }

  /** Replaces `size` complex numbers by X(k) = Σ x(n)·exp(−2πi·kn/size); both arrays are the caller's. */
  forward(real: Float64Array, imaginary: Float64Array): void {
    const { size } = this;
    for (let i = 0; i < size; i++) {
      const j = this.#reversed[i] as number;
      if (j > i) {
        const re = real[i] as number;
        const im = imaginary[i] as number;
        real[i] = real[j] as number;
        imaginary[i] = imaginary[j] as number;
        real[j] = re;
        imaginary[j] = im;
      }
    }
    for (let half = 1; half < size; half *= 2) {
      const step = size / (2 * half);
      for (let begin = 0; begin < size; begin += 2 * half) {
        for (let k = 0, turn = 0; k < half; k++, turn += step) {
          const a = begin + k;
          const b = a + half;
          const c = this.#cos[turn] as number;
          const s = this.#sin[turn] as number;
          const re = (real[b] as number) * c - (imaginary[b] as number) * s;
          const im = (real[b] as number) * s + (imaginary[b] as number) * c;
          real[b] = (real[a] as number) - re;
          imaginary[b] = (imaginary[a] as number) - im;
          real[a] = (real[a] as number) + re;
          imaginary[a] = (imaginary[a] as number) + im;
        }
      }
    }
  }
}
