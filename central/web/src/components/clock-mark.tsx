/** Says in words when a shown time is not simply what the vehicle's clock said, or nobody knows it. */
import type { Clock } from '../api/types.ts';
import { formatUtc } from '../format/format-time.ts';

interface ClockMarkProps {
  readonly clock: Clock;
  /** The vehicle's own time, RFC 3339, where `clock` is `corrected`. */
  readonly original?: string | undefined;
}

/** Nothing for a synchronised time; else `time put right` or `time unknown`, with the reason on hover. */
export function ClockMark({ clock, original }: ClockMarkProps) {
  if (clock === 'synchronised') return null;
  const corrected = clock === 'corrected';
  return (
    <span className={`clock-mark clock-mark-${clock}`} title={clockReason(clock, original)}>
      {corrected ? 'time put right' : 'time unknown'}
    </span>
  );
}

/** Why a time is marked, in a sentence. */
export function clockReason(clock: Clock, original?: string): string {
  if (clock === 'synchronised') return 'The vehicle knew the time.';
  if (clock === 'unsynchronised') {
    return 'The vehicle did not know the time, and has not learnt it since: this is what its clock said.';
  }
  const said = original === undefined ? 'something else' : formatUtc(new Date(original));
  return `The vehicle learnt the time only later. Its clock said ${said}; the service put this right.`;
}
