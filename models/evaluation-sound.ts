/** The long sounds that a model is judged on: an hour of backgrounds without impact, and streets with blows at known times. */
import { type Clip, decodeClip } from './clips.ts';
import type { ModelDescription } from './description.ts';
import { ModelError } from './error.ts';
import { rightLabel } from './evaluation-figures.ts';
import { type EventMetrics, eventMetrics, type JudgedEvents, matchOnsets, type TimedEvent } from './event-metrics.ts';
import { eventsIn, type HeardSound, hearSound, timedEvents } from './heard-sound.ts';
import { assembled, type Blow, loudestBlow, meanPower } from './mixing.ts';
import { SeededRandom } from './seeded-random.ts';
import type { Scorer } from './session.ts';

/** A blow every so often, give or take, so that no two are one event. */
const BLOW_EVERY_S = 4;
const BLOW_LENGTH_S = 1;
/** Quieter backgrounds count as this loud (−70 dBFS), or blows in them would drown in rounding. */
const LEAST_POWER = 1e-7;

/** Decodes clips once and keeps them as 16-bit samples (half a megabyte for five seconds). */
export class ClipSounds {
  readonly #rate: number;
  readonly #signal: AbortSignal | undefined;
  readonly #kept = new Map<string, Promise<Int16Array>>();

  constructor(sampleRateHz: number, signal: AbortSignal | undefined) {
    this.#rate = sampleRateHz;
    this.#signal = signal;
  }

  /** Mono at the rate, −1 to 1, a new array. */
  async of(clip: Clip): Promise<Float32Array> {
    const known = this.#kept.get(clip.path) ?? this.#decode(clip.path);
    this.#kept.set(clip.path, known);
    return Float32Array.from(await known, (sample) => sample / 32768);
  }

  async #decode(path: string): Promise<Int16Array> {
    const samples = await decodeClip(path, this.#rate, this.#signal);
    return Int16Array.from(samples, (sample) => sample * 32768);
  }
}

/** What hears, what it is given, and how it tells how far it is. */
export interface Hearing {
  readonly scorer: Scorer;
  readonly description: ModelDescription;
  readonly sounds: ClipSounds;
  readonly seed: number;
  /** Called with the seconds heard since the call before. */
  readonly onHeard: (seconds: number) => void;
  readonly signal: AbortSignal | undefined;
}

/** `seconds` of the clips one after another, as `assembled` says; `name` makes it another hour. */
export function hearAssembled(hearing: Hearing, clips: readonly Clip[], seconds: number, name: string) {
  const sampleRateHz = hearing.description.input.sample_rate_hz;
  const random = new SeededRandom(`${name} ${hearing.seed}`);
  const sounds = clips.map((clip) => () => hearing.sounds.of(clip));
  return hearSound(
    hearing.scorer,
    hearing.description,
    told(hearing, assembled(sounds, seconds, { sampleRateHz, random })),
  );
}

/** Throws ModelError `aborted` when the signal says so. */
export function stopIfAsked(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new ModelError('aborted', 'the evaluation was stopped', { retryable: true });
}

async function* told(hearing: Hearing, pieces: AsyncIterable<Float32Array>): AsyncGenerator<Float32Array> {
  for await (const piece of pieces) {
    stopIfAsked(hearing.signal);
    yield piece;
    hearing.onHeard(piece.length / hearing.description.input.sample_rate_hz);
  }
}

/** Event-based figures at one signal-to-noise ratio, or over all of them. */
export interface StreetFigures extends EventMetrics {
  /** Null for all of them together. */
  readonly snr_db: number | null;
  readonly seconds: number;
  readonly false_alarms_per_hour: number;
  /** Onset found minus true, of events found whatever their label: median, and 95th percentile of its size; null without any. */
  readonly onset_error_s: { readonly median: number; readonly p95: number } | null;
}

/** A street that was heard: where its blows are, and where events were found at the description's thresholds. */
export interface HeardStreet {
  readonly snrDb: number;
  readonly seconds: number;
  readonly events: JudgedEvents;
}

/** How long the streets of `hearStreets` are together, in seconds, about. */
export function streetSeconds(impacts: number, ratios: readonly number[]): number {
  return (impacts + 1) * BLOW_EVERY_S * ratios.length;
}

/**
 * Each impact clip's loudest blow, mixed at each ratio into the backgrounds, one blow about every 4 s, and the events found
 * at the description's thresholds. The ratio is as in mixing.ts, the background being the second around the blow's onset.
 */
export async function hearStreets(
  hearing: Hearing,
  impacts: readonly Clip[],
  backgrounds: readonly Clip[],
  ratios: readonly number[],
): Promise<HeardStreet[]> {
  const { description, sounds } = hearing;
  const rate = description.input.sample_rate_hz;
  const blows: { readonly blow: Blow; readonly label: string }[] = [];
  for (const clip of impacts) {
    const blow = loudestBlow(await sounds.of(clip), rate, BLOW_LENGTH_S);
    const label = rightLabel(clip, description.labels);
    if (blow !== null && label !== null) blows.push({ blow, label });
  }
  const streets: HeardStreet[] = [];
  for (const snrDb of ratios) {
    const { heard, reference } = await hearStreet(hearing, blows, backgrounds, snrDb);
    const estimated = timedEvents(eventsIn(heard, description), description);
    streets.push({ snrDb, seconds: heard.length / rate, events: { reference, estimated } });
  }
  return streets;
}

/** Figures of the streets at each ratio, then of all of them; nothing of no streets. */
export function streetFigures(streets: readonly HeardStreet[]): StreetFigures[] {
  if (streets.length === 0) return [];
  const ratios = [...new Set(streets.map(({ snrDb }) => snrDb))];
  const each = ratios.map((ratio) =>
    figuresOf(
      streets.filter(({ snrDb }) => snrDb === ratio),
      ratio,
    ),
  );
  return [...each, figuresOf(streets, null)];
}

async function hearStreet(
  hearing: Hearing,
  blows: readonly { readonly blow: Blow; readonly label: string }[],
  backgrounds: readonly Clip[],
  snrDb: number,
): Promise<{ readonly reference: readonly TimedEvent[]; readonly heard: HeardSound }> {
  const sampleRateHz = hearing.description.input.sample_rate_hz;
  const random = new SeededRandom(`street ${snrDb} ${hearing.seed}`);
  const under = backgrounds.map((clip) => () => hearing.sounds.of(clip));
  const length = Math.round((blows.length + 1) * BLOW_EVERY_S * sampleRateHz);
  const street = new Float32Array(length);
  let filled = 0;
  for await (const piece of assembled(under, length / sampleRateHz, { sampleRateHz, random })) {
    street.set(piece, filled);
    filled += piece.length;
  }
  const reference: TimedEvent[] = [];
  for (const [i, { blow, label }] of random.shuffled(blows).entries()) {
    const onset = Math.round(((i + 1) * BLOW_EVERY_S + random.between(-0.5, 0.5)) * sampleRateHz);
    const around = street.subarray(Math.max(0, onset - sampleRateHz / 2), onset + sampleRateHz / 2);
    const gain = Math.sqrt((Math.max(LEAST_POWER, meanPower(around)) * 10 ** (snrDb / 10)) / blow.power);
    blow.samples.forEach((sample, k) => {
      street[onset + k] = (street[onset + k] ?? 0) + gain * sample;
    });
    reference.push({ onsetS: onset / sampleRateHz, label });
  }
  const peak = street.reduce((most, sample) => Math.max(most, Math.abs(sample)), 1);
  async function* pieces() {
    for (let at = 0; at < street.length; at += sampleRateHz) {
      yield street.subarray(at, at + sampleRateHz).map((sample) => sample / peak);
    }
  }
  return { reference, heard: await hearSound(hearing.scorer, hearing.description, told(hearing, pieces())) };
}

function figuresOf(judged: readonly HeardStreet[], snrDb: number | null): StreetFigures {
  const seconds = judged.reduce((sum, each) => sum + each.seconds, 0);
  const metrics = eventMetrics(judged.map(({ events }) => events));
  const errors = judged.flatMap(({ events }) => onsetErrors(events)).sort((a, b) => a - b);
  const sizes = errors.map(Math.abs).sort((a, b) => a - b);
  const pick = (values: readonly number[], share: number) => values[Math.ceil(share * values.length) - 1] ?? 0;
  const { estimated, hits } = metrics.any_label;
  return {
    snr_db: snrDb,
    seconds,
    ...metrics,
    false_alarms_per_hour: seconds === 0 ? 0 : (estimated - hits) / (seconds / 3600),
    onset_error_s: errors.length === 0 ? null : { median: pick(errors, 0.5), p95: pick(sizes, 0.95) },
  };
}

function onsetErrors({ reference, estimated }: JudgedEvents): number[] {
  const truth = reference.map(({ onsetS }) => onsetS);
  const found = estimated.map(({ onsetS }) => onsetS);
  return matchOnsets(truth, found).map(([r, e]) => (found[e] ?? 0) - (truth[r] ?? 0));
}
