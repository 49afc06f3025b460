/**
 * Owns what must hold of a model file whatever its bytes are: it is refused with a reason, or a runtime that gets it neither ends nor hangs.
 */
import { readFileSync } from 'node:fs';
import { ModelError } from '../../models/error.ts';
import { lookInto, type Model, parseModel } from '../../models/package.ts';
import { TrialProcess } from '../../models/trial.ts';
import { attribute, floats, node, onnxFile, packedFloats, tensor, texts } from '../models/onnx-writer.ts';
import { mutateModel } from './model-mutations.ts';
import { below, pick, randomFrom } from './mutations.ts';

const FLOAT = 1;
const INT8 = 3;
const weights = (count: number): Uint8Array => packedFloats(Array.from({ length: count }, (_, i) => Math.sin(i) / 4));

/** A network of few weights with the operators that such networks are made of, quantized ones among them. */
function network(): Buffer {
  const nodes = [
    node('Unsqueeze', ['audio', 'one'], ['wave']),
    node(
      'Conv',
      ['wave', 'w1'],
      ['c1'],
      [attribute('strides', [64]), attribute('pads', [8, 8]), attribute('kernel_shape', [64])],
    ),
    node('Relu', ['c1'], ['r1']),
    node('QuantizeLinear', ['r1', 'scale', 'zero'], ['q1']),
    node('DequantizeLinear', ['q1', 'scale', 'zero'], ['d1']),
    node('DequantizeLinear', ['w2', 'scale', 'zero'], ['dw2']),
    node('Conv', ['d1', 'dw2'], ['c2'], [attribute('group', 4), attribute('dilations', [2])]),
    node('MaxPool', ['c2'], ['m2'], [attribute('kernel_shape', [3]), attribute('strides', [2])]),
    node('Transpose', ['m2'], ['t2'], [attribute('perm', [0, 2, 1])]),
    node('MatMul', ['t2', 'w3'], ['f3']),
    node('ReduceMean', ['f3'], ['p3'], [attribute('axes', [1]), attribute('keepdims', 0)]),
    node('Concat', ['p3', 'p3'], ['j3'], [attribute('axis', 1)]),
    node('Reshape', ['j3', 'shape'], ['s3']),
    node('Gemm', ['s3', 'w4'], ['logits']),
    node('Softmax', ['logits'], ['scores'], [attribute('axis', 1)]),
  ];
  const int64 = (values: readonly number[]): Uint8Array =>
    new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer);
  const initializers = [
    tensor('one', [1], 7, int64([1])),
    tensor('shape', [2], 7, int64([-1, 8])),
    tensor('w1', [4, 1, 64], FLOAT, weights(256)),
    tensor(
      'w2',
      [4, 1, 3],
      INT8,
      new Uint8Array(12).map((_, i) => i * 20),
    ),
    tensor('scale', [], FLOAT, packedFloats([0.05])),
    tensor('zero', [], INT8, new Uint8Array(1)),
    tensor('w3', [4, 4], FLOAT, weights(16)),
    tensor('w4', [8, 3], FLOAT, weights(24)),
  ];
  return Buffer.from(onnxFile({ nodes, initializers }));
}

/** Statistics of the window, and a tree that decides on them. */
function forest(): Buffer {
  const nodes = [
    node('Abs', ['audio'], ['size']),
    node('ReduceMax', ['size'], ['peak'], [attribute('axes', [1]), attribute('keepdims', 1)]),
    node('ReduceMean', ['size'], ['mean'], [attribute('axes', [1]), attribute('keepdims', 1)]),
    node('Concat', ['peak', 'mean'], ['features'], [attribute('axis', 1)]),
    node(
      'TreeEnsembleRegressor',
      ['features'],
      ['logits'],
      [
        attribute('n_targets', 3),
        attribute('nodes_treeids', [0, 0, 0, 0, 0]),
        attribute('nodes_nodeids', [0, 1, 2, 3, 4]),
        attribute('nodes_featureids', [0, 1, 0, 0, 0]),
        attribute('nodes_truenodeids', [1, 3, 0, 0, 0]),
        attribute('nodes_falsenodeids', [2, 4, 0, 0, 0]),
        texts('nodes_modes', ['BRANCH_LEQ', 'BRANCH_LEQ', 'LEAF', 'LEAF', 'LEAF']),
        floats('nodes_values', [0.5, 0.1, 0, 0, 0]),
        attribute('target_treeids', [0, 0, 0]),
        attribute('target_nodeids', [2, 3, 4]),
        attribute('target_ids', [0, 1, 2]),
        floats('target_weights', [1, 2, 3]),
      ],
      'ai.onnx.ml',
    ),
    node('Softmax', ['logits'], ['scores'], [attribute('axis', 1)]),
  ];
  return Buffer.from(
    onnxFile({
      nodes,
      initializers: [],
      opsets: [
        ['', 17],
        ['ai.onnx.ml', 3],
      ],
    }),
  );
}

/** The files that are damaged, with how often each is taken: the shipped one is slow to run. */
function originals(): { readonly name: string; readonly bytes: Buffer }[] {
  const [small, trees] = [
    { name: 'network', bytes: network() },
    { name: 'trees', bytes: forest() },
  ];
  const shipped = { name: 'impact.int8', bytes: readFileSync('models/impact.int8.onnx') };
  return [
    ...Array(12).fill(small),
    ...Array(6).fill(trees),
    { name: 'minimal', bytes: Buffer.from(onnxFile()) },
    shipped,
  ];
}

/** How a run went. */
export interface ModelFuzzReport {
  readonly cases: number;
  /** Refused before any runtime. */
  readonly refused: number;
  /** Refused by the runtime, or by what it gave. */
  readonly failedTrial: number;
  readonly failures: readonly {
    readonly seed: number;
    readonly original: string;
    readonly mutation: string;
    readonly problem: string;
  }[];
  readonly slowestCheckMs: number;
  readonly slowestTrialMs: number;
}

const maxCheckMs = 5_000;
/** A process is ended after so many models, as loading and releasing leaks in ONNX Runtime. */
const modelsPerProcess = 200;

/** Runs the cases of seeds `firstSeed` to `firstSeed + cases − 1`; each can be run again by its seed alone. */
export async function fuzzModels(
  firstSeed: number,
  cases: number,
  onProgress: (done: number) => void = () => {},
): Promise<ModelFuzzReport> {
  const files = originals();
  let trial = new TrialProcess();
  const failures: { seed: number; original: string; mutation: string; problem: string }[] = [];
  let [refused, failedTrial, tried, slowestCheckMs, slowestTrialMs] = [0, 0, 0, 0, 0];
  for (let seed = firstSeed; seed < firstSeed + cases && failures.length < 20; seed += 1) {
    const random = randomFrom(seed);
    const from = pick(random, files);
    const { name, bytes } = mutateModel(from.bytes, random);
    const fail = (problem: string): number => failures.push({ seed, original: from.name, mutation: name, problem });
    const started = performance.now();
    let model: Model | null = null;
    try {
      model = checked(bytes);
      if (below(random, 10) === 0) lookInto(bytes);
    } catch (error) {
      fail(error instanceof Error ? (error.stack?.split('\n').slice(0, 4).join(' | ') ?? '') : String(error));
    }
    const took = performance.now() - started;
    slowestCheckMs = Math.max(slowestCheckMs, took);
    if (took > maxCheckMs) fail(`checking took ${Math.round(took)} ms`);
    if (model === null) refused += 1;
    else {
      const began = performance.now();
      const { died, findings } = await trial.run([model]);
      slowestTrialMs = Math.max(slowestTrialMs, performance.now() - began);
      failedTrial += findings.length > 0 ? 1 : 0;
      if (died) fail(findings[0]?.found ?? '');
      tried += 1;
      if (tried % modelsPerProcess === 0) {
        await trial.close();
        trial = new TrialProcess();
      }
    }
    if (seed % 100 === 0) onProgress(seed - firstSeed);
  }
  await trial.close();
  return { cases, refused, failedTrial, failures, slowestCheckMs, slowestTrialMs };
}

/** The model, or null when it is refused as it must be. @throws Error that says what did not hold of the refusal. */
function checked(bytes: Buffer): Model | null {
  try {
    return parseModel(bytes, 'case.onnx');
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    if (error.findings.length === 0) throw new Error(`a refusal without findings: ${error.message}`);
    for (const { field, expected, found, cure } of error.findings) {
      if ([field, expected, found, cure].some((text) => text === ''))
        throw new Error(`half a reason: ${error.message}`);
    }
    return null;
  }
}
