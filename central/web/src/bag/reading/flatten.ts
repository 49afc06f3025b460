/**
 * Turns messages of any type into numbers: finds the numeric fields of a type by the schema in the bag (and, where arrays have
 * no fixed length, by a first message), and reads them.
 */
import { parse } from '@foxglove/rosmsg';

import { MessageReader } from '@foxglove/rosmsg2-serialization';
import { expectPlainCdr } from './cdr-head.ts';

/** The definition of a type, as the library gives it. */
type MessageDefinition = ReturnType<typeof parse>[number];

/** Reads one message. @throws Error for bytes that do not fit the type. */
export type ReadMessage = (data: Uint8Array) => unknown;

/** A numeric field: where it is in a message, and its name: `linear_acceleration.x`, `ranges[0]`. */
export interface NumericField {
  readonly name: string;
  readonly path: readonly (string | number)[];
  /** Integers and flags. */
  readonly whole: boolean;
}

/** How a topic's messages are read. */
export interface MessageType {
  readonly read: ReadMessage;
  /** By name; the first is the type itself. Empty where no definition is needed. */
  readonly definitions: readonly MessageDefinition[];
}

const mostFields = 128;
const mostElements = 32;
const deepest = 8;

/** @throws Error when messages of this encoding cannot be read here. */
export function messageType(messageEncoding: string, schemaEncoding: string, schema: Uint8Array): MessageType {
  if (messageEncoding === 'json') {
    return { read: (data) => JSON.parse(new TextDecoder().decode(data)), definitions: [] };
  }
  if (messageEncoding !== 'cdr')
    throw new Error(`its messages are ${messageEncoding || 'of no encoding'}; read are cdr and json`);
  if (schemaEncoding !== 'ros2msg') {
    throw new Error(`its type is defined by ${schemaEncoding || 'nothing'}; read is ros2msg`);
  }
  const text = new TextDecoder().decode(schema);
  if (text.trim() === '') throw new Error('the bag has no definition of its type');
  const definitions = parse(text, { ros2: true });
  const reader = new MessageReader(definitions);
  const read = (data: Uint8Array): unknown => {
    expectPlainCdr(data);
    return reader.readMessage(data);
  };
  return { read, definitions };
}

/** The numeric fields of a message as it was read, in order; the times of its header are none. */
export function numericFields(message: unknown, definitions: readonly MessageDefinition[]): NumericField[] {
  const byName = new Map(definitions.map((definition) => [definition.name ?? '', definition]));
  const fields: NumericField[] = [];
  const root = definitions.find(({ definitions: members }) => members.some(({ isConstant }) => isConstant !== true));
  collect(message, { name: '', path: [], type: '', definition: root }, byName, fields);
  return fields;
}

interface Place {
  readonly name: string;
  readonly path: readonly (string | number)[];
  /** Of a primitive. */
  readonly type: string;
  readonly definition: MessageDefinition | undefined;
}

function collect(
  value: unknown,
  place: Place,
  byName: ReadonlyMap<string, MessageDefinition>,
  fields: NumericField[],
): void {
  const { name, path, type, definition } = place;
  if (fields.length >= mostFields || path.length > deepest) return;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') {
    const whole = typeof value !== 'number' || /^(u?int\d+|byte|char|bool)$/.test(type);
    fields.push({ name: name || 'value', path, whole });
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  if (Array.isArray(value) || ArrayBuffer.isView(value)) {
    const elements = value as ArrayLike<unknown>;
    // Longer ones are pictures, point clouds, sound.
    if (elements.length > 512) return;
    for (let index = 0; index < Math.min(elements.length, mostElements); index += 1) {
      collect(elements[index], { ...place, name: `${name}[${index}]`, path: [...path, index] }, byName, fields);
    }
    return;
  }
  if (isTime(value)) {
    if (!/(^|\.)(stamp|timestamp|time|end|time_ref)$/.test(name)) fields.push({ name, path, whole: false });
    return;
  }
  for (const [key, member] of Object.entries(value)) {
    const field = definition?.definitions.find((one) => one.name === key && one.isConstant !== true);
    const inner = {
      name: name === '' ? key : `${name}.${key}`,
      path: [...path, key],
      type: field?.type ?? '',
      definition: byName.get(field?.type ?? ''),
    };
    collect(member, inner, byName, fields);
  }
}

function isTime(value: object): value is { sec: number; nanosec: number } {
  return 'sec' in value && 'nanosec' in value && Object.keys(value).length === 2;
}

/** The number at a path of a message; NaN where there is none. Durations are in seconds, true is 1. */
export function numberAt(message: unknown, path: readonly (string | number)[]): number {
  let value: unknown = message;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return Number.NaN;
    value = (value as Record<string | number, unknown>)[key];
  }
  if (typeof value === 'object' && value !== null && isTime(value)) return value.sec + value.nanosec / 1e9;
  return value === undefined ? Number.NaN : Number(value);
}
