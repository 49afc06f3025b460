/**
 * The factor by which a later set must be tighter to replace an earlier one, in the arithmetic of rclcpp on x86-64: a duration times
 * 1 + age penalty is rounded to the 64 significant bits of a long double and then cut to whole nanoseconds. A double has 53 of them
 * and decides some ties the other way.
 */

const LONG_DOUBLE_BITS = 64;
/** Larger than the error of any double computed here, relative to the operands. */
const RELATIVE_ERROR = 2 ** -50;

/** Compares penalised durations. */
export class AgePenalty {
  readonly #scale: number;
  /** The scale is exactly `mantissa` × 2^`exponent`. */
  readonly #mantissa: bigint;
  readonly #exponent: number;

  /** @throws RangeError for a penalty that is negative or not finite. */
  constructor(agePenalty: number) {
    if (!Number.isFinite(agePenalty) || agePenalty < 0) {
      throw new RangeError(`age penalty: expected a finite number of at least 0, found ${agePenalty}`);
    }
    this.#scale = 1 + agePenalty;
    const { mantissa, exponent } = decompose(this.#scale);
    this.#mantissa = mantissa;
    this.#exponent = exponent;
  }

  /** Whether the penalised duration is at least `limitNs`; both in nanoseconds, of either sign. */
  reaches(durationNs: bigint, limitNs: bigint): boolean {
    // Nearly always the two are far apart, and doubles tell it.
    const scaled = Number(durationNs) * this.#scale;
    const limit = Number(limitNs);
    const margin = (Math.abs(scaled) + Math.abs(limit)) * RELATIVE_ERROR + 2;
    if (scaled - limit > margin) return true;
    if (limit - scaled > margin) return false;
    return this.penalised(durationNs) >= limitNs;
  }

  /** The duration times the scale, in whole nanoseconds, cut towards 0. */
  penalised(durationNs: bigint): bigint {
    const isNegative = durationNs < 0n;
    const product = roundedToLongDouble((isNegative ? -durationNs : durationNs) * this.#mantissa);
    const whole = this.#exponent < 0 ? product >> BigInt(-this.#exponent) : product << BigInt(this.#exponent);
    return isNegative ? -whole : whole;
  }
}

/** A positive normal double as an integer of 53 bits and a power of two (IEEE 754-2019, 3.4). */
function decompose(value: number): { mantissa: bigint; exponent: number } {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const fraction = bits & ((1n << 52n) - 1n);
  return { mantissa: fraction | (1n << 52n), exponent: Number(bits >> 52n) - 1075 };
}

/** To the nearest integer with 64 significant bits, ties to even (IEEE 754-2019, 4.3.1). */
function roundedToLongDouble(value: bigint): bigint {
  const excess = BigInt(Math.max(0, value.toString(2).length - LONG_DOUBLE_BITS));
  if (excess === 0n) return value;
  const kept = value >> excess;
  const rest = value - (kept << excess);
  const half = 1n << (excess - 1n);
  const isUp = rest > half || (rest === half && (kept & 1n) === 1n);
  return (isUp ? kept + 1n : kept) << excess;
}
