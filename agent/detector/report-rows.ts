/** Turns what was found of the candidate and of drift into rows of telemetry, and into words. */
import type { AgreementFigures } from './agreement.ts';
import type { DriftVerdict } from './drift-watch.ts';

type Row = Record<string, number>;

/** A row may have 64 fields; what a model with very many labels has beyond that stays on the vehicle. */
const MAX_FIELDS = 64;
const MAX_BINS = 64;

/** Stream `detector/shadow`. Scores are counted in 20 equal bins from 0 to 1. */
export function shadowRow(figures: AgreementFigures): Row {
  const { windows, agreement, kappa, correlation, difference, eventsBoth, active, candidate } = figures;
  return {
    windows,
    agreement_ratio: agreement,
    kappa,
    correlation,
    difference,
    events_both: eventsBoth,
    events_active_only: active.eventsAlone,
    events_candidate_only: candidate.eventsAlone,
    windows_active_only: active.alone,
    windows_candidate_only: candidate.alone,
    active_p50_ms: active.p50Ms,
    active_p95_ms: active.p95Ms,
    candidate_p50_ms: candidate.p50Ms,
    candidate_p95_ms: candidate.p95Ms,
    ...bins('active_score', active.counts),
    ...bins('candidate_score', candidate.counts),
  };
}

/** Stream `detector/drift`: the distances of each feature from the model's reference. */
export function driftRow({ windows, judged, drifting, features }: DriftVerdict): Row {
  const fields: [string, number][] = [
    ['windows', windows],
    ['judged', judged ? 1 : 0],
    ['drifting', drifting ? 1 : 0],
  ];
  for (const { feature, distances } of features) {
    for (const [name, value] of Object.entries(distances ?? {})) fields.push([`${fieldOf(feature)}_${name}`, value]);
  }
  return Object.fromEntries(fields.slice(0, MAX_FIELDS));
}

/** Streams `detector/<feature>`: the windows of the period by bin, in the bins of the model's reference. */
export function featureRows({ features }: DriftVerdict): [string, Row][] {
  return features.map(({ feature, counts }) => [
    `detector/${fieldOf(feature)}`,
    bins('bin', counts.slice(0, MAX_BINS)),
  ]);
}

/** What is over its threshold, the farthest first, at most eight; the baseline is the threshold. */
export function driftReadings({ over }: DriftVerdict): { name: string; value: number; baseline: number }[] {
  return over.slice(0, 8).map(({ feature, distance, value, threshold }) => ({
    name: `${fieldOf(feature)}_${distance}`,
    value,
    baseline: threshold,
  }));
}

/** The verdict in a sentence. */
export function describeDrift({ judged, windows, over, drifting }: DriftVerdict): string {
  if (!judged) return `not judged: ${windows} windows, too few, or the model has no reference for drift`;
  const [first] = over;
  if (first === undefined)
    return drifting ? 'the sound is nearly as the model knows it' : 'the sound is as the model knows it';
  const { feature, distance, value, threshold } = first;
  const features = new Set(over.map((each) => each.feature)).size;
  const others = features > 1 ? `, and ${features - 1} other${features > 2 ? 's' : ''}` : '';
  return `${feature} has drifted: ${distance} ${value.toFixed(3)}, expected at most ${threshold}${others}`;
}

function bins(name: string, counts: readonly number[]): Row {
  return Object.fromEntries(counts.map((count, i) => [`${name}_${String(i).padStart(2, '0')}`, count]));
}

function fieldOf(feature: string): string {
  return feature.replaceAll(/[^a-z0-9_]/g, '_').slice(0, 40);
}
