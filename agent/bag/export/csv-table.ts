/** Owns writing rows as CSV (RFC 4180): times as ISO 8601 with nanoseconds, lists as JSON, bytes as base64. */

import type { CdrMessage, CdrValue } from '../../messages/cdr-reader.ts';
import { isoTime } from '../time-span.ts';
import { AppendFile } from './append-file.ts';
import type { Column, ColumnKind } from './table-columns.ts';

const flushCharacters = 256 * 1024;
/** JSON of a value inside a list. Not a number and infinity, which JSON has not, are texts: "NaN". */
function jsonText(value: CdrValue, kind: ColumnKind): string {
  if ('list' in kind)
    return `[${Array.from(value as ArrayLike<CdrValue>, (each) => jsonText(each, kind.list)).join(',')}]`;
  if ('struct' in kind) {
    const fields = kind.struct.map(({ name, kind: inner }) => {
      return `${JSON.stringify(name)}:${jsonText((value as CdrMessage)[name] as CdrValue, inner)}`;
    });
    return `{${fields.join(',')}}`;
  }
  if (kind.of === 'time') return JSON.stringify(isoTime(value as bigint));
  if (kind.of === 'bytes') return JSON.stringify(base64(value as Uint8Array));
  if (typeof value === 'number' && !Number.isFinite(value)) return `"${value}"`;
  return typeof value === 'bigint' ? String(value) : JSON.stringify(value);
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

function cell(value: CdrValue, { kind }: Column): string {
  if (!('of' in kind)) return quoted(jsonText(value, kind));
  if (kind.of === 'time') return isoTime(value as bigint);
  if (kind.of === 'bytes') return base64(value as Uint8Array);
  return typeof value === 'string' ? quoted(value) : String(value);
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** One CSV file. Methods must not overlap. */
export class CsvTable {
  readonly #file: AppendFile;
  readonly #columns: readonly Column[];
  #text: string;

  private constructor(file: AppendFile, columns: readonly Column[]) {
    this.#file = file;
    this.#columns = columns;
    this.#text = `${columns.map(({ name }) => quoted(name)).join(',')}\n`;
  }

  static async create(path: string, columns: readonly Column[]): Promise<CsvTable> {
    return new CsvTable(await AppendFile.create(path), columns);
  }

  async add(values: readonly CdrValue[]): Promise<void> {
    this.#text += `${this.#columns.map((column, index) => cell(values[index] as CdrValue, column)).join(',')}\n`;
    if (this.#text.length >= flushCharacters) await this.#flush();
  }

  async finish(): Promise<void> {
    await this.#flush();
    await this.#file.finish();
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.from(this.#text);
    this.#text = '';
    await this.#file.append(bytes);
  }
}
