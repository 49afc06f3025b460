/**
 * Owns reading ROS 2 message definitions as text (`ros2msg`: the type's own .msg, then those it uses, each under a line of `=`
 * and `MSG: package/Name`). The text may come from any bag: reading it costs time in proportion to its length, and nothing more.
 */

/** One field of a message. */
export interface MessageField {
  readonly name: string;
  /** A primitive (`float64`, `string`), or another message: `package/msg/Name`. */
  readonly type: string;
  readonly array: 'none' | 'fixed' | 'bounded' | 'unbounded';
  /** Elements of a fixed array, most elements of a bounded one, else 0. */
  readonly capacity: number;
  /** Most bytes of a bounded string, else 0. */
  readonly stringCapacity: number;
}

/** Fields of each type by its full name; the root and all it uses. */
export type MessageDefinitions = ReadonlyMap<string, readonly MessageField[]>;

export const primitiveTypes: ReadonlySet<string> = new Set(
  'bool byte char int8 uint8 int16 uint16 int32 uint32 int64 uint64 float32 float64 string wstring'.split(' '),
);

const maxTextLength = 4 * 1024 * 1024;
const number = (name: string, type: string): MessageField => ({
  name,
  type,
  array: 'none',
  capacity: 0,
  stringCapacity: 0,
});
/** Some writers leave these out, as every reader knows them. */
const builtIn: MessageDefinitions = new Map([
  ['builtin_interfaces/msg/Time', [number('sec', 'int32'), number('nanosec', 'uint32')]],
  ['builtin_interfaces/msg/Duration', [number('sec', 'int32'), number('nanosec', 'uint32')]],
]);
const shortNames: ReadonlyMap<string, string> = new Map([
  ['time', 'builtin_interfaces/msg/Time'],
  ['duration', 'builtin_interfaces/msg/Duration'],
]);
/** Base type, bound of a string, array part, name, and what follows: `=` for a constant. */
const fieldPattern = /^([A-Za-z][\w/]*)(?:<=(\d+))?(?:\[(<=)?(\d*)\])?\s+([A-Za-z]\w*)\s*(=)?/;

/** `package/Name` as ROS 2 writes it in full: `package/msg/Name`. */
export function fullTypeName(type: string, packageName = ''): string {
  const parts = type.split('/');
  if (parts.length === 1) return `${packageName}/msg/${type}`;
  return parts.length === 2 ? `${parts[0]}/msg/${parts[1]}` : type;
}

function readFields(type: string, lines: readonly string[]): MessageField[] {
  const packageName = type.split('/')[0] ?? '';
  const fields: MessageField[] = [];
  const names = new Set<string>();
  for (const line of lines) {
    const text = line.trim();
    if (text === '' || text.startsWith('#')) continue;
    const match = fieldPattern.exec(text);
    if (match === null) throw new TypeError(`${type}: expected a field, found '${text.slice(0, 80)}'`);
    const [, base = '', stringBound, bounded, size, name = '', constant] = match;
    if (constant !== undefined) continue;
    if (names.has(name)) throw new TypeError(`${type}: expected one field '${name}', found two`);
    names.add(name);
    const array = size === undefined ? 'none' : bounded ? 'bounded' : size === '' ? 'unbounded' : 'fixed';
    const capacity = Number(size ?? 0);
    if (array === 'fixed' && capacity === 0)
      throw new TypeError(`${type}: expected elements in '${text.slice(0, 80)}'`);
    const known = primitiveTypes.has(base) ? base : (shortNames.get(base) ?? fullTypeName(base, packageName));
    fields.push({ name, type: known, array, capacity, stringCapacity: Number(stringBound ?? 0) });
  }
  return fields;
}

/**
 * Reads the definition of `type` (`package/msg/Name`) with those it uses.
 * @throws TypeError for text that is no definition, or lacks one of a type that is used.
 */
export function parseDefinitions(type: string, text: string): MessageDefinitions {
  if (text.length > maxTextLength) {
    throw new TypeError(`${type}: expected a definition of at most ${maxTextLength} characters, found ${text.length}`);
  }
  const definitions = new Map<string, readonly MessageField[]>();
  let current = type;
  let lines: string[] = [];
  const close = (): void => {
    if (!definitions.has(current)) definitions.set(current, readFields(current, lines));
    lines = [];
  };
  for (const line of text.split('\n')) {
    if (/^=+\s*$/.test(line)) continue;
    const dependency = /^MSG:\s*(\S+)/.exec(line);
    if (dependency === null) {
      lines.push(line);
      continue;
    }
    close();
    current = fullTypeName(dependency[1] as string);
  }
  close();
  for (const fields of [...definitions.values()]) {
    for (const field of fields) {
      if (primitiveTypes.has(field.type) || definitions.has(field.type)) continue;
      const known = builtIn.get(field.type);
      if (known === undefined) throw new TypeError(`${type}: expected a definition of ${field.type}, found none`);
      definitions.set(field.type, known);
    }
  }
  return definitions;
}
