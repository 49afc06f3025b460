/** Reads events with the state of their clips. */
import { type ExpressionBuilder, type Kysely, type Selectable, sql } from 'kysely';
import type { Clip, Event, EventKind, EventList, EventReading, EventSort } from '../api/schemas.ts';
import type { CentralTables, EventTable } from './schema.ts';
import { atOfMs, atOfNs, clockOf, originalAtOf } from './times.ts';

type Reader = Kysely<CentralTables>;

export interface EventQuestion {
  readonly vehicle?: string | undefined;
  readonly kind?: EventKind | undefined;
  readonly label?: string | undefined;
  readonly minScore?: number | undefined;
  /** UTC nanoseconds; from inclusive, to exclusive. */
  readonly fromNs?: bigint | undefined;
  readonly toNs?: bigint | undefined;
  readonly sort: EventSort;
  readonly order: 'asc' | 'desc';
  readonly limit: number;
  readonly offset: number;
}

/**
 * The bytes of a finished clip: whose, which, and when it begins. Times as the vehicle knew them, which are those in the
 * file; `shiftNs` later is the right time.
 */
export interface ReadyClip {
  readonly vehicle: string;
  readonly sha256: string;
  readonly shiftNs: bigint;
  readonly capturedAtNs: bigint;
  readonly startNs: bigint;
  readonly endNs: bigint;
}

type EventRow = Selectable<EventTable> & {
  sha256: string | null;
  clip_bytes: bigint | null;
  start_ns: bigint | null;
  end_ns: bigint | null;
  committed_bytes: bigint | null;
  complete: bigint | null;
  lost_reason: string | null;
  updated_duration_s: number | null;
  updated_pressure_change_pa: number | null;
  updated_ongoing: bigint | null;
  updated_level: string | null;
  updated_detail: string | null;
  updated_readings: string | null;
};

const sortColumns = {
  captured_at: 'captured_at_ns',
  score: 'score',
  label: 'label',
  vehicle: 'events.vehicle',
} as const;

function eventsWithClips(db: Reader) {
  return db
    .selectFrom('events')
    .leftJoin('clips', (join) =>
      join.onRef('clips.vehicle', '=', 'events.vehicle').onRef('clips.event_id', '=', 'events.event_id'),
    )
    .leftJoin('blobs', (join) =>
      join.onRef('blobs.vehicle', '=', 'clips.vehicle').onRef('blobs.sha256', '=', 'clips.sha256'),
    )
    .leftJoin('event_updates as later', (join) =>
      join.onRef('later.vehicle', '=', 'events.vehicle').onRef('later.event_id', '=', 'events.event_id'),
    )
    .selectAll('events')
    .select([
      'later.duration_s as updated_duration_s',
      'later.pressure_change_pa as updated_pressure_change_pa',
      'later.ongoing as updated_ongoing',
      'later.level as updated_level',
      'later.detail as updated_detail',
      'later.readings as updated_readings',
    ])
    .select(['clips.sha256', 'clips.bytes as clip_bytes', 'start_ns', 'end_ns', 'committed_bytes', 'complete'])
    .select((row) =>
      row
        .selectFrom('lost_files')
        .select((lost) => lost.fn.min('reason').as('reason'))
        .whereRef('lost_files.vehicle', '=', 'events.vehicle')
        .where('name', 'in', [sql<string>`'blob/' || clips.sha256`, sql<string>`'clip/' || events.event_id`])
        .as('lost_reason'),
    );
}

/** One page of the events that match, and how many match in all. */
export async function readEvents(db: Reader, question: EventQuestion): Promise<EventList> {
  const matches = (where: ExpressionBuilder<CentralTables, 'events'>) => {
    const { vehicle, kind, label, minScore, fromNs, toNs } = question;
    return where.and([
      ...(vehicle === undefined ? [] : [where('events.vehicle', '=', vehicle)]),
      ...(kind === undefined ? [] : [where('events.kind', '=', kind)]),
      ...(label === undefined ? [] : [where('events.label', '=', label)]),
      ...(minScore === undefined ? [] : [where('events.score', '>=', minScore)]),
      ...(fromNs === undefined ? [] : [where('events.captured_at_ns', '>=', fromNs)]),
      ...(toNs === undefined ? [] : [where('events.captured_at_ns', '<', toNs)]),
    ]);
  };
  const { total } = await db
    .selectFrom('events')
    .select(db.fn.countAll<bigint>().as('total'))
    .where(matches)
    .executeTakeFirstOrThrow();
  const rows = await eventsWithClips(db)
    .where((where) => matches(where as unknown as ExpressionBuilder<CentralTables, 'events'>))
    .orderBy(sortColumns[question.sort], question.order)
    .orderBy('events.captured_at_ns', 'desc')
    .orderBy('events.event_id')
    .limit(question.limit)
    .offset(question.offset)
    .execute();
  return { total: Number(total), events: rows.map(toEvent) };
}

/** One event; null when there is none of this id. */
export async function readEvent(db: Reader, eventId: string): Promise<Event | null> {
  const row = await eventsWithClips(db).where('events.event_id', '=', eventId).executeTakeFirst();
  return row === undefined ? null : toEvent(row);
}

/** Where the finished clip of an event is; null when it is not (yet) here. */
export async function readReadyClip(db: Reader, eventId: string): Promise<ReadyClip | null> {
  const row = await eventsWithClips(db).where('events.event_id', '=', eventId).executeTakeFirst();
  if (row === undefined || row.complete !== 1n || row.sha256 === null) return null;
  const capturedAtNs = row.original_captured_at_ns ?? row.captured_at_ns;
  return {
    vehicle: row.vehicle,
    sha256: row.sha256,
    shiftNs: shiftOf(row),
    capturedAtNs,
    startNs: row.start_ns ?? capturedAtNs,
    endNs: row.end_ns ?? capturedAtNs,
  };
}

/** The events that a blob is the clip of. */
export async function eventsOfBlob(db: Reader, vehicle: string, sha256: string): Promise<string[]> {
  const rows = await db
    .selectFrom('clips')
    .select('event_id')
    .where('vehicle', '=', vehicle)
    .where('sha256', '=', sha256)
    .execute();
  return rows.map((row) => row.event_id);
}

/** How much later than the vehicle thought an event, and with it its clip, was. */
function shiftOf(row: EventRow): bigint {
  return row.original_captured_at_ns === null ? 0n : row.captured_at_ns - row.original_captured_at_ns;
}

function toEvent(row: EventRow): Event {
  const known = {
    synchronised: row.synchronised !== 0n,
    capturedAtNs: row.captured_at_ns,
    originalNs: row.original_captured_at_ns,
  };
  return {
    id: row.event_id,
    vehicle: row.vehicle,
    captured_at: atOfNs(row.captured_at_ns),
    captured_at_ns: String(row.captured_at_ns),
    clock: clockOf(known),
    original_captured_at: originalAtOf(known),
    received_at: atOfMs(Number(row.received_ms)),
    kind: row.kind as EventKind,
    label: row.label,
    score: row.score,
    scores: JSON.parse(row.scores) as Record<string, number>,
    duration_s: row.updated_duration_s ?? row.duration_s,
    ongoing: (row.updated_ongoing ?? row.ongoing) !== 0n,
    azimuth_deg: row.azimuth_deg,
    azimuth_confidence: row.azimuth_confidence,
    side: row.side === '' ? null : (row.side as Event['side']),
    pressure_change_pa: row.updated_pressure_change_pa ?? row.pressure_change_pa,
    level: levelOf(row.updated_level ?? row.level),
    detail: row.updated_detail ?? row.detail,
    readings: JSON.parse(row.updated_readings ?? row.readings) as EventReading[],
    model: row.model_name === '' ? null : { name: row.model_name, version: row.model_version },
    clip: toClip(row),
  };
}

function levelOf(level: string): Event['level'] {
  return level === '' ? null : (level as Event['level']);
}

function toClip(row: EventRow): Clip | null {
  if (row.sha256 === null && row.lost_reason === null) return null;
  const shiftNs = shiftOf(row);
  const atNs = row.captured_at_ns - shiftNs;
  return {
    state: stateOf(row),
    lost_reason: row.complete === 1n ? '' : (row.lost_reason ?? ''),
    bytes: Number(row.clip_bytes ?? 0n),
    received_bytes: Number(row.committed_bytes ?? 0n),
    sha256: row.sha256 ?? '',
    start_at: atOfNs((row.start_ns ?? atNs) + shiftNs),
    end_at: atOfNs((row.end_ns ?? atNs) + shiftNs),
  };
}

function stateOf(row: EventRow): Clip['state'] {
  if (row.complete === 1n) return 'ready';
  if (row.lost_reason !== null) return 'lost';
  return (row.committed_bytes ?? 0n) > 0n ? 'uploading' : 'pending';
}
