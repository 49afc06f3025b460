/** The history of a stream's fields, carried on by live samples, in shown units. */
import { type UseQueryResult, useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { useLivePoints } from '../api/live-context.tsx';
import { historyQuery, type TimeWindow } from '../api/queries.ts';
import type { History } from '../api/types.ts';
import { useNow } from '../components/use-now.ts';
import { fieldMeaning } from '../format/field-catalogue.ts';
import { joinSeries, type Series } from './series.ts';

interface HistoryView {
  readonly query: UseQueryResult<History, Error>;
  readonly series: ReadonlyMap<string, Series>;
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
  // A long window does not move visibly each second.
  const stepMs = running ? Math.max(1_000, window.spanMs / 600) : 1;
  const toMs = running ? Math.ceil(nowMs / stepMs) * stepMs : window.toMs;
  const fromMs = running ? toMs - window.spanMs : window.fromMs;
  const live = running ? everything : noPoints;
  const history = query.data;
  const series = useMemo(
    () =>
      new Map(
        fields.map((field) => [
          field,
          joinSeries(history?.fields[field], live, field, fromMs, fieldMeaning(field).scale),
        ]),
      ),
    [fields, history, live, fromMs],
  );
  return { query, series, fromMs, toMs };
}
