/**
 * What the synchronised stamps of one boot say about its clock, and the time of an unsynchronised stamp by it. Pure.
 *
 * UTC − monotonic is a constant between two steps of the system clock, so a boot is a short list of spans. Within a span
 * the stamp with the smallest estimated error counts. A synchronised stamp is never changed.
 */

/** A run of synchronised stamps between which the clock made no step; offsets are UTC − monotonic. All in nanoseconds. */
export interface ClockSpan {
  /** The earliest synchronised stamp known of it, and its offset. */
  readonly firstMonotonicNs: bigint;
  readonly firstOffsetNs: bigint;
  /** The offset that counts, and the estimated error of the stamp it is from. */
  readonly offsetNs: bigint;
  readonly errorNs: bigint;
}

/** What is read of a stamp; `estimatedErrorNs` null or negative: unknown. */
export interface ReadStamp {
  readonly capturedAtNs: bigint;
  readonly monotonicNs: bigint;
  readonly estimatedErrorNs: bigint | null;
}

/** What a stamp taught: the spans now, and from which monotonic time on unsynchronised stamps get another time; null: none. */
export interface Learnt {
  readonly spans: readonly ClockSpan[];
  readonly changedFromNs: bigint | null;
}

/** Offsets further apart are a step. Vehicles slew what is smaller than 50 ms, so a few slews stay in one span. */
const stepNs = 500_000_000n;
/** A better stamp whose offset differs by less changes nothing: what was put right need not be moved again. */
const improvementNs = 1_000_000n;
/** More steps than this in a boot are a fault of the vehicle; further ones are not learnt. */
const maxSpans = 16;
const unknownErrorNs = 2n ** 62n;
/** Before every monotonic time. */
const beforeAllNs = -(2n ** 63n);
/** Times of the years 1823 to 2116, and uptimes of up to 73 years, are believed: their differences fit 64 bits. */
const limitNs = 2n ** 62n;
const uptimeLimitNs = 2n ** 61n;

/** Takes one synchronised stamp into the spans (in order of `firstMonotonicNs`). Saying it again changes nothing. */
export function learn(spans: readonly ClockSpan[], stamp: ReadStamp): Learnt {
  const { capturedAtNs, monotonicNs, estimatedErrorNs } = stamp;
  if (!isWithin(capturedAtNs, limitNs) || !isWithin(monotonicNs, uptimeLimitNs)) return { spans, changedFromNs: null };
  const offsetNs = capturedAtNs - monotonicNs;
  const errorNs = estimatedErrorNs === null || estimatedErrorNs < 0n ? unknownErrorNs : estimatedErrorNs;
  const after = spans.findIndex(({ firstMonotonicNs }) => firstMonotonicNs > monotonicNs);
  const next = after < 0 ? spans.length : after;
  const current = spans[next - 1];
  const coming = spans[next];
  if (current !== undefined && isNear(offsetNs, current.offsetNs)) {
    const better = improved(current, offsetNs, errorNs);
    if (better === current) return { spans, changedFromNs: null };
    const moved = better.offsetNs !== current.offsetNs;
    return {
      spans: spans.with(next - 1, better),
      changedFromNs: moved ? (spans[next - 2]?.firstMonotonicNs ?? beforeAllNs) : null,
    };
  }
  const before = current?.firstMonotonicNs ?? beforeAllNs;
  if (coming !== undefined && isNear(offsetNs, coming.offsetNs)) {
    const earlier = { ...improved(coming, offsetNs, errorNs), firstMonotonicNs: monotonicNs, firstOffsetNs: offsetNs };
    return { spans: spans.with(next, earlier), changedFromNs: changedBy(coming, earlier, before) };
  }
  if (spans.length >= maxSpans) return { spans, changedFromNs: null };
  const added = { firstMonotonicNs: monotonicNs, firstOffsetNs: offsetNs, offsetNs, errorNs };
  return { spans: spans.toSpliced(next, 0, added), changedFromNs: before };
}

/**
 * The UTC time in nanoseconds of an unsynchronised stamp; null when the boot never knew the time, or the result is none.
 *
 * - Before a span: monotonic + the span's offset. Where that would overtake the span's first stamp (the clock was still
 *   slewed backwards then), time runs at half speed up to it, so that the order of a boot is never broken.
 * - After a synchronised stamp, and not a step away from it: the vehicle's own clock goes on, and is right.
 * - After the last span, a step away from it: by that span.
 */
export function timeBy(spans: readonly ClockSpan[], stamp: Omit<ReadStamp, 'estimatedErrorNs'>): bigint | null {
  const { capturedAtNs, monotonicNs } = stamp;
  if (spans.length === 0) return null;
  const after = spans.findIndex(({ firstMonotonicNs }) => firstMonotonicNs > monotonicNs);
  const next = after < 0 ? undefined : spans[after];
  const current = after < 0 ? spans.at(-1) : spans[after - 1];
  if (current !== undefined && isNear(capturedAtNs - monotonicNs, current.offsetNs)) return capturedAtNs;
  const timeNs = monotonicNs + (next === undefined ? (current as ClockSpan).offsetNs : offsetBefore(next, monotonicNs));
  return isWithin(timeNs, limitNs) ? timeNs : null;
}

/** Whether a boot id tells one boot from another: where the kernel gives none, vehicles send zeros. */
export function isBootKnown(bootId: string): boolean {
  return /[1-9a-zA-Z]/.test(bootId);
}

function isWithin(ns: bigint, ofNs: bigint): boolean {
  return ns < ofNs && ns > -ofNs;
}

function isNear(offsetNs: bigint, spanNs: bigint): boolean {
  const apartNs = offsetNs - spanNs;
  return apartNs <= stepNs && apartNs >= -stepNs;
}

function improved(span: ClockSpan, offsetNs: bigint, errorNs: bigint): ClockSpan {
  if (errorNs >= span.errorNs) return span;
  const apartNs = offsetNs - span.offsetNs;
  const same = apartNs < improvementNs && apartNs > -improvementNs;
  return { ...span, errorNs, offsetNs: same ? span.offsetNs : offsetNs };
}

function offsetBefore({ firstMonotonicNs, firstOffsetNs, offsetNs }: ClockSpan, monotonicNs: bigint): bigint {
  const slewedNs = firstOffsetNs + (firstMonotonicNs - monotonicNs) / 2n;
  return slewedNs < offsetNs ? slewedNs : offsetNs;
}

/** From where on times are others when the beginning of a span moves to an earlier stamp. */
function changedBy(was: ClockSpan, now: ClockSpan, before: bigint): bigint {
  if (was.offsetNs !== now.offsetNs) return before;
  const slewNs = now.offsetNs - now.firstOffsetNs;
  const fromNs = now.firstMonotonicNs - (slewNs > 0n ? 2n * slewNs : 0n);
  return fromNs > before ? fromNs : before;
}
