/**
 * The model package: one ONNX file with its description inside. Reads it, refusing every file that a runtime should not see, and writes the
 * description without touching the graph.
 */
import { constants, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import { type ModelDescription, windowSamples } from './description.ts';
import { DESCRIPTION_KEYS, descriptionEntries, readDescription, validDescription } from './description-props.ts';
import { ModelError, type ModelFinding } from './error.ts';
import { checkGraph } from './graph-check.ts';
import { knownFormat } from './known-formats.ts';
import { replaceMetadata } from './onnx/metadata.ts';
import { readBrokenOnnx, readOnnx } from './onnx/read-onnx.ts';
import type { OnnxGraph, OnnxModel } from './onnx/structure.ts';

/** Largest model file that is taken when nothing else is said: 64 MiB. */
export const DEFAULT_MAX_MODEL_BYTES = 64 * 1024 * 1024;

export interface Model {
  readonly path: string;
  /** The whole file; do not change it. */
  readonly bytes: Uint8Array;
  readonly description: ModelDescription;
}

export interface ReadModelOptions {
  /** Larger files are refused unread; DEFAULT_MAX_MODEL_BYTES when absent. */
  readonly maxBytes?: number;
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

/** The bytes of the regular file at `path`. Throws ModelError `unreadable-model`, before reading when it is too large. */
export async function readModelBytes(path: string, options: ReadModelOptions = {}): Promise<Uint8Array> {
  const most = options.maxBytes ?? DEFAULT_MAX_MODEL_BYTES;
  try {
    // Opening a pipe would otherwise wait for somebody to write into it.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = await file.stat();
      const { size } = stat;
      if (!stat.isFile()) throw unreadableFile(path, 'a file', kindOf(stat), 'Name the .onnx file itself.');
      if (size > most) throw tooLarge(path, size, most);
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof ModelError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    const found = code === 'ENOENT' ? 'no such file' : code === 'EACCES' ? 'no permission to read it' : message;
    throw unreadableFile(path, 'a file that can be read', found, 'Correct the path or the permissions.');
  }
}

function kindOf(stat: Stats): string {
  return stat.isDirectory() ? 'a folder' : stat.isFIFO() ? 'a pipe' : 'a device';
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

function tooLarge(path: string, size: number, most: number): ModelError {
  const cure = 'Raise the limit (detector.max_model_bytes, --max-bytes) if the file is what you mean.';
  return unreadableFile(path, `at most ${most} bytes`, `${size} bytes`, cure);
}

function unreadableFile(path: string, expected: string, found: string, cure: string): ModelError {
  return ModelError.of(path, [{ code: 'unreadable-model', field: 'file', expected, found, cure }]);
}
