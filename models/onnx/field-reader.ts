/**
 * Owns reading one protobuf message strictly: every field has the wire type its format says, singular ones come once, lengths stay inside.
 * A reader that guesses could see another model than the runtime does.
 */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { ModelError } from '../error.ts';

/** How many fields and numbers may be read of a whole file; bounds the time and memory that a small hostile file can cost. */
export class FieldBudget {
  #left: number;

  constructor(fields: number) {
    this.#left = fields;
  }

  /** Takes `count` fields, or numbers that are kept. Throws ModelError `unreadable-model` when too many have been taken. */
  take(where: string, count = 1): void {
    this.#left -= count;
    if (this.#left < 0) throw unreadable(where, 'a model of reasonable size', 'too many fields', 'Simplify the graph.');
  }
}

/** The error of a file that cannot be read on; `where` is a path like `graph.node[3].name`. */
export function unreadable(where: string, expected: string, found: string, cure: string, cause?: unknown): ModelError {
  const finding = { code: 'unreadable-model', field: where, expected, found, cure } as const;
  return ModelError.of('', [finding], cause);
}

/** The file is cut off or damaged, which nothing but the original cures. */
export const DAMAGED = 'The file is damaged or not whole: copy or export it again.';

/** What the fields of the outer messages are called. */
const FIELD_NAMES: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  model: { 1: 'ir_version', 2: 'producer_name', 7: 'graph', 8: 'opset_import', 14: 'metadata_props' },
  graph: { 1: 'node', 2: 'name', 5: 'initializer', 11: 'input', 12: 'output', 13: 'value_info' },
  metadata_props: { 1: 'key', 2: 'value' },
};

/** One message. `next()` steps to a field; exactly one of the others then takes its value. */
export class FieldReader {
  readonly #bytes: Uint8Array;
  readonly #reader: BinaryReader;
  readonly #where: string;
  readonly #budget: FieldBudget;
  readonly #seen = new Set<number>();
  #wire: WireType = WireType.Varint;
  /** Where the value of the field stepped to begins. */
  #start = 0;
  /** Number of the field stepped to. */
  number = 0;

  /** `bytes` are read in place, not copied. */
  constructor(bytes: Uint8Array, where: string, budget: FieldBudget) {
    this.#bytes = bytes;
    this.#reader = new BinaryReader(bytes);
    this.#where = where;
    this.#budget = budget;
  }

  /** Steps to the next field; false at the end. */
  next(): boolean {
    if (this.#reader.pos >= this.#reader.len) return false;
    this.#budget.take(this.#where);
    [this.number, this.#wire] = this.#guarded('a field', () => this.#reader.tag());
    this.#start = this.#reader.pos;
    return true;
  }

  /** Says that this field may come once only. */
  once(): this {
    if (this.#seen.has(this.number)) throw this.#wrong('once', 'twice');
    this.#seen.add(this.number);
    return this;
  }

  /** A whole number; beyond ±2⁵³ it is rounded, which no valid file has. */
  int(): number {
    this.#expect(WireType.Varint, 'a whole number');
    return Number(this.#guarded('a whole number', () => this.#reader.int64()));
  }

  float(): number {
    this.#expect(WireType.Bit32, 'a 32-bit number');
    return this.#guarded('a 32-bit number', () => this.#reader.float());
  }

  /** UTF-8 of at most `most` bytes. */
  text(most: number): string {
    const bytes = this.bytes();
    if (bytes.length > most) throw this.#wrong(`at most ${most} bytes of text`, `${bytes.length}`);
    return this.#guarded('UTF-8 text', () => utf8.decode(bytes));
  }

  /** A view of bytes or of a message inside. */
  bytes(): Uint8Array {
    this.#expect(WireType.LengthDelimited, 'bytes');
    const length = this.#guarded('a length', () => this.#reader.uint32());
    const left = this.#reader.len - this.#reader.pos;
    if (length > left) throw this.#wrong(`${length} bytes`, `the end after ${left}`);
    const start = this.#reader.pos;
    this.#reader.pos += length;
    return this.#bytes.subarray(start, start + length);
  }

  /**
   * Whole numbers of a repeated field, packed or one by one: how many are in this piece of it. The first of them are added to `kept` as
   * long as it holds fewer than `most`.
   */
  ints(kept: number[], most: number): number {
    if (this.#wire === WireType.Varint) {
      const value = this.int();
      if (kept.length < most) kept.push(value);
      return 1;
    }
    const bytes = this.bytes();
    let count = 0;
    for (let i = 0; i < bytes.length; i++) count += (bytes[i] as number) < 0x80 ? 1 : 0;
    if (bytes.length > 0 && (bytes[bytes.length - 1] as number) >= 0x80)
      throw this.#wrong('whole numbers', 'half of one');
    const keep = Math.min(count, most - kept.length);
    this.#budget.take(this.#where, keep);
    const packed = new BinaryReader(bytes);
    for (let i = 0; i < keep; i++) kept.push(Number(this.#guarded('whole numbers', () => packed.int64())));
    return count;
  }

  /** How many numbers of `size` bytes each are in this piece of a repeated field. */
  countFixed(size: 4 | 8): number {
    if (this.#wire === (size === 4 ? WireType.Bit32 : WireType.Bit64)) {
      this.#guarded('a number', () => this.#reader.skip(this.#wire));
      return 1;
    }
    const { length } = this.bytes();
    if (length % size !== 0) throw this.#wrong(`numbers of ${size} bytes`, `${length} bytes`);
    return length / size;
  }

  /** What is there of bytes whose length reaches beyond the end, once `bytes` has failed; for looking into broken files. */
  rest(): Uint8Array {
    this.#reader.pos = this.#start;
    this.#reader.uint32();
    const at = Math.min(this.#reader.pos, this.#reader.len);
    this.#reader.pos = this.#reader.len;
    return this.#bytes.subarray(at);
  }

  /** Steps over the field whose value could not be taken, or to the end when its length is not known. */
  over(): void {
    try {
      this.#reader.pos = this.#start;
      this.#reader.skip(this.#wire, this.number);
    } catch {
      this.#reader.pos = this.#reader.len;
    }
  }

  /** Passes over a field that does not matter here, of any length; its wire type must still be a plain one. */
  skip(): void {
    if (this.#wire === WireType.StartGroup || this.#wire === WireType.EndGroup) {
      throw this.#wrong('a plain field', 'a group, which ONNX does not use');
    }
    this.#guarded('a field', () => this.#reader.skip(this.#wire, this.number));
  }

  /** For a field that the format does not know: a runtime that is newer than this reader could take it for something. */
  refuse(what: string, cure: string): never {
    throw unreadable(this.#where, `no ${what}`, `field ${this.number}`, cure);
  }

  /** For any field number not handled. */
  unknown(): never {
    this.refuse('fields that ONNX does not know', 'Export the model again, or simplify it with a tool of ONNX.');
  }

  #expect(wire: WireType, what: string): void {
    if (this.#wire !== wire) throw this.#wrong(what, `wire type ${this.#wire}`);
  }

  #wrong(expected: string, found: string): ModelError {
    return unreadable(this.#field(), expected, found, DAMAGED);
  }

  #field(): string {
    const name = FIELD_NAMES[this.#where]?.[this.number];
    return name === undefined ? `${this.#where} field ${this.number}` : `${this.#where}.${name}`;
  }

  #guarded<T>(expected: string, read: () => T): T {
    try {
      return read();
    } catch (cause) {
      const found = cause instanceof Error ? cause.message : String(cause);
      throw unreadable(this.#field(), expected, found, DAMAGED, cause);
    }
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
