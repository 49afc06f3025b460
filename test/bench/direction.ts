/** Measures how well directions are found on a simulated array, by real knocks and breaking glass where they are there, and what it costs. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { bodyImpact } from '../../drivers/uma8/generated/body-impact.ts';
import { glassBreak } from '../../drivers/uma8/generated/glass-break.ts';
import { Random } from '../../drivers/uma8/generated/random.ts';
import { decodeClip, readClips } from '../../models/clips.ts';
import { apartDeg, drawEvent, find, LEAD_FRAMES, type Surroundings } from '../agent/direction/simulated-events.ts';

const CLIPS = join(import.meta.dirname, '../../../shared/data/esc50/clips.csv');
/** Band, weights and the regression of the confidence were chosen on folds 1 to 3. */
const FOLD = '4';
const SOUND_FRAMES = 8_600;
const SURROUNDINGS: readonly (Surroundings & { readonly name: string })[] = [
  { name: 'free field, 0 dB', snrDb: 0, noiseSlope: 0, cabin: false },
  { name: 'free field, 10 dB', snrDb: 10, noiseSlope: 0, cabin: false },
  { name: 'free field, 20 dB', snrDb: 20, noiseSlope: 0, cabin: false },
  { name: 'car cabin with reflections, 0 dB', snrDb: 0, noiseSlope: 1, cabin: true },
  { name: 'car cabin with reflections, 10 dB', snrDb: 10, noiseSlope: 1, cabin: true },
  { name: 'car cabin with reflections, 20 dB', snrDb: 20, noiseSlope: 1, cabin: true },
];

export interface DirectionFigures {
  readonly sounds: string;
  readonly cases: readonly {
    readonly name: string;
    readonly events: number;
    /** Events for which no direction was told. */
    readonly untold: number;
    readonly medianDeg: number;
    readonly p90Deg: number;
    readonly within20: number;
    /** Mean confidence told: it should be `within20` of the told ones. */
    readonly meanConfidence: number;
  }[];
  readonly medianMs: number;
  readonly p95Ms: number;
}

/** `each`: how often every sound is played in each of the surroundings. */
export async function benchDirection(each: number, onCase?: (name: string) => void): Promise<DirectionFigures> {
  const { name: sounds, impacts } = await loadImpacts();
  const times: number[] = [];
  const cases = SURROUNDINGS.map((surroundings, i) => {
    onCase?.(surroundings.name);
    const random = new Random(2024 + i, 3);
    const errors: number[] = [];
    const confidences: number[] = [];
    for (const impact of Array.from({ length: each }, () => impacts).flat()) {
      const event = drawEvent(impact, surroundings, random);
      const { direction, tookMs } = find(event);
      times.push(tookMs);
      if (direction === null) continue;
      errors.push(apartDeg(direction.azimuthDeg, event.azimuthDeg));
      confidences.push(direction.confidence);
    }
    errors.sort((a, b) => a - b);
    return {
      name: surroundings.name,
      events: impacts.length * each,
      untold: impacts.length * each - errors.length,
      medianDeg: quantile(errors, 0.5),
      p90Deg: quantile(errors, 0.9),
      within20: errors.filter((error) => error <= 20).length / Math.max(1, errors.length),
      meanConfidence: confidences.reduce((sum, value) => sum + value, 0) / Math.max(1, confidences.length),
    };
  });
  times.sort((a, b) => a - b);
  return { sounds, cases, medianMs: quantile(times, 0.5), p95Ms: quantile(times, 0.95) };
}

async function loadImpacts(): Promise<{ name: string; impacts: Float32Array[] }> {
  if (!existsSync(CLIPS)) {
    const random = new Random(5, 1);
    const impacts = Array.from({ length: 16 }, (_, i) =>
      begun((i % 2 === 0 ? bodyImpact : glassBreak)(random.fork(), 48_000).samples),
    );
    return { name: '16 generated impacts', impacts };
  }
  const wanted = ['door_knock', 'glass_breaking'];
  const clips = (await readClips(CLIPS)).filter((clip) => clip.fold === FOLD && wanted.includes(clip.class));
  const impacts: Float32Array[] = [];
  for (const clip of clips) impacts.push(begun(await decodeClip(clip.path, 48_000)));
  return { name: `${clips.length} real knocks and breaking panes (fold ${FOLD})`, impacts };
}

/** The sound from LEAD_FRAMES before its steepest rise of energy on, silence before the clip's beginning included. */
function begun(sound: Float32Array): Float32Array {
  const step = 240;
  let before = 0;
  let steepest = { rise: 0, at: 0 };
  for (let at = 0; at + step <= sound.length - SOUND_FRAMES / 2; at += step) {
    let energy = 0;
    for (let i = at; i < at + step; i++) energy += ((sound[i] as number) - (sound[i - 1] ?? 0)) ** 2;
    if (energy - before > steepest.rise) steepest = { rise: energy - before, at };
    before = Math.max(energy, 0.8 * before);
  }
  const begun = new Float32Array(SOUND_FRAMES);
  for (let i = 0; i < SOUND_FRAMES; i++) begun[i] = sound[steepest.at - LEAD_FRAMES + i] ?? 0;
  return begun;
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
