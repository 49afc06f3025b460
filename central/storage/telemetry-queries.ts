/** Reads numeric streams: the newest record of each, and history downsampled to minimum, mean and maximum in SQL. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Kysely, sql } from 'kysely';
import type { History, Latest } from '../api/schemas.ts';
import { type CentralTables, VALUES_PER_ROW } from './schema.ts';
import { atOfNs } from './times.ts';

type Reader = Kysely<CentralTables>;

/** The newest record of each stream of a vehicle, by name of the stream. */
export async function readLatest(db: Reader, vehicle: string): Promise<Latest> {
  const rows = await db
    .selectFrom('series')
    .select(['stream', 'latest_captured_at_ns', 'latest_values'])
    .where('vehicle', '=', vehicle)
    .where('latest_values', 'is not', null)
    .orderBy('stream')
    .execute();
  return {
    streams: rows.map((row) => ({
      stream: row.stream,
      captured_at: atOfNs(row.latest_captured_at_ns ?? 0n),
      captured_at_ns: String(row.latest_captured_at_ns ?? 0n),
      values: JSON.parse(row.latest_values ?? '{}') as Record<string, number | null>,
    })),
  };
}

export interface HistoryQuestion {
  readonly vehicle: string;
  readonly stream: string;
  /** null: every field of the stream. */
  readonly fields: readonly string[] | null;
  /** UTC nanoseconds; from inclusive, to exclusive, from < to. */
  readonly fromNs: bigint;
  readonly toNs: bigint;
  /** Buckets at most. */
  readonly points: number;
}

interface FieldPlace {
  readonly name: string;
  readonly part: number;
  readonly column: number;
}

/**
 * Minimum, mean and maximum of each field in each of `points` equal spans that hold a value; null when the vehicle has
 * no such stream. Fields that the stream never had are absent from the answer.
 */
export async function readHistory(db: Reader, question: HistoryQuestion): Promise<History | null> {
  const { vehicle, stream, fields, fromNs, toNs } = question;
  const series = await db
    .selectFrom('series')
    .select('id')
    .where('vehicle', '=', vehicle)
    .where('stream', '=', stream)
    .executeTakeFirst();
  if (series === undefined) return null;
  const known = await db
    .selectFrom('series_fields')
    .select(['name', 'position'])
    .where('series_id', '=', series.id)
    .orderBy('position')
    .execute();
  const places = known
    .filter(({ name }) => fields === null || fields.includes(name))
    .map(({ name, position }) => ({
      name,
      part: Math.floor(Number(position) / VALUES_PER_ROW),
      column: Number(position) % VALUES_PER_ROW,
    }));
  const answer: History = { stream, from: atOfNs(fromNs), to: atOfNs(toNs), fields: {} };
  for (const [part, inPart] of Map.groupBy(places, (place) => place.part)) {
    Object.assign(answer.fields, await readPart(db, series.id, part, inPart, question));
  }
  return answer;
}

/** Longest that one statement should hold up the event loop, in ms; the next slice is made smaller or larger to meet it. */
const sliceMs = 25;

/**
 * Runs over the neighbouring rows of one part, all its fields at once, in slices of a few buckets each: the process goes
 * on committing in between, however long the history.
 */
async function readPart(
  db: Reader,
  seriesId: bigint,
  part: number,
  places: readonly FieldPlace[],
  { fromNs, toNs, points }: HistoryQuestion,
): Promise<History['fields']> {
  const widthNs = (toNs - fromNs + BigInt(points) - 1n) / BigInt(points);
  const columns = places.flatMap(({ column }) => {
    const value = sql.ref(`v${column}`);
    const [low, mean, high] = [sql.ref(`min${column}`), sql.ref(`mean${column}`), sql.ref(`max${column}`)];
    return [sql`min(${value}) as ${low}`, sql`avg(${value}) as ${mean}`, sql`max(${value}) as ${high}`];
  });
  const found = new Map(
    places.map(({ name }) => [name, { t: [], min: [], mean: [], max: [] } as History['fields'][string]]),
  );
  let slice = 16;
  for (let bucket = 0; bucket < points; ) {
    const startedMs = performance.now();
    const firstNs = fromNs + BigInt(bucket) * widthNs;
    const endNs = minimum(toNs, firstNs + BigInt(slice) * widthNs);
    if (firstNs >= endNs) break;
    const { rows } = await sql<Record<string, number | null>>`
      select avg(captured_at_ns - ${fromNs}) as offset_ns, ${sql.join(columns)} from telemetry
      where series_id = ${seriesId} and part = ${part} and captured_at_ns >= ${firstNs} and captured_at_ns < ${endNs}
      group by (captured_at_ns - ${fromNs}) / ${widthNs}
      order by (captured_at_ns - ${fromNs}) / ${widthNs}`.execute(db);
    for (const row of rows) addBucket(row, places, found, fromNs);
    bucket += slice;
    const tookMs = performance.now() - startedMs;
    if (tookMs > sliceMs) slice = Math.max(1, slice >> 1);
    else if (tookMs < sliceMs / 4) slice = Math.min(points, slice * 2);
    await nextTurn();
  }
  return Object.fromEntries(found);
}

function addBucket(
  row: Record<string, number | null>,
  places: readonly FieldPlace[],
  found: ReadonlyMap<string, History['fields'][string]>,
  fromNs: bigint,
): void {
  const t = Number(fromNs / 1_000_000n) + Math.round((row.offset_ns ?? 0) / 1e6);
  for (const { name, column } of places) {
    const field = found.get(name);
    const mean = row[`mean${column}`];
    if (field === undefined || mean === null || mean === undefined) continue;
    field.t.push(t);
    field.min.push(row[`min${column}`] ?? null);
    field.mean.push(mean);
    field.max.push(row[`max${column}`] ?? null);
  }
}

function minimum(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
