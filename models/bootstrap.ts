/**
 * Confidence intervals by the bootstrap (B. Efron, R. Tibshirani: An Introduction to the Bootstrap, 1993, chapter 13: the
 * percentile interval): the figure is reckoned again and again on clips drawn with replacement, each stratum by itself.
 */
import { SeededRandom } from './seeded-random.ts';

/** [low, high]: 95 of 100 resamplings lie between them. */
export type Interval = readonly [low: number, high: number];

export interface BootstrapOptions {
  /** Resamplings, at least 100 to mean anything. */
  readonly count: number;
  readonly seed: number;
}

/**
 * The 95 % interval of each figure that `figures` reckons from as many clips of each stratum as there are. A figure that is
 * null for some resamplings has the interval of the others; null when it is null for more than half of them.
 */
export function bootstrap<T, K extends string>(
  strata: readonly (readonly T[])[],
  figures: (clips: readonly T[]) => Readonly<Record<K, number | null>>,
  { count, seed }: BootstrapOptions,
): Record<K, Interval | null> {
  const random = new SeededRandom(`bootstrap ${seed}`);
  const values = new Map<K, number[]>();
  for (let i = 0; i < count; i++) {
    const clips = strata.flatMap((stratum) => stratum.map(() => stratum[random.below(stratum.length)] as T));
    for (const [name, value] of Object.entries(figures(clips)) as [K, number | null][]) {
      const known = values.get(name) ?? [];
      values.set(name, known);
      if (value !== null) {
        known.push(value);
      }
    }
  }
  const intervals = [...values].map(([name, known]) => [name, known.length < count / 2 ? null : interval(known)]);
  return Object.fromEntries(intervals) as Record<K, Interval | null>;
}

function interval(values: number[]): Interval {
  values.sort((a, b) => a - b);
  return [quantile(values, 0.025), quantile(values, 0.975)];
}

/** Of ascending values, between neighbours in proportion (type 7 of R. Hyndman and Y. Fan, 1996). */
function quantile(values: readonly number[], share: number): number {
  const at = share * (values.length - 1);
  const below = values[Math.floor(at)] as number;
  return below + (at % 1) * ((values[Math.ceil(at)] as number) - below);
}
