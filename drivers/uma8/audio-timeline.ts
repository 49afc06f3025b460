/**
 * Owns audio time: when each counted frame was captured on the monotonic clock. A frame never arrives before it was captured, and delays only
 * add, so the earliest arrivals carry the truth: the timeline is the line under all arrivals, with the crystal's drift as its slope.
 *
 * What is the same at every arrival (the transfer over USB, the end of a period) cannot be seen from here: stamps are late by the least delay
 * there is, a few milliseconds with ALSA's own devices.
 */
import { DriftEstimate } from './drift-estimate.ts';
import { LastingLateness } from './lasting-lateness.ts';

/**
 * The line rises by as much more than the drift as the drift is uncertain, so that a slower crystal is followed before it is measured; each
 * arrival below the line takes it down. The least leaves room for a crystal that warms up by 20 ppm within the minutes of the estimate.
 */
const LEAST_RISE = 20e-6;
const MOST_RISE = 100e-6;
/** The least delay of each stretch so long, averaged, says how late arrivals usually are: two periods of arecord. */
const STRETCH_NS = 250_000_000;
/** Stretches in that average, and the most that one counts for: a stall is not usual. */
const USUAL_STRETCHES = 240;
const MOST_USUAL_NS = 100_000_000;
/** A gap is found by its shortest delay of a second; for so long after, earlier arrivals still correct its size. */
const REFINING_NS = 8_000_000_000;
/** So long after, a gap may turn out to have been lateness. */
const RETURNING_NS = 300_000_000_000;

/**
 * Sound that never came, as the count of frames against the clock shows it. Negative when an earlier gap turns out to have been mere
 * lateness, or lateness that lasted.
 */
export interface Gap {
  readonly gapNs: bigint;
  readonly gapFrames: number;
}

/** Time of the frames of one stream. Bounded memory; a few hundred nanoseconds an arrival, 50 µs each time the drift is estimated. */
export class AudioTimeline {
  readonly #nsPerFrame: number;
  readonly #drift: DriftEstimate;
  readonly #lateness = new LastingLateness();
  #originNs: bigint | null = null;
  /** The line at frame `#lineFrameNs` (nominal time): capture − nominal time, from the origin. */
  #lineNs = 0;
  #lineFrameNs = 0;
  #stretchEndNs = 0;
  #stretchLeastNs = Number.POSITIVE_INFINITY;
  #usualNs = 0;
  #stretches = 0;
  #lostNs = 0;
  /** The last gap as it was found, how much of it was taken back since, and how far the line has moved since beside the drift. */
  #gapNs = 0;
  #gapAtNs = 0;
  #takenBackNs = 0;
  #movedNs = 0;

  /** `sampleRateHz` is the nominal rate; `before` is the same device's timeline until now, whose drift is a good guess. */
  constructor(sampleRateHz: number, before: AudioTimeline | null = null) {
    this.#nsPerFrame = 1e9 / sampleRateHz;
    this.#drift = new DriftEstimate(before?.drift ?? null);
  }

  /** The estimate of the crystal's drift, for the next stream of the same device. */
  get drift(): DriftEstimate {
    return this.#drift;
  }

  /** How much slower (+) or faster (−) than nominal the device's frames come, in parts per million; drawn to 0 while it is uncertain. */
  get driftPpm(): number {
    return this.#drift.value * 1e6;
  }

  /** Frames that never came since the stream began, as far as known now. */
  get lostFrames(): number {
    return Math.round(this.#lostNs / this.#nsPerFrame);
  }

  /**
   * Says that `frames` frames in all had arrived by `arrivalNs` (monotonic). Returns a gap when sound is missing: found a second after the
   * loss with steady arrivals; later, the less it stands out from the lateness of the last minutes (see LastingLateness).
   */
  observe(frames: number, arrivalNs: bigint): Gap | null {
    const frameNs = frames * this.#nsPerFrame;
    this.#originNs ??= this.#begin(frameNs, arrivalNs);
    const nowNs = Number(arrivalNs - this.#originNs);
    const residualNs = nowNs - frameNs;
    const rise = Math.max(LEAST_RISE, Math.min(MOST_RISE, this.#drift.doubt));
    const passedNs = frameNs - this.#lineFrameNs;
    this.#lineNs += (this.#drift.value + rise) * passedNs;
    this.#movedNs += rise * passedNs;
    this.#lineFrameNs = frameNs;
    const returned = residualNs < this.#lineNs ? this.#fall(this.#lineNs - residualNs, nowNs) : null;
    const delayNs = residualNs - this.#lineNs;
    this.#learnUsual(delayNs, nowNs);
    if (this.#drift.add(frameNs, residualNs, delayNs, this.#usualNs)) this.#rise(frameNs);
    const lateNs = this.#lateness.observe(frameNs, nowNs, delayNs, this.#usualNs);
    return lateNs === null ? returned : this.#lose(lateNs, nowNs);
  }

  /** When frame `frame` was captured, in monotonic nanoseconds. Before the first `observe`, zero. */
  timeOf(frame: number): bigint {
    if (this.#originNs === null) return 0n;
    const frameNs = frame * this.#nsPerFrame;
    const lineNs = this.#lineNs + this.#drift.value * (frameNs - this.#lineFrameNs);
    return this.#originNs + BigInt(Math.round(frameNs + lineNs));
  }

  #begin(frameNs: number, arrivalNs: bigint): bigint {
    this.#lineFrameNs = frameNs;
    this.#stretchEndNs = frameNs + STRETCH_NS;
    return arrivalNs - BigInt(Math.round(frameNs));
  }

  #learnUsual(delayNs: number, nowNs: number): void {
    this.#stretchLeastNs = Math.min(this.#stretchLeastNs, delayNs);
    if (nowNs < this.#stretchEndNs) return;
    this.#stretches = Math.min(USUAL_STRETCHES, this.#stretches + 1);
    this.#usualNs += (Math.min(MOST_USUAL_NS, this.#stretchLeastNs) - this.#usualNs) / this.#stretches;
    this.#stretchEndNs = nowNs + STRETCH_NS;
    this.#stretchLeastNs = Number.POSITIVE_INFINITY;
  }

  /** A line that fell behind a slow crystal before its drift was known rises to what the earliest arrivals now say. */
  #rise(frameNs: number): void {
    const riseNs = this.#drift.lineUnder(frameNs) - this.#lineNs;
    if (riseNs <= 0) return;
    this.#lineNs += riseNs;
    this.#movedNs += riseNs;
  }

  /** An arrival below the line takes the line down, and with it what a gap had taken it up by too much. */
  #fall(fallNs: number, nowNs: number): Gap | null {
    this.#lineNs -= fallNs;
    this.#movedNs -= fallNs;
    const sinceNs = nowNs - this.#gapAtNs;
    if (this.#gapNs === 0 || sinceNs > RETURNING_NS) return null;
    if (-this.#movedNs > this.#gapNs / 2) {
      const gap = this.#gap(-this.#gapNs);
      this.#takeBack(this.#gapNs - this.#takenBackNs);
      this.#gapNs = 0;
      return gap;
    }
    if (sinceNs < REFINING_NS) this.#takeBack(fallNs);
    return null;
  }

  #takeBack(backNs: number): void {
    this.#takenBackNs += backNs;
    this.#lostNs -= backNs;
    this.#drift.shift(-backNs);
  }

  /** All that follows is later by a gap. The past moves with it, so that its slope, which is the drift, survives. */
  #lose(gapNs: number, nowNs: number): Gap {
    this.#lineNs += gapNs;
    this.#lostNs += gapNs;
    this.#gapNs = gapNs;
    this.#gapAtNs = nowNs;
    this.#takenBackNs = 0;
    this.#movedNs = 0;
    this.#drift.shift(gapNs);
    return this.#gap(gapNs);
  }

  #gap(gapNs: number): Gap {
    return { gapNs: BigInt(Math.round(gapNs)), gapFrames: Math.round(gapNs / this.#nsPerFrame) };
  }
}
