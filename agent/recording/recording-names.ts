/**
 * Owns the names of recordings: UTC start and a running number, as `2026-11-21T06-48-40Z_000123`. The number tells which one came
 * first, also where the clock was wrong.
 */

import { readdir } from 'node:fs/promises';

const numbered = /Z_(\d{6,})$/;

/** @param startNs UTC nanoseconds. */
export function recordingName(startNs: bigint, number: number): string {
  const time = new Date(Number(startNs / 1_000_000n)).toISOString();
  return `${time.slice(0, 19).replaceAll(':', '-')}Z_${String(number).padStart(6, '0')}`;
}

/** The number after the highest in a folder of recordings; 1 in an empty one, or in none. */
export async function nextRecordingNumber(recordings: string): Promise<number> {
  const names = await readdir(recordings).catch(() => []);
  return names.reduce((next, name) => Math.max(next, numberOf(name) + 1), 1);
}

/** Sorts names of recordings from the oldest to the newest; those without a number come first. */
export function byAge(a: string, b: string): number {
  return numberOf(a) - numberOf(b) || (a < b ? -1 : 1);
}

function numberOf(name: string): number {
  return Number(numbered.exec(name)?.[1] ?? 0);
}
