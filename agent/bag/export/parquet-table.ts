/** Owns writing rows as Parquet, row group by row group, so that memory does not grow with the bag. Times are INT64 timestamps in ns. */

import type { SchemaElement } from 'hyparquet';
import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import type { CdrMessage, CdrValue } from '../../messages/cdr-reader.ts';
import { AppendFile } from './append-file.ts';
import type { Column, ColumnKind } from './table-columns.ts';

/** A row group ends with this many rows, or when its values come to about this many bytes. */
const groupRows = 65_536;
const groupBytes = 4 * 1024 * 1024;

const elements: Readonly<Record<string, Omit<SchemaElement, 'name'>>> = {
  bool: { type: 'BOOLEAN' },
  int8: { type: 'INT32', converted_type: 'INT_8' },
  uint8: { type: 'INT32', converted_type: 'UINT_8' },
  byte: { type: 'INT32', converted_type: 'UINT_8' },
  char: { type: 'INT32', converted_type: 'UINT_8' },
  int16: { type: 'INT32', converted_type: 'INT_16' },
  uint16: { type: 'INT32', converted_type: 'UINT_16' },
  int32: { type: 'INT32' },
  uint32: { type: 'INT32', converted_type: 'UINT_32' },
  int64: { type: 'INT64' },
  uint64: { type: 'INT64', converted_type: 'UINT_64' },
  duration: { type: 'INT64' },
  time: { type: 'INT64', logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'NANOS' } },
  float32: { type: 'FLOAT' },
  float64: { type: 'DOUBLE' },
  string: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
  bytes: { type: 'BYTE_ARRAY' },
};

/** The last moment a timestamp of 64 bits can say, in the year 2262: later ones, which only damage makes, become it. CSV has them as they are. */
const latestNs = 2n ** 63n - 1n;

/** A column's elements, in the order of the schema tree; lists as the format's own three levels. */
function schemaOf(name: string, kind: ColumnKind): SchemaElement[] {
  if ('list' in kind) {
    return [
      { name, repetition_type: 'REQUIRED', num_children: 1, converted_type: 'LIST' },
      { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
      ...schemaOf('element', kind.list),
    ];
  }
  if ('struct' in kind) {
    // A group needs a field; an empty message has one, of no meaning.
    const fields = kind.struct.length === 0 ? [{ name: 'empty', kind: { of: 'bool' } }] : kind.struct;
    const children = fields.flatMap((field) => schemaOf(field.name, field.kind));
    return [{ name, repetition_type: 'REQUIRED', num_children: fields.length }, ...children];
  }
  return [{ name, repetition_type: 'REQUIRED', ...elements[kind.of] }];
}

/** A value as the library takes it, and about how many bytes it is. */
function plain(value: CdrValue, kind: ColumnKind): { value: unknown; bytes: number } {
  if ('list' in kind) {
    let bytes = 16;
    const list = Array.from(value as ArrayLike<CdrValue>, (each) => {
      const inner = plain(each, kind.list);
      bytes += inner.bytes;
      return inner.value;
    });
    return { value: list, bytes };
  }
  if ('struct' in kind) {
    let bytes = 16;
    const message: Record<string, unknown> = kind.struct.length === 0 ? { empty: false } : {};
    for (const { name, kind: inner } of kind.struct) {
      const field = plain((value as CdrMessage)[name] as CdrValue, inner);
      message[name] = field.value;
      bytes += field.bytes;
    }
    return { value: message, bytes };
  }
  if (typeof value === 'string') return { value, bytes: 16 + 2 * value.length };
  if (value instanceof Uint8Array) return { value, bytes: 16 + value.byteLength };
  if (typeof value !== 'bigint') return { value, bytes: 8 };
  return { value: kind.of === 'time' && value > latestNs ? latestNs : value, bytes: 24 };
}

/** One Parquet file. Methods must not overlap. */
export class ParquetTable {
  readonly #file: AppendFile;
  readonly #columns: readonly Column[];
  readonly #bytes = new ByteWriter();
  readonly #writer: ParquetWriter;
  #data: unknown[][];
  #rows = 0;
  #held = 0;

  private constructor(file: AppendFile, columns: readonly Column[]) {
    this.#file = file;
    this.#columns = columns;
    const root: SchemaElement = { name: 'root', num_children: columns.length };
    const schema = [root, ...columns.flatMap(({ name, kind }) => schemaOf(name, kind))];
    this.#writer = new ParquetWriter({ writer: this.#bytes, schema, createdBy: 'fender' });
    this.#data = columns.map(() => []);
  }

  static async create(path: string, columns: readonly Column[]): Promise<ParquetTable> {
    return new ParquetTable(await AppendFile.create(path), columns);
  }

  async add(values: readonly CdrValue[]): Promise<void> {
    for (const [index, { kind }] of this.#columns.entries()) {
      const { value, bytes } = plain(values[index] as CdrValue, kind);
      (this.#data[index] as unknown[]).push(value);
      this.#held += bytes;
    }
    this.#rows += 1;
    if (this.#rows >= groupRows || this.#held >= groupBytes) await this.#flushGroup();
  }

  async finish(): Promise<void> {
    await this.#flushGroup();
    await this.#writer.finish();
    await this.#flushBytes();
    await this.#file.finish();
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #flushGroup(): Promise<void> {
    if (this.#rows === 0) return;
    const columnData = this.#columns.map(({ name, kind }, index) => ({
      name,
      data: this.#data[index] as unknown[],
      offsetIndex: false,
      // The library compares them as signed.
      statistics: !('of' in kind && kind.of === 'uint64'),
    }));
    await this.#writer.write({ columnData, rowGroupSize: this.#rows });
    this.#data = this.#columns.map(() => []);
    this.#rows = 0;
    this.#held = 0;
    await this.#flushBytes();
  }

  /** Moves what the library wrote into the file; its positions go on counting. */
  async #flushBytes(): Promise<void> {
    const bytes = this.#bytes.getBytes().slice();
    this.#bytes.index = 0;
    await this.#file.append(bytes);
  }
}
