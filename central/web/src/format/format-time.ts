/** Times as the dashboard writes them: in the viewer's zone, unambiguous, with exact UTC at hand. */

const two = (value: number) => String(value).padStart(2, '0');

/** `2026-05-03`, in the viewer's zone. */
export function formatDate(at: Date): string {
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

/** `14:05:09`, in the viewer's zone; with milliseconds on demand. */
export function formatClock(at: Date, milliseconds = false): string {
  const seconds = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return milliseconds ? `${seconds}.${String(at.getMilliseconds()).padStart(3, '0')}` : seconds;
}

/**
 * Exact UTC, to the nanosecond when `ns` (nanoseconds since 1970, decimal) is known: `2026-05-03 12:05:09.123456789 UTC`.
 */
export function formatUtc(at: Date, ns?: string): string {
  if (Number.isNaN(at.getTime())) return 'unknown time';
  const iso = at.toISOString().replace('T', ' ');
  const known = ns !== undefined && /^\d{10,}$/.test(ns);
  return known ? `${iso.slice(0, 19)}.${ns.slice(-9)} UTC` : `${iso.slice(0, -1)} UTC`;
}

/** How long ago, coarsely: `now`, `12 s ago`, `5 min ago`, `3 h ago`, `2 d ago`; the future (skewed clocks) is `now`. */
export function formatAgo(at: Date, now: Date): string {
  const seconds = Math.floor((now.getTime() - at.getTime()) / 1000);
  if (Number.isNaN(seconds)) return 'unknown';
  if (seconds < 2) return 'now';
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

/** The viewer's zone: `Europe/Berlin`. */
export function zoneName(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** The offset of the viewer's zone at a moment, which is another one in summer: `UTC+2`. */
export function formatOffset(at: Date): string {
  const minutes = -at.getTimezoneOffset();
  const sign = minutes < 0 ? '−' : '+';
  const hours = Math.floor(Math.abs(minutes) / 60);
  const rest = Math.abs(minutes) % 60;
  return `UTC${sign}${hours}${rest === 0 ? '' : `:${two(rest)}`}`;
}

/** The viewer's zone and its offset: `Europe/Berlin, UTC+2`. */
export function formatZone(now: Date): string {
  return `${zoneName()}, ${formatOffset(now)}`;
}

/** The value a `datetime-local` field takes for a moment, to the second, in the viewer's zone. */
export function toLocalField(at: Date): string {
  return `${formatDate(at)}T${formatClock(at)}`;
}

/** What a `datetime-local` field holds, as RFC 3339; undefined when it is empty or wrong. */
export function fromLocalField(text: string): string | undefined {
  const at = new Date(text);
  return text === '' || Number.isNaN(at.getTime()) ? undefined : at.toISOString();
}
