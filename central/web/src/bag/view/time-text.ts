/** Times of a bag as texts: moments in the viewer's zone as everywhere in the dashboard, exact UTC at hand, spans in units that fit. */
import { formatClock, formatDate, formatOffset, formatUtc } from '../../format/format-time.ts';
import { formatNumber } from '../../format/format-value.ts';

/** UTC nanoseconds of the moment `timeS` after `startNs` (decimal). */
function nsOf(startNs: string, timeS: number): bigint {
  return BigInt(startNs) + BigInt(Math.round(timeS * 1e9));
}

/** The same as a date of the page. */
export function momentOf(startNs: string, timeS: number): Date {
  return new Date(Number(nsOf(startNs, timeS) / 1_000_000n));
}

/** `14:05:09.120` in the viewer's zone, with as many digits as a span of `spanS` needs. */
export function clockText(startNs: string, timeS: number, spanS: number): string {
  if (spanS >= 120) return formatClock(momentOf(startNs, timeS));
  if (spanS >= 0.5) return formatClock(momentOf(startNs, timeS), true);
  const us = (nsOf(startNs, timeS) + 500n) / 1000n;
  return `${formatClock(new Date(Number(us / 1000n)))}.${String(us % 1_000_000n).padStart(6, '0')}`;
}

/** `2026-05-03 12:05:09.123456789 UTC`. */
export function utcText(startNs: string, timeS: number): string {
  return formatUtc(momentOf(startNs, timeS), String(nsOf(startNs, timeS)));
}

/** `2026-05-03 · UTC+2`: what a clock's time belongs to. */
export function dateText(startNs: string, timeS: number): string {
  const at = momentOf(startNs, timeS);
  return `${formatDate(at)} · ${formatOffset(at)}`;
}

/** `1 h 02 min`, `3 min 20 s`, `12.5 s`, `40 ms`. */
export function spanText(spanS: number): string {
  if (spanS >= 86_400) return `${formatNumber(spanS / 86_400, 1)}\u00a0d`;
  if (spanS >= 3600)
    return `${Math.floor(spanS / 3600)}\u00a0h ${String(Math.floor((spanS % 3600) / 60)).padStart(2, '0')}\u00a0min`;
  if (spanS >= 60)
    return `${Math.floor(spanS / 60)}\u00a0min ${String(Math.floor(spanS % 60)).padStart(2, '0')}\u00a0s`;
  if (spanS >= 1) return `${formatNumber(spanS, spanS >= 10 ? 1 : 2)}\u00a0s`;
  return `${formatNumber(spanS * 1000, spanS >= 0.1 ? 0 : 1)}\u00a0ms`;
}

const steps = [
  1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120,
  300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
];

/** Round moments of the viewer's clock in a span, no closer than `leastPx`: seconds from the bag's start, and the distance. */
export function rulerTicks(startNs: string, fromS: number, toS: number, width: number, leastPx: number) {
  const least = ((toS - fromS) * leastPx) / Math.max(1, width);
  const step = steps.find((one) => one >= least) ?? Math.ceil(least / 86_400) * 86_400;
  const zoneS = step >= 1800 ? -momentOf(startNs, fromS).getTimezoneOffset() * 60 : 0;
  // The bag's start within a step, so that ticks stand on the clock's round moments.
  const stepNs = BigInt(Math.round(step * 1e9));
  const offsetS = Number((BigInt(startNs) + BigInt(zoneS) * 1_000_000_000n) % stepNs) / 1e9;
  const ticks: number[] = [];
  for (let tick = Math.ceil((fromS + offsetS) / step) * step - offsetS; tick <= toS && ticks.length < 200; tick += step)
    ticks.push(tick);
  return { step, ticks };
}
