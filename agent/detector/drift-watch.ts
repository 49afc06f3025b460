/**
 * Watches whether the sound, or how the model scores it, has drifted from what the model learned from: histograms over an hour against
 * those of its description. One episode of drift is one finding, which begins over a threshold and ends well below all of them.
 */
import { isDeepStrictEqual } from 'node:util';
import { type DriftDistances, driftDistances } from '../../models/drift.ts';
import type { DriftReference, DriftThresholds, SummaryReport } from './window-reports.ts';

/** What an hour is about. */
export interface DriftedFeature {
  readonly feature: string;
  readonly edges: readonly number[];
  /** Windows of the hour by bin. */
  readonly counts: readonly number[];
  /** From the reference; null when the reference does not have the feature in these bins. */
  readonly distances: DriftDistances | null;
}

/** The hour, judged. */
export interface DriftVerdict {
  readonly windows: number;
  /** False when there were too few windows, or the model has no reference: then nothing is said about drift. */
  readonly judged: boolean;
  readonly features: readonly DriftedFeature[];
  /** The features over a threshold, the farthest first, each with the distance that is furthest over and by which factor. */
  readonly over: readonly Exceeded[];
  /** `began` and `ended` come once an episode. */
  readonly change: 'began' | 'ended' | null;
  readonly drifting: boolean;
}

/** A distance over its threshold. */
export interface Exceeded {
  readonly feature: string;
  readonly distance: keyof DriftDistances;
  readonly value: number;
  readonly threshold: number;
}

/** What is not said otherwise. */
export interface DriftOptions {
  /** Instead of the model's own thresholds, or the usual ones where it names none; one by one. */
  readonly thresholds: DriftThresholds;
  /** Fewer windows are not judged. */
  readonly minWindows: number;
}

/**
 * For a model that names none. Measured with ESC-50, reference of folds 1 to 3, each class of fold 4 for a whole hour: at most 0.84, 2.5
 * and 0.39. Over one of these are microphones that are dead, clip, are 60 dB too quiet or
 * 20 dB too loud, or are muffled by 20 dB, and a model that is always or never sure; 40 dB too quiet is not, nor is one engine all the hour.
 */
export const USUAL_THRESHOLDS = { hellinger: 0.9, kullback_leibler: 3, average_pairwise: 0.4 } as const;
/** An episode ends when all distances are below this share of their thresholds. */
const RELEASE_SHARE = 0.8;
const DISTANCES = ['hellinger', 'kullback_leibler', 'average_pairwise'] as const;

/** The watch over one model. */
export class DriftWatch {
  readonly #options: DriftOptions;
  #reference: DriftReference = { histograms: [] };
  #counted = new Map<string, { readonly edges: readonly number[]; readonly counts: number[] }>();
  #windows = 0;
  #drifting = false;

  constructor(options: DriftOptions) {
    this.#options = options;
  }

  /**
   * A model listens. Unless it has the reference of the one before, as the same model in a new process has, what was counted is
   * forgotten: also int8 and fp32 of one model score a little differently. Returns whether that ended an episode.
   */
  setReference(reference: DriftReference): boolean {
    if (isDeepStrictEqual(reference, this.#reference)) return false;
    const ended = this.#drifting;
    this.#reference = reference;
    this.#counted.clear();
    this.#windows = 0;
    this.#drifting = false;
    return ended;
  }

  /** Adds what a detector process counted. */
  add({ windows, histograms }: Pick<SummaryReport, 'windows' | 'histograms'>): void {
    this.#windows += windows;
    for (const { feature, edges, counts } of histograms) {
      const known = this.#counted.get(feature);
      if (known?.counts.length !== counts.length) this.#counted.set(feature, { edges, counts: [...counts] });
      else for (const [i, count] of counts.entries()) known.counts[i] = (known.counts[i] ?? 0) + count;
    }
  }

  /** Judges what was counted since the last time, and begins anew. */
  judge(): DriftVerdict {
    const features = [...this.#counted].map(([feature, { edges, counts }]) => ({
      feature,
      edges,
      counts,
      distances: this.#distances(feature, edges, counts),
    }));
    const windows = this.#windows;
    this.#counted = new Map();
    this.#windows = 0;
    const thresholds = this.#thresholds();
    const compared = features.flatMap((each) => exceeded(each, thresholds));
    const judged = windows >= this.#options.minWindows && compared.length > 0;
    const shares = judged ? compared : [];
    const over = shares.filter(({ value, threshold }) => value > threshold).sort((a, b) => ratio(b) - ratio(a));
    const was = this.#drifting;
    if (over.length > 0) this.#drifting = true;
    else if (judged && shares.every((each) => ratio(each) < RELEASE_SHARE)) this.#drifting = false;
    const change = was === this.#drifting ? null : this.#drifting ? 'began' : 'ended';
    return { windows, judged, features, over, change, drifting: this.#drifting };
  }

  #thresholds(): DriftThresholds {
    const own: DriftThresholds = this.#reference.thresholds ?? USUAL_THRESHOLDS;
    const { thresholds } = this.#options;
    return Object.fromEntries(DISTANCES.map((name) => [name, thresholds[name] ?? own[name]]));
  }

  #distances(feature: string, edges: readonly number[], counts: readonly number[]): DriftDistances | null {
    const known = this.#reference.histograms.find((each) => each.feature === feature);
    if (known === undefined || known.edges.length !== edges.length) return null;
    if (known.edges.some((edge, i) => edge !== edges[i])) return null;
    const distances = driftDistances(counts, known.counts, edges);
    return Number.isNaN(distances.hellinger) ? null : distances;
  }
}

/** Each distance with its threshold; the average pairwise distance in shares of the feature's range, so that one threshold suits all. */
function exceeded({ feature, edges, distances }: DriftedFeature, thresholds: DriftThresholds): Exceeded[] {
  if (distances === null) return [];
  const range = (edges.at(-1) ?? 1) - (edges[0] ?? 0);
  const comparable = { ...distances, average_pairwise: distances.average_pairwise / range };
  return DISTANCES.flatMap((distance) => {
    const threshold = thresholds[distance];
    return threshold === undefined ? [] : [{ feature, distance, value: comparable[distance], threshold }];
  });
}

function ratio({ value, threshold }: Exceeded): number {
  return value / Math.max(threshold, 1e-12);
}
