/**
 * Owns what must hold of a model's graph before a runtime may see it: versions and operators that the runtime knows, tensors that are all
 * there, names that lead somewhere, and the audio → scores contract of its description.
 */
import type { ModelFinding } from './error.ts';
import {
  ELEMENT_TYPES,
  IR_VERSIONS,
  LENGTH_ATTRIBUTES,
  MAX_LENGTH,
  OPERATORS,
  OPSETS,
  POSITIVE_ATTRIBUTES,
  SIZE_INPUTS,
} from './onnx/operators.ts';
import {
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValue,
  shown,
} from './onnx/structure.ts';
import { checkTrees } from './tree-check.ts';

/** What the description says of the graph's ends: samples of a window, and labels. */
export interface GraphEnds {
  readonly window: number;
  readonly labels: number;
}

/** Told once more than this, it would tell nothing new. */
const MOST_FINDINGS = 20;
/** Elements of one tensor that a constant may ask for: 256 MB of float32. */
const MAX_ELEMENTS = 2 ** 26;
const FLOAT32 = 1;

const EXPORT_SIMPLER = 'Export the model with operators of ONNX and ONNX-ML only, without control flow.';
const EXPORT_AGAIN = 'The exporter made an invalid graph: export the model again, and try onnx.checker on it.';

const SMALLER = 'Use a smaller model: one step of this would take hundreds of megabytes.';

/** Everything that is wrong with the graph, at most 20 findings, the gravest first; none when it may be run. `ends` null: not compared. */
export function checkGraph(model: OnnxModel, ends: GraphEnds | null): ModelFinding[] {
  const findings = [
    ...checkVersions(model),
    ...model.graph.nodes.flatMap((node) => checkOperator(node, model.opsets)),
    ...model.graph.initializers.flatMap(checkTensor),
    ...checkNames(model.graph),
    ...checkEnds(model.graph, ends),
    ...checkSizes(model.graph),
  ];
  return findings.slice(0, MOST_FINDINGS);
}

function finding(field: string, expected: string, found: string, cure: string): ModelFinding {
  return { code: 'wrong-model', field, expected, found, cure };
}

function checkVersions({ irVersion, opsets }: OnnxModel): ModelFinding[] {
  const findings: ModelFinding[] = [];
  if (irVersion < IR_VERSIONS.from || irVersion > IR_VERSIONS.to) {
    const expected = `${IR_VERSIONS.from} to ${IR_VERSIONS.to}`;
    findings.push(finding('ir_version', expected, `${irVersion}`, 'Export for an older version of ONNX.'));
  }
  for (const [domain, known] of OPSETS) {
    const version = opsets.get(domain);
    if (version === undefined ? domain === '' : version < known.from || version > known.to) {
      const expected = `version ${known.from} to ${known.to}`;
      const cure = 'Export for another operator set, for instance opset_version=17.';
      findings.push(finding(`opset_import '${domain}'`, expected, `${version ?? 'none'}`, cure));
    }
  }
  return findings;
}

function checkOperator(node: OnnxNode, opsets: ReadonlyMap<string, number>): ModelFinding[] {
  const { where, opType, domain } = node;
  const known = OPERATORS.get(domain);
  if (known?.has(opType) !== true) {
    const found = `${shown(opType) || 'no name'}${domain === '' ? '' : ` of ${shown(domain)}`}`;
    const cure =
      domain === 'com.microsoft' ? 'Quantize in QDQ format (QuantizeLinear, DequantizeLinear).' : EXPORT_SIMPLER;
    return [finding(where, 'an operator that models of sound may use', found, cure)];
  }
  if (!opsets.has(domain)) {
    return [finding(where, `opset_import of its domain '${domain}'`, 'none', EXPORT_AGAIN)];
  }
  const findings: ModelFinding[] = [];
  for (const [name, { int, ints, tensor }] of node.attributes) {
    const values = int === null ? ints : [int, ...ints];
    const at = `${where} ${shown(name)}`;
    const low = POSITIVE_ATTRIBUTES.has(name) ? 1 : -MAX_LENGTH;
    if (LENGTH_ATTRIBUTES.has(name) && values.some((value) => value < low || value > MAX_LENGTH)) {
      const found = values.slice(0, 8).join(', ');
      findings.push(finding(at, `${low} to ${MAX_LENGTH}`, found, EXPORT_AGAIN));
    }
    if (tensor !== null) findings.push(...checkTensor({ ...tensor, where: at }));
  }
  if (domain === 'ai.onnx.ml') findings.push(...checkTrees(node));
  return findings;
}

/** A tensor's shape and type against the bytes that are really there. */
function checkTensor(tensor: OnnxTensor): ModelFinding[] {
  const { where, dims, elementType, raw, typed, external } = tensor;
  if (external !== null) return [checkExternal(where, external)];
  const type = ELEMENT_TYPES.get(elementType);
  if (type === undefined) {
    const expected = `an element type of ${[...ELEMENT_TYPES.values()].map(({ name }) => name).join(', ')}`;
    return [finding(where, expected, `type ${elementType}`, 'Export the weights as one of these types.')];
  }
  const elements = dims.reduce((product, dim) => product * dim, 1);
  const shape = `${type.name} [${dims.join(', ')}]`;
  if (dims.some((dim) => dim < 0) || !Number.isSafeInteger(elements)) {
    return [finding(where, 'a shape of whole numbers from 0', shape, EXPORT_AGAIN)];
  }
  const [field, count] = [...typed][0] ?? ['', 0];
  if (typed.size + (raw === null ? 0 : 1) > 1) {
    return [finding(where, 'its values in one field', `${[...typed.keys()].join(', ')}`, EXPORT_AGAIN)];
  }
  const bytes = (elements * type.bits) / 8;
  if (raw !== null) {
    return raw.length === bytes
      ? []
      : [finding(where, `${bytes} bytes for ${shape}`, `${raw.length} bytes`, EXPORT_AGAIN)];
  }
  if (count === elements && (count === 0 || field === type.field)) return [];
  return [
    finding(where, `${elements} values in ${type.field} for ${shape}`, `${count} in ${field || 'none'}`, EXPORT_AGAIN),
  ];
}

function checkExternal(where: string, location: string): ModelFinding {
  const leaves = /^([/\\~]|[a-z]:)|(^|[/\\])\.\.([/\\]|$)/i.test(location);
  const found = `${leaves ? 'a path that leaves the folder' : 'another file'}: '${shown(location)}'`;
  const cure = 'Save with all weights inside: onnx.save_model(model, path, save_as_external_data=False).';
  return finding(where, 'its values in this file, as a model is one file', found, cure);
}

/** Every name is given once, before it is taken: no cycles, nothing from nowhere. */
function checkNames({ nodes, initializers, inputs, outputs }: OnnxGraph): ModelFinding[] {
  const findings: ModelFinding[] = [];
  const given = new Set<string>();
  const give = (name: string, where: string): void => {
    if (given.has(name))
      findings.push(finding(where, 'every value given once', `'${shown(name)}' twice`, EXPORT_AGAIN));
    given.add(name);
  };
  const weights = new Set<string>();
  for (const { name, where } of initializers) {
    if (name === '') findings.push(finding(where, 'a name', 'none', EXPORT_AGAIN));
    give(name, where);
    weights.add(name);
  }
  for (const { name } of inputs) {
    // Up to ir_version 3, weights are inputs too.
    if (!weights.has(name)) give(name, 'graph.input');
  }
  const all = new Set(nodes.flatMap((node) => node.outputs));
  for (const { where, inputs: taken, outputs: made } of nodes) {
    const missing = taken.find((name) => name !== '' && !given.has(name));
    if (missing !== undefined) {
      const found = all.has(missing)
        ? `'${shown(missing)}', which only a later one gives: a cycle, or the wrong order`
        : '';
      const nothing = `'${shown(missing)}', which nothing gives`;
      findings.push(
        finding(where, 'inputs that inputs, weights or earlier nodes give', found || nothing, EXPORT_AGAIN),
      );
    }
    for (const name of made) if (name !== '') give(name, where);
    if (made.every((name) => name === '')) findings.push(finding(where, 'an output', 'none', EXPORT_AGAIN));
  }
  for (const { name } of outputs) {
    if (!all.has(name)) {
      findings.push(
        finding('graph.output', 'the output of a node', `'${shown(name)}', which no node gives`, EXPORT_AGAIN),
      );
    }
  }
  return findings;
}

/** The contract of every model: `audio` float32 [batch, samples] in, `scores` float32 [batch, labels] out, and nothing else. */
function checkEnds({ inputs, outputs, initializers }: OnnxGraph, ends: GraphEnds | null): ModelFinding[] {
  const weights = new Set(initializers.map(({ name }) => name));
  const real = inputs.filter(({ name }) => !weights.has(name));
  return [
    ...checkEnd(real, 'audio', ends === null ? null : ends.window, 'input'),
    ...checkEnd(outputs, 'scores', ends === null ? null : ends.labels, 'output'),
  ];
}

function checkEnd(values: readonly OnnxValue[], name: string, width: number | null, kind: string): ModelFinding[] {
  const what = kind === 'input' ? 'window' : 'label';
  const [only] = values;
  if (only === undefined || values.length > 1 || only.name !== name) {
    const found =
      values
        .map((value) => shown(value.name))
        .join(', ')
        .slice(0, 200) || 'none';
    const cure = `Export the graph with this one ${kind}, of this name.`;
    return [finding(`graph.${kind}`, `one graph ${kind} named ${name}`, found, cure)];
  }
  const { elementType, dims } = only;
  const last = dims?.[1];
  const fits = last === null || width === null || last === width;
  if (elementType === FLOAT32 && dims?.length === 2 && dims[0] === null && fits && (last === null || (last ?? 0) > 0))
    return [];
  const type = ELEMENT_TYPES.get(elementType ?? 0)?.name ?? `element type ${elementType ?? '?'}`;
  const found = `${type} [${dims?.map((dim) => dim ?? 'free').join(', ') ?? 'no shape'}]`;
  const expected = `float32 [batch, ${width ?? (kind === 'input' ? 'samples' : 'labels')}]`;
  const cure =
    dims?.[0] !== null && dims?.length === 2
      ? `Leave the first dimension free: dynamic_axes={'${name}': {0: 'batch'}}.`
      : `Make the graph and the description's ${what === 'window' ? 'input.window_s and input.sample_rate_hz' : 'labels'} agree.`;
  return [finding(`graph.${kind} ${name}`, expected, found, cure)];
}

/** Constants that size what is computed: few bytes may ask for terabytes. */
function checkSizes({ nodes, initializers }: OnnxGraph): ModelFinding[] {
  const constants = new Map<string, OnnxTensor>(initializers.map((tensor) => [tensor.name, tensor]));
  for (const { opType, outputs, attributes } of nodes) {
    const tensor = attributes.get('value')?.tensor;
    if (opType === 'Constant' && tensor != null) constants.set(outputs[0] ?? '', tensor);
  }
  const findings: ModelFinding[] = [];
  for (const { where, opType, inputs } of nodes) {
    for (const index of SIZE_INPUTS.get(opType) ?? []) {
      const tensor = constants.get(inputs[index] ?? '');
      const values = tensor === undefined ? [] : shortIntegers(tensor);
      const product = values.reduce((all, value) => all * Math.max(1, Math.abs(value)), 1);
      if (product <= MAX_ELEMENTS) continue;
      const expected = `sizes of at most ${MAX_ELEMENTS} elements`;
      findings.push(finding(`${where} input ${index}`, expected, `[${values.join(', ')}]`, SMALLER));
    }
  }
  return findings;
}

/** The values of a short int32 or int64 tensor; none of others. */
function shortIntegers({ elementType, raw, int64, dims }: OnnxTensor): number[] {
  if (dims.length > 1 || (dims[0] ?? 1) > 16) return [];
  if (raw === null) return [...int64];
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  if (elementType === 7) {
    return Array.from({ length: Math.floor(raw.length / 8) }, (_, i) => Number(view.getBigInt64(i * 8, true)));
  }
  if (elementType !== 6) return [];
  return Array.from({ length: Math.floor(raw.length / 4) }, (_, i) => view.getInt32(i * 4, true));
}
