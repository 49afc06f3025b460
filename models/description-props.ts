/** The description as metadata_props of an ONNX file: which keys, how they are written, and what is wrong with those that were read. */
import { z } from 'zod';
import { closestName } from './closest-name.ts';
import {
  disagreements,
  type ModelDescription,
  modelDescriptionSchema,
  type PartialDescription,
} from './description.ts';
import { ModelError, type ModelFinding } from './error.ts';

/** The keys of metadata_props that are ours; others belong to whoever wrote them. */
export const DESCRIPTION_KEYS: ReadonlySet<string> = new Set(Object.keys(modelDescriptionSchema.shape));
/** Keys that are plain strings in the file; all others are JSON. */
const STRING_KEYS = new Set(['format', 'name', 'version', 'task', 'author', 'dataset_tag', 'precision']);

const CURE = 'Correct it: fender model pack FILE --in-place --from description.yaml.';

interface Read {
  /** Null when there are findings. */
  readonly description: ModelDescription | null;
  readonly findings: readonly ModelFinding[];
}

/** The description in `metadata`, or all that is wrong with it. Keys of others are passed over. */
export function readDescription(metadata: readonly { readonly key: string; readonly value: string }[]): Read {
  const findings: ModelFinding[] = [];
  const raw: Record<string, unknown> = {};
  const seen = new Set<string>();
  for (const { key, value } of metadata) {
    if (seen.has(key)) findings.push(finding(key.slice(0, 60), 'each key once', 'it twice'));
    seen.add(key);
    if (!DESCRIPTION_KEYS.has(key)) continue;
    try {
      raw[key] = STRING_KEYS.has(key) ? value : JSON.parse(value);
    } catch {
      findings.push(finding(key, 'JSON', quoted(value)));
      // What cannot be read is told once, and not again as missing.
      raw[key] = undefined;
    }
  }
  if (!metadata.some(({ key }) => DESCRIPTION_KEYS.has(key))) {
    const cure = 'Add it: fender model pack FILE asks for what it needs.';
    findings.push({
      ...finding('', 'a description: format, name, version and more', 'none'),
      field: 'metadata_props',
      cure,
    });
    return { description: null, findings };
  }
  const told = new Set(findings.map(({ field }) => field));
  const checked = check(raw);
  findings.push(...checked.findings.filter(({ field }) => !told.has(field)));
  return { description: findings.length === 0 ? checked.description : null, findings };
}

/** A value of one of our keys as it stands in the file, valid or not; one that should be JSON and is none is a text. */
export function plainValue(key: string, value: string): unknown {
  if (STRING_KEYS.has(key)) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/** The keys and values to write; `description` is valid. */
export function descriptionEntries(description: ModelDescription): [key: string, value: string][] {
  return Object.entries(description)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => [key, STRING_KEYS.has(key) ? String(value) : JSON.stringify(value)]);
}

/** The description that `raw` is. Throws ModelError `invalid-description` with a finding for each field that is wrong. */
export function validDescription(raw: unknown, path: string): ModelDescription {
  const { description, findings } = check(raw);
  if (description === null) throw ModelError.of(path, findings);
  return description;
}

/** Checks `raw` against the schema. */
export function check(raw: unknown): Read {
  const result = modelDescriptionSchema.safeParse(raw);
  if (result.success) return { description: result.data, findings: [] };
  return { description: null, findings: result.error.issues.map((issue) => findingOf(issue, raw)) };
}

/**
 * What is wrong with a description that is not whole yet: with each key that it has, and where those do not agree. Nothing is said of what is
 * missing.
 */
export function checkPart(raw: Readonly<Record<string, unknown>>): ModelFinding[] {
  const findings: ModelFinding[] = [];
  const valid: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(raw)) {
    if (value === undefined || !isOurs(key)) continue;
    const { input, training_run } = modelDescriptionSchema.shape;
    // These two are put together from several answers.
    const parts = { input: input.partial(), training_run: training_run.partial() };
    const schema = { ...modelDescriptionSchema.shape, ...parts }[key];
    const result = schema.safeParse(value);
    if (result.success) valid[key] = result.data;
    else {
      const issues = result.error.issues.map((issue) => ({ ...issue, path: [key, ...issue.path] }));
      findings.push(...issues.map((issue) => findingOf(issue, raw)));
    }
  }
  const disagreeing = disagreements(valid as PartialDescription);
  const custom = disagreeing.map(({ path, message }) => ({ code: 'custom' as const, path: [...path], message }));
  return [...findings, ...custom.map((issue) => findingOf(issue, raw))];
}

function isOurs(key: string): key is keyof typeof modelDescriptionSchema.shape {
  return DESCRIPTION_KEYS.has(key);
}

/** What of the schema, as JSON Schema tells it, says which keys there are. */
interface KeyTree {
  readonly properties?: Readonly<Record<string, KeyTree>>;
  readonly additionalProperties?: KeyTree | boolean;
  readonly items?: KeyTree;
}

/** A finding for each key of `raw`, at any depth, that the schema does not know, with the one that was probably meant. */
export function unknownKeys(raw: unknown): ModelFinding[] {
  const tree = z.toJSONSchema(modelDescriptionSchema, { io: 'output', unrepresentable: 'any' }) as KeyTree;
  return unknownBelow(raw, tree, '');
}

function unknownBelow(
  value: unknown,
  { properties, additionalProperties, items }: KeyTree,
  path: string,
): ModelFinding[] {
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) {
    return items === undefined ? [] : value.flatMap((each, i) => unknownBelow(each, items, `${path}${i}.`));
  }
  return Object.entries(value).flatMap(([key, inner]) => {
    const known = properties !== undefined && Object.hasOwn(properties, key) ? properties[key] : undefined;
    if (known !== undefined) return unknownBelow(inner, known, `${path}${key}.`);
    if (additionalProperties !== false || properties === undefined) return [];
    const names = Object.keys(properties);
    const meant = closestName(key, names);
    const cure = meant === null ? 'Leave it out, or correct it.' : `Did you mean ${meant}?`;
    const field = `${path}${key}`;
    return [
      { code: 'invalid-description', field, expected: `one of ${names.join(', ')}`, found: `unknown key ${key}`, cure },
    ];
  });
}

/** What the schema's kinds are called in messages. */
const KINDS: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  array: 'a list',
  object: 'keys with values',
  record: 'keys with values',
};

function findingOf(issue: z.core.$ZodIssue, raw: unknown): ModelFinding {
  let found: unknown = raw;
  for (const key of issue.path) found = (found as Record<PropertyKey, unknown> | null | undefined)?.[key];
  return finding(issue.path.join('.'), expectedBy(issue), found === undefined ? 'nothing' : quoted(found));
}

function expectedBy(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return KINDS[issue.expected] ?? issue.expected;
    case 'invalid_value':
      return issue.values.map((value) => JSON.stringify(value)).join(' or ');
    case 'too_small':
      return `${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${lengthOf(issue.origin)}`;
    case 'too_big':
      return `${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}${lengthOf(issue.origin)}`;
    case 'unrecognized_keys':
      return `no ${issue.keys.join(', ')}`;
    default:
      return issue.message;
  }
}

function lengthOf(origin: string): string {
  return origin === 'string' ? ' characters' : origin === 'array' ? ' entries' : '';
}

function finding(path: string, expected: string, found: string): ModelFinding {
  return { code: 'invalid-description', field: `metadata_props.${path}`, expected, found, cure: CURE };
}

function quoted(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 60) ?? typeof value;
}
