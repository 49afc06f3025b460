/**
 * Owns reading ROS 2 messages (CDR, OMG DDS-XTypes 1.3, 7.4.3) by definitions that came with them. Neither the definitions nor
 * the bytes are trusted: nothing is read behind the end, and nothing is made that the bytes do not pay for.
 */

import { type MessageDefinitions, type MessageField, primitiveTypes } from './message-definition.ts';

/** A number array as it was sent; the receiver owns it. */
export type NumberArray =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

/** A field's value: 64-bit integers, times and durations (nanoseconds) are `bigint`, arrays of numbers typed arrays. */
export type CdrValue = number | bigint | boolean | string | NumberArray | readonly CdrValue[] | CdrMessage;

/** A message by its fields' names. */
export interface CdrMessage {
  readonly [field: string]: CdrValue;
}

/** Bytes that are not what the definition says. */
export class CdrError extends Error {
  readonly code = 'cdr';
  constructor(message: string) {
    super(message);
    this.name = 'CdrError';
  }
}

export const timeType = 'builtin_interfaces/msg/Time';
export const durationType = 'builtin_interfaces/msg/Duration';

/** Deeper nesting is no message: a type that holds itself. */
const maxDepth = 32;
/** Nested messages, and elements of arrays of other things than numbers: each costs far more memory than bytes. */
const maxElements = 1_000_000;
const hostIsLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
const textDecoder = new TextDecoder();

const arrayTypes = {
  int8: Int8Array,
  uint8: Uint8Array,
  byte: Uint8Array,
  char: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  float32: Float32Array,
  float64: Float64Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
} as const;

/** The bytes of one message, read from front to back. */
class Cursor {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #littleEndian: boolean;
  readonly #maxAlignment: number;
  #offset = 4;
  #elements = 0;

  constructor(bytes: Uint8Array) {
    if (bytes.byteLength < 4) throw new CdrError(`expected a CDR header of 4 bytes, found ${bytes.byteLength} bytes`);
    const kind = bytes[1] as number;
    // Plain CDR of version 1 and 2 (XTypes 1.3, table 60); the parameter lists of the others nobody writes for ROS messages.
    if (bytes[0] !== 0 || ![0, 1, 6, 7].includes(kind)) {
      throw new CdrError(
        `expected plain CDR (0000, 0001, 0006 or 0007), found ${Buffer.from(bytes.subarray(0, 2)).toString('hex')}`,
      );
    }
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#littleEndian = (kind & 1) === 1;
    this.#maxAlignment = kind >= 6 ? 4 : 8;
  }

  get left(): number {
    return this.#bytes.byteLength - this.#offset;
  }

  /** Takes `bytes` aligned to `size` (from behind the header), and says where they are. */
  take(size: number, bytes = size): number {
    const alignment = Math.min(size, this.#maxAlignment);
    const offset = this.#offset + ((alignment - ((this.#offset - 4) % alignment)) % alignment);
    if (offset + bytes > this.#bytes.byteLength) {
      throw new CdrError(
        `expected ${bytes} bytes at byte ${offset}, found ${Math.max(0, this.#bytes.byteLength - offset)}`,
      );
    }
    this.#offset = offset + bytes;
    return offset;
  }

  primitive(type: string): number | bigint | boolean | string {
    const view = this.#view;
    const little = this.#littleEndian;
    switch (type) {
      case 'bool':
        return view.getUint8(this.take(1)) !== 0;
      case 'int8':
        return view.getInt8(this.take(1));
      case 'uint8':
      case 'byte':
      case 'char':
        return view.getUint8(this.take(1));
      case 'int16':
        return view.getInt16(this.take(2), little);
      case 'uint16':
        return view.getUint16(this.take(2), little);
      case 'int32':
        return view.getInt32(this.take(4), little);
      case 'uint32':
        return view.getUint32(this.take(4), little);
      case 'float32':
        return view.getFloat32(this.take(4), little);
      case 'int64':
        return view.getBigInt64(this.take(8), little);
      case 'uint64':
        return view.getBigUint64(this.take(8), little);
      case 'float64':
        return view.getFloat64(this.take(8), little);
      default:
        return this.#text();
    }
  }

  /** Nanoseconds of a Time or Duration. */
  nanoseconds(): bigint {
    const sec = this.primitive('int32') as number;
    return BigInt(sec) * 1_000_000_000n + BigInt(this.primitive('uint32') as number);
  }

  /** How many elements an array field has here. `minBytes` is the least that one of them takes. */
  count({ array, capacity, name }: MessageField, minBytes: number): number {
    const count = array === 'fixed' ? capacity : (this.primitive('uint32') as number);
    if (array === 'bounded' && count > capacity) {
      throw new CdrError(`${name}: expected at most ${capacity} elements, found ${count}`);
    }
    if (count * minBytes > this.left) {
      throw new CdrError(`${name}: expected ${count} elements at byte ${this.#offset}, found ${this.left} bytes`);
    }
    return count;
  }

  /** Counts what becomes an object or an element of an array. */
  spend(count: number): void {
    this.#elements += count;
    if (this.#elements > maxElements)
      throw new CdrError(`expected at most ${maxElements} elements in arrays, found more`);
  }

  numbers(type: keyof typeof arrayTypes, count: number): NumberArray {
    const made = new arrayTypes[type](count);
    if (count === 0) return made;
    const width = made.BYTES_PER_ELEMENT;
    const offset = this.take(width, count * width);
    const bytes = new Uint8Array(made.buffer);
    bytes.set(this.#bytes.subarray(offset, offset + bytes.byteLength));
    if (width > 1 && this.#littleEndian !== hostIsLittleEndian) {
      for (let at = 0; at < bytes.byteLength; at += width) bytes.subarray(at, at + width).reverse();
    }
    return made;
  }

  #text(): string {
    const length = this.primitive('uint32') as number;
    const offset = this.take(1, length);
    // The length counts the closing zero; some writers leave both out of an empty text.
    const end = length > 0 && this.#bytes[offset + length - 1] === 0 ? offset + length - 1 : offset + length;
    return textDecoder.decode(this.#bytes.subarray(offset, end));
  }
}

type ReadValue = (cursor: Cursor) => CdrValue;

/** Makes readers of one set of definitions, each type's once, so that types that use one another often cost no more. */
class ReaderTable {
  readonly #definitions: MessageDefinitions;
  /** `null` while a type's reader is being made: who asks for it then holds itself. */
  readonly #structs = new Map<string, ReadValue | null>();

  constructor(definitions: MessageDefinitions) {
    this.#definitions = definitions;
  }

  struct(type: string, depth = 0): ReadValue {
    const known = this.#structs.get(type);
    if (known === null || depth > maxDepth) {
      throw new CdrError(`${type}: expected at most ${maxDepth} messages in one another, found more`);
    }
    if (known !== undefined) return known;
    this.#structs.set(type, null);
    const fields = this.#definitions.get(type) ?? [];
    const read = structReader(fields.map((field) => [field.name, this.#field(field, depth)]));
    this.#structs.set(type, read);
    return read;
  }

  #field(field: MessageField, depth: number): ReadValue {
    const { type, array } = field;
    const readElement = this.#element(field, depth);
    if (array === 'none') return readElement;
    if (Object.hasOwn(arrayTypes, type)) {
      const key = type as keyof typeof arrayTypes;
      const width = arrayTypes[key].BYTES_PER_ELEMENT;
      return (cursor) => cursor.numbers(key, cursor.count(field, width));
    }
    return (cursor) => {
      const count = cursor.count(field, 1);
      cursor.spend(count);
      const values: CdrValue[] = [];
      for (let index = 0; index < count; index += 1) values.push(readElement(cursor));
      return values;
    };
  }

  #element({ name, type }: MessageField, depth: number): ReadValue {
    if (type === 'wstring') {
      throw new CdrError(`${name}: wide strings are not read (no two ROS 2 middlewares agree on them)`);
    }
    if (primitiveTypes.has(type)) return (cursor) => cursor.primitive(type);
    if (type === timeType || type === durationType) return (cursor) => cursor.nanoseconds();
    return this.struct(type, depth + 1);
  }
}

function structReader(fields: readonly (readonly [name: string, read: ReadValue])[]): ReadValue {
  if (fields.length === 0) {
    // An empty message is one byte, as its C structure must have a member.
    return (cursor) => {
      cursor.primitive('uint8');
      return {};
    };
  }
  return (cursor) => {
    cursor.spend(1);
    const message: Record<string, CdrValue> = {};
    for (const [name, read] of fields) message[name] = read(cursor);
    return message;
  };
}

/**
 * A reader of messages of `type`, whose fields `definitions` tells.
 * @returns a function of a message's bytes, with their 4-byte encapsulation header; it throws CdrError, and nothing else.
 * @throws CdrError when no message of the type can be read: wide strings, types in themselves.
 */
export function cdrReader(definitions: MessageDefinitions, type: string): (bytes: Uint8Array) => CdrMessage {
  const read = new ReaderTable(definitions).struct(type);
  return (bytes) => read(new Cursor(bytes)) as CdrMessage;
}
