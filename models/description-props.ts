/** The description as metadata_props of an ONNX file: which keys, how they are written, and what is wrong with those that were read. */
import type { z } from 'zod';
import { type ModelDescription, modelDescriptionSchema } from './description.ts';
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
  const findings = result.error.issues.map((issue) => {
    let found: unknown = raw;
    for (const key of issue.path) found = (found as Record<PropertyKey, unknown> | undefined)?.[key];
    return finding(issue.path.join('.'), expectedBy(issue), found === undefined ? 'nothing' : quoted(found));
  });
  return { description: null, findings };
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
