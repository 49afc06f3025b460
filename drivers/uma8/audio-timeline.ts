/**
 * Owns audio time: when each counted frame was captured on the monotonic clock. A frame never arrives before it was captured, and
 * delays only add, so the earliest arrivals carry the truth: the timeline follows their lower envelope.
 */

/** Length of the stretches whose earliest arrival counts: several periods of arecord (125 ms). */
const BUCKET_NS = 1_000_000_000;
/** Stretches joined for one point of the drift estimate. */
const BUCKETS_PER_POINT = 10;
/** Fewer points say nothing of how much they scatter. */
const LEAST_POINTS = 6;
/** Points of the drift estimate kept: 30 of 10 s. */
const MOST_POINTS = 30;
/**
 * A delay beyond this that lasts two whole stretches is lost sound, not lateness. An overrun costs ALSA a good part of its buffer of
 * 500 ms; a sound server on a busy machine wanders by 35 ms (measured).
 */
const GAP_NS = 60_000_000;
/** While young, the timeline jumps to each earlier arrival; later it only slews. */
const SETTLING_NS = 3_000_000_000;
/** At most this many nanoseconds of correction a second, outside gaps. */
const SLEW_NS_PER_S = 200_000;
/** Crystals of USB sound devices are within ±100 ppm; ±500 bounds the estimate. */
const MOST_DRIFT = 500e-6;
/** A drift less certain than this is not believed. */
const MOST_DOUBT = 50e-6;

/**
 * Sound that never came, as the count of frames against the clock shows it. Negative when an earlier gap turns out to have been mere
 * lateness of more than a second.
 */
export interface Gap {
  readonly gapNs: bigint;
  readonly gapFrames: number;
}

/** Time of the frames of one stream. Bounded memory. */
export class AudioTimeline {
  readonly #nsPerFrame: number;
  #originNs: bigint | null = null;
  /** Capture time of frame n, relative to the origin: offset + (1 + drift) · n · nsPerFrame. */
  #offsetNs = 0;
  #drift = 0;
  #bucketEndNs = 0;
  #bucketMin = Number.POSITIVE_INFINITY;
  #bucketFrameNs = 0;
  /** The least error of the stretch before, when it was late enough for a gap. */
  #suspectedNs: number | null = null;
  #declaredNs = 0;
  #pointBuckets = 0;
  #pointMin = Number.POSITIVE_INFINITY;
  #pointFrameNs = 0;
  #points: Point[] = [];

  /** `sampleRateHz` is the nominal rate. */
  constructor(sampleRateHz: number) {
    this.#nsPerFrame = 1e9 / sampleRateHz;
  }

  /** How much slower (+) or faster (−) than nominal the device's frames come, in parts per million; 0 until it is known to 50 ppm,
   * which takes a minute with steady arrivals and longer with unsteady ones. */
  get driftPpm(): number {
    return this.#drift * 1e6;
  }

  /**
   * Says that `frames` frames in all had arrived by `arrivalNs` (monotonic). Returns a gap when sound is missing: found two to
   * three seconds after the loss, to within the jitter of arrivals.
   */
  observe(frames: number, arrivalNs: bigint): Gap | null {
    const frameNs = frames * this.#nsPerFrame;
    if (this.#originNs === null) {
      this.#originNs = arrivalNs - BigInt(Math.round(frameNs));
      this.#bucketEndNs = frameNs + BUCKET_NS;
    }
    const arrival = Number(arrivalNs - this.#originNs);
    const residual = arrival - frameNs;
    if (residual < this.#bucketMin) {
      this.#bucketMin = residual;
      this.#bucketFrameNs = frameNs;
    }
    if (arrival < SETTLING_NS && residual < this.#offsetNs) this.#offsetNs = residual;
    if (arrival < this.#bucketEndNs) return null;
    const gap = this.#closeBucket();
    this.#bucketEndNs = arrival + BUCKET_NS;
    this.#bucketMin = Number.POSITIVE_INFINITY;
    return gap;
  }

  /** When frame `frame` was captured, in monotonic nanoseconds. Before the first `observe`, zero. */
  timeOf(frame: number): bigint {
    if (this.#originNs === null) return 0n;
    return this.#originNs + BigInt(Math.round(this.#offsetNs + frame * this.#nsPerFrame * (1 + this.#drift)));
  }

  #closeBucket(): Gap | null {
    const error = this.#bucketMin - (this.#offsetNs + this.#drift * this.#bucketFrameNs);
    let gap: Gap | null = null;
    const suspected = this.#suspectedNs;
    this.#suspectedNs = null;
    if (error > GAP_NS && suspected === null) {
      this.#suspectedNs = error;
      return null;
    }
    if (error > GAP_NS) {
      gap = this.#move(Math.min(error, suspected as number));
    } else if (error < -GAP_NS) {
      const returned = Math.max(error, -this.#declaredNs);
      this.#offsetNs += error - returned;
      if (returned < 0) gap = this.#move(returned);
    } else {
      const most = SLEW_NS_PER_S * (BUCKET_NS / 1e9);
      this.#offsetNs += Math.max(-most, Math.min(most, error * 0.2));
    }
    this.#addToPoint();
    return gap;
  }

  /** Moves all that follows by a gap, and the points of the past with it, so that their slope, which is the drift, survives. */
  #move(gapNs: number): Gap {
    this.#offsetNs += gapNs;
    this.#declaredNs += gapNs;
    for (const point of this.#points) point.residualNs += gapNs;
    if (this.#pointMin !== Number.POSITIVE_INFINITY) this.#pointMin += gapNs;
    return { gapNs: BigInt(Math.round(gapNs)), gapFrames: Math.round(gapNs / this.#nsPerFrame) };
  }

  #addToPoint(): void {
    if (this.#bucketMin < this.#pointMin) {
      this.#pointMin = this.#bucketMin;
      this.#pointFrameNs = this.#bucketFrameNs;
    }
    if (++this.#pointBuckets < BUCKETS_PER_POINT) return;
    this.#points.push({ frameNs: this.#pointFrameNs, residualNs: this.#pointMin });
    if (this.#points.length > MOST_POINTS) this.#points.shift();
    this.#pointBuckets = 0;
    this.#pointMin = Number.POSITIVE_INFINITY;
    if (this.#points.length < LEAST_POINTS) return;
    const { slope, doubt } = medianSlope(this.#points);
    if (doubt > MOST_DOUBT) return;
    const drift = Math.max(-MOST_DRIFT, Math.min(MOST_DRIFT, slope));
    // The present stays where it is; only the slope changes.
    this.#offsetNs += (this.#drift - drift) * this.#bucketFrameNs;
    this.#drift = drift;
  }
}

interface Point {
  readonly frameNs: number;
  residualNs: number;
}

/**
 * Theil-Sen estimator: the median of the slopes between all pairs, unmoved by up to 29 % of wild points. `doubt` is what the greatest distance
 * of a point from that line makes of the slope over their span.
 */
function medianSlope(points: readonly Point[]): { slope: number; doubt: number } {
  const slopes: number[] = [];
  for (const [i, a] of points.entries()) {
    for (const b of points.slice(i + 1)) {
      if (b.frameNs > a.frameNs) slopes.push((b.residualNs - a.residualNs) / (b.frameNs - a.frameNs));
    }
  }
  const slope = median(slopes);
  const heights = points.map((p) => p.residualNs - slope * p.frameNs);
  const middle = median(heights);
  const deviation = Math.max(...heights.map((h) => Math.abs(h - middle)));
  const span = (points.at(-1)?.frameNs ?? 0) - (points[0]?.frameNs ?? 0);
  return { slope, doubt: span > 0 ? deviation / span : Number.POSITIVE_INFINITY };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}
