/** What many rows share (boot, clock quality, list of fields) stored once, and a row's number of it. */

import type { Stamp } from '../drivers/sample.ts';
import type { Statements } from './outbox-tables.ts';
import { errorClassNs } from './wire/telemetry.ts';

export interface Context {
  readonly id: number;
  readonly bootId: string;
  readonly synchronised: boolean;
  readonly estimatedErrorNs: bigint | null;
  readonly fields: readonly string[];
}

export class ContextTable {
  readonly #statements: Statements;
  readonly #byId = new Map<number, Context>();
  readonly #ids = new Map<string, number>();
  /** The stamp and fields of the newest row: the next one mostly shares them. */
  #last: { stamp: Stamp; fields: readonly string[]; id: number } | null = null;

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  /** Reads the table anew. */
  load(): void {
    this.#clear();
    for (const row of this.#statements.readContexts.all()) {
      this.#remember({
        id: row.id,
        bootId: row.boot_id,
        synchronised: row.synchronised === 1,
        estimatedErrorNs: row.error_ns === '-1' ? null : BigInt(row.error_ns),
        fields: row.fields === '' ? [] : row.fields.split(' '),
      });
    }
  }

  /** Empties the table, when no row refers to it: the boots of years need not pile up. */
  forget(): void {
    try {
      this.#statements.forgetContexts.run();
      this.#clear();
    } catch {
      // A full disk refuses this; they stay until the next opening.
    }
  }

  find(id: number): Context | undefined {
    return this.#byId.get(id);
  }

  /** The number of what this stamp and these fields say, made when it is new. Only within a transaction. */
  idOf(stamp: Stamp, fields: readonly string[]): number {
    const last = this.#last;
    if (
      last !== null &&
      last.stamp.bootId === stamp.bootId &&
      last.stamp.synchronised === stamp.synchronised &&
      last.stamp.estimatedErrorNs === stamp.estimatedErrorNs &&
      sameNames(last.fields, fields)
    ) {
      return last.id;
    }
    const id = this.#find(stamp, fields);
    this.#last = { stamp, fields, id };
    return id;
  }

  #find(stamp: Stamp, fields: readonly string[]): number {
    const error = String(errorClassNs(stamp.estimatedErrorNs));
    const names = fields.join(' ');
    const key = contextKey(stamp.bootId, stamp.synchronised, error, names);
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const { lastInsertRowid } = this.#statements.insertContext.run(
      stamp.bootId,
      stamp.synchronised ? 1 : 0,
      error,
      names,
    );
    const id = Number(lastInsertRowid);
    const estimatedErrorNs = error === '-1' ? null : BigInt(error);
    this.#remember({ id, bootId: stamp.bootId, synchronised: stamp.synchronised, estimatedErrorNs, fields });
    return id;
  }

  #remember(context: Context): void {
    const error = context.estimatedErrorNs === null ? '-1' : String(context.estimatedErrorNs);
    this.#byId.set(context.id, context);
    this.#ids.set(contextKey(context.bootId, context.synchronised, error, context.fields.join(' ')), context.id);
  }

  #clear(): void {
    this.#byId.clear();
    this.#ids.clear();
    this.#last = null;
  }
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, index) => name === b[index]);
}

function contextKey(bootId: string, synchronised: boolean, error: string, fields: string): string {
  return `${bootId} ${synchronised} ${error} ${fields}`;
}
