/** Owns spans of time as people give them to the bag tools. */

import { RecordingError } from './error.ts';

/** From `fromNs` until before `toNs`, UTC nanoseconds; absent where it is open. */
export interface TimeSpan {
  readonly fromNs?: bigint;
  readonly toNs?: bigint;
}

const nsPerUnit: Readonly<Record<string, number>> = { ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };
const isoPattern = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:?\d\d)?)?$/;

/**
 * Reads a moment: `2026-11-21T06:30:00.5Z` (UTC when it names no zone), nanoseconds since 1970 (over 12 digits), or an offset from
 * the bag's first message: `90s`, `1m30s`, `1.5h`.
 * @throws RecordingError `usage` for anything else.
 */
export function parseMoment(text: string, bagStartNs: bigint): bigint {
  if (/^\d{13,19}$/.test(text)) return BigInt(text);
  const iso = isoPattern.exec(text);
  if (iso !== null) {
    const [, day, minutes = '00:00', seconds = '00', fraction = '', zone = 'Z'] = iso;
    const ms = Date.parse(`${day}T${minutes}:${seconds}${zone.replace(/^([+-]\d\d)(\d\d)$/, '$1:$2')}`);
    if (!Number.isNaN(ms)) return BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
  }
  if (/^\+?(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/.test(text)) {
    let ns = 0;
    for (const [, value, unit = 's'] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) {
      ns += Number(value) * (nsPerUnit[unit] ?? 0);
    }
    if (Number.isSafeInteger(Math.round(ns))) return bagStartNs + BigInt(Math.round(ns));
  }
  throw new RecordingError(
    'usage',
    `time: expected 2026-11-21T06:30:00Z, an offset from the bag's start like 90s or 1m30s, or nanoseconds since 1970, found '${text}'`,
  );
}

/** A span from the two options of a command line. @throws RecordingError `usage` also when it is empty. */
export function parseSpan(from: string | undefined, to: string | undefined, bagStartNs: bigint): TimeSpan {
  const fromNs = from === undefined ? undefined : parseMoment(from, bagStartNs);
  const toNs = to === undefined ? undefined : parseMoment(to, bagStartNs);
  if (fromNs !== undefined && toNs !== undefined && toNs <= fromNs) {
    throw new RecordingError('usage', `time: expected --from before --to, found '${from}' and '${to}'`);
  }
  return { ...(fromNs === undefined ? {} : { fromNs }), ...(toNs === undefined ? {} : { toNs }) };
}

/** The earliest of times, or null without any. */
export function earliest(times: Iterable<bigint | null>): bigint | null {
  let found: bigint | null = null;
  for (const time of times) if (time !== null && (found === null || time < found)) found = time;
  return found;
}

/** The latest of times, or null without any. */
export function latest(times: Iterable<bigint | null>): bigint | null {
  let found: bigint | null = null;
  for (const time of times) if (time !== null && (found === null || time > found)) found = time;
  return found;
}

/** `Date` ends there. */
const lastIsoNs = 8_640_000_000_000_000_000_000n;

/** UTC with nine digits behind the second. */
export function isoTime(ns: bigint): string {
  const fraction = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  const ms = (ns - fraction) / 1_000_000n;
  if (ns > lastIsoNs || ns < -lastIsoNs) return String(ns);
  return `${new Date(Number(ms)).toISOString().slice(0, -5)}.${String(fraction).padStart(9, '0')}Z`;
}
