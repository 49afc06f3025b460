/**
 * From the scores of overlapping windows to events: threshold, hysteresis, merging of blows that follow each other, and
 * refractory time. Knows samples and energies alone, so that scores kept from one run can be judged anew at any threshold.
 */
import type { ModelDescription } from './description.ts';
import type { EnergyTrace } from './onset.ts';

/** How scores become events; a model's description may say otherwise in `events`. */
export interface EventSettings {
  /** A window stays part of an event down to this share of the threshold. */
  readonly release_ratio: number;
  /** An event is raised this long after its onset, or as soon as a window no longer shows it. */
  readonly sure_after_s: number;
  /** A window first shows an event when at most this much of it has been heard. */
  readonly shown_after_s: number;
  /** Blows that follow each other faster than this are one event: a rattle, or glass and its shards. */
  readonly merge_s: number;
  /** However long it rattles, after this a blow is another event. */
  readonly longest_s: number;
}

const DEFAULT_SETTINGS: EventSettings = {
  release_ratio: 0.8,
  sure_after_s: 0.6,
  shown_after_s: 0.5,
  merge_s: 0.7,
  longest_s: 4,
};
/** A rise to this share of an event's energy is another blow of it, or, after `merge_s`, another event. */
const BLOW_RATIO = 0.1;

/** An event in samples since the stream's (or the run's) beginning. */
export interface MadeEvent {
  readonly onset: number;
  readonly end: number;
  /** Index into the description's labels of the likeliest label but for background. */
  readonly label: number;
  /** Sureness of any impact, 0 to 1, in the window that shows the event best; `scores` are that window's. */
  readonly score: number;
  readonly scores: Float32Array;
}

interface Candidate {
  readonly onset: number;
  readonly rise: number;
  best: Float32Array;
  label: number;
  score: number;
  raised: boolean;
}

/** The description's settings, what it leaves out being the default. */
export function eventSettings(description: ModelDescription): EventSettings {
  const given = Object.entries(description.events ?? {}).filter(([, value]) => value !== undefined);
  return { ...DEFAULT_SETTINGS, ...Object.fromEntries(given) };
}

/** Seconds of energies that an EventMaker looks back on. */
export function keptEnergyS(description: ModelDescription): number {
  const { sure_after_s, merge_s } = eventSettings(description);
  const { window_s, hop_s } = description.input;
  // A second more tells what is usual before an onset.
  return Math.max(4, window_s + hop_s + sure_after_s + merge_s + 1.1);
}

/**
 * One run of sound without a gap. Before each `judge` the energy trace holds the sound up to that window's end and
 * nothing after it.
 */
export class EventMaker {
  readonly #energy: EnergyTrace;
  readonly #rate: number;
  readonly #settings: EventSettings;
  /** By label; background's is out of reach. */
  readonly #thresholds: readonly number[];
  #current: Candidate | null = null;
  /** Of the event raised last: where it began, how strongly, its latest blow so far, and whether it is over. */
  #last: { readonly onset: number; readonly rise: number; latest: number; over: boolean } | null = null;

  /** `thresholds` by label, default the description's. */
  constructor(description: ModelDescription, energy: EnergyTrace, thresholds = description.thresholds) {
    this.#energy = energy;
    this.#rate = description.input.sample_rate_hz;
    this.#settings = eventSettings(description);
    this.#thresholds = description.labels.map((label, i) => (i === 0 ? 2 : (thresholds[label] ?? 1)));
  }

  /** Takes the scores of the window [start, end), by label and beside the ambience, which are kept; pushes what became sure to `made`. */
  judge(scores: Float32Array, start: number, end: number, made: MadeEvent[]): void {
    const { label, score, share } = this.#strongest(scores);
    const current = this.#current;
    if (share < this.#settings.release_ratio) {
      this.#raise(end, made);
      this.#current = null;
      if (this.#last !== null) {
        this.#last.over = true;
      }
      return;
    }
    this.#followSeries(end);
    if (share >= 1 && (current === null || current.raised)) {
      this.#begin(scores, label, score, start, end);
    } else if (current !== null && !current.raised && score > current.score && current.onset >= start) {
      Object.assign(current, { best: scores, label, score });
    }
    const held = this.#current;
    if (held !== null && end - held.onset >= this.#settings.sure_after_s * this.#rate) {
      this.#raise(end, made);
    }
  }

  /** Ends the run at sample `end`: what was not yet sure is raised, and everything forgotten but the energies. */
  finish(end: number, made: MadeEvent[]): void {
    this.#raise(end, made);
    this.#current = null;
    this.#last = null;
  }

  /**
   * How sure the window is of any impact, the likeliest label, and the sureness in shares of that label's threshold: a
   * blow that may be sheet or glass is a blow all the same.
   */
  #strongest(scores: Float32Array): { label: number; score: number; share: number } {
    let label = 1;
    let score = 0;
    for (let i = 1; i < this.#thresholds.length; i++) {
      score += scores[i] ?? 0;
      label = (scores[i] ?? 0) > (scores[label] ?? 0) ? i : label;
    }
    return { label, score, share: score / (this.#thresholds[label] ?? 1) };
  }

  /** Keeps up with the blows that belong to the event raised last. */
  #followSeries(end: number): void {
    const last = this.#last;
    if (last !== null && !last.over) {
      const { merge_s, longest_s } = this.#settings;
      const to = Math.min(end, last.onset + longest_s * this.#rate);
      last.latest = this.#energy.seriesEnd(last.latest, BLOW_RATIO * last.rise, merge_s * this.#rate, to);
    }
  }

  /** A candidate begins at the steepest rise of what this window newly shows and the event before does not explain. */
  #begin(scores: Float32Array, label: number, score: number, start: number, end: number): void {
    const { merge_s, shown_after_s } = this.#settings;
    const last = this.#last;
    const shown = Math.max(start, end - shown_after_s * this.#rate);
    const from = last === null ? shown : Math.max(shown, last.latest + merge_s * this.#rate);
    if (from >= end) {
      return;
    }
    const { sample, rise } = this.#energy.onset(from, end);
    const stillShown = last !== null && (this.#current !== null || start <= last.latest);
    if (stillShown && rise < BLOW_RATIO * last.rise) {
      return;
    }
    this.#current = { onset: sample, rise, best: scores, label, score, raised: false };
  }

  #raise(heard: number, made: MadeEvent[]): void {
    const current = this.#current;
    if (current === null || current.raised) {
      return;
    }
    current.raised = true;
    const { onset, rise, label, score, best } = current;
    this.#last = { onset, rise, latest: onset, over: false };
    made.push({ onset, end: this.#energy.end(onset, heard), label, score, scores: best });
  }
}
