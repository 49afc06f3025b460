/**
 * A simulated array on a simulated machine: a crystal, arecord's periods, and a reader that comes late. It says when bytes arrive and, which
 * no real machine can, when each frame was captured.
 */

/** A deterministic source of numbers from 0 to 1 (mulberry32). */
export type Random = () => number;

export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** How late the reader is, in ms. */
export const JITTERS = {
  none: () => 0,
  /** 50 ms of scheduling jitter, as even as can be: the hardest of those that have a least delay of 0. */
  even: (random: Random) => 50 * random(),
  /** Mostly short, up to 50 ms. */
  exponential: (random: Random) => Math.min(50, -12 * Math.log(1 - random())),
  /** A Raspberry Pi that is not overloaded: below 2 ms, now and then up to 50. */
  usual: (random: Random) => (random() > 0.98 ? 50 * random() : 2 * random()),
  /** Least delay hardly ever seen: 18 ms on average, the sum of three exponential delays. */
  rarelyPrompt: (random: Random) => -6 * Math.log((1 - random()) * (1 - random()) * (1 - random())),
  /** The same for a bell: 25 ± 8 ms. */
  bell: (random: Random) =>
    Math.max(0, 25 + 8 * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())),
} satisfies Record<string, (random: Random) => number>;

interface Event {
  readonly atS: number;
  readonly ms: number;
}

export interface Scenario {
  readonly seed: number;
  readonly durationS: number;
  /** The crystal's error at a time in s: + is slow. */
  readonly ppm: (s: number) => number;
  /** Lateness of an arrival in ms. */
  readonly jitterMs: (random: Random, s: number) => number;
  /** Times at which nobody reads: beyond 600 ms ALSA's buffer (500 ms) and the pipe run over, and the sound of the stall is lost. */
  readonly stalls?: readonly Event[];
  /** Sound that is lost on the way without any stall. */
  readonly losses?: readonly Event[];
}

/** Bytes that arrive: so many frames in all since the stream began, at a time in ns since its first frame was captured. */
export interface Arrival {
  readonly frames: number;
  readonly arrivalNs: number;
  /** When the frames of this period were captured: frame `firstFrame` at `capturedNs`, then each `nsPerFrame`. */
  readonly period: { readonly firstFrame: number; readonly capturedNs: number; readonly nsPerFrame: number };
}

const PERIOD_FRAMES = 6000;
/** What node reads of a pipe at once: 64 KiB of 8 channels. */
const READ_FRAMES = 4096;
const NOMINAL_NS = 1e9 / 48_000;
const OVERRUN_MS = 600;

/** The arrivals of a stream of 48 kHz. */
export function* simulateArrivals(scenario: Scenario): Generator<Arrival> {
  const random = seededRandom(scenario.seed);
  const stalls = [...(scenario.stalls ?? [])];
  const losses = [...(scenario.losses ?? [])];
  let nowNs = 0;
  let lastNs = 0;
  for (let firstFrame = 0; nowNs < scenario.durationS * 1e9; firstFrame += PERIOD_FRAMES) {
    if (losses[0] !== undefined && nowNs >= losses[0].atS * 1e9) nowNs += (losses.shift() as Event).ms * 1e6;
    const nsPerFrame = NOMINAL_NS * (1 + scenario.ppm(nowNs / 1e9) * 1e-6);
    const period = { firstFrame, capturedNs: nowNs, nsPerFrame };
    nowNs += PERIOD_FRAMES * nsPerFrame;
    const lateMs = scenario.jitterMs(random, nowNs / 1e9);
    let arrivalNs = Math.max(nowNs + lateMs * 1e6, lastNs + 200_000);
    const [stall] = stalls;
    if (stall !== undefined && nowNs >= stall.atS * 1e9) {
      const endNs = (stall.atS * 1e3 + stall.ms) * 1e6;
      arrivalNs = Math.max(arrivalNs, endNs);
      if (nowNs > endNs) stalls.shift();
      else if (stall.ms > OVERRUN_MS) {
        nowNs = endNs;
        stalls.shift();
      }
    }
    lastNs = arrivalNs;
    yield { frames: firstFrame + READ_FRAMES, arrivalNs, period };
    yield { frames: firstFrame + PERIOD_FRAMES, arrivalNs: arrivalNs + 50_000, period };
  }
}

/** Says when frames were captured, from the latest periods. */
export class Truth {
  #periods: Arrival['period'][] = [];

  learn({ period }: Arrival): void {
    if (this.#periods.at(-1) === period) return;
    this.#periods.push(period);
    if (this.#periods.length > 100) this.#periods.shift();
  }

  /** Nanoseconds since the first frame of the stream. */
  capturedNs(frame: number): number {
    const period = this.#periods.findLast(({ firstFrame }) => firstFrame <= frame);
    if (period === undefined) throw new RangeError(`frame ${frame} came long ago`);
    return period.capturedNs + (frame - period.firstFrame) * period.nsPerFrame;
  }
}

/** The value that a share `q` of `values` does not exceed. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
}
