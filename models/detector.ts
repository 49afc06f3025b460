/**
 * Hears events in a stream of sound: cuts it into windows, has the model score them, and lets event-maker.ts make events
 * of the scores; gives them times. Windows are scored one at a time, or, for sound that is already there, in batches.
 */
import { Ambience } from './ambience.ts';
import type { ModelDescription } from './description.ts';
import { ModelError } from './error.ts';
import { EventMaker, keptEnergyS, type MadeEvent } from './event-maker.ts';
import { EnergyTrace } from './onset.ts';
import type { Scorer } from './session.ts';
import { downmix, lengthsInSamples, SlidingWindows } from './windows.ts';

export interface Detection {
  /** UTC nanoseconds of the sound's beginning. */
  readonly onsetNs: bigint;
  /** UTC nanoseconds of its end, or of the latest sample heard when the event was raised, whichever is earlier. */
  readonly endNs: bigint;
  readonly label: string;
  /** How sure the model is of an impact of any label, 0 to 1, in the window that shows the event best, beside the ambience (ambience.ts). */
  readonly score: number;
  /** Scores of all labels in that window, beside the ambience too; `label` has the highest but for background. */
  readonly scores: Readonly<Record<string, number>>;
}

export interface DetectorOptions {
  /** Rate of the PCM pushed; must be the model's. */
  readonly sampleRateHz: number;
  /** Interleaved channels of the PCM pushed; they are averaged. */
  readonly channels: number;
  /**
   * Called with the model's own scores of every window, in the order of the description's labels, for drift and debugging. `samples`,
   * the window as the model heard it, is valid during the call only; `relative` are the scores beside the ambience, which are judged.
   */
  readonly onScores?: (scores: Float32Array, startNs: bigint, samples: Float32Array, relative: Float32Array) => void;
  /** Windows scored in one run, 1 to 64; default 1. More delays events by as many hops and finds the same ones. */
  readonly batch?: number;
}

/** Chunks whose time differs more than this from the samples counted are a gap. */
const GAP_NS = 50_000_000n;
/** Smaller differences than this are rounding and not followed. */
const JITTER_NS = 1_000_000n;
const MAX_BATCH = 64;

/** A stretch of sound that ends where a window ends, or where a push did, on its way to the energies. */
interface Piece {
  readonly samples: Float32Array;
  /** First sample of the window that this completes, null when it completes none. */
  readonly windowStart: number | null;
  /** Time of sample 0 as it was known when the piece came. */
  readonly anchorNs: bigint;
}

/**
 * One stream's detector. Push chunks in order and await each push; memory is bounded (`batch` windows, some seconds of
 * energies, the longest push).
 */
export class ImpactDetector {
  readonly #scorer: Scorer;
  readonly #description: ModelDescription;
  readonly #options: DetectorOptions;
  readonly #windows: SlidingWindows;
  readonly #energy: EnergyTrace;
  readonly #maker: EventMaker;
  readonly #ambience: Ambience;
  readonly #window: number;
  readonly #hop: number;
  readonly #batch: number;
  /** Windows that wait to be scored, end to end. */
  readonly #audio: Float32Array;
  /** The latest sound as one channel, of a detector that judges every window at once; fresh arrays would be some 12 MB of garbage a minute. */
  #mono = new Float32Array(0);
  #waiting = 0;
  #pieces: Piece[] = [];
  #busy = false;
  /** Time of sample 0 since the last reset; null before the first chunk. */
  #anchorNs: bigint | null = null;
  #samples = 0;

  /** Throws ModelError `invalid-audio` when rate or channels do not suit the model, RangeError for a batch out of range. */
  constructor(scorer: Scorer, description: ModelDescription, options: DetectorOptions) {
    if (options.sampleRateHz !== description.input.sample_rate_hz) {
      const expected = description.input.sample_rate_hz;
      throw new ModelError('invalid-audio', `the model hears ${expected} Hz, the sound has ${options.sampleRateHz} Hz`);
    }
    if (!Number.isInteger(options.channels) || options.channels < 1) {
      throw new ModelError('invalid-audio', `expected at least 1 channel, found ${options.channels}`);
    }
    const batch = options.batch ?? 1;
    if (!Number.isInteger(batch) || batch < 1 || batch > MAX_BATCH) {
      throw new RangeError(`expected a batch of 1 to ${MAX_BATCH} windows, found ${batch}`);
    }
    const { window, hop } = lengthsInSamples(description.input);
    this.#scorer = scorer;
    this.#description = description;
    this.#options = options;
    this.#window = window;
    this.#hop = hop;
    this.#batch = batch;
    this.#audio = new Float32Array(batch * window);
    this.#windows = new SlidingWindows(window, hop);
    this.#energy = new EnergyTrace(options.sampleRateHz, keptEnergyS(description));
    this.#maker = new EventMaker(description, this.#energy);
    this.#ambience = new Ambience(description);
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
      const detections = this.#follow(firstSampleNs) ? [] : await this.#endRun();
      this.#anchorNs ??= firstSampleNs;
      await this.#take(this.#downmix(pcm), detections);
      return detections;
    } finally {
      this.#busy = false;
    }
  }

  /** Ends the stream: resolves with the events that were not yet sure, if any, and forgets everything. */
  async flush(): Promise<Detection[]> {
    return this.#endRun();
  }

  /** One channel of `pcm`: read until the end of the push alone, or, with a batch, kept until that is full. */
  #downmix(pcm: Int16Array): Float32Array {
    const { channels } = this.#options;
    if (this.#batch > 1) return downmix(pcm, channels);
    const frames = pcm.length / channels;
    if (this.#mono.length < frames) this.#mono = new Float32Array(frames);
    return downmix(pcm, channels, this.#mono);
  }

  /** Takes the sound in pieces that end where windows end, so that chunking changes nothing. */
  async #take(mono: Float32Array, detections: Detection[]): Promise<void> {
    let at = 0;
    while (at < mono.length) {
      const count = Math.min(this.#toNextWindow(), mono.length - at);
      const piece = mono.subarray(at, at + count);
      at += count;
      this.#samples += count;
      let windowStart: number | null = null;
      for (const { start, samples } of this.#windows.push(piece)) {
        windowStart = start;
        this.#audio.set(samples, this.#waiting * this.#window);
        this.#waiting += 1;
      }
      this.#pieces.push({ samples: piece, windowStart, anchorNs: this.#anchorNs ?? 0n });
      if (this.#waiting === this.#batch || this.#waiting === 0) {
        await this.#judge(detections);
      }
    }
  }

  #toNextWindow(): number {
    return this.#samples < this.#window
      ? this.#window - this.#samples
      : this.#hop - ((this.#samples - this.#window) % this.#hop);
  }

  /** Scores the windows that wait, and judges each with the energies up to its end, as if they had been scored one by one. */
  async #judge(detections: Detection[]): Promise<void> {
    const pieces = this.#pieces;
    const waiting = this.#waiting;
    this.#pieces = [];
    this.#waiting = 0;
    const labels = this.#description.labels.length;
    const audio = this.#audio.subarray(0, waiting * this.#window);
    const all = waiting === 0 ? new Float32Array(0) : await this.#scorer.run(audio, waiting);
    let window = 0;
    for (const { samples, windowStart, anchorNs } of pieces) {
      this.#energy.push(samples);
      if (windowStart === null) {
        continue;
      }
      const scores = all.slice(window * labels, (window + 1) * labels);
      const heard = this.#audio.subarray(window * this.#window, (window + 1) * this.#window);
      window += 1;
      const relative = this.#ambience.relative(scores);
      this.#options.onScores?.(scores, this.#timeOf(windowStart, anchorNs), heard, relative);
      const made: MadeEvent[] = [];
      this.#maker.judge(relative, windowStart, windowStart + this.#window, made);
      this.#tell(made, anchorNs, detections);
    }
  }

  /** Keeps the time of sample 0 in step with the chunks' stamps; false when there is a gap. */
  #follow(firstSampleNs: bigint): boolean {
    if (this.#anchorNs === null) {
      return true;
    }
    const difference = firstSampleNs - this.#timeOf(this.#samples, this.#anchorNs);
    const size = difference < 0n ? -difference : difference;
    if (size > GAP_NS) {
      return false;
    }
    if (size > JITTER_NS) {
      this.#anchorNs += difference;
    }
    return true;
  }

  #timeOf(sample: number, anchorNs: bigint): bigint {
    return anchorNs + (BigInt(Math.round(sample)) * 1_000_000_000n) / BigInt(this.#options.sampleRateHz);
  }

  #tell(made: readonly MadeEvent[], anchorNs: bigint, detections: Detection[]): void {
    for (const { onset, end, label, score, scores } of made) {
      detections.push({
        onsetNs: this.#timeOf(onset, anchorNs),
        endNs: this.#timeOf(end, anchorNs),
        label: this.#description.labels[label] ?? '',
        score,
        scores: Object.fromEntries(this.#description.labels.map((name, i) => [name, scores[i] ?? 0])),
      });
    }
  }

  async #endRun(): Promise<Detection[]> {
    const detections: Detection[] = [];
    await this.#judge(detections);
    const made: MadeEvent[] = [];
    this.#maker.finish(this.#samples, made);
    this.#tell(made, this.#anchorNs ?? 0n, detections);
    this.#anchorNs = null;
    this.#samples = 0;
    this.#windows.reset();
    this.#ambience.reset();
    this.#energy.reset();
    return detections;
  }
}
