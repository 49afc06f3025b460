/** How far two models agree that scored the same windows: shares, Cohen's kappa, correlation, distributions, times. Of fixed size. */
import { HistogramCounter } from '../../models/drift.ts';
import { SCORE_EDGES } from '../../models/features.ts';
import type { ScoredWindow } from './window-reports.ts';

/** What was found of one of both models. */
export interface SideFigures {
  /** Windows by sureness, in the bins of SCORE_EDGES. */
  readonly counts: readonly number[];
  /** Of a model's run, ms, to 5 %; NaN without any. */
  readonly p50Ms: number;
  readonly p95Ms: number;
  /** Windows that the other did not score. */
  readonly alone: number;
  /** Events that only this one raised. */
  readonly eventsAlone: number;
}

/** What was found so far. Figures that nothing can be said of yet are NaN. */
export interface AgreementFigures {
  /** Windows that both scored. */
  readonly windows: number;
  /** Share of these in which both are over their thresholds, or both under. */
  readonly agreement: number;
  /** Cohen's kappa: the agreement beyond what chance would give (Cohen 1960); NaN when either is always over or always under. */
  readonly kappa: number;
  /** Pearson's correlation of the two surenesses. */
  readonly correlation: number;
  /** Mean absolute difference of the two surenesses. */
  readonly difference: number;
  /** Events that both raised. */
  readonly eventsBoth: number;
  readonly active: SideFigures;
  readonly candidate: SideFigures;
}

/** One of the two models. */
export type Side = 'active' | 'candidate';

/** Bins of times, ms: each 5 % wider than the one before, 0.02 ms to 20 s. */
const TIME_EDGES: readonly number[] = Array.from({ length: 285 }, (_, i) => 0.02 * 1.05 ** i);

/** Counts pairs of windows and events. */
export class Agreement {
  readonly #scores = both(() => new HistogramCounter(SCORE_EDGES));
  readonly #times = both(() => new HistogramCounter(TIME_EDGES));
  readonly #alone = both(() => ({ windows: 0, events: 0 }));
  #windows = 0;
  #bothOver = 0;
  #bothUnder = 0;
  #activeOver = 0;
  #candidateOver = 0;
  #eventsBoth = 0;
  #difference = 0;
  /** Means, and sums of squared and mixed deviations from them (Welford's recurrence). */
  #meanA = 0;
  #meanC = 0;
  #squaresA = 0;
  #squaresC = 0;
  #mixed = 0;

  /** A window that both scored. */
  pair(active: ScoredWindow, candidate: ScoredWindow): void {
    this.#take('active', active);
    this.#take('candidate', candidate);
    const [a, c] = [active.sureness, candidate.sureness];
    const [isOverA, isOverC] = [active.share >= 1, candidate.share >= 1];
    this.#windows += 1;
    this.#bothOver += isOverA && isOverC ? 1 : 0;
    this.#bothUnder += isOverA || isOverC ? 0 : 1;
    this.#activeOver += isOverA ? 1 : 0;
    this.#candidateOver += isOverC ? 1 : 0;
    this.#difference += Math.abs(a - c);
    const [beforeA, beforeC] = [a - this.#meanA, c - this.#meanC];
    this.#meanA += beforeA / this.#windows;
    this.#meanC += beforeC / this.#windows;
    this.#squaresA += beforeA * (a - this.#meanA);
    this.#squaresC += beforeC * (c - this.#meanC);
    this.#mixed += beforeA * (c - this.#meanC);
  }

  /** A window that only one of them scored. */
  single(side: Side, window: ScoredWindow): void {
    this.#take(side, window);
    this.#alone[side].windows += 1;
  }

  /** An event that both raised, or only one of them. */
  event(raisedBy: Side | 'both'): void {
    if (raisedBy === 'both') this.#eventsBoth += 1;
    else this.#alone[raisedBy].events += 1;
  }

  figures(): AgreementFigures {
    const count = this.#windows;
    const agreement = (this.#bothOver + this.#bothUnder) / count;
    const [overA, overC] = [this.#activeOver / count, this.#candidateOver / count];
    const chance = overA * overC + (1 - overA) * (1 - overC);
    const spread = Math.sqrt(this.#squaresA * this.#squaresC);
    return {
      windows: count,
      agreement,
      kappa: chance < 1 ? (agreement - chance) / (1 - chance) : Number.NaN,
      correlation: spread > 0 ? this.#mixed / spread : Number.NaN,
      difference: this.#difference / count,
      eventsBoth: this.#eventsBoth,
      active: this.#side('active'),
      candidate: this.#side('candidate'),
    };
  }

  #take(side: Side, { sureness, run_ms }: ScoredWindow): void {
    this.#scores[side].add(sureness);
    this.#times[side].add(run_ms);
  }

  #side(side: Side): SideFigures {
    const counts = this.#times[side].counts();
    return {
      counts: this.#scores[side].counts(),
      p50Ms: quantile(counts, 0.5),
      p95Ms: quantile(counts, 0.95),
      alone: this.#alone[side].windows,
      eventsAlone: this.#alone[side].events,
    };
  }
}

function both<T>(make: () => T): Record<Side, T> {
  return { active: make(), candidate: make() };
}

/** The geometric middle of the bin in which the quantile lies; NaN when nothing was counted. */
function quantile(counts: readonly number[], q: number): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  let below = 0;
  for (const [i, count] of counts.entries()) {
    below += count;
    if (count > 0 && below >= q * total) return Math.sqrt((TIME_EDGES[i] ?? 0) * (TIME_EDGES[i + 1] ?? 0));
  }
  return Number.NaN;
}
