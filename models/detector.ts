/**
 * Turns the model's scores of overlapping windows into events: one knock, one event. Threshold, hysteresis, merging
 * of neighbouring windows and a refractory time; the onset comes from the sound's energy.
 */
import type { ModelDescription } from './description.ts';
import { ModelError } from './error.ts';
import { EnergyTrace } from './onset.ts';
import type { Scorer } from './session.ts';
import { downmix, lengthsInSamples, SlidingWindows } from './windows.ts';

export interface Detection {
  /** UTC nanoseconds of the sound's beginning. */
  readonly onsetNs: bigint;
  /** UTC nanoseconds of its end, or of the latest sample heard when the event was raised, whichever is earlier. */
  readonly endNs: bigint;
  readonly label: string;
  /** How sure the model is of an impact of any label, 0 to 1, in the window that shows the event best. */
  readonly score: number;
  /** Scores of all labels in that window; `label` has the highest but for background. */
  readonly scores: Readonly<Record<string, number>>;
}

export interface DetectorOptions {
  /** Rate of the PCM pushed; must be the model's. */
  readonly sampleRateHz: number;
  /** Interleaved channels of the PCM pushed; they are averaged. */
  readonly channels: number;
  /** Called with the scores of every window, in the order of the description's labels, for drift and debugging. */
  readonly onScores?: (scores: Float32Array, startNs: bigint) => void;
}

/** A window stays part of an event down to this share of the threshold. */
const RELEASE_RATIO = 0.8;
/** A window first shows an event when at most this much of it has been heard (19 of 20 times within 0.31 s). */
const SHOWN_AFTER_S = 0.5;
/** An event is raised this long after its onset, or as soon as a window no longer shows it. */
const SURE_AFTER_S = 0.6;
/** Blows that follow each other faster than this are one event: a rattle, or glass and its shards. */
const MERGE_S = 0.7;
/** However long it rattles, after this a blow is another event. */
const LONGEST_EVENT_S = 4;
/** A rise to this share of an event's energy is another blow of it, or, after MERGE_S, another event. */
const BLOW_RATIO = 0.1;
/** Chunks whose time differs more than this from the samples counted are a gap. */
const GAP_NS = 50_000_000n;
/** Smaller differences than this are rounding and not followed. */
const JITTER_NS = 1_000_000n;

interface Candidate {
  readonly onset: number;
  readonly rise: number;
  best: Float32Array;
  label: number;
  score: number;
  raised: boolean;
}

/**
 * One stream's detector. Push chunks in order and await each push; memory is bounded (one window and 4 s of energies).
 */
export class ImpactDetector {
  readonly #scorer: Scorer;
  readonly #description: ModelDescription;
  readonly #options: DetectorOptions;
  readonly #windows: SlidingWindows;
  readonly #energy: EnergyTrace;
  readonly #window: number;
  readonly #hop: number;
  readonly #thresholds: number[];
  #busy = false;
  /** Time of sample 0 since the last reset; null before the first chunk. */
  #anchorNs: bigint | null = null;
  #samples = 0;
  #current: Candidate | null = null;
  /** Of the event raised last: where it began, how strongly, its latest blow so far, and whether it is over. */
  #last: { readonly onset: number; readonly rise: number; latest: number; over: boolean } | null = null;

  /** Throws ModelError `invalid-audio` when rate or channels do not suit the model. */
  constructor(scorer: Scorer, description: ModelDescription, options: DetectorOptions) {
    if (options.sampleRateHz !== description.input.sample_rate_hz) {
      const expected = description.input.sample_rate_hz;
      throw new ModelError('invalid-audio', `the model hears ${expected} Hz, the sound has ${options.sampleRateHz} Hz`);
    }
    if (!Number.isInteger(options.channels) || options.channels < 1) {
      throw new ModelError('invalid-audio', `expected at least 1 channel, found ${options.channels}`);
    }
    const { window, hop } = lengthsInSamples(description.input);
    this.#scorer = scorer;
    this.#description = description;
    this.#options = options;
    this.#window = window;
    this.#hop = hop;
    this.#windows = new SlidingWindows(window, hop);
    this.#energy = new EnergyTrace(options.sampleRateHz);
    this.#thresholds = description.labels.map((label, i) => (i === 0 ? 2 : (description.thresholds[label] ?? 1)));
  }

  /**
   * Takes Int16 PCM interleaved [frames × channels], read only during the call; `firstSampleNs` is the UTC time of its
   * first frame. Resolves with the events that became sure. A gap in time ends what was heard before it. Throws
   * ModelError `invalid-audio` for half frames or overlapping pushes, `session` when the model fails.
   */
  async push(pcm: Int16Array, firstSampleNs: bigint): Promise<Detection[]> {
    if (pcm.length % this.#options.channels !== 0) {
      const message = `expected whole frames of ${this.#options.channels} channels, found ${pcm.length} samples`;
      throw new ModelError('invalid-audio', message);
    }
    if (this.#busy) {
      throw new ModelError('invalid-audio', 'push was called again before the push before it was done');
    }
    this.#busy = true;
    try {
      const detections = this.#follow(firstSampleNs) ? [] : this.#endRun();
      this.#anchorNs ??= firstSampleNs;
      await this.#take(downmix(pcm, this.#options.channels), detections);
      return detections;
    } finally {
      this.#busy = false;
    }
  }

  /** Ends the stream: resolves with the event that was not yet sure, if any, and forgets everything. */
  async flush(): Promise<Detection[]> {
    return this.#endRun();
  }

  /** Scores window by window, in pieces that end where windows end, so that chunking changes nothing. */
  async #take(mono: Float32Array, detections: Detection[]): Promise<void> {
    let at = 0;
    while (at < mono.length) {
      const count = Math.min(this.#toNextWindow(), mono.length - at);
      const piece = mono.subarray(at, at + count);
      at += count;
      this.#samples += count;
      this.#energy.push(piece);
      for (const { start, samples } of this.#windows.push(piece)) {
        const scores = await this.#scorer.run(samples, 1);
        this.#options.onScores?.(scores, this.#timeOf(start));
        this.#judge(scores, start, detections);
      }
    }
  }

  #toNextWindow(): number {
    return this.#samples < this.#window
      ? this.#window - this.#samples
      : this.#hop - ((this.#samples - this.#window) % this.#hop);
  }

  /** Keeps the time of sample 0 in step with the chunks' stamps; false when there is a gap. */
  #follow(firstSampleNs: bigint): boolean {
    if (this.#anchorNs === null) {
      return true;
    }
    const difference = firstSampleNs - this.#timeOf(this.#samples);
    const size = difference < 0n ? -difference : difference;
    if (size > GAP_NS) {
      return false;
    }
    if (size > JITTER_NS) {
      this.#anchorNs += difference;
    }
    return true;
  }

  #timeOf(sample: number): bigint {
    const rate = BigInt(this.#options.sampleRateHz);
    return (this.#anchorNs ?? 0n) + (BigInt(Math.round(sample)) * 1_000_000_000n) / rate;
  }

  #judge(scores: Float32Array, start: number, detections: Detection[]): void {
    const end = start + this.#window;
    const { label, score, share } = this.#strongest(scores);
    const current = this.#current;
    if (share < RELEASE_RATIO) {
      this.#raise(end, detections);
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
    if (held !== null && end - held.onset >= SURE_AFTER_S * this.#options.sampleRateHz) {
      this.#raise(end, detections);
    }
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
      const rate = this.#options.sampleRateHz;
      const to = Math.min(end, last.onset + LONGEST_EVENT_S * rate);
      last.latest = this.#energy.seriesEnd(last.latest, BLOW_RATIO * last.rise, MERGE_S * rate, to);
    }
  }

  /** A candidate begins at the steepest rise of what this window newly shows and the event before does not explain. */
  #begin(scores: Float32Array, label: number, score: number, start: number, end: number): void {
    const rate = this.#options.sampleRateHz;
    const last = this.#last;
    const shown = Math.max(start, end - SHOWN_AFTER_S * rate);
    const from = last === null ? shown : Math.max(shown, last.latest + MERGE_S * rate);
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

  #raise(heard: number, detections: Detection[]): void {
    const current = this.#current;
    if (current === null || current.raised) {
      return;
    }
    current.raised = true;
    this.#last = { onset: current.onset, rise: current.rise, latest: current.onset, over: false };
    detections.push({
      onsetNs: this.#timeOf(current.onset),
      endNs: this.#timeOf(this.#energy.end(current.onset, heard)),
      label: this.#description.labels[current.label] ?? '',
      score: current.score,
      scores: Object.fromEntries(this.#description.labels.map((name, i) => [name, current.best[i] ?? 0])),
    });
  }

  #endRun(): Detection[] {
    const detections: Detection[] = [];
    this.#raise(this.#samples, detections);
    this.#current = null;
    this.#last = null;
    this.#anchorNs = null;
    this.#samples = 0;
    this.#windows.reset();
    this.#energy.reset();
    return detections;
  }
}
