/** Numbers as the dashboard writes them. */
import { fieldMeaning } from './field-catalogue.ts';

const minus = (text: string) => text.replace('-', '−');

/** A number with fixed digits and thin groups: `1 013.2`; an en dash for nothing. */
export function formatNumber(value: number | null | undefined, digits = 0): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  const [whole = '', fraction] = Math.abs(value).toFixed(digits).split('.');
  const grouped = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, '\u202f') : whole;
  const text = fraction === undefined ? grouped : `${grouped}.${fraction}`;
  return value < 0 && Number(value.toFixed(digits)) !== 0 ? minus(`-${text}`) : text;
}

/** `1 message`, `2 messages`. @param noun in the singular. */
export function formatCount(count: number, noun: string): string {
  return `${formatNumber(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** A field's stored value in its shown unit, without the unit. */
export function formatFieldValue(field: string, value: number | null | undefined): string {
  const { scale, digits } = fieldMeaning(field);
  return formatNumber(value === null || value === undefined ? null : value * scale, digits);
}

/** Bytes in binary units: `1.5 MiB`. */
export function formatBytes(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined || !Number.isFinite(bytes)) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  const step = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${formatNumber(bytes / 1024 ** step, step === 0 ? 0 : 1)}\u00a0${units[step]}`;
}

/** A duration in seconds: `0.42 s`, `12.5 s`. */
export function formatSeconds(seconds: number | null | undefined): string {
  return seconds === null || seconds === undefined ? '–' : `${formatNumber(seconds, seconds < 10 ? 2 : 1)}\u00a0s`;
}

/** A duration of any length: `0.42 s`, `3 min 20 s`, `2 h 5 min`. */
export function formatDuration(seconds: number): string {
  if (seconds < 120) return formatSeconds(seconds);
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours > 0 ? `${hours}\u00a0h ${minutes}\u00a0min` : `${minutes}\u00a0min ${whole % 60}\u00a0s`;
}

/** A score from 0 to 1 with two digits; never rounded up to 1.00 when it is below. */
export function formatScore(score: number): string {
  return (score < 1 ? Math.min(score, 0.994999) : score).toFixed(2);
}

/** `glass_break` → `Glass break`. */
export function labelTitle(label: string): string {
  const words = label.replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** How many records inclusive sequence ranges hold. */
export function countRanges(ranges: readonly (readonly [number | string, number | string])[]): number {
  let count = 0n;
  for (const [first, last] of ranges) count += BigInt(last) - BigInt(first) + 1n;
  return Number(count);
}
