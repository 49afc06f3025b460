/** Turns events into what the journal keeps of them until their clips are made, and back. */
import type { Stamp } from '../../drivers/sample.ts';
import type { EventKind, ImpactSample } from '../messages/messages.ts';
import type { OwedClip } from './impact-journal.ts';

/** What was stamped after a step of the clock may seem to end long after it began. */
const LONGEST_IMPACT_NS = 60_000_000_000n;

/** How long the sound lasted, in ns; 0 where a step of the clock stands between its beginning and its end. */
export function durationNs({ captured_at_ns: startNs, end_ns: endNs }: OwedClip): bigint {
  const ns = endNs - startNs;
  return ns >= 0n && ns <= LONGEST_IMPACT_NS ? ns : 0n;
}

/** The event as the journal keeps it, not committed yet. */
export function toOwed(sample: ImpactSample): OwedClip {
  const { stamp, endNs, eventId, label, score, scores, model, pressureChangePa } = sample;
  const { kind = 'impact', direction, level, detail, readings, ongoing } = sample;
  return {
    event_id: eventId,
    committed: false,
    captured_at_ns: stamp.capturedAtNs,
    monotonic_ns: stamp.monotonicNs,
    boot_id: stamp.bootId,
    synchronised: stamp.synchronised,
    estimated_error_ns: stamp.estimatedErrorNs,
    end_ns: endNs,
    label,
    score,
    scores: { ...scores },
    model: { ...model },
    kind,
    ...(direction && { direction }),
    ...(pressureChangePa !== undefined && { pressure_change_pa: pressureChangePa }),
    ...(level && { level }),
    ...(detail && { detail }),
    ...(readings && { readings }),
    ...(ongoing && { ongoing }),
  };
}

/** The event as it was, of an entry of the journal. */
export function toSample(owed: OwedClip): ImpactSample {
  const { event_id: eventId, end_ns: endNs, label, score, scores, model, pressure_change_pa: pressureChangePa } = owed;
  const { direction, level, detail, readings, ongoing } = owed;
  return {
    kind: kindOf(owed),
    stamp: stampOf(owed),
    endNs,
    eventId,
    label,
    score,
    scores,
    model,
    ...(direction && { direction }),
    ...(pressureChangePa !== undefined && { pressureChangePa }),
    ...(level && { level }),
    ...(detail && { detail }),
    ...(readings && { readings }),
    ...(ongoing && { ongoing }),
  };
}

/** The entry's kind; those of versions without kinds have it by their label. */
export function kindOf({ kind, label }: OwedClip): EventKind {
  return kind ?? (label === 'snapshot' ? 'snapshot' : 'impact');
}

/** The stamp of the event's onset. */
export function stampOf(owed: OwedClip): Stamp {
  return {
    capturedAtNs: owed.captured_at_ns,
    monotonicNs: owed.monotonic_ns,
    bootId: owed.boot_id,
    synchronised: owed.synchronised,
    estimatedErrorNs: owed.estimated_error_ns,
  };
}
