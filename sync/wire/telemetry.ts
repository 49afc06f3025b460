/**
 * Numeric samples ↔ `TelemetryBatch`: columns of scaled integers as differences, so that a sample of eight fields costs
 * about one byte a field. What a row becomes never depends on the rows that travel with it, so a resent row is the same.
 */

import { create, toBinary } from '@bufbuild/protobuf';
import type { Stamp } from '../../drivers/sample.ts';
import { SyncError } from './error.ts';
import { decodeMessage, encodeFrame } from './frame.ts';
import { isStreamName } from './topics.ts';
import {
  type Column,
  ColumnSchema,
  type TelemetryBatch,
  TelemetryBatchSchema,
  type TimeColumn,
  TimeColumnSchema,
} from './wire_pb.js';

/** One sample of one stream. `values` by field name with its unit last; NaN: not measured this time. */
export interface TelemetryRow {
  /** From 1, one more each row. */
  readonly sequence: number;
  readonly stamp: Stamp;
  readonly values: Readonly<Record<string, number>>;
}

/** What a batch says beside its rows. */
export interface TelemetryHeader {
  readonly epoch: string;
  readonly stream: string;
  /** The sequence the stream's next row will get; larger than every row's. */
  readonly nextSequence: number;
}

/** Largest number of rows in one batch. */
export const maxBatchRows = 4096;
/** Largest number of fields in one batch. */
export const maxColumns = 64;
const maxTextLength = 64;
/** Stamps travel in steps of 10 µs: finer than any of these sensors’ own timing. */
const stampUnitNs = 10_000n;
const fieldPattern = /^[a-z][a-z0-9_]{0,63}$/;

/**
 * Decimal exponent of the resolution at which a field travels: the sensor's own, or finer. BME680 data sheet 1.2
 * (temperature 0.01 °C, pressure 0.18 Pa, humidity 0.008 %), Plantower 1, SDS011 and SPS30 0.1 µg/m³.
 */
const exponents: Readonly<Record<string, number>> = {
  pm1_ugm3: -1,
  pm2_5_ugm3: -1,
  pm4_ugm3: -1,
  pm10_ugm3: -1,
  temperature_c: -2,
  humidity_ratio: -5,
  pressure_pa: -1,
  gas_resistance_ohm: 0,
  gas_valid: 0,
  heater_stable: 0,
  cpu_ratio: -3,
  memory_bytes: 3,
  disk_free_bytes: 3,
  soc_temperature_c: -1,
  outbox_depth: 0,
};
const soundLevelField = /^ch\d+_dbfs$/;
const soundLevelExponent = -1;
const finestUnknownExponent = -9;

/** Whether `name` can be a field: at most 64 of `a-z 0-9 _`, beginning with a letter. */
export function isFieldName(name: string): boolean {
  return fieldPattern.test(name);
}

/** The exponent of a known field (value = integer × 10^exponent), or null: the field travels without any rounding. */
export function exponentOf(field: string): number | null {
  if (soundLevelField.test(field)) return soundLevelExponent;
  return Object.hasOwn(exponents, field) ? (exponents[field] ?? null) : null;
}

/**
 * The clock quality by which rows are kept apart: the estimated error rounded up to a power of two, so that a slowly
 * drifting estimate does not cut every batch into single rows. −1 when unknown.
 */
export function errorClassNs(estimatedErrorNs: bigint | null): bigint {
  if (estimatedErrorNs === null || estimatedErrorNs < 0n) return -1n;
  if (estimatedErrorNs <= 1n) return estimatedErrorNs;
  return 1n << BigInt(Math.min(62, (estimatedErrorNs - 1n).toString(2).length));
}

/** Whether two stamps may share a batch: same boot, same clock quality. */
function sameClock(a: Stamp, b: Stamp): boolean {
  return (
    a.bootId === b.bootId &&
    a.synchronised === b.synchronised &&
    errorClassNs(a.estimatedErrorNs) === errorClassNs(b.estimatedErrorNs)
  );
}

/**
 * The framed payload of 1 to 4096 rows with consecutive sequences and one clock (`sameClock`). Known fields are rounded
 * to their resolution, stamps to 10 µs; unknown fields keep every bit. A field that a row lacks is NaN in it. Throws
 * `limit-exceeded`, `bad-name` or `bad-message` when the rows are not such.
 */
export function encodeTelemetry(header: TelemetryHeader, rows: readonly TelemetryRow[]): Uint8Array {
  return encodeFrame(toBinary(TelemetryBatchSchema, toBatch(header, rows)));
}

/** The batch of a framed payload with its rows. Throws `bad-frame`, `limit-exceeded` or `bad-message`, nothing else. */
export function decodeTelemetry(payload: Uint8Array): TelemetryHeader & { readonly rows: TelemetryRow[] } {
  return fromBatch(decodeMessage(TelemetryBatchSchema, payload));
}

function toBatch(header: TelemetryHeader, rows: readonly TelemetryRow[]): TelemetryBatch {
  const first = rows[0];
  if (first === undefined || rows.length > maxBatchRows) {
    throw new SyncError('limit-exceeded', `telemetry batch: expected 1 to ${maxBatchRows} rows, found ${rows.length}`);
  }
  for (const [index, row] of rows.entries()) {
    if (row.sequence !== first.sequence + index || !sameClock(row.stamp, first.stamp)) {
      throw new SyncError('bad-message', `telemetry row ${index}: expected the next sequence and the same clock`);
    }
  }
  const captured = rows.map((row) => roundToUnit(row.stamp.capturedAtNs));
  const offsets = rows.map((row) => roundToUnit(row.stamp.monotonicNs - row.stamp.capturedAtNs));
  return create(TelemetryBatchSchema, {
    version: 1,
    epoch: header.epoch,
    stream: header.stream,
    firstSequence: BigInt(first.sequence),
    count: rows.length,
    bootId: first.stamp.bootId,
    capturedAt: toTimeColumn(captured),
    monotonic: toTimeColumn(offsets),
    synchronised: first.stamp.synchronised,
    estimatedErrorNs: errorClassNs(first.stamp.estimatedErrorNs),
    columns: fieldsOf(rows).map((name) =>
      toColumn(
        name,
        rows.map((row) => row.values[name] ?? Number.NaN),
      ),
    ),
    nextSequence: BigInt(header.nextSequence),
  });
}

function fieldsOf(rows: readonly TelemetryRow[]): string[] {
  const fields = new Set<string>();
  for (const row of rows) for (const name of Object.keys(row.values)) fields.add(name);
  if (fields.size > maxColumns) {
    throw new SyncError(
      'limit-exceeded',
      `telemetry batch: expected at most ${maxColumns} fields, found ${fields.size}`,
    );
  }
  for (const name of fields) {
    if (!isFieldName(name)) {
      throw new SyncError('bad-name', `telemetry field ${JSON.stringify(name)}: expected ${fieldPattern.source}`);
    }
  }
  return [...fields];
}

function roundToUnit(ns: bigint): bigint {
  const half = ns < 0n ? -(stampUnitNs / 2n) : stampUnitNs / 2n;
  return ((ns + half) / stampUnitNs) * stampUnitNs;
}

function toTimeColumn(values: readonly bigint[]): TimeColumn {
  const deltas: bigint[] = [];
  let previous = values[0] ?? 0n;
  let step = 0n;
  for (const value of values.slice(1)) {
    const nextStep = (value - previous) / stampUnitNs;
    deltas.push(nextStep - step);
    step = nextStep;
    previous = value;
  }
  return create(TimeColumnSchema, { firstNs: values[0] ?? 0n, unitNs: Number(stampUnitNs), deltas });
}

function toColumn(name: string, values: readonly number[]): Column {
  if (values.every(Number.isNaN)) return create(ColumnSchema, { name });
  const exponent = exponentOf(name) ?? exactExponent(values);
  if (exponent === null) return create(ColumnSchema, { name, exact: [...values] });
  const scaled = values.map((value) => Math.round(scale(value, exponent)));
  if (scaled.some((value) => Math.abs(value) > Number.MAX_SAFE_INTEGER)) {
    return create(ColumnSchema, { name, exact: [...values] });
  }
  const deltas: bigint[] = [];
  const missing: number[] = [];
  let previous = 0;
  for (const [index, value] of scaled.entries()) {
    if (Number.isNaN(value)) missing.push(index);
    deltas.push(Number.isNaN(value) ? 0n : BigInt(value) - BigInt(previous));
    if (!Number.isNaN(value)) previous = value;
  }
  return create(ColumnSchema, { name, exponent, deltas, missing });
}

/** The coarsest exponent that represents every value without any loss; null when none from 0 to −9 does. */
function exactExponent(values: readonly number[]): number | null {
  let exponent = 0;
  for (const value of values) {
    if (Number.isNaN(value)) continue;
    while (!survives(value, exponent)) {
      exponent -= 1;
      if (exponent < finestUnknownExponent) return null;
    }
  }
  return exponent;
}

function survives(value: number, exponent: number): boolean {
  const scaled = Math.round(scale(value, exponent));
  return Math.abs(scaled) <= Number.MAX_SAFE_INTEGER && Object.is(unscale(scaled, exponent) + 0, value);
}

/** Dividing by (or multiplying with) an exact power of ten is correctly rounded; multiplying with 0.01 is not. */
function scale(value: number, exponent: number): number {
  return exponent <= 0 ? value * 10 ** -exponent : value / 10 ** exponent;
}

function unscale(scaled: number, exponent: number): number {
  return exponent <= 0 ? scaled / 10 ** -exponent : scaled * 10 ** exponent;
}

function fromBatch(batch: TelemetryBatch): TelemetryHeader & { readonly rows: TelemetryRow[] } {
  checkBatch(batch);
  const count = batch.count;
  const captured = fromTimeColumn(batch.capturedAt, count, 'captured_at');
  const offsets = fromTimeColumn(batch.monotonic, count, 'monotonic');
  const columns = batch.columns.map((column) => ({ name: column.name, values: fromColumn(column, count) }));
  const firstSequence = Number(batch.firstSequence);
  const estimatedErrorNs = batch.estimatedErrorNs < 0n ? null : batch.estimatedErrorNs;
  const rows: TelemetryRow[] = [];
  for (let index = 0; index < count; index += 1) {
    const capturedAtNs = captured[index] ?? 0n;
    const values: Record<string, number> = {};
    for (const column of columns) values[column.name] = column.values[index] ?? Number.NaN;
    rows.push({
      sequence: firstSequence + index,
      stamp: {
        capturedAtNs,
        monotonicNs: capturedAtNs + (offsets[index] ?? 0n),
        bootId: batch.bootId,
        synchronised: batch.synchronised,
        estimatedErrorNs,
      },
      values,
    });
  }
  return { epoch: batch.epoch, stream: batch.stream, nextSequence: Number(batch.nextSequence), rows };
}

function checkBatch(batch: TelemetryBatch): void {
  const names = new Set(batch.columns.map((column) => column.name));
  const last = batch.firstSequence + BigInt(batch.count) - 1n;
  expect(batch.version === 1, 'version', 1, batch.version);
  expect(batch.count >= 1 && batch.count <= maxBatchRows, 'count', `1 to ${maxBatchRows}`, batch.count);
  expect(batch.firstSequence >= 1n, 'first_sequence', 'at least 1', batch.firstSequence);
  expect(last < batch.nextSequence, 'next_sequence', `more than ${last}`, batch.nextSequence);
  expect(batch.nextSequence <= BigInt(Number.MAX_SAFE_INTEGER), 'next_sequence', 'at most 2^53', batch.nextSequence);
  expect(isStreamName(batch.stream), 'stream', 'a stream name', JSON.stringify(batch.stream.slice(0, 80)));
  expect(batch.epoch.length >= 1 && batch.epoch.length <= maxTextLength, 'epoch', 'a UUID', batch.epoch.slice(0, 80));
  expect(batch.bootId.length <= maxTextLength, 'boot_id', 'a UUID', batch.bootId.slice(0, 80));
  expect(batch.columns.length <= maxColumns, 'columns', `at most ${maxColumns}`, batch.columns.length);
  expect(names.size === batch.columns.length, 'columns', 'different names', 'a name twice');
}

function fromTimeColumn(column: TimeColumn | undefined, count: number, name: string): bigint[] {
  if (column === undefined) throw new SyncError('bad-message', `${name}: expected a time column, found none`);
  expect(column.deltas.length === count - 1, `${name}.deltas`, count - 1, column.deltas.length);
  expect(column.unitNs >= 1 && column.unitNs <= 1_000_000_000, `${name}.unit_ns`, '1 to 1e9', column.unitNs);
  const unitNs = BigInt(column.unitNs);
  let value = column.firstNs;
  let step = 0n;
  const values = [value];
  for (const delta of column.deltas) {
    step += delta;
    value += step * unitNs;
    values.push(value);
  }
  const inRange = values.every((time) => BigInt.asIntN(64, time) === time);
  expect(inRange, name, 'times of 64 bits', 'more');
  return values;
}

function fromColumn(column: Column, count: number): Float64Array {
  const values = new Float64Array(count).fill(Number.NaN);
  expect(isFieldName(column.name), 'column name', fieldPattern.source, JSON.stringify(column.name.slice(0, 80)));
  if (column.exact.length > 0) {
    expect(column.exact.length === count, `${column.name}.exact`, count, column.exact.length);
    return Float64Array.from(column.exact);
  }
  if (column.deltas.length === 0) return values;
  expect(column.deltas.length === count, `${column.name}.deltas`, count, column.deltas.length);
  expect(Math.abs(column.exponent) <= 18, `${column.name}.exponent`, '−18 to 18', column.exponent);
  expect(column.missing.length <= count, `${column.name}.missing`, `at most ${count}`, column.missing.length);
  let scaled = 0n;
  for (const [index, delta] of column.deltas.entries()) {
    scaled += delta;
    values[index] = unscale(Number(scaled), column.exponent);
  }
  for (const index of column.missing) {
    expect(index < count, `${column.name}.missing`, `indices under ${count}`, index);
    values[index] = Number.NaN;
  }
  return values;
}

function expect(holds: boolean, where: string, expected: string | number, found: string | number | bigint): void {
  if (!holds) throw new SyncError('bad-message', `telemetry ${where}: expected ${expected}, found ${found}`);
}
