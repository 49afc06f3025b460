/** All events: filtered, sorted and paged by the service; the state is in the address; new ones appear live. */
import { useQuery } from '@tanstack/react-query';
import { Link, useSearchParams } from 'wouter';
import { useLiveImpacts } from '../api/live-context.tsx';
import { eventsQuery } from '../api/queries.ts';
import type { EventPage, ImpactEvent } from '../api/types.ts';
import { EventScore, LabelChip } from '../components/badges.tsx';
import { ClipState } from '../components/clip-state.tsx';
import { ClockMark } from '../components/clock-mark.tsx';
import { DataTable, type TableColumn } from '../components/data-table.tsx';
import { EventFinding } from '../components/event-finding.tsx';
import { Moment } from '../components/moment.tsx';
import { PageTitle } from '../components/page-title.tsx';
import { Pager } from '../components/pager.tsx';
import { Empty, QueryView } from '../components/states.tsx';
import { formatDuration, labelTitle } from '../format/format-value.ts';
import { EventFilters } from './events/event-filters.tsx';
import {
  type EventSearch,
  filterOf,
  isFiltered,
  pageSizes,
  readEventSearch,
  writeEventSearch,
} from './events/event-search.ts';

const columns: readonly TableColumn<ImpactEvent>[] = [
  {
    id: 'captured_at',
    header: 'Time',
    plain: true,
    sortable: true,
    cell: (event) => (
      <span className="cluster">
        <Link href={`/events/${encodeURIComponent(event.id)}`} className="cell-link">
          <Moment at={event.captured_at} ns={event.captured_at_ns} milliseconds />
        </Link>
        <ClockMark clock={event.clock} original={event.original_captured_at} />
      </span>
    ),
  },
  { id: 'label', header: 'Label', plain: true, sortable: true, cell: ({ label }) => <LabelChip label={label} /> },
  { id: 'score', header: 'Score', plain: true, sortable: true, cell: (event) => <EventScore event={event} bar /> },
  {
    id: 'vehicle',
    header: 'Vehicle',
    plain: true,
    sortable: true,
    cell: ({ vehicle }) => <Link href={`/vehicles/${encodeURIComponent(vehicle)}`}>{vehicle}</Link>,
  },
  { id: 'finding', header: 'Finding', cell: (event) => <EventFinding event={event} /> },
  {
    id: 'duration',
    header: 'Duration',
    numeric: true,
    cell: (event) => (event.ongoing ? 'goes on' : formatDuration(event.duration_s)),
  },
  {
    id: 'clip',
    header: 'Clip',
    numeric: true,
    cell: ({ clip, kind }) => (kind === 'drift' ? <span className="faint">–</span> : <ClipState clip={clip} />),
  },
  {
    id: 'model',
    header: 'Model',
    cell: ({ model }) => (model ? `${model.name} ${model.version}` : <span className="faint">–</span>),
  },
];

export function EventsPage() {
  const [params, setParams] = useSearchParams();
  const search = readEventSearch(params);
  const change = (part: Partial<EventSearch>) =>
    setParams(writeEventSearch({ ...search, offset: 0, ...part }), { replace: true });
  const clear = () => change({ vehicle: '', kind: '', label: '', minScore: 0, from: '', to: '' });
  const events = useQuery(eventsQuery(filterOf(search)));
  return (
    <>
      <PageTitle title="Events" />
      <EventFilters search={search} onChange={change} onReset={clear} />
      <QueryView query={events} what="the events" rows={10}>
        {(page) => (
          <EventsFound page={page} search={search} change={change} clear={clear} busy={events.isPlaceholderData} />
        )}
      </QueryView>
    </>
  );
}

interface EventsFoundProps {
  readonly page: EventPage;
  readonly search: EventSearch;
  readonly change: (part: Partial<EventSearch>) => void;
  readonly clear: () => void;
  readonly busy: boolean;
}

function EventsFound({ page, search, change, clear, busy }: EventsFoundProps) {
  const live = useLiveImpacts();
  if (page.total === 0) {
    return isFiltered(search) ? (
      <Empty title="No event fits these filters">
        <button type="button" className="button" onClick={clear}>
          Clear filters
        </button>
      </Empty>
    ) : (
      <Empty title="No events yet">They appear here the moment a vehicle tells of them.</Empty>
    );
  }
  if (page.events.length === 0 && !busy) {
    return (
      <Empty title="There is no such page any more">
        <button type="button" className="button" onClick={() => change({ offset: 0 })}>
          To the first page
        </button>
      </Empty>
    );
  }
  const atNewest = search.offset === 0 && search.sort === 'captured_at' && search.order === 'desc';
  const [newest] = live;
  return (
    <>
      {!atNewest && newest && (
        <p className="notice" role="status">
          <span>
            New: {labelTitle(newest.label)}, {newest.vehicle}.
          </span>
          <button
            type="button"
            className="link-button"
            onClick={() => change({ offset: 0, sort: 'captured_at', order: 'desc' })}
          >
            Show the newest first
          </button>
        </p>
      )}
      <DataTable
        caption="Events"
        columns={columns}
        rows={page.events}
        rowId={({ id }) => id}
        sort={{ id: search.sort, desc: search.order === 'desc' }}
        onSort={(id, desc) => change({ sort: id as EventSearch['sort'], order: desc ? 'desc' : 'asc' })}
        isFresh={({ id }) => live.some((impact) => impact.id === id)}
        busy={busy}
      />
      <Pager
        total={page.total}
        offset={search.offset}
        limit={search.limit}
        what="events"
        limits={pageSizes}
        onPage={(offset) => change({ offset })}
        onLimit={(limit) => change({ limit, offset: 0 })}
      />
    </>
  );
}
