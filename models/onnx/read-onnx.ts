/**
 * Reads the structure of an ONNX file, by the field numbers of the ONNX IR specification: everything but the weights themselves, which
 * stay views of the file. Refuses what a model of sound never needs and a runtime could be led astray by.
 */
import { ModelError, type ModelFinding } from '../error.ts';
import { DAMAGED, FieldBudget, FieldReader, unreadable } from './field-reader.ts';
import { readProperty, readTensor, readValue } from './read-value.ts';
import {
  expectAtMost,
  LIMITS,
  type OnnxAttribute,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValue,
  shown,
} from './structure.ts';

/** How a broken piece of a file is met: thrown on, or noted and passed over by whoever only looks. */
type Attempt = <T>(read: () => T) => T | null;

const throwing: Attempt = (read) => read();

/** Throws ModelError `unreadable-model` with one finding, without the file's path. Strings and numbers are copied, weights are views. */
export function readOnnx(bytes: Uint8Array): OnnxModel {
  const model = readModelFields(bytes, throwing);
  if (model.irVersion <= 0 || model.graph === null) {
    throw unreadable('model', 'an ONNX file: ir_version and a graph', 'something else', NOT_ONNX);
  }
  return { ...model, graph: model.graph };
}

/** What can be read of a broken file, and what is wrong with its pieces. Never throws. */
export function readBrokenOnnx(bytes: Uint8Array): {
  readonly model: Omit<OnnxModel, 'graph'> & { readonly graph: OnnxGraph | null };
  readonly findings: readonly ModelFinding[];
} {
  const findings: ModelFinding[] = [];
  const attempt: Attempt = (read) => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      if (findings.length < MOST_FINDINGS) findings.push(...error.findings);
      return null;
    }
  };
  return { model: readModelFields(bytes, attempt), findings };
}

/** More would tell nothing new. */
const MOST_FINDINGS = 20;
const NOT_ONNX = 'Name an ONNX file, as torch.onnx.export and other exporters write it.';

function readModelFields(
  bytes: Uint8Array,
  attempt: Attempt,
): Omit<OnnxModel, 'graph'> & { readonly graph: OnnxGraph | null } {
  const budget = new FieldBudget(LIMITS.fields);
  const fields = new FieldReader(bytes, 'model', budget);
  const opsets = new Map<string, number>();
  const metadata: { key: string; value: string }[] = [];
  let [irVersion, producer, metadataBytes] = [0, '', 0];
  let graph: OnnxGraph | null = null;
  const take = (): true => {
    switch (fields.number) {
      case 1:
        irVersion = fields.once().int();
        break;
      case 2:
        producer = fields.once().text(LIMITS.nameBytes);
        break;
      case 7:
        graph = readGraph(attempt(() => fields.once().bytes()) ?? fields.rest(), budget, attempt);
        break;
      case 8:
        addOpset(opsets, fields.bytes(), budget);
        break;
      case 14: {
        const piece = fields.bytes();
        metadataBytes += piece.length;
        expectAtMost(LIMITS.metadataBytes, 'bytes', metadataBytes, 'metadata_props');
        expectAtMost(LIMITS.metadata, 'entries', metadata.push(readProperty(piece, budget)), 'metadata_props');
        break;
      }
      case 3:
      case 4:
      case 5:
      case 6:
        fields.once().skip();
        break;
      case 26:
        fields.skip();
        break;
      case 20:
        fields.refuse('training inside the model', 'Export the model for inference only.');
        break;
      case 25:
        fields.refuse('functions of its own', 'Inline them: onnx.inliner.inline_local_functions does.');
        break;
      default:
        fields.unknown();
    }
    return true;
  };
  eachField(fields, take, attempt);
  return { irVersion, producer, opsets, metadata, graph };
}

function addOpset(opsets: Map<string, number>, bytes: Uint8Array, budget: FieldBudget): void {
  const fields = new FieldReader(bytes, 'opset_import', budget);
  let [domain, version] = ['', 0];
  while (fields.next()) {
    if (fields.number === 1) domain = fields.once().text(LIMITS.nameBytes);
    else if (fields.number === 2) version = fields.once().int();
    else fields.unknown();
  }
  // The two spellings of ONNX's own domain.
  domain = domain === 'ai.onnx' ? '' : domain;
  if (opsets.has(domain)) throw unreadable('opset_import', 'each domain once', `'${domain}' twice`, DAMAGED);
  opsets.set(domain, version);
}

function readGraph(bytes: Uint8Array, budget: FieldBudget, attempt: Attempt): OnnxGraph {
  const fields = new FieldReader(bytes, 'graph', budget);
  const nodes: OnnxNode[] = [];
  const initializers: OnnxTensor[] = [];
  const inputs: OnnxValue[] = [];
  const outputs: OnnxValue[] = [];
  const add = <T>(all: T[], one: T, what: 'nodes' | 'tensors' | 'values'): void =>
    expectAtMost(LIMITS[what], what, all.push(one), 'graph');
  let values = 0;
  const take = (): true => {
    switch (fields.number) {
      case 1:
        add(nodes, readNode(fields.bytes(), nodes.length, budget), 'nodes');
        break;
      case 5:
        add(initializers, readTensor(fields.bytes(), `graph.initializer[${initializers.length}]`, budget), 'tensors');
        break;
      case 11:
        add(inputs, readValue(fields.bytes(), `graph.input[${inputs.length}]`, budget), 'values');
        break;
      case 12:
        add(outputs, readValue(fields.bytes(), `graph.output[${outputs.length}]`, budget), 'values');
        break;
      case 13:
        readValue(fields.bytes(), `graph.value_info[${values}]`, budget);
        expectAtMost(LIMITS.values, 'values', ++values, 'graph.value_info');
        break;
      case 2:
      case 10:
        fields.once().skip();
        break;
      case 14:
      case 16:
        fields.skip();
        break;
      case 15:
        fields.refuse('sparse weights', 'Export the weights dense.');
        break;
      default:
        fields.unknown();
    }
    return true;
  };
  eachField(fields, take, attempt);
  return { nodes, initializers, inputs, outputs };
}

function eachField(fields: FieldReader, take: () => true, attempt: Attempt): void {
  while (attempt(() => fields.next()) === true) {
    if (attempt(take) !== true) fields.over();
  }
}

function readNode(bytes: Uint8Array, index: number, budget: FieldBudget): OnnxNode {
  const at = `graph.node[${index}]`;
  const fields = new FieldReader(bytes, at, budget);
  const inputs: string[] = [];
  const outputs: string[] = [];
  const pieces: Uint8Array[] = [];
  let [opType, domain] = ['', ''];
  while (fields.next()) {
    switch (fields.number) {
      case 1:
        expectAtMost(LIMITS.arguments, 'inputs', inputs.push(fields.text(LIMITS.nameBytes)), at);
        break;
      case 2:
        expectAtMost(LIMITS.arguments, 'outputs', outputs.push(fields.text(LIMITS.nameBytes)), at);
        break;
      case 4:
        opType = fields.once().text(LIMITS.nameBytes);
        break;
      case 5:
        expectAtMost(LIMITS.attributes, 'attributes', pieces.push(fields.bytes()), at);
        break;
      case 7:
        domain = fields.once().text(LIMITS.nameBytes);
        break;
      case 3:
      case 6:
        fields.once().skip();
        break;
      case 9:
        fields.skip();
        break;
      case 8:
        if (fields.once().text(LIMITS.nameBytes) !== '')
          fields.refuse('overloads', 'Inline the functions of the model.');
        break;
      default:
        fields.unknown();
    }
  }
  const where = `${at} (${shown(opType)})`;
  const attributes = new Map<string, OnnxAttribute>();
  for (const piece of pieces) {
    const [name, attribute] = readAttribute(piece, where, budget);
    if (attributes.has(name)) throw unreadable(where, 'each attribute once', `'${name}' twice`, DAMAGED);
    attributes.set(name, attribute);
  }
  return { where, opType, domain: domain === 'ai.onnx' ? '' : domain, inputs, outputs, attributes };
}

/** Attributes that hold a graph, a type or sparse values belong to operators that no model of sound needs. */
const NESTED = new Map([
  [6, 'a graph inside a node'],
  [11, 'graphs inside a node'],
  [14, 'a type as attribute'],
  [15, 'types as attribute'],
  [21, 'a reference to an attribute of a function'],
  [22, 'sparse values'],
  [23, 'sparse values'],
]);

function readAttribute(bytes: Uint8Array, where: string, budget: FieldBudget): [string, OnnxAttribute] {
  const fields = new FieldReader(bytes, `${where} attribute`, budget);
  const ints: number[] = [];
  const strings: string[] = [];
  let name = '';
  let [type, floats] = [0, 0];
  let int: number | null = null;
  let text: string | null = null;
  let tensor: OnnxTensor | null = null;
  while (fields.next()) {
    switch (fields.number) {
      case 1:
        name = fields.once().text(LIMITS.nameBytes);
        break;
      case 2:
        fields.once().float();
        break;
      case 3:
        int = fields.once().int();
        break;
      case 4:
        text = fields.once().text(LIMITS.nameBytes);
        break;
      case 5:
        tensor = readTensor(fields.once().bytes(), `${where} attribute`, budget);
        break;
      case 7:
        floats += fields.countFixed(4);
        break;
      case 8:
        expectAtMost(LIMITS.ints, 'numbers', fields.ints(ints, LIMITS.ints), where);
        break;
      case 9:
        expectAtMost(LIMITS.ints, 'texts', strings.push(fields.text(LIMITS.nameBytes)), where);
        break;
      case 13:
        fields.once().skip();
        break;
      case 20:
        type = fields.once().int();
        break;
      default: {
        const nested = NESTED.get(fields.number);
        if (nested === undefined) return fields.unknown();
        return fields.refuse(nested, 'Export the model without control flow (If, Loop, Scan).');
      }
    }
  }
  return [name, { type, int, ints, floats, strings, text, tensor }];
}
