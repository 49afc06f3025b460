/** Puts a description together for an ONNX file that came from elsewhere, and writes the file whole or not at all. */
import { link, open, readFile, rename, rm } from 'node:fs/promises';
import { parse } from 'yaml';
import type { ModelDescription } from './description.ts';
import { checkPart, unknownKeys } from './description-props.ts';
import { ModelError, type ModelFinding } from './error.ts';
import type { OnnxModel } from './onnx/structure.ts';

/** A description that is not whole yet: plain objects as read from JSON or YAML. */
export type Draft = Readonly<Record<string, unknown>>;

/** Something that only a person knows. */
export interface Question {
  /** Where the answer goes: `author`, `input.sample_rate_hz`. */
  readonly field: string;
  /** The option that gives it on the command line. */
  readonly flag: string;
  readonly text: string;
  /** Taken when the answer is empty. */
  readonly suggestion?: string;
  /** The value in the description; throws Error that says what was expected. */
  readonly read: (answer: string) => unknown;
}

const asText = (answer: string): string => answer;

function asNumber(answer: string): number {
  const value = Number(answer);
  if (answer === '' || !Number.isFinite(value)) throw new Error(`expected a number, found '${answer}'`);
  return value;
}

const asList = (answer: string): string[] => answer.split(',').map((each) => each.trim());

/** `0.6` for all labels but background, or `body_impact=0.6,glass_break=0.7`. */
function asThresholds(answer: string): number | Record<string, number> {
  if (!answer.includes('=')) return asNumber(answer);
  return Object.fromEntries(
    asList(answer).map((part) => {
      const [label = '', value = ''] = part.split('=');
      return [label.trim(), asNumber(value.trim())] as const;
    }),
  );
}

/** Everything that can be said of a model by hand, in the order in which it is asked. */
export const QUESTIONS: readonly Question[] = [
  { field: 'name', flag: '--name', text: 'Name of the model (lower-case letters, digits, dashes)', read: asText },
  { field: 'version', flag: '--model-version', text: 'Version', suggestion: '0.1.0', read: asText },
  { field: 'author', flag: '--author', text: 'Author', read: asText },
  {
    field: 'dataset_tag',
    flag: '--dataset-tag',
    text: 'Tag of the dataset it learned from',
    suggestion: 'unknown',
    read: asText,
  },
  { field: 'labels', flag: '--labels', text: 'Labels of the scores, background first, with commas', read: asList },
  {
    field: 'thresholds',
    flag: '--thresholds',
    text: 'Sureness from which a label counts (one number, or label=number,…)',
    suggestion: '0.5',
    read: asThresholds,
  },
  { field: 'input.topic', flag: '--topic', text: 'Topic of the sound', suggestion: '/uma8/audio', read: asText },
  { field: 'input.channels', flag: '--channels', text: 'Channels of that topic', suggestion: '8', read: asNumber },
  { field: 'input.sample_rate_hz', flag: '--rate', text: 'Sample rate, Hz', suggestion: '48000', read: asNumber },
  { field: 'input.window_s', flag: '--window', text: 'Length of a window, s', read: asNumber },
  { field: 'input.hop_s', flag: '--hop', text: 'From window to window, s', suggestion: '0.25', read: asNumber },
  { field: 'training_run.seed', flag: '--seed', text: 'Seed of the training', suggestion: '0', read: asNumber },
  {
    field: 'training_run.commit',
    flag: '--commit',
    text: 'Commit that trained it (7 characters or more)',
    suggestion: 'unknown',
    read: asText,
  },
  { field: 'training_run.data', flag: '--data', text: 'What it learned from, in a sentence', read: asText },
];

/** The description in a YAML or JSON file. Throws ModelError `invalid-description` when there is none, or one with keys that nobody knows. */
export async function readDraft(path: string): Promise<Draft> {
  let found: string;
  try {
    const draft: unknown = parse(await readFile(path, 'utf8'));
    if (isObject(draft)) {
      const unknown = unknownKeys(draft);
      if (unknown.length > 0) throw ModelError.of(path, unknown);
      return draft;
    }
    found = JSON.stringify(draft)?.slice(0, 60) ?? 'nothing';
  } catch (cause) {
    if (cause instanceof ModelError) throw cause;
    found = cause instanceof Error ? cause.message : String(cause);
  }
  const cure = 'Write it as YAML or JSON with the keys of metadata_props.';
  throw ModelError.of(path, [{ code: 'invalid-description', field: 'file', expected: 'a description', found, cure }]);
}

/** Later drafts win; `input` and `training_run` are merged key by key. */
export function mergeDrafts(...drafts: readonly Draft[]): Draft {
  const merged: Record<string, unknown> = {};
  for (const draft of drafts) {
    for (const [key, value] of Object.entries(draft)) {
      const before = merged[key];
      merged[key] = isObject(before) && isObject(value) && MERGED.has(key) ? { ...before, ...value } : value;
    }
  }
  return merged;
}

const MERGED = new Set(['input', 'training_run']);

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Puts `value` at `field` (`input.hop_s`) of a copy of the draft. */
export function withField(draft: Draft, field: string, value: unknown): Draft {
  const [key = '', inner] = field.split('.');
  return mergeDrafts(draft, { [key]: inner === undefined ? value : { [inner]: value } });
}

/** Whether the draft says anything at `field`. */
export function hasField(draft: Draft, field: string): boolean {
  const [key = '', inner] = field.split('.');
  const value = draft[key];
  return inner === undefined ? value !== undefined : isObject(value) && value[inner] !== undefined;
}

/** Adds what is the same for every model, and what follows from the graph and from the rest of the draft. */
export function withKnown(draft: Draft, onnx: OnnxModel): Draft {
  let known = mergeDrafts(
    {
      format: 'fender-model/1',
      task: 'sound-events',
      metrics: ['roc_auc', 'recall_at_fpr'],
      input: { downmix: 'mean' },
    },
    draft,
  );
  const rate = isObject(known.input) ? known.input.sample_rate_hz : undefined;
  const samples = onnx.graph.inputs.find(({ name }) => name === 'audio')?.dims?.[1];
  if (!hasField(known, 'input.window_s') && typeof rate === 'number' && typeof samples === 'number') {
    known = withField(known, 'input.window_s', samples / rate);
  }
  const { labels, thresholds } = known;
  if (typeof thresholds === 'number' && Array.isArray(labels)) {
    const all = Object.fromEntries(labels.slice(1).map((label) => [String(label), thresholds] as const));
    known = { ...known, thresholds: all };
  }
  return known;
}

/** What the draft does not say yet, with suggestions that the graph gives. */
export function openQuestions(draft: Draft, onnx: OnnxModel): Question[] {
  const count = onnx.graph.outputs[0]?.dims?.[1];
  return QUESTIONS.filter(({ field }) => !hasField(withKnown(draft, onnx), field)).map((question) =>
    question.field === 'labels' && typeof count === 'number'
      ? { ...question, text: `Labels of the ${count} scores, background first, with commas` }
      : question,
  );
}

/** Everything that is wrong with what the draft says so far; the graph has a score for each label. Nothing is said of what is missing. */
export function draftProblems(draft: Draft, onnx: OnnxModel): ModelFinding[] {
  const known = withKnown(draft, onnx);
  const count = onnx.graph.outputs[0]?.dims?.[1];
  const { labels } = known;
  const findings = checkPart(known);
  if (Array.isArray(labels) && typeof count === 'number' && labels.length !== count) {
    const [expected, found] = [`${count} labels, one for each score of the graph`, `${labels.length}`];
    const cure = 'Name a label for each score, in their order.';
    findings.push({ code: 'invalid-description', field: 'metadata_props.labels', expected, found, cure });
  }
  return findings;
}

/** What is wrong with the answer that the draft holds at `field`, in words; null when nothing is. */
export function answerProblem(draft: Draft, field: string, onnx: OnnxModel): string | null {
  const at = `metadata_props.${field}`;
  const wrong = draftProblems(draft, onnx).find(
    (finding) => finding.field === at || finding.field.startsWith(`${at}.`),
  );
  if (wrong === undefined) return null;
  const inner = wrong.field.slice(at.length + 1);
  return `${inner === '' ? '' : `${inner}: `}expected ${wrong.expected}, found ${wrong.found}`;
}

/** What a draft is made of, the later ones winning. */
export interface DraftSources {
  /** What the model file itself says. */
  readonly own: Draft;
  /** What --from and the options say. */
  readonly said: Draft;
}

/**
 * Both together, without what the file says of other labels and thresholds than these: figures that were measured with them, and histograms
 * of their scores. `dropped` tells what went, and why.
 */
export function joinDrafts({ own, said }: DraftSources): {
  readonly draft: Draft;
  readonly dropped: readonly string[];
} {
  const isChanged = (key: string): boolean =>
    own[key] !== undefined && said[key] !== undefined && JSON.stringify(own[key]) !== JSON.stringify(said[key]);
  const stale: [key: string, why: string][] = [];
  if (isChanged('labels')) stale.push(['drift_reference', 'it is of the scores of other labels']);
  if (isChanged('labels') || isChanged('thresholds')) {
    stale.push(['evaluation', 'it was measured with other labels or thresholds']);
    stale.push(['false_alarm_budget_per_hour', 'other thresholds were set for it']);
  }
  const gone = stale.filter(([key]) => own[key] !== undefined && said[key] === undefined);
  const kept = Object.fromEntries(Object.entries(own).filter(([key]) => !gone.some(([each]) => each === key)));
  return { draft: mergeDrafts(kept, said), dropped: gone.map(([key, why]) => `${key} is left out: ${why}`) };
}

/**
 * Writes `bytes` beside `path` and puts them in its place in one step, so that nobody ever sees half a model. Throws ModelError
 * `unreadable-model` when `path` exists and may not be replaced, or cannot be written.
 */
export async function writeModel(path: string, bytes: Uint8Array, mayReplace: boolean): Promise<void> {
  const fresh = `${path}.${process.pid}.new`;
  try {
    const file = await open(fresh, 'wx');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    if (mayReplace) {
      await rename(fresh, path);
    } else {
      // Unlike renaming, this fails where something is already.
      await link(fresh, path);
      await rm(fresh);
    }
  } catch (cause) {
    await rm(fresh, { force: true });
    const { code, message } = cause as NodeJS.ErrnoException;
    const found = code === 'EEXIST' ? 'a file that is there already' : message;
    const cure = 'Name another file with --out; --in-place replaces the source itself.';
    throw ModelError.of(
      path,
      [{ code: 'unreadable-model', field: 'output', expected: 'a new file', found, cure }],
      cause,
    );
  }
}

/** The labels of a draft, once they are known. */
export function labelsOf(draft: Draft): ModelDescription['labels'] {
  return Array.isArray(draft.labels) ? draft.labels.map(String) : [];
}
