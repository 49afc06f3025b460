/** Reads vehicles, their diagnostics, and their ledgers. */
import { type Kysely, sql } from 'kysely';
import type { Diagnostic, Ledger, LedgerStream, Vehicle, VehicleDetail } from '../api/schemas.ts';
import { mergeRanges, type SequenceRange, subtractRanges } from './ranges.ts';
import type { CentralTables } from './schema.ts';
import { atOfMs, atOfNs, clockOf, originalAtOf } from './times.ts';

/** Files given up that a ledger names. */
const maxShownFiles = 500;

type Reader = Kysely<CentralTables>;

/** All vehicles by name, or the one asked for. */
export async function readVehicles(db: Reader, vehicle?: string): Promise<Vehicle[]> {
  const only = vehicle ?? null;
  const rows = await db
    .selectFrom('vehicles')
    .selectAll()
    .$if(only !== null, (query) => query.where('vehicle', '=', only as string))
    .orderBy('vehicle')
    .execute();
  const events = await db
    .selectFrom('events')
    .select(['vehicle', db.fn.countAll<bigint>().as('events')])
    .$if(only !== null, (query) => query.where('vehicle', '=', only as string))
    .groupBy('vehicle')
    .execute();
  const levels = await db
    .selectFrom('diagnostics')
    .select(['vehicle', 'level', db.fn.countAll<bigint>().as('sources')])
    .$if(only !== null, (query) => query.where('vehicle', '=', only as string))
    .groupBy(['vehicle', 'level'])
    .execute();
  const blobs = await db
    .selectFrom('blobs')
    .select(['vehicle', db.fn.sum<bigint>('committed_bytes').as('bytes')])
    .$if(only !== null, (query) => query.where('vehicle', '=', only as string))
    .groupBy('vehicle')
    .execute();
  const eventsOf = new Map(events.map((row) => [row.vehicle, Number(row.events)]));
  const bytesOf = new Map(blobs.map((row) => [row.vehicle, Number(row.bytes)]));
  return rows.map((row) => {
    const diagnostics = { ok: 0, warn: 0, error: 0, stale: 0 };
    for (const { vehicle: of, level, sources } of levels) {
      if (of === row.vehicle && level in diagnostics) diagnostics[level as keyof typeof diagnostics] = Number(sources);
    }
    return {
      id: row.vehicle,
      online: row.online !== 0n,
      last_seen_at: atOfMs(Number(row.last_seen_ms)),
      agent_version: row.agent_version,
      model: row.model_name === null ? null : { name: row.model_name, version: row.model_version ?? '' },
      event_count: eventsOf.get(row.vehicle) ?? 0,
      diagnostics,
      storage_bytes: bytesOf.get(row.vehicle) ?? 0,
    };
  });
}

/** One vehicle with the newest diagnostic of each source, by name of the source; null when central never heard of it. */
export async function readVehicle(db: Reader, vehicle: string): Promise<VehicleDetail | null> {
  const [summary] = await readVehicles(db, vehicle);
  if (summary === undefined) return null;
  const rows = await db
    .selectFrom('diagnostics')
    .leftJoin('records', (join) =>
      join
        .onRef('records.ledger_id', '=', 'diagnostics.ledger_id')
        .onRef('records.sequence', '=', 'diagnostics.sequence'),
    )
    .selectAll('diagnostics')
    .select(['records.captured_at_ns as at_ns', 'original_captured_at_ns', 'synchronised'])
    .where('vehicle', '=', vehicle)
    .orderBy('source')
    .execute();
  const diagnostics = rows.map((row): Diagnostic => {
    const known = {
      synchronised: row.synchronised !== 0n,
      capturedAtNs: row.at_ns ?? row.captured_at_ns,
      originalNs: row.original_captured_at_ns,
    };
    return {
      source: row.source,
      level: row.level as Diagnostic['level'],
      code: row.code,
      message: row.message,
      cure: row.cure,
      at: atOfNs(known.capturedAtNs),
      clock: clockOf(known),
      original_at: originalAtOf(known),
      values: JSON.parse(row.readings) as Record<string, string>,
    };
  });
  return { ...summary, diagnostics };
}

/** Whether central ever heard of the vehicle. */
export async function isKnownVehicle(db: Reader, vehicle: string): Promise<boolean> {
  const row = await db.selectFrom('vehicles').select('vehicle').where('vehicle', '=', vehicle).executeTakeFirst();
  return row !== undefined;
}

/**
 * Per (epoch, stream): what is held, what is missing (given by the vehicle, not held, not declared dropped) and what was
 * declared dropped. What was declared dropped and came all the same counts as held.
 */
export async function readLedger(db: Reader, vehicle: string): Promise<Ledger> {
  const ledgers = await db
    .selectFrom('ledgers')
    .selectAll()
    .where('vehicle', '=', vehicle)
    .orderBy('stream')
    .orderBy('id')
    .execute();
  const held = await db
    .selectFrom('held_ranges')
    .innerJoin('ledgers', 'ledgers.id', 'held_ranges.ledger_id')
    .select(['ledger_id', 'first', 'last'])
    .where('vehicle', '=', vehicle)
    .orderBy('ledger_id')
    .orderBy('first')
    .execute();
  const dropped = await db
    .selectFrom('dropped_ranges')
    .innerJoin('ledgers', 'ledgers.id', 'dropped_ranges.ledger_id')
    .select(['ledger_id', 'first', 'last', 'reason'])
    .where('vehicle', '=', vehicle)
    .orderBy('ledger_id')
    .orderBy('first')
    .execute();
  const heldOf = Map.groupBy(held, (row) => row.ledger_id);
  const droppedOf = Map.groupBy(dropped, (row) => row.ledger_id);
  const streams = ledgers.map((ledger): LedgerStream => {
    const heldRanges = (heldOf.get(ledger.id) ?? []).map(toRange);
    const declared = droppedOf.get(ledger.id) ?? [];
    const accounted = mergeRanges([...heldRanges, ...declared.map(toRange)]);
    const nextSequence = Number(ledger.next_sequence);
    const given: SequenceRange[] = nextSequence > 1 ? [[1, nextSequence - 1]] : [];
    return {
      epoch: ledger.epoch,
      stream: ledger.stream,
      next_sequence: nextSequence,
      held: heldRanges,
      missing: toPairs(subtractRanges(given, accounted)),
      dropped: declared.flatMap((row) =>
        subtractRanges([toRange(row)], heldRanges).map(([first, last]) => ({ first, last, reason: row.reason })),
      ),
      duplicates: Number(ledger.duplicates),
    };
  });
  const lost = await db
    .selectFrom('lost_files')
    .select(['name', 'first', 'last', 'reason'])
    .where('vehicle', '=', vehicle)
    .orderBy('name', 'desc') // recordings by their time
    .orderBy('first')
    .limit(maxShownFiles)
    .execute();
  const files = lost.map((row) => ({ ...row, first: Number(row.first), last: Number(row.last) }));
  return { vehicle, streams, files };
}

function toRange(row: { first: bigint; last: bigint }): [number, number] {
  return [Number(row.first), Number(row.last)];
}

function toPairs(ranges: readonly SequenceRange[]): [number, number][] {
  return ranges.map(([first, last]) => [first, last]);
}

/** How many vehicles are online; also proves that the database answers. */
export async function countOnline(db: Reader): Promise<number> {
  const row = await db
    .selectFrom('vehicles')
    .select(sql<bigint>`count(*)`.as('vehicles'))
    .where('online', '=', 1n)
    .executeTakeFirstOrThrow();
  return Number(row.vehicles);
}
