/**
 * The vehicle's map from CLOCK_MONOTONIC to UTC: straight pieces with a bounded history, so that a past moment keeps the time it was
 * given. Continuous and rising, except at a step, where a new time begins.
 */

/**
 * A small change of the system clock is caught up with at 1 ns in 2000, which is 500 ppm: the rate of adjtime(3), too slow for anybody to
 * hear or see, and 100 s for the largest change that is not a step by default.
 */
const SLEW_DIVISOR = 2000n;

/** Older pieces are forgotten: with a leap of the clock a second, which no sane clock has, this is still a minute. */
const MOST_PIECES = 128;

/** From `fromNs` on, until the next piece: UTC = m + offsetNs + slew · (m − fromNs) / 2000. */
interface Piece {
  readonly fromNs: bigint;
  readonly offsetNs: bigint;
  readonly slew: -1n | 0n | 1n;
  /** Where the offset is heading: what the system clock said when the piece began. */
  readonly targetNs: bigint;
}

/** All times in nanoseconds; `m` is CLOCK_MONOTONIC, an offset is UTC − CLOCK_MONOTONIC. */
export class ClockMap {
  /** Rising in `fromNs`; never empty. */
  readonly #pieces: Piece[];

  constructor(offsetNs: bigint) {
    this.#pieces = [{ fromNs: 0n, offsetNs, slew: 0n, targetNs: offsetNs }];
  }

  /**
   * UTC at `m`, by the piece in force at `m`. Between two steps m1 < m2 gives utcAt(m1) < utcAt(m2); while a leap back is being caught up
   * with, moments less than 2 µs apart may share a nanosecond. Before the history the oldest piece goes on backwards.
   */
  utcAt(m: bigint): bigint {
    return m + offsetIn(this.#pieceAt(m), m);
  }

  /** How far `utcAt(m)` was from what the system clock said, as far as it was known then; never negative. */
  errorAt(m: bigint): bigint {
    const piece = this.#pieceAt(m);
    const errorNs = piece.targetNs - offsetIn(piece, m);
    return errorNs < 0n ? -errorNs : errorNs;
  }

  /** The offset that the map has or is heading for. */
  get targetNs(): bigint {
    return (this.#pieces.at(-1) as Piece).targetNs;
  }

  /** Lets the offset glide to `targetNs`, from the moment after `nowNs` on. What was mapped up to `nowNs` stays. */
  slewTo(nowNs: bigint, targetNs: bigint): void {
    const fromNs = nowNs + 1n;
    const offsetNs = offsetIn(this.#pieceAt(fromNs), fromNs);
    const wayNs = targetNs - offsetNs;
    if (wayNs === 0n) {
      this.#append({ fromNs, offsetNs, slew: 0n, targetNs });
      return;
    }
    const slew = wayNs > 0n ? 1n : -1n;
    this.#append({ fromNs, offsetNs, slew, targetNs });
    this.#append({ fromNs: fromNs + wayNs * slew * SLEW_DIVISOR, offsetNs: targetNs, slew: 0n, targetNs });
  }

  /** Begins a new time with `offsetNs` at the moment after `nowNs`; returns that moment. What was mapped up to `nowNs` stays. */
  stepTo(nowNs: bigint, offsetNs: bigint): bigint {
    const fromNs = nowNs + 1n;
    this.#append({ fromNs, offsetNs, slew: 0n, targetNs: offsetNs });
    return fromNs;
  }

  /** What was planned for later gives way to `piece`. */
  #append(piece: Piece): void {
    while (this.#pieces.length > 1 && (this.#pieces.at(-1) as Piece).fromNs >= piece.fromNs) this.#pieces.pop();
    this.#pieces.push(piece);
    if (this.#pieces.length > MOST_PIECES) this.#pieces.shift();
  }

  #pieceAt(m: bigint): Piece {
    let index = this.#pieces.length - 1;
    while (index > 0 && (this.#pieces[index] as Piece).fromNs > m) index -= 1;
    return this.#pieces[index] as Piece;
  }
}

function offsetIn(piece: Piece, m: bigint): bigint {
  if (piece.slew === 0n) return piece.offsetNs;
  return piece.offsetNs + (piece.slew * (m - piece.fromNs)) / SLEW_DIVISOR;
}
