/**
 * The model package: one ONNX file with its description inside. Reads it, refusing every file that a runtime should not see, and writes the
 * description without touching the graph.
 */
import { type ModelDescription, windowSamples } from './description.ts';
import { DESCRIPTION_KEYS, descriptionEntries, readDescription, validDescription } from './description-props.ts';
import { ModelError, type ModelFinding } from './error.ts';
import { checkGraph } from './graph-check.ts';
import { knownFormat } from './known-formats.ts';
import {
  DEFAULT_MAX_MODEL_BYTES,
  type ReadModelOptions,
  readModelBytes,
  tooLarge,
  unreadableFile,
} from './model-bytes.ts';
import { replaceMetadata } from './onnx/metadata.ts';
import { readBrokenOnnx, readOnnx } from './onnx/read-onnx.ts';
import type { OnnxGraph, OnnxModel } from './onnx/structure.ts';

export interface Model {
  readonly path: string;
  /** The whole file; do not change it. */
  readonly bytes: Uint8Array;
  readonly description: ModelDescription;
}

/**
 * Reads and checks a model file. Throws ModelError `unreadable-model` (no such file, too large, damaged, not ONNX), `wrong-model` (a graph
 * that must not run, or without the audio → scores contract) or `invalid-description`; `findings` name each field, what was expected there,
 * what was found, and the cure.
 */
export async function readModel(path: string, options: ReadModelOptions = {}): Promise<Model> {
  return parseModel(await readModelBytes(path, options), path, options);
}

/** As readModel, for bytes already in memory; `path` only names them in errors. The bytes are kept, not copied. */
export function parseModel(bytes: Uint8Array, path: string, options: ReadModelOptions = {}): Model {
  const { description, findings } = examine(bytes, path, options);
  if (findings.length > 0 || description === null) throw ModelError.of(path, findings);
  return { path, bytes, description };
}

/** What a file says and everything that is wrong with it. */
export interface Examination {
  /** Null when its description is not valid. */
  readonly description: ModelDescription | null;
  /** Null when it could not be read to its end. */
  readonly onnx: OnnxModel | null;
  readonly findings: readonly ModelFinding[];
}

/** Checks everything that can be checked without a runtime, and says all that is wrong at once. Never throws for what is in the file. */
export function examine(bytes: Uint8Array, path: string, options: ReadModelOptions = {}): Examination {
  const most = options.maxBytes ?? DEFAULT_MAX_MODEL_BYTES;
  let onnx: OnnxModel;
  try {
    if (bytes.byteLength > most) throw tooLarge(path, bytes.byteLength, most);
    const format = bytes.byteLength === 0 ? 'an empty file' : knownFormat(bytes);
    if (format !== null) throw unreadableFile(path, 'an ONNX file', format, 'Name an ONNX file of this project.');
    onnx = readOnnx(bytes);
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return { description: null, onnx: null, findings: error.findings };
  }
  const { description, findings } = readDescription(onnx.metadata);
  const ends =
    description === null ? null : { window: windowSamples(description).window, labels: description.labels.length };
  return { description, onnx, findings: [...findings, ...checkGraph(onnx, ends)] };
}

/** What can be seen of a file that readModel refuses; `graph` is null when there is none, and shows what is left of it otherwise. */
export function lookInto(bytes: Uint8Array): Omit<OnnxModel, 'graph'> & { readonly graph: OnnxGraph | null } {
  return readBrokenOnnx(bytes).model;
}

/**
 * The same file with another description; graph, weights and properties of others stay as they are. Throws ModelError
 * `unreadable-model` or `wrong-model` when the file may not be run, `invalid-description` for the description.
 */
export function withDescription(
  bytes: Uint8Array,
  description: ModelDescription,
  path: string,
): Uint8Array<ArrayBuffer> {
  const { onnx, findings } = examine(bytes, path);
  const unreadable = findings.filter(({ code }) => code === 'unreadable-model');
  if (onnx === null || unreadable.length > 0) throw ModelError.of(path, unreadable);
  return replaceMetadata(bytes, DESCRIPTION_KEYS, descriptionEntries(validDescription(description, path)));
}
