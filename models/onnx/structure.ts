/** The structure of an ONNX file as far as it matters here, and how much of each thing a file may hold. */
import { unreadable } from './field-reader.ts';

export interface OnnxModel {
  readonly irVersion: number;
  readonly producer: string;
  /** Version of each operator set by its domain; '' is ONNX itself. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly metadata: readonly { readonly key: string; readonly value: string }[];
  readonly graph: OnnxGraph;
}

export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

export interface OnnxNode {
  /** `graph.node[3] (Conv)`, for findings. */
  readonly where: string;
  readonly opType: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, OnnxAttribute>;
}

export interface OnnxAttribute {
  readonly type: number;
  readonly int: number | null;
  readonly ints: readonly number[];
  /** How many there are in `floats`. */
  readonly floats: number;
  readonly strings: readonly string[];
  readonly text: string | null;
  readonly tensor: OnnxTensor | null;
}

export interface OnnxTensor {
  readonly where: string;
  readonly name: string;
  readonly dims: readonly number[];
  /** TensorProto.DataType. */
  readonly elementType: number;
  /** Bytes of `raw_data`; null when the values are in a typed field. */
  readonly raw: Uint8Array | null;
  /** How many values the typed fields hold, by the field's name. */
  readonly typed: ReadonlyMap<string, number>;
  /** Values of `int64_data`, when they are few. */
  readonly int64: readonly number[];
  /** Where the values are outside of this file; null when they are inside. */
  readonly external: string | null;
}

export interface OnnxValue {
  readonly name: string;
  /** TensorProto.DataType; null when it is no tensor. */
  readonly elementType: number | null;
  /** Null where free; null as a whole when no shape is given. */
  readonly dims: readonly (number | null)[] | null;
}

/** No model of sound comes near these; a file beyond them costs memory and time only. */
export const LIMITS = {
  fields: 4_000_000,
  nodes: 20_000,
  tensors: 40_000,
  values: 40_000,
  attributes: 64,
  arguments: 4096,
  ints: 2_000_000,
  dims: 8,
  nameBytes: 4096,
  metadata: 256,
  keyBytes: 256,
  valueBytes: 4 * 1024 * 1024,
  metadataBytes: 8 * 1024 * 1024,
} as const;

/** Throws ModelError `unreadable-model` when there are more than allowed. */
export function expectAtMost(most: number, what: string, found: number, where: string): void {
  if (found > most) throw unreadable(where, `at most ${most} ${what}`, `${found}`, 'Simplify the model.');
}

/** A name from the file as it may be shown: short, without control characters. */
export function shown(name: string): string {
  return name.slice(0, 60).replace(/[\p{Cc}\p{Cf}]/gu, '?');
}
