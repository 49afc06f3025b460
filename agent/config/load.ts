/**
 * Reads a configuration file and either returns it whole and checked, or refuses it with every fault's file, line, key,
 * what was expected and what was found.
 */
import { readFile } from 'node:fs/promises';
import { type Document, isMap, isNode, isPair, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import type { z } from 'zod';
import { closestName } from '../../models/closest-name.ts';
import { AgentError } from '../error.ts';
import { describeExpected, type KeyNode, keyTree, nodeAt } from './key-tree.ts';
import { type AgentConfig, agentConfigSchema } from './schema.ts';

/** Reads and checks the file at `path`. Throws an AgentError `configuration` that lists every fault, one a line. */
export async function loadConfig(path: string): Promise<AgentConfig> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError('configuration', `${path}: expected a readable configuration file, found: ${why}`, { cause });
  });
  return parseConfig(text, path);
}

/** Checks the YAML `text`; `file` is only named in messages. Throws as `loadConfig` does. An empty text is all defaults. */
export function parseConfig(text: string, file: string): AgentConfig {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false });
  const broken = document.errors.map((error) => {
    return `${file}:${lines.linePos(error.pos[0]).line}: expected valid YAML, found: ${error.message}`;
  });
  if (broken.length > 0) throw new AgentError('configuration', broken.join('\n'));
  const tree = keyTree();
  const input = withoutEmptySections(plainValues(document, file) ?? {}, tree);
  const result = agentConfigSchema.safeParse(input);
  if (result.success) return result.data;
  const faults = result.error.issues.flatMap((issue) => describeIssue(issue, { document, lines, tree, file, input }));
  throw new AgentError(
    'configuration',
    faults
      .sort((a, b) => a.line - b.line)
      .map((fault) => fault.text)
      .join('\n'),
  );
}

/** The document as plain values; aliases are resolved here, and may be wrong only here. */
function plainValues(document: Document, file: string): unknown {
  try {
    return document.toJS();
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError('configuration', `${file}: expected valid YAML, found: ${found}`, { cause });
  }
}

interface Place {
  readonly document: Document;
  readonly lines: LineCounter;
  readonly tree: KeyNode;
  readonly file: string;
  readonly input: unknown;
}

interface Fault {
  readonly line: number;
  readonly text: string;
}

/** A section whose keys are all commented out reads as null in YAML and means its defaults. */
function withoutEmptySections(value: unknown, node: KeyNode): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).flatMap(([name, inner]): [string, unknown][] => {
    const child = node.properties?.[name];
    if (child?.type !== 'object') return [[name, inner]];
    return inner === null ? [] : [[name, withoutEmptySections(inner, child)]];
  });
  return Object.fromEntries(entries);
}

function describeIssue(issue: z.core.$ZodIssue, place: Place): Fault[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((name) => describeUnknownKey(issue.path, name, place));
  }
  const { document, lines, tree, file, input } = place;
  const node = nodeAt(tree, issue.path);
  const line = lineOf(document.getIn(issue.path, true), lines);
  const expected = node === null ? issue.message : expectedAt(node, issue);
  const found = describeFound(valueAt(input, issue.path));
  return [{ line, text: `${file}:${line}: ${issue.path.join('.') || 'file'}: expected ${expected}, found ${found}` }];
}

function expectedAt(node: KeyNode, issue: z.core.$ZodIssue): string {
  const unit = node.unit === undefined || node.unit === 'none' ? '' : ` (${node.unit})`;
  // A pattern's own words are better than the pattern, and a rule over a whole list has no others.
  const words = issue.code === 'invalid_format' || issue.code === 'custom' ? issue.message : describeExpected(node);
  return `${words}${unit}`;
}

function describeUnknownKey(path: readonly PropertyKey[], name: string, place: Place): Fault {
  const { document, lines, tree, file } = place;
  const known = Object.keys(nodeAt(tree, path)?.properties ?? {});
  const section = path.length === 0 ? document.contents : document.getIn(path, true);
  const pair = isMap(section)
    ? section.items.find((item) => isPair(item) && isScalar(item.key) && String(item.key.value) === name)
    : undefined;
  const line = lineOf(pair?.key ?? section, lines);
  const guess = closestName(name, known);
  const hint = guess === null ? '' : `; did you mean ${guess}?`;
  const where = [...path, name].join('.');
  return {
    line,
    text: `${file}:${line}: ${where}: expected one of ${known.join(', ')}, found unknown key ${name}${hint}`,
  };
}

function lineOf(node: unknown, lines: LineCounter): number {
  const start = isNode(node) ? (node as Node).range?.[0] : undefined;
  return start === undefined ? 1 : lines.linePos(start).line;
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, step) => (value as Record<PropertyKey, unknown> | null)?.[step], input);
}

function describeFound(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
