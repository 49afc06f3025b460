/**
 * Event-based metrics (A. Mesaros, T. Heittola, T. Virtanen: Metrics for polyphonic sound event detection, Applied Sciences
 * 6(6), 2016): precision, recall and F1 of found events against true ones by their onsets, within a collar. Pure functions.
 */

/** 250 ms: what an onset may be off, as in the DCASE challenges. */
export const ONSET_COLLAR_S = 0.25;

export interface TimedEvent {
  readonly onsetS: number;
  readonly label: string;
}

/** What was true, what was found, and how many of them are the same; shares are null where there is nothing to share. */
export interface EventCounts {
  readonly reference: number;
  readonly estimated: number;
  readonly hits: number;
  readonly precision: number | null;
  readonly recall: number | null;
  readonly f1: number | null;
}

export interface EventMetrics {
  /** An event is a hit when its onset and its label are right. */
  readonly overall: EventCounts;
  readonly labels: Readonly<Record<string, EventCounts>>;
  /** As `overall`, whatever the labels. */
  readonly any_label: EventCounts;
}

/** What is known of several sounds judged one by one. */
export interface JudgedEvents {
  readonly reference: readonly TimedEvent[];
  readonly estimated: readonly TimedEvent[];
}

/**
 * Pairs [index of the reference, index of the estimate] whose onsets differ by at most `collarS`, each event in at most one, as
 * many as possible, labels not looked at. That is the maximum bipartite matching that sed_eval makes (`event_matching_type`
 * optimal): because all collars are equally long, taking the earliest events first gives one (F. Glover: Maximum matching in a
 * convex bipartite graph, 1967).
 */
export function matchOnsets(
  reference: readonly number[],
  estimated: readonly number[],
  collarS = ONSET_COLLAR_S,
): [reference: number, estimated: number][] {
  const order = (onsets: readonly number[]) => onsets.map((_, i) => i).sort((a, b) => at(onsets, a) - at(onsets, b));
  const references = order(reference);
  const estimates = order(estimated);
  const pairs: [number, number][] = [];
  for (let i = 0, j = 0; i < references.length && j < estimates.length; ) {
    const [r, e] = [references[i] as number, estimates[j] as number];
    const difference = at(reference, r) - at(estimated, e);
    if (Math.abs(difference) <= collarS) {
      pairs.push([r, e]);
      i++;
      j++;
    } else if (difference > 0) {
      j++;
    } else {
      i++;
    }
  }
  return pairs;
}

/** The metrics over sounds that are judged apart (events of one are never matched with those of another). */
export function eventMetrics(sounds: readonly JudgedEvents[], collarS = ONSET_COLLAR_S): EventMetrics {
  const names = sounds.flatMap(({ reference, estimated }) => [...reference, ...estimated].map(({ label }) => label));
  const labels = Object.fromEntries(
    [...new Set(names)].sort().map((label) => [label, counted(sounds, collarS, (event) => event.label === label)]),
  );
  const sum = (of: (counts: EventCounts) => number) =>
    Object.values(labels).reduce((total, each) => total + of(each), 0);
  const overall = counts(
    sum((each) => each.reference),
    sum((each) => each.estimated),
    sum((each) => each.hits),
  );
  return { overall, labels, any_label: counted(sounds, collarS, () => true) };
}

function counted(
  sounds: readonly JudgedEvents[],
  collarS: number,
  wanted: (event: TimedEvent) => boolean,
): EventCounts {
  let [references, estimates, hits] = [0, 0, 0];
  for (const { reference, estimated } of sounds) {
    const onsets = (events: readonly TimedEvent[]) => events.filter(wanted).map(({ onsetS }) => onsetS);
    const [truth, found] = [onsets(reference), onsets(estimated)];
    references += truth.length;
    estimates += found.length;
    hits += matchOnsets(truth, found, collarS).length;
  }
  return counts(references, estimates, hits);
}

function counts(reference: number, estimated: number, hits: number): EventCounts {
  const precision = estimated === 0 ? null : hits / estimated;
  const recall = reference === 0 ? null : hits / reference;
  const both = precision === null || recall === null ? null : precision + recall;
  const f1 = both === null ? null : both === 0 ? 0 : (2 * (precision ?? 0) * (recall ?? 0)) / both;
  return { reference, estimated, hits, precision, recall, f1 };
}

function at(values: readonly number[], index: number): number {
  return values[index] as number;
}
