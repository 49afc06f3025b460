/** Reads numeric streams: the newest record of each, and history downsampled to minimum, mean and maximum in SQL. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Kysely, sql } from 'kysely';
import type { History, Latest } from '../api/schemas.ts';
import { type CentralTables, VALUES_PER_ROW } from './schema.ts';
import { atOfNs, clockOf, originalAtOf } from './times.ts';

type Reader = Kysely<CentralTables>;

/** The newest record of each stream of a vehicle, by name of the stream. */
export async function readLatest(db: Reader, vehicle: string): Promise<Latest> {
  const rows = await db
    .selectFrom('series')
    .select([
      'stream',
      'latest_captured_at_ns',
      'latest_original_captured_at_ns',
      'latest_synchronised',
      'latest_values',
    ])
    .where('vehicle', '=', vehicle)
    .where('latest_values', 'is not', null)
    .orderBy('stream')
    .execute();
  return {
    streams: rows.map((row) => {
      const known = {
        synchronised: row.latest_synchronised !== 0n,
        capturedAtNs: row.latest_captured_at_ns ?? 0n,
        originalNs: row.latest_original_captured_at_ns,
      };
      return {
        stream: row.stream,
        captured_at: atOfNs(known.capturedAtNs),
        captured_at_ns: String(known.capturedAtNs),
        clock: clockOf(known),
        original_captured_at: originalAtOf(known),
        values: JSON.parse(row.latest_values ?? '{}') as Record<string, number | null>,
      };
    }),
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
  const fieldsOf: History['fields'] = {};
  let records: History['records'] | null = null;
  for (const [part, inPart] of Map.groupBy(places, (place) => place.part)) {
    const read = await readPart(db, series.id, part, inPart, question);
    Object.assign(fieldsOf, read.fields);
    records ??= read.records; // every part says the same of the records that it has
  }
  const none = { synchronised: 0, corrected: 0, unsynchronised: 0 };
  return { stream, from: atOfNs(fromNs), to: atOfNs(toNs), fields: fieldsOf, records: records ?? none };
}

/** One statement looks at no more rows than about this: the process goes on committing between two of them. */
const rowsPerStatement = 10_000;

/** What is known of one field in one bucket so far. */
interface FieldSum {
  count: number;
  sum: number;
  low: number;
  high: number;
}

interface Bucket {
  records: number;
  /** Of the records' times, in ns from the first bucket's beginning. */
  offsetSumNs: number;
  readonly fields: readonly FieldSum[];
}

/** Runs over the neighbouring rows of one part, all its fields at once, in slices, however long the history. */
async function readPart(
  db: Reader,
  seriesId: bigint,
  part: number,
  places: readonly FieldPlace[],
  { fromNs, toNs, points }: HistoryQuestion,
): Promise<Pick<History, 'fields' | 'records'>> {
  const widthNs = (toNs - fromNs + BigInt(points) - 1n) / BigInt(points);
  const columns = places.flatMap(({ column }) => {
    const value = sql.ref(`v${column}`);
    const name = (of: string) => sql.ref(`${of}${column}`);
    return [
      sql`count(${value}) as ${name('count')}`,
      sql`avg(${value}) as ${name('mean')}`,
      sql`min(${value}) as ${name('low')}`,
      sql`max(${value}) as ${name('high')}`,
    ];
  });
  const buckets = new Map<bigint, Bucket>();
  const records = { synchronised: 0, corrected: 0, unsynchronised: 0 };
  for (let firstNs = fromNs; firstNs < toNs; ) {
    const endNs = await sliceEnd(db, seriesId, part, firstNs, toNs);
    const { rows } = await sql<SliceRow>`
      select (captured_at_ns - ${fromNs}) / ${widthNs} as bucket, count(*) as records,
        count(nullif(original_captured_at_ns, captured_at_ns)) as corrected,
        count(case when synchronised = 0 and original_captured_at_ns is null then 1 end) as unsynchronised, avg(captured_at_ns - ${fromNs}) as offset_ns, ${sql.join(columns)} from telemetry
      where series_id = ${seriesId} and part = ${part} and captured_at_ns >= ${firstNs} and captured_at_ns < ${endNs}
      group by 1 order by 1`.execute(db);
    for (const row of rows) {
      addSlice(buckets, places, row);
      records.synchronised += Number(row.records - row.corrected - row.unsynchronised);
      records.corrected += Number(row.corrected);
      records.unsynchronised += Number(row.unsynchronised);
    }
    firstNs = endNs;
    await nextTurn();
  }
  return { fields: toFields(buckets, places, fromNs), records };
}

/** Where the slice that begins at `firstNs` ends; rows of one time are never cut apart. */
async function sliceEnd(db: Reader, seriesId: bigint, part: number, firstNs: bigint, toNs: bigint): Promise<bigint> {
  const next = await db
    .selectFrom('telemetry')
    .select('captured_at_ns')
    .where('series_id', '=', seriesId)
    .where('part', '=', BigInt(part))
    .where('captured_at_ns', '>=', firstNs)
    .where('captured_at_ns', '<', toNs)
    .orderBy('captured_at_ns')
    .limit(1)
    .offset(rowsPerStatement)
    .executeTakeFirst();
  if (next === undefined) return toNs;
  return next.captured_at_ns > firstNs ? next.captured_at_ns : firstNs + 1n;
}

/** Beside these, for each field: count<n> (bigint), mean<n>, low<n>, high<n> (number, null without a value). */
type SliceRow = {
  bucket: bigint;
  records: bigint;
  corrected: bigint;
  unsynchronised: bigint;
  offset_ns: number;
} & Record<string, number | bigint | null>;

function addSlice(buckets: Map<bigint, Bucket>, places: readonly FieldPlace[], row: SliceRow): void {
  const empty = () => ({ count: 0, sum: 0, low: Number.POSITIVE_INFINITY, high: Number.NEGATIVE_INFINITY });
  const bucket = buckets.get(row.bucket) ?? { records: 0, offsetSumNs: 0, fields: places.map(empty) };
  buckets.set(row.bucket, bucket);
  bucket.records += Number(row.records);
  bucket.offsetSumNs += Number(row.records) * row.offset_ns;
  for (const [index, field] of bucket.fields.entries()) {
    const column = places[index]?.column;
    const count = Number(row[`count${column}`]);
    if (count === 0) continue;
    field.count += count;
    field.sum += count * Number(row[`mean${column}`]);
    field.low = Math.min(field.low, Number(row[`low${column}`]));
    field.high = Math.max(field.high, Number(row[`high${column}`]));
  }
}

function toFields(
  buckets: ReadonlyMap<bigint, Bucket>,
  places: readonly FieldPlace[],
  fromNs: bigint,
): History['fields'] {
  const answer: History['fields'] = {};
  for (const [index, { name }] of places.entries()) {
    const shown: History['fields'][string] = { t: [], min: [], mean: [], max: [] };
    for (const { records, offsetSumNs, fields } of buckets.values()) {
      const field = fields[index];
      if (field === undefined || field.count === 0) continue;
      shown.t.push(Number(fromNs / 1_000_000n) + Math.round(offsetSumNs / records / 1e6));
      shown.min.push(field.low);
      shown.mean.push(field.sum / field.count);
      shown.max.push(field.high);
    }
    answer[name] = shown;
  }
  return answer;
}
