/** Owns the heading of a list of moments: where nobody knows any of their times it says so, once instead of at each of them. */
import type { Clock } from '../api/types.ts';
import { ClockMark } from './clock-mark.tsx';

interface Moment {
  readonly clock: Clock;
}

interface MarkedHeadingProps {
  readonly id: string;
  readonly title: string;
  /** What is listed below. */
  readonly items: readonly Moment[];
}

export function MarkedHeading({ id, title, items }: MarkedHeadingProps) {
  return (
    <div className="marked-heading">
      <h2 id={id}>{title}</h2>
      {isTimeUnknown(items) && <ClockMark clock="unsynchronised" />}
    </div>
  );
}

/** Whether the heading of a list says what its items would say each. */
export function isTimeUnknown(items: readonly Moment[]): boolean {
  return items.length > 0 && items.every(({ clock }) => clock === 'unsynchronised');
}
