/** Times as the REST contract writes them. */
import type { Clock } from '../api/schemas.ts';

/** What is stored of a time: whether the vehicle's clock was synchronised then, and what it said where central knows better. */
export interface KnownTime {
  readonly synchronised: boolean;
  readonly capturedAtNs: bigint;
  /** Equal to `capturedAtNs` where the clock had been set before in that boot, and ran on without a step. */
  readonly originalNs: bigint | null;
}

/** What is known of a stored time. */
export function clockOf({ synchronised, capturedAtNs, originalNs }: KnownTime): Clock {
  if (synchronised || originalNs === capturedAtNs) return 'synchronised';
  return originalNs === null ? 'unsynchronised' : 'corrected';
}

/** The vehicle's own time where it was put right, else undefined. */
export function originalAtOf({ capturedAtNs, originalNs }: KnownTime): string | undefined {
  return originalNs === null || originalNs === capturedAtNs ? undefined : atOfNs(originalNs);
}

/** RFC 3339 in UTC with milliseconds, of UTC nanoseconds since 1970; what no calendar date can show becomes its limit. */
export function atOfNs(ns: bigint): string {
  return atOfMs(Number(ns / 1_000_000n));
}

const latestMs = Date.parse('9999-12-31T23:59:59.999Z');
const earliestMs = Date.parse('0001-01-01T00:00:00.000Z');

/** RFC 3339 in UTC with milliseconds, of milliseconds since 1970. */
export function atOfMs(ms: number): string {
  return new Date(Math.min(latestMs, Math.max(earliestMs, ms))).toISOString();
}

/** Half of what 64 bits hold, so that differences fit too: the years 1823 to 2116. */
const limitMs = 2 ** 62 / 1e6;

/** UTC nanoseconds since 1970 of an RFC 3339 time, to the millisecond; a year before 1824 or after 2115 becomes that limit. */
export function nsOfAt(at: string): bigint {
  return BigInt(Math.trunc(Math.min(limitMs, Math.max(-limitMs, Date.parse(at))))) * 1_000_000n;
}
