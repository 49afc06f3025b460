/**
 * Brings the tables of a central that knew nothing of wrong clocks up to those that put them right: what its stored
 * synchronised stamps say is learnt, and the records that are owed another time are noted for the corrector.
 */
import { type Kysely, sql } from 'kysely';
import { type ClockSpan, isBootKnown, learn } from './clock-spans.ts';

interface StampRow {
  boot_id: bigint;
  capturedAtNs: bigint;
  monotonicNs: bigint;
  estimatedErrorNs: bigint;
}

/** Part of the second migration; never changed once released. */
export async function createClocks(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('clock_spans')
    .addColumn('boot_id', 'bigint', (column) => column.notNull())
    .addColumn('first_monotonic_ns', 'bigint', (column) => column.notNull())
    .addColumn('first_offset_ns', 'bigint', (column) => column.notNull())
    .addColumn('offset_ns', 'bigint', (column) => column.notNull())
    .addColumn('error_ns', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('clock_spans_key', ['boot_id', 'first_monotonic_ns'])
    .execute();
  await db.schema
    .createTable('clock_corrections')
    .addColumn('boot_id', 'bigint', (column) => column.notNull())
    .addColumn('source', 'text', (column) => column.notNull())
    .addColumn('from_ns', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('clock_corrections_key', ['boot_id', 'source'])
    .execute();
  for (const table of ['events', 'records', 'telemetry']) {
    await db.schema.alterTable(table).addColumn('original_captured_at_ns', 'bigint').execute();
  }
  // Only what was captured unsynchronised is in these: synchronised vehicles pay nothing for them.
  await sql`create index events_unsynchronised on events (boot_id, monotonic_ns, event_id) where synchronised = 0`.execute(
    db,
  );
  await sql`create index records_unsynchronised on records (boot_id, monotonic_ns, ledger_id, sequence)
    where synchronised = 0`.execute(db);
  await sql`create index telemetry_unsynchronised
    on telemetry (boot_id, monotonic_ns, series_id, part, ledger_id, sequence) where synchronised = 0`.execute(db);
  await extendLatest(db);
  await learnStored(db);
}

async function extendLatest(db: Kysely<unknown>): Promise<void> {
  for (const column of ['original_captured_at_ns', 'boot_id', 'monotonic_ns', 'synchronised']) {
    await db.schema.alterTable('series').addColumn(`latest_${column}`, 'bigint').execute();
  }
  for (const column of ['boot_id', 'monotonic_ns', 'synchronised']) {
    await sql`update series set ${sql.ref(`latest_${column}`)} = (select ${sql.ref(column)} from telemetry
      where series_id = series.id and captured_at_ns = latest_captured_at_ns and ledger_id = latest_ledger_id
        and sequence = latest_sequence and part in (0, 1, 2, 3, 4, 5, 6, 7, 8) limit 1)
      where latest_sequence is not null`.execute(db);
  }
}

/** Only boots that have records of both kinds can have anything put right. */
async function learnStored(db: Kysely<unknown>): Promise<void> {
  const unsure = sql`(select boot_id from telemetry where synchronised = 0 union
    select boot_id from events where synchronised = 0 union select boot_id from records where synchronised = 0)`;
  const boots = await sql<{ id: bigint; boot_id: string }>`
    select id, boot_id from boots where id in ${unsure}`.execute(db);
  const spansOf = new Map<bigint, readonly ClockSpan[]>();
  for (const { id, boot_id: bootId } of boots.rows) if (isBootKnown(bootId)) spansOf.set(id, []);
  if (spansOf.size === 0) return;
  for (const table of ['telemetry', 'events', 'records']) {
    const stamps = (db as Kysely<Record<string, StampRow & { synchronised: bigint }>>)
      .selectFrom(table)
      .select([
        'boot_id',
        sql<bigint>`captured_at_ns`.as('capturedAtNs'),
        sql<bigint>`monotonic_ns`.as('monotonicNs'),
        sql<bigint>`estimated_error_ns`.as('estimatedErrorNs'),
      ])
      .where('synchronised', '=', 1n)
      .where(sql<boolean>`boot_id in ${unsure}`);
    for await (const row of stamps.stream()) {
      const spans = spansOf.get(row.boot_id);
      if (spans !== undefined) spansOf.set(row.boot_id, learn(spans, row).spans);
    }
  }
  for (const [boot, spans] of spansOf) await noteSpans(db, boot, spans);
}

async function noteSpans(db: Kysely<unknown>, boot: bigint, spans: readonly ClockSpan[]): Promise<void> {
  if (spans.length === 0) return;
  for (const span of spans) {
    await sql`insert into clock_spans (boot_id, first_monotonic_ns, first_offset_ns, offset_ns, error_ns) values
      (${boot}, ${span.firstMonotonicNs}, ${span.firstOffsetNs}, ${span.offsetNs}, ${span.errorNs})`.execute(db);
  }
  for (const source of ['events', 'records', 'telemetry']) {
    await sql`insert into clock_corrections (boot_id, source, from_ns)
      select ${boot}, ${source}, min(monotonic_ns) from ${sql.table(source)}
      where boot_id = ${boot} and synchronised = 0 having count(*) > 0`.execute(db);
  }
}
