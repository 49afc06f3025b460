/**
 * How far a histogram has drifted from the one in the model's description: three distances of counts in the same bins, and the
 * counting itself. Pure and without any I/O, so that the vehicle and central compute the same.
 */

/** Added to every bin before the divergence is taken: half a count, the Krichevsky–Trofimov estimate (1981). */
export const SMOOTHING_COUNTS = 0.5;

/** The distances that drift is told by; the keys of `drift_reference.thresholds`. */
export interface DriftDistances {
  /** 0 … 1. */
  readonly hellinger: number;
  /** Nats. */
  readonly kullback_leibler: number;
  /** In the unit of the feature. */
  readonly average_pairwise: number;
}

function sumOf(counts: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < counts.length; i++) sum += counts[i] as number;
  return sum;
}

function expectSameBins(p: ArrayLike<number>, q: ArrayLike<number>): void {
  if (p.length !== q.length || p.length === 0) {
    throw new RangeError(`expected two histograms of the same bins, found ${p.length} and ${q.length}`);
  }
}

/**
 * Hellinger distance of two histograms, 0 (the same) … 1 (nothing in common): √(½ Σ (√pᵢ − √qᵢ)²) of the shares (Hellinger 1909;
 * Basseville 1989). `p` and `q` are counts ≥ 0 of the same bins. NaN when either holds nothing: there is nothing to compare.
 * Throws RangeError when the numbers of bins differ.
 */
export function hellinger(p: ArrayLike<number>, q: ArrayLike<number>): number {
  expectSameBins(p, q);
  const [pSum, qSum] = [sumOf(p), sumOf(q)];
  let sum = 0;
  for (let i = 0; i < p.length; i++) {
    const difference = Math.sqrt((p[i] as number) / pSum) - Math.sqrt((q[i] as number) / qSum);
    sum += difference * difference;
  }
  return Math.min(1, Math.sqrt(sum / 2));
}

/**
 * Kullback–Leibler divergence of `p` (what is heard now) from `q` (the reference), in nats, ≥ 0: Σ pᵢ ln(pᵢ / qᵢ) of the shares
 * (Kullback and Leibler 1951). SMOOTHING_COUNTS is added to every bin of both, so that a bin that the reference never met costs much,
 * and not infinitely much. Arguments and errors as of `hellinger`.
 */
export function kullbackLeibler(p: ArrayLike<number>, q: ArrayLike<number>): number {
  expectSameBins(p, q);
  const [pSum, qSum] = [sumOf(p), sumOf(q)];
  if (!(pSum > 0 && qSum > 0)) return Number.NaN;
  const [pAll, qAll] = [pSum + SMOOTHING_COUNTS * p.length, qSum + SMOOTHING_COUNTS * q.length];
  let sum = 0;
  for (let i = 0; i < p.length; i++) {
    const share = ((p[i] as number) + SMOOTHING_COUNTS) / pAll;
    sum += share * Math.log(share / (((q[i] as number) + SMOOTHING_COUNTS) / qAll));
  }
  return Math.max(0, sum);
}

/**
 * Average pairwise distance, in the unit of `centres`, ≥ 0: how much further apart a value of `p` and one of `q` are on average than
 * two values of the same histogram, 2 E|X − Y| − E|X − X′| − E|Y − Y′|. This is the energy distance of Székely and Rizzo ("Energy
 * statistics: a class of statistics based on distances", J. Stat. Planning and Inference 143, 2013, eq. 2); unlike E|X − Y| alone it is 0
 * exactly when the histograms agree. Computed as 2 ∫ (F − G)² dx (their eq. 3), which loses no digits. SciPy's `energy_distance` is its
 * square root. `centres` ascend, one for each bin, standing for all of its values; else as `hellinger`.
 */
export function averagePairwiseDistance(
  p: ArrayLike<number>,
  q: ArrayLike<number>,
  centres: ArrayLike<number>,
): number {
  expectSameBins(p, q);
  expectSameBins(p, centres);
  const [pSum, qSum] = [sumOf(p), sumOf(q)];
  if (!(pSum > 0 && qSum > 0)) return Number.NaN;
  let [pBelow, qBelow, sum] = [0, 0, 0];
  for (let i = 0; i + 1 < p.length; i++) {
    pBelow += p[i] as number;
    qBelow += q[i] as number;
    const difference = pBelow / pSum - qBelow / qSum;
    sum += difference * difference * ((centres[i + 1] as number) - (centres[i] as number));
  }
  return 2 * sum;
}

/** The middle of each bin; `edges` ascend, one more than bins. */
export function binCentres(edges: ArrayLike<number>): number[] {
  return Array.from({ length: edges.length - 1 }, (_, i) => ((edges[i] as number) + (edges[i + 1] as number)) / 2);
}

/** All three distances of what was counted (`p`) from the reference (`q`), counts of the bins between `edges`. */
export function driftDistances(p: ArrayLike<number>, q: ArrayLike<number>, edges: ArrayLike<number>): DriftDistances {
  return {
    hellinger: hellinger(p, q),
    kullback_leibler: kullbackLeibler(p, q),
    average_pairwise: averagePairwiseDistance(p, q, binCentres(edges)),
  };
}

/** Counts values in bins. Of fixed size, however much is counted. */
export class HistogramCounter {
  readonly edges: readonly number[];
  readonly #counts: Float64Array;

  /** `edges` ascend; bin i holds edges[i] ≤ value < edges[i + 1], the last bin its upper edge too. Throws RangeError otherwise. */
  constructor(edges: readonly number[]) {
    if (edges.length < 2 || edges.some((edge, i) => i > 0 && !(edge > (edges[i - 1] as number)))) {
      throw new RangeError(
        `expected at least 2 ascending edges, found ${edges.length}: ${edges.slice(0, 5).join(', ')}`,
      );
    }
    this.edges = edges;
    this.#counts = new Float64Array(edges.length - 1);
  }

  /** Counts one value; what lies beyond the ends is in the first or last bin. NaN is not counted. */
  add(value: number): void {
    if (Number.isNaN(value)) return;
    let [low, high] = [0, this.#counts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (value < (this.edges[middle] as number)) high = middle;
      else low = middle;
    }
    this.#counts[low] = (this.#counts[low] as number) + 1;
  }

  /** How many are in each bin, a copy. */
  counts(): number[] {
    return Array.from(this.#counts);
  }

  /** How many have been counted. */
  total(): number {
    return sumOf(this.#counts);
  }

  /** Begins anew. */
  reset(): void {
    this.#counts.fill(0);
  }
}
