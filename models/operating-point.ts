/**
 * Where to set the threshold: from sound heard once, the false alarms an hour and the recall of every threshold, and the
 * threshold that keeps within a budget of false alarms or reaches a recall.
 */
import type { ModelDescription } from './description.ts';
import { eventsIn, type HeardSound } from './heard-sound.ts';

/** Evenly in log-odds from 0.0025 to 0.99995, where calibrated probabilities of rare events lie. */
const THRESHOLDS: readonly number[] = Array.from({ length: 321 }, (_, i) => 1 / (1 + Math.exp(6 - i / 20)));

/** What a model heard, with the description that says how its scores become events. */
export interface Heard {
  readonly description: ModelDescription;
  /** Clips with an impact each. */
  readonly impacts: readonly HeardSound[];
  /** Sound without any impact. */
  readonly quiet: readonly HeardSound[];
}

/** One threshold for every label, and what it does. */
export interface OperatingPoint {
  readonly threshold: number;
  /** Share of the clips with an impact in which at least one event is found; null without such clips. */
  readonly recall: number | null;
  readonly false_alarms: number;
  readonly false_alarms_per_hour: number;
}

/** The same threshold for every label of a description. */
export function oneThreshold(description: ModelDescription, threshold: number): ModelDescription['thresholds'] {
  return Object.fromEntries(description.labels.slice(1).map((label) => [label, threshold]));
}

/** What happens at a threshold; null stands for each description's own thresholds. */
export function measuredAt(
  heard: readonly Heard[],
  threshold: number | null,
): Omit<OperatingPoint, 'threshold'> & { readonly found: number; readonly impacts: number } {
  const [found, impacts] = foundAt(heard, threshold);
  const alarms = falseAlarmsAt(heard, threshold);
  const hours = quietHours(heard);
  return {
    recall: impacts === 0 ? null : found / impacts,
    found,
    impacts,
    false_alarms: alarms,
    false_alarms_per_hour: hours === 0 ? 0 : alarms / hours,
  };
}

/** Hours of sound without impact. */
export function quietHours(heard: readonly Heard[]): number {
  const hours = ({ description, quiet }: Heard) =>
    quiet.reduce((sum, { length }) => sum + length, 0) / description.input.sample_rate_hz / 3600;
  return heard.reduce((sum, each) => sum + hours(each), 0);
}

/** The highest threshold that finds at least `recall` (0 to 1) of the impacts; null when none does, or there are none. */
export function pointForRecall(heard: readonly Heard[], recall: number): OperatingPoint | null {
  const threshold = THRESHOLDS.findLast((each) => {
    const [found, impacts] = foundAt(heard, each);
    return impacts > 0 && found >= recall * impacts - 1e-9;
  });
  return threshold === undefined ? null : pointAt(heard, threshold);
}

/**
 * The lowest threshold from which on there are never more than `perHour` false alarms an hour. Null when there is none, or no
 * sound without impacts. With a budget of 2 and an hour of sound a threshold stands on two sounds: give it more hours.
 */
export function pointForBudget(heard: readonly Heard[], perHour: number): OperatingPoint | null {
  const hours = quietHours(heard);
  const tooMany = THRESHOLDS.findLastIndex((each) => falseAlarmsAt(heard, each) > perHour * hours + 1e-9);
  const threshold = THRESHOLDS[tooMany + 1];
  return hours === 0 || threshold === undefined ? null : pointAt(heard, threshold);
}

/** Every threshold with recall and false alarms, for the curve; those that differ from the one before. */
export function curveOf(heard: readonly Heard[]): OperatingPoint[] {
  const points = THRESHOLDS.map((threshold) => pointAt(heard, threshold));
  return points.filter((point, i) => {
    const before = points[i - 1];
    return before === undefined || before.recall !== point.recall || before.false_alarms !== point.false_alarms;
  });
}

function pointAt(heard: readonly Heard[], threshold: number): OperatingPoint {
  const { recall, false_alarms, false_alarms_per_hour } = measuredAt(heard, threshold);
  return { threshold: Math.round(threshold * 1e5) / 1e5, recall, false_alarms, false_alarms_per_hour };
}

function foundAt(heard: readonly Heard[], threshold: number | null): [found: number, impacts: number] {
  let found = 0;
  let impacts = 0;
  for (const { description, impacts: clips } of heard) {
    const thresholds = threshold === null ? description.thresholds : oneThreshold(description, threshold);
    found += clips.filter((clip) => eventsIn(clip, description, thresholds).length > 0).length;
    impacts += clips.length;
  }
  return [found, impacts];
}

function falseAlarmsAt(heard: readonly Heard[], threshold: number | null): number {
  let alarms = 0;
  for (const { description, quiet } of heard) {
    const thresholds = threshold === null ? description.thresholds : oneThreshold(description, threshold);
    alarms += quiet.reduce((sum, sound) => sum + eventsIn(sound, description, thresholds).length, 0);
  }
  return alarms;
}
