/** Reads numeric streams: the newest record of each, and history downsampled to minimum, mean and maximum in SQL. */
import { type Kysely, type RawBuilder, sql } from 'kysely';
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

/** One run over the neighbouring rows of one part, all its fields at once. */
async function readPart(
  db: Reader,
  seriesId: bigint,
  part: number,
  places: readonly FieldPlace[],
  { fromNs, toNs, points }: HistoryQuestion,
): Promise<History['fields']> {
  const span = toNs - fromNs;
  const widthNs = (span + BigInt(points) - 1n) / BigInt(points);
  const columns: RawBuilder<unknown>[] = places.flatMap(({ column }) => {
    const value = sql.ref(`v${column}`);
    return [
      sql`avg(case when ${value} is not null then captured_at_ns - ${fromNs} end) as ${sql.ref(`t${column}`)}`,
      sql`min(${value}) as ${sql.ref(`min${column}`)}`,
      sql`avg(${value}) as ${sql.ref(`mean${column}`)}`,
      sql`max(${value}) as ${sql.ref(`max${column}`)}`,
    ];
  });
  const { rows } = await sql<Record<string, number | null>>`
    select ${sql.join(columns)} from telemetry
    where series_id = ${seriesId} and part = ${part} and captured_at_ns >= ${fromNs} and captured_at_ns < ${toNs}
    group by (captured_at_ns - ${fromNs}) / ${widthNs}
    order by (captured_at_ns - ${fromNs}) / ${widthNs}`.execute(db);
  const fromMs = Number(fromNs / 1_000_000n);
  const fields: History['fields'] = {};
  for (const { name, column } of places) {
    const field: History['fields'][string] = { t: [], min: [], mean: [], max: [] };
    for (const row of rows) {
      const offsetNs = row[`t${column}`];
      if (offsetNs === null || offsetNs === undefined) continue;
      field.t.push(fromMs + Math.round(offsetNs / 1e6));
      field.min.push(row[`min${column}`] ?? null);
      field.mean.push(row[`mean${column}`] ?? null);
      field.max.push(row[`max${column}`] ?? null);
    }
    fields[name] = field;
  }
  return fields;
}
