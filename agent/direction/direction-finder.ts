/**
 * Owns finding where a sound came from: keeps the latest sound of the array and computes only when it is asked about an event, from
 * the first tenth of a second after its onset, against the background before it.
 */
import type { Position } from '../../drivers/uma8/geometry.ts';
import { type ArrayMount, mountedCapsules } from './array-mount.ts';
import { type Direction, sideOf, wrapDegrees } from './direction.ts';
import { SoundRing } from './sound-ring.ts';
import { type Steered, steer } from './steered-response.ts';
import { FRAME, type Weighting, whitenedSpectra, withoutCapsule } from './whitened-spectra.ts';

/** What the finder is built for. */
export interface DirectionOptions {
  readonly sampleRateHz: number;
  /** Interleaved channels of the sound pushed; the first seven are the capsules. */
  readonly channels: number;
  readonly mount: ArrayMount;
}

/** How much sound is kept: an event is told about 0.6 s after its onset, after up to 1 s of window. 2.3 MB. */
const KEPT_S = 3;
/** The event: from before the onset, which is known to some 30 ms, until reflections have taken over. */
const BEFORE_S = 0.03;
const AFTER_S = 0.1;
/** The background: this long, until the event may have begun. */
const BACKGROUND_S = 0.25;
const APART_S = 0.01;
/**
 * Chosen on simulated events: 8 or 16 kHz as the upper limit, 1 kHz as the lower, a shorter event or taking off what still rings
 * changed little or for the worse.
 */
const WEIGHTING: Weighting = { lowHz: 500, highHz: 12_000, background: 3 };
/** Fewer capsules than these tell no direction in a plane. */
const LEAST_CAPSULES = 3;
/** Twice the least area of the triangle of three capsules, in m²; that of neighbours on the board is 16 cm². */
const LEAST_AREA_M2 = 1e-4;
/** A capsule this much quieter than the others is deaf. */
const DEAF_RATIO = 0.03;
/** A capsule of which so many samples are at the converter's limits has lost its phases. */
const CLIPPED_RATIO = 0.05;
/** A capsule that agrees so much less than the others do is left out, up to so many; where all disagree it is the sound. */
const ODD_RATIO = 0.4;
const LEAST_AGREEMENT = 0.1;
const MOST_ODD = 2;
/** Logistic regression of "within 20°" on 457 simulated events: free and in a cabin, −10 to 20 dB, and noise alone; folds 1 to 3. */
const CONFIDENCE = { base: -2.51, bySignificance: 1.88 };
/** No simulation tells more. */
const MOST_CONFIDENCE = 0.99;
/** Below this there is no telling: blind guessing is within 20° once in nine times. */
const LEAST_CONFIDENCE = 0.25;

/** The directions of one stream's events. */
export class DirectionFinder {
  readonly #options: DirectionOptions;
  readonly #ring: SoundRing;
  readonly #capsules: readonly Position[];
  /** By capsule, the sound that an event is looked for in: fresh arrays would be a megabyte of garbage each event. */
  readonly #lines: readonly Float32Array[];

  constructor(options: DirectionOptions) {
    this.#options = options;
    this.#ring = new SoundRing(options.sampleRateHz, options.channels, KEPT_S);
    this.#capsules = mountedCapsules(options.mount).slice(0, options.channels);
    const longest = [BACKGROUND_S, APART_S, BEFORE_S, AFTER_S].map((each) => Math.round(each * options.sampleRateHz));
    const frames = longest.reduce((sum, each) => sum + each, 0);
    this.#lines = this.#capsules.map(() => new Float32Array(frames));
  }

  /** Takes interleaved Int16 frames, read only during the call; `firstSampleNs` in the time base that `at` is asked in. */
  push(pcm: Int16Array, firstSampleNs: bigint): void {
    this.#ring.push(pcm, firstSampleNs);
  }

  /** Forgets all sound. */
  clear(): void {
    this.#ring.clear();
  }

  /** Where the event with this onset came from; null when there is no telling. */
  at(onsetNs: bigint): Direction | null {
    const { sampleRateHz } = this.#options;
    const [first, last] = this.#ring.held;
    const onset = Math.round(this.#ring.frameAt(onsetNs));
    const begin = onset - Math.round(BEFORE_S * sampleRateHz);
    const end = Math.min(last, onset + Math.round(AFTER_S * sampleRateHz));
    const quiet = begin - Math.round(APART_S * sampleRateHz);
    const from = Math.max(first, quiet - Math.round(BACKGROUND_S * sampleRateHz));
    if (quiet - from < FRAME || end - onset < FRAME) return null;
    const moving = this.#capsules
      .map((place, channel) => ({ place, ...this.#listen(channel, from, end) }))
      .filter(({ rms, clipped }) => rms > 0 && clipped < CLIPPED_RATIO * (end - from));
    const usual = median(moving.map(({ rms }) => rms));
    const heard = moving.filter(({ rms }) => rms > DEAF_RATIO * usual);
    let places = heard.map(({ place }) => place);
    if (!tellsAzimuth(places)) return null;
    const lines = heard.map(({ line }) => line);
    let spectra = whitenedSpectra(lines, [0, quiet - from], [begin - from, end - from], sampleRateHz, WEIGHTING);
    let steered = steer(spectra, places, sampleRateHz);
    for (let left = MOST_ODD; left > 0 && steered !== null && places.length > LEAST_CAPSULES + 1; left--) {
      const odd = oddCapsule(steered.byCapsule);
      if (odd === null) break;
      places = places.filter((_, i) => i !== odd);
      spectra = withoutCapsule(spectra, odd);
      steered = steer(spectra, places, sampleRateHz);
    }
    return steered === null || !tellsAzimuth(places) ? null : told(steered, spectra.weight);
  }

  /** One channel, valid until the next event, how much it moves about its mean, and how many samples are at the converter's limits. */
  #listen(channel: number, from: number, to: number): { line: Float32Array; rms: number; clipped: number } {
    const line = (this.#lines[channel] as Float32Array).subarray(0, to - from);
    this.#ring.read(channel, from, line);
    let [sum, squares, clipped] = [0, 0, 0];
    for (const sample of line) {
      sum += sample;
      squares += sample * sample;
      if (sample >= 32_767 || sample <= -32_768) clipped += 1;
    }
    const variance = squares / line.length - (sum / line.length) ** 2;
    return { line, rms: Math.sqrt(Math.max(0, variance)), clipped };
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

/** Whether so many capsules in such places hear left from right and ahead from behind: three that are not in one line. */
function tellsAzimuth(places: readonly Position[]): boolean {
  const [first, ...others] = places;
  if (first === undefined || places.length < LEAST_CAPSULES) return false;
  const [second, ...more] = others;
  if (second === undefined) return false;
  const [x, y] = [second.x - first.x, second.y - first.y];
  return more.some((place) => Math.abs(x * (place.y - first.y) - y * (place.x - first.x)) > LEAST_AREA_M2);
}

/** The capsule that disagrees with the others where they agree: dead in another way, or on another channel than it should be. */
function oddCapsule(byCapsule: readonly number[]): number | null {
  const worst = byCapsule.indexOf(Math.min(...byCapsule));
  const others = median(byCapsule.filter((_, i) => i !== worst));
  return others > LEAST_AGREEMENT && (byCapsule[worst] as number) < ODD_RATIO * others ? worst : null;
}

/**
 * The mean agreement of pure noise spreads by one over the root of what was added up, so agreement times that root tells a sound
 * from chance.
 */
function told({ azimuthDeg, agreement }: Steered, weight: number): Direction | null {
  const logit = CONFIDENCE.base + CONFIDENCE.bySignificance * agreement * Math.sqrt(weight);
  const confidence = Math.min(MOST_CONFIDENCE, 1 / (1 + Math.exp(-logit)));
  if (confidence < LEAST_CONFIDENCE) return null;
  const rounded = Math.round(10 * wrapDegrees(azimuthDeg)) / 10;
  const azimuth = rounded === -180 ? 180 : rounded;
  return { azimuthDeg: azimuth, side: sideOf(azimuth), confidence: Math.round(1000 * confidence) / 1000 };
}
