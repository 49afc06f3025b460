/**
 * Remembers on disk what the air detectors have learnt and which of their events go on, so that a drive of some minutes profits from the
 * one before, and an event that the agent's end interrupted is ended.
 */
import { open, readFile, rename } from 'node:fs/promises';
import type { AirLevel, EventReading } from '../messages/messages.ts';
import type { LearntAir } from './air-judge.ts';

/** An event that went on when this was written, as it was last told: the update that ends it must say all of it once more. */
export interface OpenEvent {
  /** UUID. */
  readonly event_id: string;
  readonly duration_s: number;
  readonly level?: AirLevel;
  readonly detail?: string;
  readonly readings?: readonly EventReading[];
}

/** What outlives the agent. */
export interface AirState {
  readonly learnt: LearntAir;
  readonly open: readonly OpenEvent[];
}

const NOTHING: AirState = { learnt: { particles: null, gas: null }, open: [] };
/** There are two labels; more is no state of ours. */
const MOST_OPEN = 2;
const LEVELS: ReadonlySet<unknown> = new Set<AirLevel>(['raised', 'high', 'very_high']);
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Reads what `writeAirState` wrote; nothing learnt where there is none, or it is damaged. */
export async function readAirState(path: string): Promise<AirState> {
  const text = await readFile(path, 'utf8').catch(() => '');
  try {
    const { learnt, open: events } = JSON.parse(text) as Record<string, unknown>;
    const { particles, gas } = learnt as Record<string, unknown>;
    const known = Array.isArray(events) ? (events as unknown[]).slice(0, MOST_OPEN).filter(isOpenEvent) : [];
    return { learnt: { particles: numberOf(particles), gas: numberOf(gas) }, open: known };
  } catch {
    return NOTHING;
  }
}

/** Replaces the file at once or not at all. Rejects when the disk refuses. */
export async function writeAirState(path: string, state: AirState): Promise<void> {
  const file = await open(`${path}.new`, 'w');
  try {
    await file.writeFile(JSON.stringify(state));
    await file.datasync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
}

/** A logarithm that sensors can have meant. */
function numberOf(value: unknown): number | null {
  return typeof value === 'number' && Math.abs(value) < 30 ? value : null;
}

function isOpenEvent(value: unknown): value is OpenEvent {
  const { event_id: id, duration_s: durationS, level, detail, readings } = (value ?? {}) as Record<string, unknown>;
  if (typeof id !== 'string' || !UUID.test(id) || typeof durationS !== 'number' || !(durationS >= 0)) return false;
  if (level !== undefined && !LEVELS.has(level)) return false;
  if (detail !== undefined && typeof detail !== 'string') return false;
  return readings === undefined || (Array.isArray(readings) && readings.every(isReading));
}

function isReading(value: unknown): value is EventReading {
  const { name, value: measured, baseline = 0 } = (value ?? {}) as Record<string, unknown>;
  return typeof name === 'string' && typeof measured === 'number' && typeof baseline === 'number';
}
