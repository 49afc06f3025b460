/** Shows what a model file is, whole or broken: its description, its graph, and the bins that drift is judged against. */
import { createHash } from 'node:crypto';
import { DESCRIPTION_KEYS, plainValue } from './description-props.ts';
import { ModelError, type ModelFinding } from './error.ts';
import { type ReadModelOptions, readModelBytes } from './model-bytes.ts';
import { ELEMENT_TYPES } from './onnx/operators.ts';
import type { OnnxGraph, OnnxValue } from './onnx/structure.ts';
import { examine, lookInto } from './package.ts';

/** As printed with --json. */
export interface Inspection {
  readonly file: string;
  readonly bytes: number;
  /** Null when the file could not be read. */
  readonly sha256: string | null;
  /** Whether readModel takes the file. */
  readonly valid: boolean;
  readonly findings: readonly ModelFinding[];
  /** The description as it stands in the file, valid or not; values that are no JSON are texts. */
  readonly description: Readonly<Record<string, unknown>>;
  /** metadata_props of others. */
  readonly other_metadata: Readonly<Record<string, string>>;
  /** Null when nothing of a graph could be read. */
  readonly graph: InspectedGraph | null;
}

export interface InspectedGraph {
  readonly ir_version: number;
  readonly producer: string;
  readonly opsets: Readonly<Record<string, number>>;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodes: number;
  /** How many nodes of each operator, most first. */
  readonly operators: Readonly<Record<string, number>>;
  readonly weights: number;
  readonly tensors: number;
}

/** Looks at the file at `path`; never throws for what it is. One that cannot be read is a finding too. */
export async function inspectFile(path: string, options: ReadModelOptions = {}): Promise<Inspection> {
  try {
    return inspectModel(await readModelBytes(path, options), path, options);
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    const { findings } = error;
    return {
      file: path,
      bytes: 0,
      sha256: null,
      valid: false,
      findings,
      description: {},
      other_metadata: {},
      graph: null,
    };
  }
}

/** Looks at a file of any content; never throws for it. */
export function inspectModel(bytes: Uint8Array, path: string, options: ReadModelOptions = {}): Inspection {
  const { findings } = examine(bytes, path, options);
  const seen = lookInto(bytes);
  const description: Record<string, unknown> = {};
  const other: Record<string, string> = {};
  for (const { key, value } of seen.metadata) {
    if (DESCRIPTION_KEYS.has(key)) description[key] = plainValue(key, value);
    else other[key] = value;
  }
  const opsets = Object.fromEntries([...seen.opsets].map(([domain, version]) => [domain || 'ai.onnx', version]));
  return {
    file: path,
    bytes: bytes.byteLength,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    valid: findings.length === 0,
    findings,
    description,
    other_metadata: other,
    graph:
      seen.graph === null
        ? null
        : { ir_version: seen.irVersion, producer: seen.producer, opsets, ...inspectGraph(seen.graph) },
  };
}

function inspectGraph({
  nodes,
  initializers,
  inputs,
  outputs,
}: OnnxGraph): Omit<InspectedGraph, 'ir_version' | 'producer' | 'opsets'> {
  const counts = new Map<string, number>();
  for (const { opType, domain } of nodes) {
    const name = domain === '' ? opType : `${domain}.${opType}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const weights = new Set(initializers.map(({ name }) => name));
  return {
    inputs: inputs.filter(({ name }) => !weights.has(name)).map(valueText),
    outputs: outputs.map(valueText),
    nodes: nodes.length,
    operators: Object.fromEntries([...counts].sort((a, b) => b[1] - a[1])),
    weights: initializers.reduce((sum, { dims }) => sum + dims.reduce((product, dim) => product * dim, 1), 0),
    tensors: initializers.length,
  };
}

function valueText({ name, elementType, dims }: OnnxValue): string {
  const type = elementType === null ? 'no tensor' : (ELEMENT_TYPES.get(elementType)?.name ?? `type ${elementType}`);
  return `${name} ${type} [${dims?.map((dim, i) => dim ?? (i === 0 ? 'batch' : 'free')).join(', ') ?? 'no shape'}]`;
}

/** The inspection as text for a terminal. What is broken or missing is left out, and told at the end. */
export function formatInspection(inspection: Inspection): string {
  const { description, graph, findings } = inspection;
  const lines = [
    ...descriptionLines(description),
    ...(inspection.sha256 === null
      ? [['file', inspection.file]]
      : [
          ['file', `${inspection.file}, ${sizeText(inspection.bytes)}`],
          ['SHA-256', inspection.sha256],
        ]),
    ...(graph === null ? [] : graphLines(graph)),
    ...historyLines(description),
    ...Object.entries(inspection.other_metadata).map(([key, value]) => [
      'other metadata',
      `${plain(key)}: ${plain(value)}`,
    ]),
  ] as const;
  const rows = lines.map(([name, text]) => `${(name ?? '').padEnd(NAME_WIDTH)}${text}`);
  const problems =
    findings.length === 0
      ? []
      : ['', `This file is refused, ${countOf(findings.length, 'problem')}:`, findingsText(findings)];
  return `${[...rows, ...problems].join('\n')}\n`;
}

const NAME_WIDTH = 17;

/** A line for each finding, `field: expected …, found …`, and the cure once under all findings in a row that it is for. */
export function findingsText(findings: readonly ModelFinding[]): string {
  return findings
    .flatMap(({ field, expected, found, cure }, i) => {
      const line = `  ${plain(field)}: expected ${expected}, found ${plain(found, 400)}`;
      return findings[i + 1]?.cure === cure ? [line] : [line, `    ${cure}`];
    })
    .join('\n');
}

/** `1 problem`, `3 problems`. */
export function countOf(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** `303 kB`. */
export function sizeText(bytes: number): string {
  if (bytes < 1e3) return `${bytes} bytes`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} kB` : `${(bytes / 1e6).toFixed(2)} MB`;
}

/** Text of a file as a terminal may show it: one line, no control characters. */
function plain(text: string, most = 160): string {
  const shown = text.replace(/[\p{Cc}\p{Cf}]+/gu, ' ');
  return shown.length > most ? `${shown.slice(0, most)}…` : shown;
}

type Line = readonly [name: string, text: string];

/** Whatever a broken description holds instead of what it should is shown as it is. */
function textOf(value: unknown): string {
  return plain(typeof value === 'string' ? value : (JSON.stringify(value) ?? ''));
}

/** A description that may be broken: nothing is taken for granted of any value. */
type Keys = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Keys {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value's own key, which is nothing where the value is no object. */
function keyOf(value: unknown, key: string): unknown {
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

type Part = string | false | undefined;

/** The line of a section: its `parts`, or the section as it stands where it is no object; none where it is absent. */
function section(name: string, value: unknown, parts: (keys: Keys) => readonly Part[]): Line[] {
  if (value === undefined) return [];
  const text = isObject(value) ? joined(parts(value)) : textOf(value);
  return text === '' ? [] : [[name, text]];
}

function joined(parts: readonly Part[]): string {
  return parts.filter((part) => part !== undefined && part !== false && part !== '').join(', ');
}

/** `text` of a value that is there. */
function said(value: unknown, text: (shown: string) => string): Part {
  return value === undefined ? undefined : text(textOf(value));
}

function descriptionLines(d: Keys): Line[] {
  return [
    ...section('model', d, () => [
      [d.name, d.version]
        .filter((each) => each !== undefined)
        .map(textOf)
        .join(' '),
      said(d.author, (author) => `by ${author}`),
      said(d.task, (task) => task),
    ]),
    ...labelLines(d.labels, d.thresholds),
    ...section('input', d.input, (input) => [
      said(input.topic, (topic) => topic),
      typeof input.channels === 'number'
        ? `${countOf(input.channels, 'channel')} (${textOf(input.downmix)})`
        : said(input.channels, (channels) => `channels ${channels}`),
      said(input.sample_rate_hz, (rate) => `${rate} Hz`),
    ]),
    ...(isObject(d.input)
      ? section('window', d.input, ({ window_s, hop_s }) => [
          [said(window_s, (s) => `${s} s`), said(hop_s, (s) => `every ${s} s`)].filter(Boolean).join(' '),
        ])
      : []),
    ...section('precision', d.precision, () => [textOf(d.precision)]),
    ...section('events', d.events, (events) =>
      Object.entries(events)
        .filter(([key, value]) => key !== 'ambience' || !isObject(value))
        .map(([key, value]) => `${plain(key)} ${textOf(value)}`),
    ),
    ...(isObject(d.events) && isObject(d.events.ambience)
      ? section('ambience', d.events.ambience, ({ weight, usual, span_s, assumed_s }) => [
          said(weight, (share) => `${share} of it is taken off`),
          said(usual, (odds) => `usual log-odds ${odds}`),
          said(span_s, (s) => `of the last ${s} s`),
          said(assumed_s, (s) => `${s} s assumed usual`),
        ])
      : []),
    ...section('false alarms', d, () => [
      said(d.false_alarm_budget_per_hour, (budget) => `thresholds set for ${budget} an hour`),
    ]),
    ...section('calibration', d.calibration, (c) => [
      [c.method, c.temperature]
        .filter((each) => each !== undefined)
        .map(textOf)
        .join(' '),
      said(c.background_shift, (shift) => `background shifted by ${shift}`),
      said(c.expected_calibration_error, (error) => `expected error ${error}`),
      said(c.brier, (brier) => `Brier ${brier}`),
    ]),
  ];
}

function labelLines(labels: unknown, thresholds: unknown): Line[] {
  if (!Array.isArray(labels)) {
    const shown = { labels, thresholds };
    return Object.entries(shown).flatMap(([name, value]) => section(name, value, () => [textOf(value)]));
  }
  const text = labels.map((label) => {
    const from = keyOf(thresholds, String(label));
    return from === undefined ? textOf(label) : `${textOf(label)} (from ${textOf(from)})`;
  });
  const others = isObject(thresholds) ? Object.keys(thresholds).filter((label) => !labels.includes(label)) : [];
  return [
    ['labels', text.join(', ')],
    ...(isObject(thresholds) ? [] : section('thresholds', thresholds, () => [])),
    ...others.map((label): Line => ['thresholds', `${plain(label)} ${textOf(keyOf(thresholds, label))}, of no label`]),
  ];
}

function graphLines(graph: InspectedGraph): Line[] {
  const opsets = Object.entries(graph.opsets).map(([domain, version]) => `${plain(domain)} ${version}`);
  return [
    [
      'graph',
      `ONNX IR ${graph.ir_version}, operators of ${opsets.join(', ') || 'no version'}, made by ${plain(graph.producer) || 'nobody'}`,
    ],
    ...graph.inputs.map((text): Line => ['  takes', plain(text)]),
    ...graph.outputs.map((text): Line => ['  gives', plain(text)]),
    ['  weights', `${graph.weights} in ${countOf(graph.tensors, 'tensor')}`],
    [
      '  operators',
      `${countOf(graph.nodes, 'node')}: ${Object.entries(graph.operators)
        .map(([name, count]) => `${plain(name)} ${count}`)
        .join(', ')}`,
    ],
  ];
}

/** Where the model comes from, how good it is, and what it has heard. */
function historyLines(d: Keys): Line[] {
  const lines = section('training', d.training_run, (run) => [
    said(run.seed, (seed) => `seed ${seed}`),
    said(run.commit, (commit) => `commit ${commit}`),
    said(run.folds, (folds) => `folds ${Array.isArray(run.folds) ? run.folds.map(textOf).join(', ') : folds}`),
    said(d.dataset_tag, (tag) => `dataset ${tag}`),
  ]);
  lines.push(...section('', keyOf(d.training_run, 'data'), () => [textOf(keyOf(d.training_run, 'data'))]));
  const figures = flatFigures(d.evaluation, '');
  figures.slice(0, MOST_FIGURES).forEach(([name, figure], i) => {
    lines.push([i === 0 ? 'evaluation' : '', name === '' ? figure : `${plain(name)} ${figure}`]);
  });
  if (figures.length > MOST_FIGURES) lines.push(['', `and ${figures.length - MOST_FIGURES} more: --json shows all`]);
  return [...lines, ...referenceLines(d.drift_reference)];
}

function referenceLines(reference: unknown): Line[] {
  if (reference === undefined) return [];
  const histograms = keyOf(reference, 'histograms');
  if (!Array.isArray(histograms)) return [['drift reference', textOf(reference)]];
  const all = histograms.map((histogram) => {
    const [edges, counts] = [keyOf(histogram, 'edges'), keyOf(histogram, 'counts')];
    const isWhole = Array.isArray(edges) && Array.isArray(counts) && counts.every((count) => typeof count === 'number');
    return { histogram, feature: textOf(keyOf(histogram, 'feature')), bins: isWhole ? { edges, counts } : null };
  });
  if (all.every(({ bins }) => bins !== null && !bins.counts.some((count) => count > 0))) {
    return [['drift reference', 'empty: drift of this model cannot be told']];
  }
  const width = Math.max(...all.map(({ feature }) => feature.length));
  return all.map(({ histogram, feature, bins }, i): Line => {
    const name = i === 0 ? 'drift reference' : '';
    if (bins === null) return [name, textOf(histogram)];
    const [first, last] = [bins.edges[0], bins.edges.at(-1)].map(textOf);
    const windows = bins.counts.reduce((sum: number, count: number) => sum + count, 0);
    return [name, `${feature.padEnd(width)}  ${first} ${bars(bins.counts)} ${last}, ${countOf(windows, 'window')}`];
  });
}

const MOST_FIGURES = 12;

function flatFigures(value: unknown, name: string): [name: string, figure: string][] {
  if (value === undefined) return [];
  if (!isObject(value)) return Array.isArray(value) && name !== '' ? [] : [[name, textOf(value)]];
  return Object.entries(value).flatMap(([key, inner]) => flatFigures(inner, name === '' ? key : `${name}.${key}`));
}

const BARS = '▁▂▃▄▅▆▇█';

/** A histogram as one character a bin; an empty bin is a blank. */
function bars(counts: readonly number[]): string {
  const most = Math.max(...counts, 1);
  return counts.map((count) => (count > 0 ? (BARS[Math.min(7, Math.floor((8 * count) / most))] ?? ' ') : ' ')).join('');
}
