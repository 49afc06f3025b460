/** Every question the dashboard asks the API, as React Query options: key, path and how long an answer is fresh. */
import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { getJson, postJson, queryString } from './client.ts';
import type {
  Command,
  EventPage,
  EventSensors,
  History,
  ImpactEvent,
  LatestStreams,
  Ledger,
  Vehicle,
  VehicleDetail,
} from './types.ts';

const refreshMs = 10_000;

export interface EventFilter {
  readonly vehicle?: string | undefined;
  readonly kind?: ImpactEvent['kind'] | undefined;
  readonly label?: string | undefined;
  /** 0 to 1. */
  readonly minScore?: number | undefined;
  /** RFC 3339. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly sort?: 'captured_at' | 'score' | 'label' | 'vehicle';
  readonly order?: 'asc' | 'desc';
  readonly limit?: number;
  readonly offset?: number;
}

export function vehiclesQuery() {
  return queryOptions({
    queryKey: ['vehicles'],
    queryFn: ({ signal }) => getJson<{ vehicles: readonly Vehicle[] }>('/api/vehicles', signal),
    refetchInterval: refreshMs,
  });
}

export function vehicleQuery(id: string) {
  return queryOptions({
    queryKey: ['vehicle', id],
    queryFn: ({ signal }) => getJson<VehicleDetail>(`/api/vehicles/${encodeURIComponent(id)}`, signal),
    refetchInterval: refreshMs,
  });
}

export function latestQuery(id: string) {
  return queryOptions({
    queryKey: ['latest', id],
    queryFn: ({ signal }) => getJson<LatestStreams>(`/api/vehicles/${encodeURIComponent(id)}/latest`, signal),
    refetchInterval: 30_000,
  });
}

export function ledgerQuery(id: string) {
  return queryOptions({
    queryKey: ['ledger', id],
    queryFn: ({ signal }) => getJson<Ledger>(`/api/vehicles/${encodeURIComponent(id)}/ledger`, signal),
    refetchInterval: refreshMs,
  });
}

/** A window of history: the last `spanMs` milliseconds, or a fixed one. */
export type TimeWindow =
  | { readonly kind: 'last'; readonly spanMs: number }
  | { readonly kind: 'fixed'; readonly fromMs: number; readonly toMs: number };

export function historyQuery(
  id: string,
  stream: string,
  fields: readonly string[],
  window: TimeWindow,
  points: number,
) {
  return queryOptions({
    queryKey: ['history', id, stream, fields.join(','), window, points],
    queryFn: ({ signal }) => {
      const toMs = window.kind === 'last' ? Date.now() : window.toMs;
      const fromMs = window.kind === 'last' ? toMs - window.spanMs : window.fromMs;
      const search = queryString({
        stream,
        field: fields,
        from: new Date(fromMs).toISOString(),
        to: new Date(toMs).toISOString(),
        points,
      });
      return getJson<History>(`/api/vehicles/${encodeURIComponent(id)}/history${search}`, signal);
    },
    enabled: fields.length > 0,
    placeholderData: keepPreviousData,
    // Live samples fill the end of a running window; asking again only thins them into buckets.
    refetchInterval: window.kind === 'last' ? Math.max(30_000, window.spanMs / 200) : false,
    staleTime: 20_000,
  });
}

export function eventsQuery(filter: EventFilter) {
  const { minScore, ...rest } = filter;
  return queryOptions({
    queryKey: ['events', filter],
    queryFn: ({ signal }) => getJson<EventPage>(`/api/events${queryString({ ...rest, min_score: minScore })}`, signal),
    placeholderData: keepPreviousData,
  });
}

/** Whether the event's clip is not here and may still come. */
function isComing(event: ImpactEvent | undefined): boolean {
  return event !== undefined && event.clip?.state !== 'ready' && event.clip?.state !== 'lost';
}

export function eventQuery(id: string) {
  return queryOptions({
    queryKey: ['event', id],
    queryFn: ({ signal }) => getJson<ImpactEvent>(`/api/events/${encodeURIComponent(id)}`, signal),
    // The live feed tells when a clip is whole; this only shows how far it has come.
    refetchInterval: ({ state }) => (isComing(state.data) ? 2_000 : false),
  });
}

export function sensorsQuery(id: string, clipReady: boolean) {
  return queryOptions({
    queryKey: ['sensors', id],
    queryFn: ({ signal }) => getJson<EventSensors>(`/api/events/${encodeURIComponent(id)}/sensors`, signal),
    enabled: clipReady,
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** Asks a vehicle for a snapshot; the answer says only that it was asked. */
export function takeSnapshot(vehicle: string): Promise<Command> {
  const content = { kind: 'snapshot', reason: 'dashboard' };
  return postJson<Command>(`/api/vehicles/${encodeURIComponent(vehicle)}/commands`, content);
}

/** What came of a command; undefined before one was given. */
export function commandQuery(vehicle: string, asked: Command | undefined) {
  const path = `/api/vehicles/${encodeURIComponent(vehicle)}/commands/${asked?.id ?? ''}`;
  return queryOptions({
    queryKey: ['command', asked?.id ?? ''],
    queryFn: ({ signal }) => getJson<Command>(path, signal),
    enabled: asked !== undefined,
    ...(asked !== undefined && { initialData: asked }),
    // The live feed tells at once; this is for when it is lost.
    refetchInterval: ({ state }) => (state.data && state.data.state !== 'pending' ? false : 2_000),
  });
}

/** Where the sound of one channel (0 to 7) of an event's clip is; all channels in one file without `channel`. */
export function clipSoundUrl(id: string, channel?: number): string {
  return `/api/events/${encodeURIComponent(id)}/clip.wav${channel === undefined ? '' : `?channel=${channel}`}`;
}

/** Where an event's clip with all sensors is, as MCAP. */
export function clipRecordingUrl(id: string): string {
  return `/api/events/${encodeURIComponent(id)}/clip.mcap`;
}
