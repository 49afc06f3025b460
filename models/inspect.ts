/** Shows what a model file is, whole or broken: its description, its graph, and the bins that drift is judged against. */
import { createHash } from 'node:crypto';
import type { ModelDescription } from './description.ts';
import { DESCRIPTION_KEYS } from './description-props.ts';
import type { ModelFinding } from './error.ts';
import { ELEMENT_TYPES } from './onnx/operators.ts';
import type { OnnxGraph, OnnxValue } from './onnx/structure.ts';
import { examine, lookInto, type ReadModelOptions } from './package.ts';

/** As printed with --json. */
export interface Inspection {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
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

/** Looks at a file of any content; never throws for it. */
export function inspectModel(bytes: Uint8Array, path: string, options: ReadModelOptions = {}): Inspection {
  const { findings } = examine(bytes, path, options);
  const seen = lookInto(bytes);
  const description: Record<string, unknown> = {};
  const other: Record<string, string> = {};
  for (const { key, value } of seen.metadata) {
    if (DESCRIPTION_KEYS.has(key)) description[key] = jsonOrText(value);
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

function jsonOrText(value: string): unknown {
  try {
    const parsed: unknown = JSON.parse(value);
    return typeof parsed === 'object' ? parsed : value;
  } catch {
    return value;
  }
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
    ...descriptionLines(description as Partial<ModelDescription>),
    ['file', `${inspection.file}, ${sizeText(inspection.bytes)}`],
    ['SHA-256', inspection.sha256],
    ...(graph === null ? [] : graphLines(graph)),
    ...historyLines(description as Partial<ModelDescription>),
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

function descriptionLines(d: Partial<ModelDescription>): Line[] {
  const lines: Line[] = [];
  const add = (name: string, ...parts: (string | false | undefined)[]): void => {
    const text = parts.filter((part) => part !== undefined && part !== false && part !== '').join(', ');
    if (text !== '') lines.push([name, text]);
  };
  add(
    'model',
    [d.name, d.version].filter(Boolean).map(textOf).join(' '),
    d.author !== undefined && `by ${textOf(d.author)}`,
    d.task && textOf(d.task),
  );
  if (Array.isArray(d.labels)) {
    add(
      'labels',
      ...d.labels.map((label) => {
        const from = d.thresholds?.[label];
        return typeof from === 'number' ? `${textOf(label)} (from ${from})` : textOf(label);
      }),
    );
  }
  const input = d.input;
  if (input !== undefined) {
    add(
      'input',
      textOf(input.topic),
      `${countOf(input.channels, 'channel')} (${textOf(input.downmix)})`,
      `${input.sample_rate_hz} Hz`,
    );
    add('window', `${input.window_s} s every ${input.hop_s} s`);
  }
  add('precision', d.precision && textOf(d.precision));
  add('events', ...Object.entries(d.events ?? {}).map(([key, value]) => `${plain(key)} ${textOf(value)}`));
  add(
    'false alarms',
    d.false_alarm_budget_per_hour !== undefined && `thresholds set for ${d.false_alarm_budget_per_hour} an hour`,
  );
  const c = d.calibration;
  if (c !== undefined) {
    const error = c.expected_calibration_error;
    add(
      'calibration',
      `${c.method} ${c.temperature}`,
      error !== undefined && `expected error ${error}`,
      c.brier !== undefined && `Brier ${c.brier}`,
    );
  }
  return lines;
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
function historyLines(d: Partial<ModelDescription>): Line[] {
  const lines: Line[] = [];
  const run = d.training_run;
  if (run !== undefined) {
    const folds = Array.isArray(run.folds) ? `, folds ${run.folds.join(', ')}` : '';
    lines.push([
      'training',
      `seed ${textOf(run.seed)}, commit ${textOf(run.commit)}${folds}, dataset ${textOf(d.dataset_tag)}`,
    ]);
    lines.push(['', textOf(run.data)]);
  }
  const figures = flatFigures(d.evaluation ?? {}, '');
  figures.slice(0, MOST_FIGURES).forEach(([name, figure], i) => {
    lines.push([i === 0 ? 'evaluation' : '', `${plain(name)} ${figure}`]);
  });
  if (figures.length > MOST_FIGURES) lines.push(['', `and ${figures.length - MOST_FIGURES} more: --json shows all`]);
  const histograms = d.drift_reference?.histograms;
  if (!Array.isArray(histograms)) return lines;
  if (!histograms.some(({ counts }) => Array.isArray(counts) && counts.some((count) => count > 0))) {
    return [...lines, ['drift reference', 'empty: drift of this model cannot be told']];
  }
  const width = Math.max(...histograms.map(({ feature }) => textOf(feature).length), 0);
  histograms.forEach(({ feature, edges, counts }, i) => {
    if (!Array.isArray(edges) || !Array.isArray(counts)) return;
    const total = counts.reduce((sum, count) => sum + count, 0);
    const text = `${textOf(feature).padEnd(width)}  ${edges[0]} ${bars(counts)} ${edges.at(-1)}, ${countOf(total, 'window')}`;
    lines.push([i === 0 ? 'drift reference' : '', text]);
  });
  return lines;
}

const MOST_FIGURES = 12;

function flatFigures(value: unknown, name: string): [name: string, figure: string][] {
  if (typeof value === 'number' || typeof value === 'string') return [[name, textOf(value)]];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) => flatFigures(inner, name === '' ? key : `${name}.${key}`));
}

const BARS = '▁▂▃▄▅▆▇█';

/** A histogram as one character a bin; an empty bin is a blank. */
function bars(counts: readonly number[]): string {
  const most = Math.max(...counts, 1);
  return counts.map((count) => (count > 0 ? BARS[Math.min(7, Math.floor((8 * count) / most))] : ' ')).join('');
}
