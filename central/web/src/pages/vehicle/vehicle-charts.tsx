/** Charts of all of a vehicle's fields on one time axis, with its impacts above them. */
import { useQuery } from '@tanstack/react-query';
import { type CSSProperties, useMemo } from 'react';
import { Link } from 'wouter';
import { eventsQuery, latestQuery, type TimeWindow } from '../../api/queries.ts';
import type { History, ImpactEvent, LatestStream } from '../../api/types.ts';
import { CursorProvider } from '../../charts/cursor.tsx';
import { TimeChart } from '../../charts/time-chart.tsx';
import { useHistory } from '../../charts/use-history.ts';
import { ClockMark } from '../../components/clock-mark.tsx';
import { Empty, Failed, Loading, QueryView } from '../../components/states.tsx';
import { useNow } from '../../components/use-now.ts';
import { compareFields, fieldMeaning, streamTitle } from '../../format/field-catalogue.ts';
import { formatUtc } from '../../format/format-time.ts';
import { formatNumber, formatScore, labelTitle } from '../../format/format-value.ts';

const points = 400;
const streamOrder = ['particulate', 'environment', 'level', 'process'];

interface VehicleChartsProps {
  readonly vehicle: string;
  readonly window: TimeWindow;
}

export function VehicleCharts({ vehicle, window }: VehicleChartsProps) {
  const latest = useQuery(latestQuery(vehicle));
  const impacts = useImpacts(vehicle, window);
  return (
    <QueryView query={latest} what="the measurements" rows={8}>
      {({ streams }) => {
        const shown = streams.filter(({ values }) => Object.keys(values).length > 0).toSorted(byStream);
        if (shown.length === 0) return <Empty title="No measurements yet">They appear as soon as they arrive.</Empty>;
        return (
          <CursorProvider>
            <ImpactLane impacts={impacts} window={window} />
            <div className="charts">
              {shown.map((stream) => (
                <StreamCharts key={stream.stream} vehicle={vehicle} latest={stream} window={window} impacts={impacts} />
              ))}
            </div>
          </CursorProvider>
        );
      }}
    </QueryView>
  );
}

function byStream(one: LatestStream, other: LatestStream): number {
  const place = ({ stream }: LatestStream) => {
    const found = streamOrder.indexOf(stream.split('/').at(-1) ?? '');
    return found < 0 ? streamOrder.length : found;
  };
  return place(one) - place(other) || one.stream.localeCompare(other.stream);
}

/** The window's impacts, at most the 200 newest. */
function useImpacts(vehicle: string, window: TimeWindow): readonly ImpactEvent[] {
  // A running window's beginning is rounded, so that it is one question for a while and not a new one each second.
  const nowMs = useNow();
  const roundMs = window.kind === 'last' ? window.spanMs / 4 : 1;
  const fromMs = window.kind === 'last' ? Math.floor((nowMs - window.spanMs) / roundMs) * roundMs : window.fromMs;
  const events = useQuery(
    eventsQuery({
      vehicle,
      from: new Date(fromMs).toISOString(),
      to: window.kind === 'fixed' ? new Date(window.toMs).toISOString() : undefined,
      sort: 'captured_at',
      order: 'desc',
      limit: 200,
      offset: 0,
    }),
  );
  return events.data?.events ?? noImpacts;
}

const noImpacts: readonly ImpactEvent[] = [];

function ImpactLane({ impacts, window }: { readonly impacts: readonly ImpactEvent[]; readonly window: TimeWindow }) {
  const nowMs = useNow();
  const toMs = window.kind === 'last' ? nowMs : window.toMs;
  const fromMs = window.kind === 'last' ? toMs - window.spanMs : window.fromMs;
  const shown = impacts
    .map((impact) => ({ impact, share: (Date.parse(impact.captured_at) - fromMs) / (toMs - fromMs) }))
    .filter(({ share }) => share >= 0 && share <= 1)
    .toReversed();
  return (
    <div className="lane">
      <span className="lane-title">
        {shown.length === 0
          ? 'No impacts in this time'
          : `${shown.length} ${shown.length === 1 ? 'impact' : 'impacts'}`}
      </span>
      <div className="lane-plot">
        {shown.map(({ impact, share }) => (
          <Link
            key={impact.id}
            href={`/events/${encodeURIComponent(impact.id)}`}
            className={`lane-mark lane-mark-${impact.label}`}
            style={{ '--at': share } as CSSProperties}
            aria-label={`${labelTitle(impact.label)}${impact.model === null ? '' : `, score ${formatScore(impact.score)}`}`}
            title={`${labelTitle(impact.label)}${impact.model === null ? '' : ` ${formatScore(impact.score)}`}, ${formatUtc(new Date(impact.captured_at), impact.captured_at_ns)}`}
          />
        ))}
      </div>
    </div>
  );
}

interface StreamChartsProps extends VehicleChartsProps {
  readonly latest: LatestStream;
  readonly impacts: readonly ImpactEvent[];
}

function StreamCharts({ vehicle, latest, window, impacts }: StreamChartsProps) {
  const names = Object.keys(latest.values).toSorted(compareFields).join(',');
  const fields = useMemo(() => names.split(','), [names]);
  const { query, series, newest, fromMs, toMs } = useHistory(vehicle, latest.stream, fields, window, points);
  const impactsMs = useMemo(() => impacts.map((impact) => Date.parse(impact.captured_at)), [impacts]);
  const title = streamTitle(latest.stream);
  if (query.isError && query.data === undefined) {
    return <Failed what={`the history of ${title}`} error={query.error} retry={() => void query.refetch()} />;
  }
  if (query.data === undefined) return <Loading what={`the history of ${title}`} />;
  const groups = Map.groupBy(fields, (field) => fieldMeaning(field).group);
  return (
    <>
      <ClockNote title={title} records={query.data.records} />
      {[...groups].map(([group, members]) => {
        const { unit, digits } = fieldMeaning(members[0] ?? '');
        return (
          <TimeChart
            key={group}
            title={group}
            unit={unit}
            digits={digits}
            lines={members.map((field) => ({
              name: fieldMeaning(field).short,
              series: series.get(field) ?? none,
              newest: newest.get(field),
            }))}
            fromMs={fromMs}
            toMs={toMs}
            impactsMs={impactsMs}
            steps={unit === '' && members.every((field) => field === 'gas_valid' || field === 'heater_stable')}
          />
        );
      })}
    </>
  );
}

/** Said above a stream's charts when they show times that the vehicle did not know. */
function ClockNote({ title, records }: { readonly title: string; readonly records: History['records'] }) {
  const { corrected, unsynchronised } = records;
  if (corrected === 0 && unsynchronised === 0) return null;
  return (
    <p className="clock-note">
      {title}:
      {corrected > 0 && (
        <span>
          {formatNumber(corrected)} records <ClockMark clock="corrected" />
        </span>
      )}
      {unsynchronised > 0 && (
        <span>
          {formatNumber(unsynchronised)} records <ClockMark clock="unsynchronised" />
        </span>
      )}
    </p>
  );
}

const none = { t: [], mean: [] } as const;
