/** Keeps what was asked of vehicles and what came of it. */
import type { Statement } from 'better-sqlite3';
import type { Kysely, Selectable } from 'kysely';
import type { CommandResult } from '../../sync/wire/wire_pb.js';
import type { Command } from '../api/schemas.ts';
import type { SqliteConnection } from './database.ts';
import type { CentralTables, CommandTable } from './schema.ts';
import { atOfMs } from './times.ts';

/** A command as it was asked for; times in ms since 1970 by central's clock. */
export interface AskedCommand {
  readonly id: string;
  readonly vehicle: string;
  readonly kind: Command['kind'];
  readonly parameters: Command['parameters'];
  readonly issuedMs: number;
  readonly expiresMs: number;
}

/** Of each vehicle the newest are kept. */
const keptPerVehicle = 200;

interface AskedRow {
  command_id: string;
  vehicle: string;
  kind: string;
  parameters: string;
  issued_ms: bigint;
  expires_ms: bigint;
}

export class CommandStore {
  readonly #insert: Statement;
  readonly #find: Statement;
  readonly #count: Statement;
  readonly #pending: Statement;
  readonly #expire: Statement;
  readonly #finish: Statement;
  readonly #trim: Statement;

  constructor(writer: SqliteConnection) {
    const columns = 'command_id, vehicle, kind, parameters, issued_ms, expires_ms';
    this.#insert = writer.prepare(
      `insert into commands (${columns}, state, code, message, result_values)
       values (?, ?, ?, ?, ?, ?, 'pending', '', '', '{}') on conflict do nothing`,
    );
    this.#find = writer.prepare(`select ${columns} from commands where command_id = ?`);
    this.#count = writer.prepare("select count(*) as commands from commands where vehicle = ? and state = 'pending'");
    this.#pending = writer.prepare(`select ${columns} from commands where state = 'pending' order by issued_ms`);
    this.#expire = writer.prepare(
      `update commands set state = 'expired', code = 'expired', message = ?, finished_ms = ?
       where command_id = ? and state = 'pending'`,
    );
    this.#finish = writer.prepare(
      `update commands set state = ?, code = ?, message = ?, result_values = ?, finished_ms = ?
       where command_id = ? and vehicle = ? and state in ('pending', 'expired')`,
    );
    this.#trim = writer.prepare(
      `delete from commands where vehicle = ? and state <> 'pending' and command_id not in
         (select command_id from commands where vehicle = ? order by issued_ms desc limit ?)`,
    );
  }

  /** False when there is a command of this id already. */
  add(asked: AskedCommand): boolean {
    const { id, vehicle, kind, parameters, issuedMs, expiresMs } = asked;
    const added = this.#insert.run(id, vehicle, kind, JSON.stringify(parameters), issuedMs, expiresMs).changes > 0;
    if (added) this.#trim.run(vehicle, vehicle, keptPerVehicle);
    return added;
  }

  find(id: string): AskedCommand | null {
    const row = this.#find.get(id) as AskedRow | undefined;
    return row === undefined ? null : toAsked(row);
  }

  /** How many of a vehicle's commands wait for their result. */
  waiting(vehicle: string): number {
    return Number((this.#count.get(vehicle) as { commands: bigint }).commands);
  }

  /** All that wait for their result, oldest first. */
  pending(): AskedCommand[] {
    return (this.#pending.all() as AskedRow[]).map(toAsked);
  }

  /** False when its result came meanwhile. */
  expire(id: string, message: string, nowMs: number): boolean {
    return this.#expire.run(message, nowMs, id).changes > 0;
  }

  /** Takes a vehicle's result; false for one that is known, or of a command that was not this vehicle's. */
  finish(vehicle: string, result: CommandResult, nowMs: number): boolean {
    const { commandId, status, code, message, values } = result;
    return this.#finish.run(status, code, message, JSON.stringify(values), nowMs, commandId, vehicle).changes > 0;
  }
}

function toAsked(row: AskedRow): AskedCommand {
  return {
    id: row.command_id,
    vehicle: row.vehicle,
    kind: row.kind as Command['kind'],
    parameters: JSON.parse(row.parameters) as Command['parameters'],
    issuedMs: Number(row.issued_ms),
    expiresMs: Number(row.expires_ms),
  };
}

/** A vehicle's commands, newest first, at most 100. */
export async function readCommands(db: Kysely<CentralTables>, vehicle: string): Promise<Command[]> {
  const rows = await db
    .selectFrom('commands')
    .selectAll()
    .where('vehicle', '=', vehicle)
    .orderBy('issued_ms', 'desc')
    .orderBy('command_id')
    .limit(100)
    .execute();
  return rows.map(toCommand);
}

/** One command of a vehicle; null when it has none of this id. */
export async function readCommand(db: Kysely<CentralTables>, vehicle: string, id: string): Promise<Command | null> {
  const row = await db
    .selectFrom('commands')
    .selectAll()
    .where('command_id', '=', id)
    .where('vehicle', '=', vehicle)
    .executeTakeFirst();
  return row === undefined ? null : toCommand(row);
}

function toCommand(row: Selectable<CommandTable>): Command {
  return {
    id: row.command_id,
    vehicle: row.vehicle,
    kind: row.kind as Command['kind'],
    parameters: JSON.parse(row.parameters) as Command['parameters'],
    issued_at: atOfMs(Number(row.issued_ms)),
    expires_at: atOfMs(Number(row.expires_ms)),
    finished_at: row.finished_ms === null ? null : atOfMs(Number(row.finished_ms)),
    state: row.state as Command['state'],
    code: row.code,
    message: row.message,
    values: JSON.parse(row.result_values) as Record<string, string>,
  };
}
