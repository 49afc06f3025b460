/** A short list of events, newest first, each a way to its page; ones that have just arrived are marked. */
import { Link } from 'wouter';
import { useLiveImpacts } from '../api/live-context.tsx';
import type { ImpactEvent } from '../api/types.ts';
import { levelWords } from '../format/event-words.ts';
import { EventScore, LabelChip } from './badges.tsx';
import { ClockMark } from './clock-mark.tsx';
import { Ago } from './moment.tsx';
import { Empty } from './states.tsx';

interface EventListProps {
  readonly events: readonly ImpactEvent[];
  readonly showVehicle?: boolean;
}

export function EventList({ events, showVehicle = false }: EventListProps) {
  const live = useLiveImpacts();
  if (events.length === 0)
    return <Empty title="No events yet">They appear here the moment the vehicle tells of them.</Empty>;
  return (
    <ol className="event-list">
      {events.map((event) => (
        <li key={event.id} className={live.some(({ id }) => id === event.id) ? 'fresh' : undefined}>
          <Link href={`/events/${encodeURIComponent(event.id)}`} className="event-link">
            <LabelChip label={event.label} />
            {event.kind === 'air' ? <span className="finding">{levelWords(event)}</span> : <EventScore event={event} />}
            {showVehicle && <span className="event-vehicle">{event.vehicle}</span>}
            <span className="event-ago">
              <ClockMark clock={event.clock} original={event.original_captured_at} />{' '}
              <Ago at={event.captured_at} ns={event.captured_at_ns} />
            </span>
          </Link>
        </li>
      ))}
    </ol>
  );
}
