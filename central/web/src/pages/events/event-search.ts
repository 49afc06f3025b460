/** The events page's state as it stands in the address: read, checked and written. Pure. */
import type { EventFilter } from '../../api/queries.ts';
import { type EventKind, eventKinds } from '../../format/event-words.ts';

export interface EventSearch {
  readonly vehicle: string;
  /** Empty shows all. */
  readonly kind: EventKind | '';
  readonly label: string;
  /** 0 to 1; 0 shows all. */
  readonly minScore: number;
  /** RFC 3339 or empty. */
  readonly from: string;
  readonly to: string;
  readonly sort: 'captured_at' | 'score' | 'label' | 'vehicle';
  readonly order: 'asc' | 'desc';
  readonly limit: number;
  readonly offset: number;
}

export const pageSizes = [25, 50, 100] as const;

const initial: EventSearch = {
  vehicle: '',
  kind: '',
  label: '',
  minScore: 0,
  from: '',
  to: '',
  sort: 'captured_at',
  order: 'desc',
  limit: 25,
  offset: 0,
};

function numberIn(text: string | null, low: number, high: number, otherwise: number): number {
  const value = text === null || text === '' ? Number.NaN : Number(text);
  return value >= low && value <= high ? value : otherwise;
}

function momentIn(text: string | null): string {
  const at = new Date(text ?? '');
  return Number.isNaN(at.getTime()) ? '' : at.toISOString();
}

/** Reads the address; whatever does not make sense there is as if it were absent. */
export function readEventSearch(search: URLSearchParams): EventSearch {
  const sort = (['captured_at', 'score', 'label', 'vehicle'] as const).find((one) => one === search.get('sort'));
  const limit = pageSizes.find((size) => String(size) === search.get('limit')) ?? initial.limit;
  const offset = Math.floor(numberIn(search.get('offset'), 0, 1e9, 0) / limit) * limit;
  return {
    vehicle: search.get('vehicle') ?? '',
    kind: eventKinds.find((one) => one === search.get('kind')) ?? '',
    label: search.get('label') ?? '',
    minScore: numberIn(search.get('min_score'), 0, 1, 0),
    from: momentIn(search.get('from')),
    to: momentIn(search.get('to')),
    sort: sort ?? initial.sort,
    order: search.get('order') === 'asc' ? 'asc' : 'desc',
    limit,
    offset,
  };
}

/** What the address says of `state`; what is as usual is left out. */
export function writeEventSearch(state: EventSearch): URLSearchParams {
  const search = new URLSearchParams();
  for (const key of ['vehicle', 'kind', 'label', 'from', 'to', 'sort', 'order', 'limit', 'offset'] as const) {
    if (state[key] !== initial[key]) search.set(key, String(state[key]));
  }
  if (state.minScore !== initial.minScore) search.set('min_score', String(state.minScore));
  return search;
}

/** What to ask the API for. */
export function filterOf(state: EventSearch): EventFilter {
  return {
    vehicle: state.vehicle || undefined,
    kind: state.kind || undefined,
    label: state.label || undefined,
    minScore: state.minScore > 0 ? state.minScore : undefined,
    from: state.from || undefined,
    to: state.to || undefined,
    sort: state.sort,
    order: state.order,
    limit: state.limit,
    offset: state.offset,
  };
}

/** Whether any filter is set: order and page are no filters. */
export function isFiltered({ vehicle, kind, label, minScore, from, to }: EventSearch): boolean {
  return vehicle !== '' || kind !== '' || label !== '' || minScore > 0 || from !== '' || to !== '';
}
