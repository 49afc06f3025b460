/** Owns how a message becomes a row: nested fields as columns with dotted names, arrays as lists. */

import { type CdrMessage, type CdrValue, cdrReader, durationType, timeType } from '../../messages/cdr-reader.ts';
import {
  type MessageDefinitions,
  type MessageField,
  parseDefinitions,
  primitiveTypes,
} from '../../messages/message-definition.ts';

/** What a column holds. `time` and `duration` are nanoseconds; `bytes` an array of bytes. */
export type ColumnKind =
  | { readonly of: string }
  | { readonly list: ColumnKind }
  | { readonly struct: readonly { readonly name: string; readonly kind: ColumnKind }[] };

/** One column. */
export interface Column {
  /** `header.stamp` */
  readonly name: string;
  readonly kind: ColumnKind;
}

/** Rows of one topic: their columns, and a message's values in the same order. */
export interface RowReader {
  readonly columns: readonly Column[];
  /** @throws CdrError for bytes that are no such message. */
  row(data: Uint8Array): readonly CdrValue[];
}

const maxColumns = 2000;
const byteTypes: ReadonlySet<string> = new Set(['uint8', 'byte', 'char']);

function elementKind(definitions: MessageDefinitions, { type }: MessageField): ColumnKind {
  if (type === timeType) return { of: 'time' };
  if (type === durationType) return { of: 'duration' };
  if (primitiveTypes.has(type)) return { of: type };
  const fields = definitions.get(type) ?? [];
  return { struct: fields.map((field) => ({ name: field.name, kind: fieldKind(definitions, field) })) };
}

function fieldKind(definitions: MessageDefinitions, field: MessageField): ColumnKind {
  if (field.array === 'none') return elementKind(definitions, field);
  return byteTypes.has(field.type) ? { of: 'bytes' } : { list: elementKind(definitions, field) };
}

/** Leaves of a message with the way to them. */
function flatten(
  definitions: MessageDefinitions,
  type: string,
  path: readonly string[],
  into: { path: string[]; kind: ColumnKind }[],
): void {
  for (const field of definitions.get(type) ?? []) {
    const here = [...path, field.name];
    const isMessage =
      field.array === 'none' && !primitiveTypes.has(field.type) && ![timeType, durationType].includes(field.type);
    if (isMessage) flatten(definitions, field.type, here, into);
    else into.push({ path: here, kind: fieldKind(definitions, field) });
    if (into.length > maxColumns) throw new TypeError(`${type}: expected at most ${maxColumns} fields, found more`);
  }
}

/**
 * How messages of `type` with the definition `text` (`ros2msg`) become rows.
 * @throws CdrError or TypeError when there is no reading them: no definition, wide strings.
 */
export function cdrRows(type: string, text: string): RowReader {
  const definitions = parseDefinitions(type, text);
  const read = cdrReader(definitions, type);
  const leaves: { path: string[]; kind: ColumnKind }[] = [];
  flatten(definitions, type, [], leaves);
  return {
    columns: leaves.map(({ path, kind }) => ({ name: path.join('.'), kind })),
    row: (data) => {
      const message = read(data);
      return leaves.map(({ path }) => {
        let value: CdrValue = message;
        for (const name of path) value = (value as CdrMessage)[name] as CdrValue;
        return value;
      });
    },
  };
}

/** Messages that are JSON text already: one column. */
export const jsonRows: RowReader = {
  columns: [{ name: 'json', kind: { of: 'string' } }],
  row: (data) => [new TextDecoder().decode(data)],
};

/** The columns that stand before those of the message. */
export const recordColumns: readonly Column[] = [
  { name: 'log_time', kind: { of: 'time' } },
  { name: 'publish_time', kind: { of: 'time' } },
  { name: 'sequence', kind: { of: 'uint32' } },
];

/** The columns of a table; a field called like one of those before it gets `message.` in front. */
export function tableColumns(rows: RowReader): Column[] {
  const taken = new Set(recordColumns.map(({ name }) => name));
  return [
    ...recordColumns,
    ...rows.columns.map(({ name, kind }) => ({ name: taken.has(name) ? `message.${name}` : name, kind })),
  ];
}
