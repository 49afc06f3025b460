/** Owns damaging ONNX files with a seed: blindly, and field by field, with every length put right, so that the damage gets past the reader. */
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { OPERATORS } from '../../models/onnx/operators.ts';
import { below, blindMutations, pick, type Random } from './mutations.ts';

/** A field of a message; `content` is a message where its kind is known to be one. */
interface Field {
  readonly number: number;
  readonly wire: WireType;
  content: bigint | Uint8Array | Field[];
  readonly kind: string;
}

/** Which fields of which messages hold messages. */
const INSIDE: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  model: { 7: 'graph', 8: 'opset', 14: 'property' },
  graph: { 1: 'node', 5: 'tensor', 11: 'value', 12: 'value', 13: 'value' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor' },
  value: { 2: 'type' },
  type: { 1: 'tensor type' },
  'tensor type': { 2: 'shape' },
  shape: { 1: 'dimension' },
};

function parse(bytes: Uint8Array, kind: string): Field[] {
  const reader = new BinaryReader(bytes);
  const fields: Field[] = [];
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag();
    const inner = INSIDE[kind]?.[number];
    if (wire === WireType.Varint) fields.push({ number, wire, content: BigInt(reader.int64()), kind });
    else if (wire === WireType.LengthDelimited) {
      const piece = reader.bytes();
      fields.push({ number, wire, content: inner === undefined ? piece : parse(piece, inner), kind });
    } else fields.push({ number, wire, content: reader.skip(wire, number), kind });
  }
  return fields;
}

function write(fields: readonly Field[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const { number, wire, content } of fields) {
    writer.tag(number, wire);
    if (typeof content === 'bigint') writer.int64(BigInt.asIntN(64, content));
    else if (wire === WireType.LengthDelimited) writer.bytes(Array.isArray(content) ? write(content) : content);
    else writer.raw(content as Uint8Array);
  }
  return writer.finish();
}

/** Every list of fields in the file, with the kind of message that it is. */
function lists(fields: Field[]): Field[][] {
  return [fields, ...fields.flatMap(({ content }) => (Array.isArray(content) ? lists(content) : []))];
}

const NUMBERS = [
  0n,
  1n,
  -1n,
  2n,
  3n,
  7n,
  255n,
  65_536n,
  2n ** 20n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 40n,
  2n ** 62n,
  -(2n ** 63n),
];
const ALL_OPERATORS = [...OPERATORS].flatMap(([domain, names]) => [...names].map((name) => ({ domain, name })));

type Change = (all: Field[][], random: Random) => void;

/** A field of a random list that `fits`, with its list; null when none does. */
function anyField(all: Field[][], random: Random, fits: (field: Field) => boolean): [Field[], Field] | null {
  const found = all.flatMap((list) => list.filter(fits).map((field): [Field[], Field] => [list, field]));
  return found.length === 0 ? null : pick(random, found);
}

const isText = ({ content }: Field): boolean =>
  content instanceof Uint8Array && content.length > 0 && content.length < 200;

const CHANGES: Readonly<Record<string, Change>> = {
  number: (all, random) => {
    const found = anyField(all, random, ({ content }) => typeof content === 'bigint');
    if (found === null) return;
    const near = (found[1].content as bigint) + BigInt(below(random, 5) - 2);
    found[1].content = random() < 0.5 ? near : pick(random, NUMBERS);
  },
  /** Leads a node's input or output elsewhere. */
  name: (all, random) => {
    const isName = ({ kind, number }: Field): boolean => kind === 'node' && number <= 2;
    const [to, from] = [anyField(all, random, isName), anyField(all, random, isName)];
    if (to !== null && from !== null) to[1].content = from[1].content;
  },
  operator: (all, random) => {
    const found = anyField(all, random, ({ kind, number }) => kind === 'node' && number === 4);
    const { domain, name } = pick(random, ALL_OPERATORS);
    if (found === null) return;
    found[1].content = Buffer.from(name);
    found[0].push({ number: 7, wire: WireType.LengthDelimited, content: Buffer.from(domain), kind: 'node' });
    if (domain === '') found[0].pop();
  },
  'attribute of another': (all, random) => {
    const isAttribute = ({ kind, number }: Field): boolean => kind === 'node' && number === 5;
    const [to, from] = [anyField(all, random, isAttribute), anyField(all, random, isAttribute)];
    if (to === null || from === null) return;
    if (random() < 0.5) to[1].content = structuredClone(from[1].content);
    else to[0].push(structuredClone(from[1]));
  },
  'values of a tensor': (all, random) => {
    const found = anyField(all, random, ({ kind, number }) => kind === 'tensor' && number === 9);
    const content = found?.[1].content;
    if (!(content instanceof Uint8Array) || content.length === 0) return;
    const changed = Buffer.from(content);
    const [at, extreme] = [below(random, changed.length), random() < 0.5];
    if (extreme) changed.fill(pick(random, [0, 0xff, 0x7f, 0x80]), at, Math.min(changed.length, at + 8));
    else changed[at] = below(random, 256);
    (found as [Field[], Field])[1].content = changed;
  },
  /** Another shape with the same number of values. */
  shape: (all, random) => {
    const tensors = all.filter((list) => list.some(({ kind, number }) => kind === 'tensor' && number === 1));
    if (tensors.length === 0) return;
    const list = pick(random, tensors);
    const dims = list.filter(({ number }) => number === 1);
    const one = { number: 1, wire: WireType.Varint, content: 1n, kind: 'tensor' };
    if (random() < 0.5) {
      list.splice(list.indexOf(dims[0] as Field), 0, one);
    } else {
      const [first, last] = [dims[0] as Field, dims.at(-1) as Field];
      [first.content, last.content] = [last.content, first.content];
    }
  },
  text: (all, random) => {
    const [to, from] = [anyField(all, random, isText), anyField(all, random, isText)];
    if (to !== null && from !== null) to[1].content = from[1].content;
  },
  drop: (all, random) => {
    const found = anyField(all, random, () => true);
    found?.[0].splice(found[0].indexOf(found[1]), 1);
  },
  repeat: (all, random) => {
    const found = anyField(all, random, () => true);
    if (found !== null) found[0].splice(below(random, found[0].length + 1), 0, structuredClone(found[1]));
  },
  move: (all, random) => {
    const found = anyField(all, random, () => true);
    if (found === null) return;
    found[0].splice(found[0].indexOf(found[1]), 1);
    found[0].splice(below(random, found[0].length + 1), 0, found[1]);
  },
  'number of a field': (all, random) => {
    const found = anyField(all, random, () => true);
    if (found !== null) Object.assign(found[1], { number: 1 + below(random, 30) });
  },
};

/** A damaged copy of `bytes`, and how it was damaged. */
export function mutateModel(bytes: Buffer, random: Random): { readonly name: string; readonly bytes: Buffer } {
  if (random() < 0.15) {
    const [name, change] = pick(random, Object.entries(blindMutations));
    return { name, bytes: change(Buffer.from(bytes), random) };
  }
  const model = parse(bytes, 'model');
  const names: string[] = [];
  for (let count = 1 + below(random, 3); count > 0; count -= 1) {
    const [name, change] = pick(random, Object.entries(CHANGES));
    names.push(name);
    change(lists(model), random);
  }
  return { name: names.join(', '), bytes: Buffer.from(write(model)) };
}
