/** Writes ONNX files field by field, valid and hostile ones, without any checks. */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { ModelDescription } from '../../models/description.ts';
import { descriptionEntries } from '../../models/description-props.ts';
import { testDescription } from './description.ts';

const { LengthDelimited: BYTES, Varint: INT } = WireType;

type Piece = readonly [field: number, value: number | bigint | string | Uint8Array];

/** A message of fields in this order: numbers as varints, texts and bytes with their length. */
export function message(...pieces: readonly (Piece | readonly Piece[])[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const piece of pieces) {
    for (const [field, value] of (typeof piece[0] === 'number' ? [piece] : piece) as readonly Piece[]) {
      if (typeof value === 'string') writer.tag(field, BYTES).string(value);
      else if (value instanceof Uint8Array) writer.tag(field, BYTES).bytes(value);
      else writer.tag(field, INT).int64(value);
    }
  }
  return writer.finish();
}

/** Floats of a repeated field, packed. */
export function packedFloats(values: readonly number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}

/** ValueInfoProto; null is a free dimension. */
export function value(name: string, dims: readonly (number | null)[], elementType = 1): Uint8Array {
  const shape = message(dims.map((dim) => [1, dim === null ? message([2, 'n']) : message([1, dim])] as const));
  return message([1, name], [2, message([1, message([1, elementType], [2, shape])])]);
}

/** TensorProto with raw_data. */
export function tensor(
  name: string,
  dims: readonly number[],
  elementType: number,
  raw: Uint8Array,
  ...more: Piece[]
): Uint8Array {
  return message(
    dims.map((dim) => [1, dim] as const),
    [2, elementType],
    [8, name],
    [9, raw],
    more,
  );
}

/** AttributeProto of a number, numbers, a text or a tensor. */
export function attribute(
  name: string,
  content: number | readonly number[] | string | { tensor: Uint8Array },
): Uint8Array {
  if (typeof content === 'number') return message([1, name], [3, content], [20, 2]);
  if (typeof content === 'string') return message([1, name], [4, content], [20, 3]);
  if ('tensor' in content) return message([1, name], [5, content.tensor], [20, 4]);
  return message(
    [1, name],
    content.map((one) => [8, one] as const),
    [20, 7],
  );
}

/** AttributeProto of 32-bit numbers. */
export function floats(name: string, values: readonly number[]): Uint8Array {
  return message([1, name], [7, packedFloats(values)], [20, 6]);
}

/** AttributeProto of texts. */
export function texts(name: string, values: readonly string[]): Uint8Array {
  return message(
    [1, name],
    values.map((one) => [9, one] as const),
    [20, 8],
  );
}

/** NodeProto. */
export function node(
  opType: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: readonly Uint8Array[] = [],
  domain = '',
): Uint8Array {
  return message(
    inputs.map((name) => [1, name] as const),
    outputs.map((name) => [2, name] as const),
    [4, opType],
    attributes.map((one) => [5, one] as const),
    [7, domain],
  );
}

/** What a file is made of; everything is as in a small valid model when it is absent. */
export interface OnnxParts {
  readonly irVersion?: number;
  readonly opsets?: readonly (readonly [domain: string, version: number])[];
  readonly nodes?: readonly Uint8Array[];
  readonly initializers?: readonly Uint8Array[];
  readonly inputs?: readonly Uint8Array[];
  readonly outputs?: readonly Uint8Array[];
  /** More fields of the graph, and of the model. */
  readonly graphMore?: readonly Piece[];
  readonly modelMore?: readonly Piece[];
  readonly metadata?: readonly (readonly [key: string, value: string])[];
  readonly description?: Partial<ModelDescription>;
}

/** The nodes of the small model: the largest sample of the window decides, softly, between background and the two other labels. */
export function smallNodes(): Uint8Array[] {
  return [
    node('Abs', ['audio'], ['size']),
    node('ReduceMax', ['size'], ['peak'], [attribute('axes', [1]), attribute('keepdims', 1)]),
    node('Mul', ['peak', 'slope'], ['slopes']),
    node('Add', ['slopes', 'offset'], ['logits']),
    node('Softmax', ['logits'], ['scores'], [attribute('axis', 1)]),
  ];
}

export function smallWeights(): Uint8Array[] {
  return [tensor('slope', [1, 3], 1, packedFloats([-8, 4, 2])), tensor('offset', [1, 3], 1, packedFloats([3, -1, -2]))];
}

/** An ONNX file of `parts`; without any, a small valid model that scores a window of one second at 8 kHz. */
export function onnxFile(parts: OnnxParts = {}): Uint8Array {
  const graph = message(
    (parts.nodes ?? smallNodes()).map((one) => [1, one] as const),
    [2, 'graph'],
    (parts.initializers ?? smallWeights()).map((one) => [5, one] as const),
    (parts.inputs ?? [value('audio', [null, 8000])]).map((one) => [11, one] as const),
    (parts.outputs ?? [value('scores', [null, 3])]).map((one) => [12, one] as const),
    parts.graphMore ?? [],
  );
  const description = { ...testDescription(), ...parts.description };
  const metadata = parts.metadata ?? descriptionEntries(description);
  return message(
    [1, parts.irVersion ?? 8],
    [2, 'fender-test'],
    [7, graph],
    (parts.opsets ?? [['', 17]]).map(([domain, version]) => [8, message([1, domain], [2, version])] as const),
    metadata.map(([key, text]) => [14, message([1, key], [2, text])] as const),
    parts.modelMore ?? [],
  );
}
