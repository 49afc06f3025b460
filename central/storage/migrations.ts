/** The tables of central, version by version. A migration that has been released is never changed; add the next one. */
import { fromBinary } from '@bufbuild/protobuf';
import { type CreateTableBuilder, type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';
import { RecordSchema } from '../../sync/wire/wire_pb.js';
import { createClocks } from './clock-migration.ts';
import { VALUES_PER_ROW } from './schema.ts';

type Table = CreateTableBuilder<string, string>;

/** Rows live in the primary key's own tree: one tree to write instead of two. PostgreSQL has no such choice. */
function clustered(table: Table): Table {
  return table.modifyEnd(sql`without rowid`) as Table;
}

function withStamp(table: Table): Table {
  return table
    .addColumn('captured_at_ns', 'bigint', (column) => column.notNull())
    .addColumn('monotonic_ns', 'bigint', (column) => column.notNull())
    .addColumn('boot_id', 'bigint', (column) => column.notNull())
    .addColumn('synchronised', 'bigint', (column) => column.notNull())
    .addColumn('estimated_error_ns', 'bigint', (column) => column.notNull()) as Table;
}

async function createFleet(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('vehicles')
    .addColumn('vehicle', 'text', (column) => column.primaryKey())
    .addColumn('online', 'bigint', (column) => column.notNull())
    .addColumn('last_seen_ms', 'bigint', (column) => column.notNull())
    .addColumn('state_at_ns', 'bigint')
    .addColumn('boot_id', 'text')
    .addColumn('agent_version', 'text')
    .addColumn('model_name', 'text')
    .addColumn('model_version', 'text')
    .execute();
  await db.schema
    .createTable('boots')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('vehicle', 'text', (column) => column.notNull())
    .addColumn('boot_id', 'text', (column) => column.notNull())
    .addUniqueConstraint('boots_unique', ['vehicle', 'boot_id'])
    .execute();
  await db.schema
    .createTable('diagnostics')
    .addColumn('vehicle', 'text', (column) => column.notNull())
    .addColumn('source', 'text', (column) => column.notNull())
    .addColumn('ledger_id', 'bigint', (column) => column.notNull())
    .addColumn('sequence', 'bigint', (column) => column.notNull())
    .addColumn('captured_at_ns', 'bigint', (column) => column.notNull())
    .addColumn('level', 'text', (column) => column.notNull())
    .addColumn('code', 'text', (column) => column.notNull())
    .addColumn('message', 'text', (column) => column.notNull())
    .addColumn('cure', 'text', (column) => column.notNull())
    .addColumn('readings', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('diagnostics_key', ['vehicle', 'source'])
    .execute();
}

async function createLedger(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('ledgers')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('vehicle', 'text', (column) => column.notNull())
    .addColumn('epoch', 'text', (column) => column.notNull())
    .addColumn('stream', 'text', (column) => column.notNull())
    .addColumn('next_sequence', 'bigint', (column) => column.notNull())
    .addColumn('duplicates', 'bigint', (column) => column.notNull())
    .addUniqueConstraint('ledgers_unique', ['vehicle', 'epoch', 'stream'])
    .execute();
  const held = db.schema
    .createTable('held_ranges')
    .addColumn('ledger_id', 'bigint', (column) => column.notNull())
    .addColumn('first', 'bigint', (column) => column.notNull())
    .addColumn('last', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('held_ranges_key', ['ledger_id', 'first']);
  await clustered(held as Table).execute();
  const dropped = db.schema
    .createTable('dropped_ranges')
    .addColumn('ledger_id', 'bigint', (column) => column.notNull())
    .addColumn('said_in', 'bigint', (column) => column.notNull())
    .addColumn('sequence', 'bigint', (column) => column.notNull())
    .addColumn('first', 'bigint', (column) => column.notNull())
    .addColumn('last', 'bigint', (column) => column.notNull())
    .addColumn('reason', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('dropped_ranges_key', ['ledger_id', 'said_in', 'sequence']);
  await clustered(dropped as Table).execute();
}

async function createTelemetry(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('series')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('vehicle', 'text', (column) => column.notNull())
    .addColumn('stream', 'text', (column) => column.notNull())
    .addColumn('latest_ledger_id', 'bigint')
    .addColumn('latest_sequence', 'bigint')
    .addColumn('latest_captured_at_ns', 'bigint')
    .addColumn('latest_values', 'text')
    .addUniqueConstraint('series_unique', ['vehicle', 'stream'])
    .execute();
  await db.schema
    .createTable('series_fields')
    .addColumn('series_id', 'bigint', (column) => column.notNull())
    .addColumn('position', 'bigint', (column) => column.notNull())
    .addColumn('name', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('series_fields_key', ['series_id', 'position'])
    .addUniqueConstraint('series_fields_name', ['series_id', 'name'])
    .execute();
  let telemetry = db.schema
    .createTable('telemetry')
    .addColumn('series_id', 'bigint', (column) => column.notNull())
    .addColumn('ledger_id', 'bigint', (column) => column.notNull())
    .addColumn('sequence', 'bigint', (column) => column.notNull())
    .addColumn('part', 'bigint', (column) => column.notNull()) as Table;
  telemetry = withStamp(telemetry);
  for (let column = 0; column < VALUES_PER_ROW; column++) {
    telemetry = telemetry.addColumn(`v${column}`, 'double precision') as Table;
  }
  // Time first within a series: history reads one run of neighbouring rows.
  telemetry = telemetry.addPrimaryKeyConstraint('telemetry_key', [
    'series_id',
    'part',
    'captured_at_ns',
    'ledger_id',
    'sequence',
  ]) as Table;
  await clustered(telemetry).execute();
}

async function createEvents(db: Kysely<unknown>): Promise<void> {
  await withStamp(
    db.schema
      .createTable('events')
      .addColumn('event_id', 'text', (column) => column.primaryKey())
      .addColumn('vehicle', 'text', (column) => column.notNull())
      .addColumn('ledger_id', 'bigint', (column) => column.notNull())
      .addColumn('sequence', 'bigint', (column) => column.notNull()) as Table,
  )
    .addColumn('received_ms', 'bigint', (column) => column.notNull())
    .addColumn('label', 'text', (column) => column.notNull())
    .addColumn('score', 'double precision', (column) => column.notNull())
    .addColumn('scores', 'text', (column) => column.notNull())
    .addColumn('duration_s', 'double precision', (column) => column.notNull())
    .addColumn('model_name', 'text', (column) => column.notNull())
    .addColumn('model_version', 'text', (column) => column.notNull())
    .execute();
  await db.schema.createIndex('events_time').on('events').columns(['captured_at_ns']).execute();
  await db.schema.createIndex('events_vehicle').on('events').columns(['vehicle', 'captured_at_ns']).execute();
  await db.schema.createIndex('events_label').on('events').columns(['label', 'captured_at_ns']).execute();
  await db.schema.createIndex('events_score').on('events').columns(['score', 'captured_at_ns']).execute();
  await db.schema
    .createTable('clips')
    .addColumn('vehicle', 'text', (column) => column.notNull())
    .addColumn('event_id', 'text', (column) => column.notNull())
    .addColumn('ledger_id', 'bigint', (column) => column.notNull())
    .addColumn('sequence', 'bigint', (column) => column.notNull())
    .addColumn('sha256', 'text', (column) => column.notNull())
    .addColumn('bytes', 'bigint', (column) => column.notNull())
    .addColumn('start_ns', 'bigint', (column) => column.notNull())
    .addColumn('end_ns', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('clips_key', ['vehicle', 'event_id'])
    .execute();
  await db.schema.createIndex('clips_blob').on('clips').columns(['vehicle', 'sha256']).execute();
  await db.schema
    .createTable('blobs')
    .addColumn('vehicle', 'text', (column) => column.notNull())
    .addColumn('sha256', 'text', (column) => column.notNull())
    .addColumn('bytes', 'bigint', (column) => column.notNull())
    .addColumn('media_type', 'text', (column) => column.notNull())
    .addColumn('committed_bytes', 'bigint', (column) => column.notNull())
    .addColumn('complete', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('blobs_key', ['vehicle', 'sha256'])
    .execute();
  const records = withStamp(
    db.schema
      .createTable('records')
      .addColumn('ledger_id', 'bigint', (column) => column.notNull())
      .addColumn('sequence', 'bigint', (column) => column.notNull()) as Table,
  )
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('body', sql`blob`, (column) => column.notNull())
    .addPrimaryKeyConstraint('records_key', ['ledger_id', 'sequence']) as Table;
  await clustered(records).execute();
}

async function createLostFiles(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('lost_files')
    .addColumn('vehicle', 'text', (column) => column.notNull())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('first', 'bigint', (column) => column.notNull())
    .addColumn('last', 'bigint', (column) => column.notNull())
    .addColumn('reason', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('lost_files_key', ['vehicle', 'name', 'first'])
    .execute();
  // Until now these drops were kept among the records only.
  const said = await sql<{ vehicle: string; body: Uint8Array }>`
    select vehicle, body from records join ledgers on ledgers.id = ledger_id where kind = 'drop'`.execute(db);
  for (const { vehicle, body: bytes } of said.rows) {
    const { body } = fromBinary(RecordSchema, bytes);
    if (body.case !== 'drop' || !body.value.stream.startsWith('blob/')) continue;
    const { stream, firstSequence, lastSequence, reason } = body.value;
    await sql`insert into lost_files (vehicle, name, first, last, reason)
      values (${vehicle}, ${stream}, ${firstSequence}, ${lastSequence}, ${reason}) on conflict do nothing`.execute(db);
  }
}

async function createCommands(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('commands')
    .addColumn('command_id', 'text', (column) => column.primaryKey())
    .addColumn('vehicle', 'text', (column) => column.notNull())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('parameters', 'text', (column) => column.notNull())
    .addColumn('issued_ms', 'bigint', (column) => column.notNull())
    .addColumn('expires_ms', 'bigint', (column) => column.notNull())
    .addColumn('finished_ms', 'bigint')
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('code', 'text', (column) => column.notNull())
    .addColumn('message', 'text', (column) => column.notNull())
    .addColumn('result_values', 'text', (column) => column.notNull())
    .execute();
  await db.schema.createIndex('commands_vehicle').on('commands').columns(['vehicle', 'issued_ms']).execute();
  await db.schema.createIndex('commands_state').on('commands').columns(['state']).execute();
}

/** What an event is, where it came from and what came of it. Until now there were impacts, and snapshots by their label. */
async function extendEvents(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('events')
    .addColumn('kind', 'text', (column) => column.notNull().defaultTo('impact'))
    .execute();
  await sql`update events set kind = 'snapshot' where label = 'snapshot'`.execute(db);
  for (const column of ['azimuth_deg', 'azimuth_confidence', 'pressure_change_pa']) {
    await db.schema.alterTable('events').addColumn(column, 'double precision').execute();
  }
  for (const column of ['side', 'level', 'detail']) {
    await sql`alter table events add column ${sql.ref(column)} text not null default ''`.execute(db);
  }
  await sql`alter table events add column readings text not null default '[]'`.execute(db);
  await sql`alter table events add column ongoing bigint not null default 0`.execute(db);
  await db.schema.createIndex('events_kind').on('events').columns(['kind', 'captured_at_ns']).execute();
  // Beside the events: an update may arrive before its event. Null: as the event was.
  await db.schema
    .createTable('event_updates')
    .addColumn('vehicle', 'text', (column) => column.notNull())
    .addColumn('event_id', 'text', (column) => column.notNull())
    .addColumn('ledger_id', 'bigint', (column) => column.notNull())
    .addColumn('sequence', 'bigint', (column) => column.notNull())
    .addColumn('duration_s', 'double precision')
    .addColumn('pressure_change_pa', 'double precision')
    .addColumn('ongoing', 'bigint')
    .addColumn('level', 'text')
    .addColumn('detail', 'text')
    .addColumn('readings', 'text')
    .addPrimaryKeyConstraint('event_updates_key', ['vehicle', 'event_id'])
    .execute();
}

/** By name, in the order they are applied. */
export const migrations: Readonly<Record<string, Migration>> = {
  '0001-first-tables': {
    async up(db: Kysely<unknown>): Promise<void> {
      await createFleet(db);
      await createLedger(db);
      await createTelemetry(db);
      await createEvents(db);
    },
  },
  '0002-clocks-and-commands': {
    async up(db: Kysely<unknown>): Promise<void> {
      await createClocks(db);
      await createLostFiles(db);
      await createCommands(db);
    },
  },
  '0003-kinds-of-events': { up: extendEvents },
};
