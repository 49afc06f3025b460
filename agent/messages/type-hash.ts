/**
 * Owns the type hashes of ROS 2 (REP 2011, REP 2016; version `RIHS01`): the SHA-256 of a type's description, by which two sides see
 * that they mean the same message.
 */

import { createHash } from 'node:crypto';
import { type MessageField, parseDefinitions, primitiveTypes } from './message-definition.ts';

/** Numbers of type_description_interfaces/msg/FieldType. A .msg `char` is an unsigned byte in ROS 2. */
const typeIds: Readonly<Record<string, number>> = {
  int8: 2,
  uint8: 3,
  int16: 4,
  uint16: 5,
  int32: 6,
  uint32: 7,
  int64: 8,
  uint64: 9,
  float32: 10,
  float64: 11,
  char: 3,
  bool: 15,
  byte: 16,
  string: 17,
  wstring: 18,
};
const boundedIds: Readonly<Record<string, number>> = { string: 21, wstring: 22 };
/** Added to a type's number for arrays of it. */
const arrayOffsets = { none: 0, fixed: 48, bounded: 96, unbounded: 144 } as const;
/** What an empty message holds in its place, as its C structure must have a member. */
const placeholder: MessageField = {
  name: 'structure_needs_at_least_one_member',
  type: 'uint8',
  array: 'none',
  capacity: 0,
  stringCapacity: 0,
};

function fieldText({ name, type, array, capacity, stringCapacity }: MessageField): string {
  const nested = primitiveTypes.has(type) ? '' : type;
  const base = nested !== '' ? 1 : ((stringCapacity > 0 ? boundedIds[type] : typeIds[type]) ?? 0);
  const id = base + arrayOffsets[array];
  return `{"name": ${JSON.stringify(name)}, "type": {"type_id": ${id}, "capacity": ${capacity}, "string_capacity": ${stringCapacity}, "nested_type_name": ${JSON.stringify(nested)}}}`;
}

function descriptionText(type: string, fields: readonly MessageField[]): string {
  const texts = (fields.length === 0 ? [placeholder] : fields).map(fieldText);
  return `{"type_name": ${JSON.stringify(type)}, "fields": [${texts.join(', ')}]}`;
}

/**
 * The hash of `type` (`package/msg/Name`) with the definition `text` (`ros2msg`), such as `RIHS01_f49f…`; the bytes hashed are
 * JSON as Python's `json.dumps` writes it, without default values (REP 2016).
 * @throws TypeError for text that is no definition.
 */
export function typeHash(type: string, text: string): string {
  const definitions = parseDefinitions(type, text);
  const used = new Set<string>();
  const visit = (name: string): void => {
    if (used.has(name)) return;
    used.add(name);
    for (const field of definitions.get(name) ?? []) if (!primitiveTypes.has(field.type)) visit(field.type);
  };
  visit(type);
  used.delete(type);
  const referenced = [...used].sort().map((name) => descriptionText(name, definitions.get(name) ?? []));
  const root = descriptionText(type, definitions.get(type) ?? []);
  const json = `{"type_description": ${root}, "referenced_type_descriptions": [${referenced.join(', ')}]}`;
  return `RIHS01_${createHash('sha256').update(json).digest('hex')}`;
}

/** As `typeHash`, or an empty text, which means "not known", where the text is no definition. */
export function typeHashOrNone(type: string, text: string): string {
  try {
    return text === '' ? '' : typeHash(type, text);
  } catch {
    return '';
  }
}
