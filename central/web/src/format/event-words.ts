/** What an event says in words: whence the sound came, what the air was like. */
import type { EventReading, ImpactEvent } from '../api/types.ts';
import { fieldMeaning } from './field-catalogue.ts';
import { formatFieldValue } from './format-value.ts';

const sectors = ['Front', 'Front left', 'Left', 'Rear left', 'Rear', 'Rear right', 'Right', 'Front right'] as const;

/** Below this the place is only a guess, and asked rather than said. */
const sureFrom = 0.75;

/** `Front left`, with a question mark where it is not sure; each sector is 45° wide. Degrees as in the API: +90 is left. */
export function placeWords(azimuthDeg: number, confidence: number | null): string {
  const place = sectors[((Math.round(azimuthDeg / 45) % 8) + 8) % 8] ?? sectors[0];
  return confidence !== null && confidence >= sureFrom ? place : `${place}?`;
}

/** `30° left`, `150° right`, `0° ahead`, `180° behind`. */
export function degreesWords(azimuthDeg: number): string {
  const degrees = Math.round(Math.abs(azimuthDeg));
  if (degrees === 0) return '0° ahead';
  if (degrees === 180) return '180° behind';
  return `${degrees}° ${azimuthDeg > 0 ? 'left' : 'right'}`;
}

const levels = { raised: 'Raised', high: 'High', very_high: 'Very high' } as const;

/** The level of an event of the air; empty for others. */
export function levelWords({ level }: ImpactEvent): string {
  return level === null ? '' : levels[level];
}

/** `412 µg/m³`; a unit stands only where the name has one. */
export function readingText(name: string, value: number | null): string {
  const { unit } = fieldMeaning(name);
  return value === null ? '–' : `${formatFieldValue(name, value)}${unit === '' ? '' : `\u00a0${unit}`}`;
}

/** The reading that says most, in a few words: `PM2.5 412 µg/m³`. */
export function shortReading([first]: readonly EventReading[]): string {
  return first === undefined ? '' : `${fieldMeaning(first.name).short} ${readingText(first.name, first.value)}`;
}

const kinds = { impact: 'Impacts', snapshot: 'Snapshots', air: 'Air', drift: 'Model drift' } as const;
export type EventKind = ImpactEvent['kind'];
export const eventKinds = Object.keys(kinds) as readonly EventKind[];

/** All events of a kind together. */
export function kindTitle(kind: EventKind): string {
  return kinds[kind];
}
