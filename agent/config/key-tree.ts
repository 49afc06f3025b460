/**
 * The configuration schema as a plain tree of keys, from which the default file and the error messages are written.
 */
import { z } from 'zod';
import { agentConfigSchema } from './schema.ts';

/** One key or section of the configuration, in the terms of JSON Schema. */
export interface KeyNode {
  readonly type?: string;
  readonly description?: string;
  readonly unit?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly KeyNode[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly pattern?: string;
  /** The keys of a section, in order. */
  readonly properties?: Readonly<Record<string, KeyNode>>;
  /** The schema of the values of a free mapping. */
  readonly additionalProperties?: KeyNode | boolean;
  /** The schema of the entries of a list. */
  readonly items?: KeyNode;
}

/** The tree of all keys; its root is the file. */
export function keyTree(): KeyNode {
  return z.toJSONSchema(agentConfigSchema, { io: 'input', unrepresentable: 'any' }) as KeyNode;
}

/** Whether the node is a section, written key by key; a single key may be a mapping of few keys too, but has a unit of its own. */
export function isSection(node: KeyNode): boolean {
  return node.properties !== undefined && node.unit === undefined;
}

/** The node at a path of keys, or null where the schema has none. */
export function nodeAt(root: KeyNode, path: readonly PropertyKey[]): KeyNode | null {
  let node: KeyNode | undefined = root;
  for (const step of path) {
    const free: KeyNode | boolean | undefined = typeof step === 'number' ? node.items : node.additionalProperties;
    node = node.properties?.[String(step)] ?? (typeof free === 'object' ? free : undefined);
    if (node === undefined) return null;
  }
  return node;
}

/** The largest safe integer stands for "no upper limit" in what zod writes. */
const UNLIMITED = Number.MAX_SAFE_INTEGER;

/** What a value of this key may be, in words: `a number from 0 to 1`, `one of active, passive`. */
export function describeExpected(node: KeyNode): string {
  if (node.anyOf !== undefined) return node.anyOf.map(describeExpected).join(', or ');
  if (node.enum !== undefined) {
    return node.enum.length === 1 ? String(node.enum[0]) : `one of ${node.enum.map(String).join(', ')}`;
  }
  if (node.const !== undefined) return String(node.const);
  switch (node.type) {
    case 'integer':
      return `a whole number${describeRange(node)}`;
    case 'number':
      return `a number${describeRange(node)}`;
    case 'boolean':
      return 'true or false';
    case 'string':
      if (node.pattern !== undefined) return `text like ${node.pattern}`;
      return node.minLength === undefined ? 'text' : 'text, not empty';
    case 'object':
      if (node.properties !== undefined) return `a mapping with the keys ${Object.keys(node.properties).join(', ')}`;
      return typeof node.additionalProperties === 'object'
        ? `a mapping of names to ${describeExpected(node.additionalProperties)}`
        : 'a mapping';
    case 'array':
      return node.items === undefined ? 'a list' : `a list, each entry ${describeExpected(node.items)}`;
    default:
      return 'another value';
  }
}

function describeRange({ minimum, maximum }: KeyNode): string {
  const upper = maximum === undefined || maximum >= UNLIMITED ? null : maximum;
  const lower = minimum === undefined || minimum <= -UNLIMITED ? null : minimum;
  if (lower !== null && upper !== null) return ` from ${lower} to ${upper}`;
  if (lower !== null) return `, at least ${lower}`;
  return upper === null ? '' : `, at most ${upper}`;
}
