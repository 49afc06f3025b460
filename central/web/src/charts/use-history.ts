/** The history of a stream's fields, carried on by live samples, in shown units. */
import { type UseQueryResult, useQuery } from '@tanstack/react-query';
import { useMemo, useRef } from 'react';
import { useLivePoints } from '../api/live-context.tsx';
import type { LivePoint } from '../api/live-store.ts';
import { historyQuery, type TimeWindow } from '../api/queries.ts';
import type { History } from '../api/types.ts';
import { useNow } from '../components/use-now.ts';
import { fieldMeaning } from '../format/field-catalogue.ts';
import { joinSeries, type Series } from './series.ts';

interface HistoryView {
  readonly query: UseQueryResult<History, Error>;
  readonly series: ReadonlyMap<string, Series>;
  /** The newest live values in shown units, ahead of `series` by up to a step of the window; empty in fixed ones. */
  readonly newest: ReadonlyMap<string, number>;
  readonly fromMs: number;
  readonly toMs: number;
}

const noPoints = [] as const;

/** `points` is how many buckets a field's history has at most. */
export function useHistory(
  vehicle: string,
  stream: string,
  fields: readonly string[],
  window: TimeWindow,
  points: number,
): HistoryView {
  const query = useQuery(historyQuery(vehicle, stream, fields, window, points));
  const everything = useLivePoints(vehicle, stream);
  const nowMs = useNow();
  const running = window.kind === 'last';
  // The window moves when that is visible, which in a long one is not each second.
  const stepMs = running ? Math.max(1_000, window.spanMs / 450) : 1;
  const toMs = running ? Math.ceil(nowMs / stepMs) * stepMs : window.toMs;
  const fromMs = running ? toMs - window.spanMs : window.fromMs;
  const live = running ? everything : noPoints;
  const history = query.data;
  const newestLive = useRef(live);
  newestLive.current = live;
  // Live points are joined when the window moves, so that charts are redrawn once a step.
  const series = useMemo(
    () =>
      new Map(
        fields.map((field) => [
          field,
          joinSeries(history?.fields[field], newestLive.current, field, fromMs, fieldMeaning(field).scale),
        ]),
      ),
    [fields, history, fromMs],
  );
  const newest = useMemo(() => newestValues(live.at(-1)), [live]);
  return { query, series, newest, fromMs, toMs };
}

function newestValues(point: LivePoint | undefined): ReadonlyMap<string, number> {
  const newest = new Map<string, number>();
  for (const [field, value] of Object.entries(point?.values ?? {})) {
    if (value !== null) newest.set(field, value * fieldMeaning(field).scale);
  }
  return newest;
}
