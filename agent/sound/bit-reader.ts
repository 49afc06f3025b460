/** Owns reading a FLAC frame bit by bit, most significant bit first; a read past the end is an error, never zeros. */

import { AgentError } from '../error.ts';

/** Reads bits of `bytes` up to `end`. */
export class BitReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #next: number;
  /** Its low `#count` bits were read from the bytes and not given out; what is above them is of no meaning. */
  #bits = 0;
  #count = 0;

  constructor(bytes: Uint8Array, offset: number, end = bytes.byteLength) {
    this.#bytes = bytes;
    this.#next = offset;
    this.#end = end;
  }

  /** Offset of the first byte of which no bit was given out. */
  get byteOffset(): number {
    return this.#next - (this.#count >> 3);
  }

  /** Drops what is left of a byte that was begun; the dropped bits as a number. */
  align(): number {
    return this.unsigned(this.#count & 7);
  }

  /** The next `width` bits, 0 to 32, as an unsigned number. */
  unsigned(width: number): number {
    if (width > 24) return this.unsigned(width - 16) * 65_536 + this.unsigned(16);
    if (width === 0) return 0;
    while (this.#count < width) this.#refill();
    this.#count -= width;
    return (this.#bits >>> this.#count) & (2 ** width - 1);
  }

  /** The next `width` bits, 0 to 32, as a number in two's complement. */
  signed(width: number): number {
    if (width === 0) return 0;
    const value = this.unsigned(width);
    return value >= 2 ** (width - 1) ? value - 2 ** width : value;
  }

  /** Counts the zero bits before the next one bit, and takes them all. */
  unary(): number {
    let zeros = 0;
    for (;;) {
      if (this.#count === 0) this.#refill();
      const leading = Math.clz32(this.#bits << (32 - this.#count));
      if (leading < this.#count) {
        this.#count -= leading + 1;
        return zeros + leading;
      }
      zeros += this.#count;
      this.#count = 0;
    }
  }

  /**
   * Fills `into` from `from` up to `to` with Rice codes of `parameter` low bits (0 to 30), zigzag decoded (RFC 9639, 9.2.7.1). The
   * bits are kept in local variables here, because nearly all of a stream is read by this loop.
   */
  rice(into: Int32Array, from: number, to: number, parameter: number): void {
    if (parameter > 16) {
      this.#wideRice(into, from, to, parameter);
      return;
    }
    const bytes = this.#bytes;
    const lastWhole = this.#end - 4;
    const mask = (1 << parameter) - 1;
    for (let index = from; index < to; index += 1) {
      let bits = this.#bits;
      let count = this.#count;
      let next = this.#next;
      while (count <= 24 && next <= lastWhole) {
        bits = (bits << 8) | (bytes[next] as number);
        next += 1;
        count += 8;
      }
      const leading = count === 0 ? 0 : Math.clz32(bits << (32 - count));
      const left = count - leading - 1 - parameter;
      this.#bits = bits;
      this.#count = count;
      this.#next = next;
      let folded: number;
      if (left >= 0) {
        folded = (leading << parameter) | ((bits >>> left) & mask);
        this.#count = left;
      } else {
        folded = this.unary() * (mask + 1) + this.unsigned(parameter);
      }
      into[index] = (folded >>> 1) ^ -(folded & 1);
    }
  }

  #wideRice(into: Int32Array, from: number, to: number, parameter: number): void {
    for (let index = from; index < to; index += 1) {
      const folded = this.unary() * 2 ** parameter + this.unsigned(parameter);
      into[index] = folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2;
    }
  }

  #refill(): void {
    if (this.#next >= this.#end) {
      throw new AgentError('sound-file', `FLAC: expected more bits at byte ${this.#next}, found the end`);
    }
    do {
      this.#bits = (this.#bits << 8) | (this.#bytes[this.#next] as number);
      this.#next += 1;
      this.#count += 8;
    } while (this.#count <= 24 && this.#next < this.#end);
  }
}
