/**
 * The model package: one ONNX file with its description inside. Reads and writes the description without touching the
 * graph, and refuses files that the vehicle could not run.
 */
import { readFile } from 'node:fs/promises';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { z } from 'zod';
import { type ModelDescription, modelDescriptionSchema, windowSamples } from './description.ts';
import { ModelError } from './error.ts';
import {
  type OnnxFile,
  OnnxFileSchema,
  type OnnxGraph,
  OnnxGraphSchema,
  OnnxPropertySchema,
  type OnnxValue,
} from './onnx/onnx_pb.js';

const MAX_MODEL_BYTES = 64 * 1024 * 1024;
const FLOAT32 = 1;
/** Description keys that are plain strings in the file; all others are JSON. */
const STRING_KEYS = new Set(['format', 'name', 'version', 'task', 'author', 'dataset_tag']);

export interface Model {
  readonly path: string;
  /** The whole file; do not change it. */
  readonly bytes: Uint8Array;
  readonly description: ModelDescription;
}

/**
 * Reads and checks a model file (at most 64 MiB). Throws ModelError `unreadable-model` (no such file, not ONNX),
 * `wrong-model` (graph without the audio → scores contract) or `invalid-description` (names the field).
 */
export async function readModel(path: string): Promise<Model> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new ModelError('unreadable-model', `cannot read the model file ${path}: ${messageOf(cause)}`, { cause });
  }
  return parseModel(bytes, path);
}

/** As readModel, for bytes already in memory; `path` only names them in errors. The bytes are kept, not copied. */
export function parseModel(bytes: Uint8Array, path: string): Model {
  const file = decode(bytes, path);
  const description = describe(file, path);
  checkGraph(file, description, path);
  return { path, bytes, description };
}

/** The same file with another description (checked); the graph's bytes stay as they are. */
export function withDescription(bytes: Uint8Array, description: ModelDescription, path: string): Uint8Array {
  const file = decode(bytes, path);
  const valid = validated(description, path);
  file.metadataProps = Object.entries(valid).map(([key, value]) =>
    create(OnnxPropertySchema, { key, value: STRING_KEYS.has(key) ? String(value) : JSON.stringify(value) }),
  );
  return toBinary(OnnxFileSchema, file);
}

function decode(bytes: Uint8Array, path: string): OnnxFile {
  if (bytes.byteLength === 0 || bytes.byteLength > MAX_MODEL_BYTES) {
    const found = `${bytes.byteLength} bytes`;
    throw new ModelError('unreadable-model', `${path}: expected 1 to ${MAX_MODEL_BYTES} bytes of ONNX, found ${found}`);
  }
  try {
    const file = fromBinary(OnnxFileSchema, bytes);
    if (file.irVersion > 0n && file.graph.length > 0) {
      return file;
    }
  } catch (cause) {
    throw new ModelError('unreadable-model', `${path} is not an ONNX file: ${messageOf(cause)}`, { cause });
  }
  throw new ModelError(
    'unreadable-model',
    `${path} is not an ONNX file: expected ir_version and a graph, found neither`,
  );
}

function describe(file: OnnxFile, path: string): ModelDescription {
  const raw: Record<string, unknown> = {};
  for (const { key, value } of file.metadataProps) {
    if (!(key in modelDescriptionSchema.shape)) {
      continue;
    }
    try {
      raw[key] = STRING_KEYS.has(key) ? value : JSON.parse(value);
    } catch (cause) {
      const start = JSON.stringify(value.slice(0, 60));
      const message = `${path}: metadata_props.${key}: expected JSON, found ${start}`;
      throw new ModelError('invalid-description', message, { cause });
    }
  }
  return validated(raw, path);
}

function validated(raw: unknown, path: string): ModelDescription {
  const result = modelDescriptionSchema.safeParse(raw);
  if (result.success) {
    return result.data;
  }
  const problems = result.error.issues.map((issue) => problem(issue, raw)).join('; ');
  throw new ModelError('invalid-description', `${path}: the model's description is not valid: ${problems}`);
}

function problem(issue: z.core.$ZodIssue, raw: unknown): string {
  let found: unknown = raw;
  for (const key of issue.path) {
    found = (found as Record<PropertyKey, unknown> | undefined)?.[key];
  }
  const text = found === undefined ? 'nothing' : (JSON.stringify(found)?.slice(0, 60) ?? typeof found);
  return `metadata_props.${issue.path.join('.')}: ${issue.message}, found ${text}`;
}

/** The contract of every model: `audio` float32 [batch, samples] in, `scores` float32 [batch, labels] out. */
function checkGraph(file: OnnxFile, description: ModelDescription, path: string): void {
  let graph: OnnxGraph;
  try {
    graph = fromBinary(OnnxGraphSchema, file.graph);
  } catch (cause) {
    throw new ModelError('unreadable-model', `${path}: the graph is damaged: ${messageOf(cause)}`, { cause });
  }
  checkValue(graph.input, 'audio', windowSamples(description).window, 'input', path);
  checkValue(graph.output, 'scores', description.labels.length, 'output', path);
}

function checkValue(values: OnnxValue[], name: string, width: number, kind: string, path: string): void {
  const value = values.find((v) => v.name === name);
  const found = values.map((v) => v.name).join(', ') || 'none';
  if (value === undefined) {
    throw new ModelError('wrong-model', `${path}: expected a graph ${kind} named ${name}, found ${found}`);
  }
  const tensor = value.type?.tensorType;
  const dims = tensor?.shape?.dim ?? [];
  const last = dims[1]?.dimValue;
  if (tensor?.elemType !== FLOAT32 || dims.length !== 2 || (last !== undefined && last !== BigInt(width))) {
    const shape = dims.map((d) => d.dimValue ?? '?').join(', ');
    throw new ModelError(
      'wrong-model',
      `${path}: ${kind} ${name}: expected float32 [batch, ${width}], found element type ${tensor?.elemType ?? '?'} [${shape}]`,
    );
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
