/** Estimates how much faster or slower than nominal a device's crystal is, from the earliest arrivals of stretches of its stream. */

/** Length of the first stretches. When there are MOST_POINTS, neighbours are joined and stretches become twice as long, up to the longest. */
const FIRST_STRETCH_NS = 2_000_000_000;
/** 16 × 16 s: long enough for 2 ppm with 50 ms of jitter, short enough to follow a crystal that warms up. */
const LONGEST_STRETCH_NS = 16_000_000_000;
const MOST_POINTS = 16;
/** Fewer points say nothing of how much they scatter. */
const LEAST_POINTS = 3;
/** Crystals of USB sound devices are within ±100 ppm; ±500 bounds the estimate. */
const MOST_DRIFT = 500e-6;
/** What a drift is believed to be before it is seen: 0, within this; or that of the stream before, within that. */
const PRIOR_WIDTH = 300e-6;
const KNOWN_WIDTH = 30e-6;
/** Of the usual delay this much is left in the earliest arrival of a stretch, with jitter as even as can be. */
const SCATTER = 1 / 8;

interface Point {
  readonly frameNs: number;
  residualNs: number;
}

/** The drift of one stream, as a ratio: 1e-6 is one part per million, + is a slow crystal. Bounded memory. */
export class DriftEstimate {
  readonly #priorValue: number;
  readonly #priorWidth: number;
  #value: number;
  #doubt: number;
  #points: Point[] = [];
  #stretchNs = FIRST_STRETCH_NS;
  #stretchEndNs: number | null = null;
  #least: { readonly delayNs: number; readonly point: Point } | null = null;

  /** `before`: the estimate of an earlier stream of the same device, null when there was none. */
  constructor(before: DriftEstimate | null) {
    this.#priorValue = before?.value ?? 0;
    this.#priorWidth = before === null ? PRIOR_WIDTH : Math.min(PRIOR_WIDTH, Math.max(KNOWN_WIDTH, before.doubt));
    this.#value = this.#priorValue;
    this.#doubt = this.#priorWidth;
  }

  /** The drift. */
  get value(): number {
    return this.#value;
  }

  /** About how far the drift may be off. */
  get doubt(): number {
    return this.#doubt;
  }

  /** At the frame of nominal time `frameNs`, the highest line of this drift that is under all points. */
  lineUnder(frameNs: number): number {
    return Math.min(...this.#points.map((point) => point.residualNs + this.#value * (frameNs - point.frameNs)));
  }

  /**
   * Says that the frame of nominal time `frameNs` arrived `residualNs` after it, which is `delayNs` late; `usualNs` is the usual delay.
   * Returns whether the drift was estimated anew.
   */
  add(frameNs: number, residualNs: number, delayNs: number, usualNs: number): boolean {
    this.#stretchEndNs ??= frameNs + this.#stretchNs;
    if (this.#least === null || delayNs < this.#least.delayNs)
      this.#least = { delayNs, point: { frameNs, residualNs } };
    if (frameNs < this.#stretchEndNs) return false;
    this.#points.push(this.#least.point);
    this.#least = null;
    if (this.#points.length > MOST_POINTS) this.#points.shift();
    const isEnough = this.#points.length >= LEAST_POINTS;
    if (isEnough) this.#estimate(usualNs);
    if (this.#points.length === MOST_POINTS && this.#stretchNs < LONGEST_STRETCH_NS) this.#joinPoints();
    this.#stretchEndNs = frameNs + this.#stretchNs;
    return isEnough;
  }

  /** Moves all points, because what follows is later by `byNs` for another reason than drift. */
  shift(byNs: number): void {
    for (const point of this.#points) point.residualNs += byNs;
    if (this.#least !== null) this.#least.point.residualNs += byNs;
  }

  /** The slope through the points, and what is known beforehand, each weighted by its certainty. */
  #estimate(usualNs: number): void {
    const { slope, deviationNs } = medianSlope(this.#points);
    const spanNs = (this.#points.at(-1)?.frameNs ?? 0) - (this.#points[0]?.frameNs ?? 0);
    if (spanNs <= 0) return;
    this.#doubt = Math.max(deviationNs, SCATTER * usualNs) / spanNs;
    const weight = 1 / (1 + (this.#doubt / this.#priorWidth) ** 2);
    const value = this.#priorValue + weight * (slope - this.#priorValue);
    this.#value = Math.max(-MOST_DRIFT, Math.min(MOST_DRIFT, value));
  }

  #joinPoints(): void {
    const joined: Point[] = [];
    for (let i = 0; i + 1 < this.#points.length; i += 2) {
      const [a, b] = this.#points.slice(i, i + 2) as [Point, Point];
      joined.push(this.#heightOf(a) < this.#heightOf(b) ? a : b);
    }
    this.#points = joined;
    this.#stretchNs *= 2;
  }

  #heightOf({ frameNs, residualNs }: Point): number {
    return residualNs - this.#value * frameNs;
  }
}

/**
 * Theil-Sen estimator: the median of the slopes between all pairs, unmoved by up to 29 % of wild points (P. K. Sen, 1968). `deviationNs` is the
 * greatest distance of a point from that line.
 */
function medianSlope(points: readonly Point[]): { slope: number; deviationNs: number } {
  const slopes: number[] = [];
  for (const [i, a] of points.entries()) {
    for (const b of points.slice(i + 1)) {
      if (b.frameNs > a.frameNs) slopes.push((b.residualNs - a.residualNs) / (b.frameNs - a.frameNs));
    }
  }
  const slope = median(slopes);
  const heights = points.map((p) => p.residualNs - slope * p.frameNs);
  const middle = median(heights);
  return { slope, deviationNs: Math.max(...heights.map((h) => Math.abs(h - middle))) };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}
