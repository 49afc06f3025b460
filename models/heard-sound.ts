/**
 * Sound that a model has heard once: the scores of its windows and its energies, from which events at any threshold follow
 * without asking the model again, the same ones that an ImpactDetector finds.
 */
import { relativeToBefore } from './ambience.ts';
import { type ModelDescription, windowSamples } from './description.ts';
import { EventMaker, type MadeEvent } from './event-maker.ts';
import type { TimedEvent } from './event-metrics.ts';
import { EnergyTrace } from './onset.ts';
import type { Scorer } from './session.ts';
import { SlidingWindows } from './windows.ts';

/** Windows scored in one run; bounds the memory, and more saves no time. */
const BATCH = 4;

export interface HeardSound {
  /** [windows × labels], a window each hop. */
  readonly scores: Float32Array;
  /** The same beside the ambience, as the detector judges them (ambience.ts). */
  readonly relative: Float32Array;
  /** Of all of it. */
  readonly energy: EnergyTrace;
  /** Length in samples. */
  readonly length: number;
}

/** Hears a mono sound at the model's rate, −1 to 1, that comes in pieces; one shorter than a window is padded with silence. */
export async function hearSound(
  scorer: Scorer,
  description: ModelDescription,
  pieces: AsyncIterable<Float32Array> | Iterable<Float32Array>,
): Promise<HeardSound> {
  const { window, hop } = windowSamples(description);
  const rate = description.input.sample_rate_hz;
  const windows = new SlidingWindows(window, hop);
  const audio = new Float32Array(BATCH * window);
  const scores: Float32Array[] = [];
  const energy = new EnergyTrace(rate, Number.POSITIVE_INFINITY);
  let length = 0;
  let waiting = 0;
  const score = async (): Promise<void> => {
    if (waiting > 0) {
      scores.push(await scorer.run(audio.subarray(0, waiting * window), waiting));
    }
    waiting = 0;
  };
  const take = async (piece: Float32Array): Promise<void> => {
    for (const { samples } of windows.push(piece)) {
      audio.set(samples, waiting * window);
      waiting += 1;
      if (waiting === BATCH) {
        await score();
      }
    }
  };
  for await (const piece of pieces) {
    length += piece.length;
    energy.push(piece);
    await take(piece);
  }
  if (length < window) {
    await take(new Float32Array(window - length));
  }
  await score();
  const all = endToEnd(scores);
  return { scores: all, relative: relativeToBefore(all, description), energy, length };
}

/** The events in it, in order; `thresholds` by label, default the description's. */
export function eventsIn(
  { relative, energy, length }: HeardSound,
  description: ModelDescription,
  thresholds: ModelDescription['thresholds'] = description.thresholds,
): MadeEvent[] {
  const { window, hop } = windowSamples(description);
  const labels = description.labels.length;
  const maker = new EventMaker(description, energy, thresholds);
  const made: MadeEvent[] = [];
  for (let at = 0, start = 0; at < relative.length; at += labels, start += hop) {
    energy.reach(start + window);
    maker.judge(relative.subarray(at, at + labels), start, start + window, made);
  }
  energy.reach(length);
  maker.finish(length, made);
  return made;
}

/** Events with their labels' names and seconds. */
export function timedEvents(made: readonly MadeEvent[], description: ModelDescription): TimedEvent[] {
  const rate = description.input.sample_rate_hz;
  return made.map(({ onset, label }) => ({ onsetS: onset / rate, label: description.labels[label] ?? '' }));
}

function endToEnd(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
