import { describe, expect, test } from 'vitest';
import { ModelError } from '../../models/error.ts';
import { examine, parseModel } from '../../models/package.ts';
import { ModelSession } from '../../models/session.ts';
import {
  attribute,
  floats,
  message,
  node,
  type OnnxParts,
  onnxFile,
  packedFloats,
  smallNodes,
  smallWeights,
  tensor,
  texts,
  value,
} from './onnx-writer.ts';

/** The reason for which a file is refused. */
function reasonOf(bytes: Uint8Array): string {
  try {
    parseModel(bytes, 'some.onnx');
  } catch (error) {
    expect(error).toBeInstanceOf(ModelError);
    expect((error as ModelError).findings.length).toBeGreaterThan(0);
    expect((error as ModelError).findings.every(({ cure }) => cure.length > 10)).toBe(true);
    return (error as ModelError).message;
  }
  throw new Error('expected a refusal, found a model');
}

const withNode = (...nodes: Uint8Array[]): OnnxParts => ({ nodes: [...nodes, ...smallNodes()] });
const withWeight = (...weights: Uint8Array[]): OnnxParts => ({ initializers: [...weights, ...smallWeights()] });
const shape = (values: readonly number[]): Uint8Array => new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer);
const none = new Uint8Array();

/** A classifier of one tree of three nodes; `change` replaces attributes. */
function tree(change: Readonly<Record<string, Uint8Array>> = {}): OnnxParts {
  const all: Record<string, Uint8Array> = {
    nodes_treeids: attribute('nodes_treeids', [0, 0, 0]),
    nodes_nodeids: attribute('nodes_nodeids', [0, 1, 2]),
    nodes_featureids: attribute('nodes_featureids', [0, 0, 0]),
    nodes_truenodeids: attribute('nodes_truenodeids', [1, 0, 0]),
    nodes_falsenodeids: attribute('nodes_falsenodeids', [2, 0, 0]),
    nodes_modes: texts('nodes_modes', ['BRANCH_LEQ', 'LEAF', 'LEAF']),
    nodes_values: floats('nodes_values', [0.5, 0, 0]),
    class_treeids: attribute('class_treeids', [0, 0]),
    class_nodeids: attribute('class_nodeids', [1, 2]),
    class_ids: attribute('class_ids', [0, 1]),
    class_weights: floats('class_weights', [1, 1]),
    classlabels_int64s: attribute('classlabels_int64s', [0, 1, 2]),
    ...change,
  };
  const peak = smallNodes().slice(0, 2);
  const forest = node('TreeEnsembleClassifier', ['peak'], ['label', 'scores'], Object.values(all), 'ai.onnx.ml');
  return {
    nodes: [...peak, forest],
    opsets: [
      ['', 17],
      ['ai.onnx.ml', 3],
    ],
  };
}

describe('a small model', () => {
  test.each([
    ['a network', {}],
    ['a tree', tree()],
  ])('is taken, and runs, when nothing is wrong with it: %s', async (_, parts) => {
    const model = parseModel(onnxFile(parts), 'small.onnx');
    const session = await ModelSession.open(model, { threads: 1 });
    try {
      const [loud, quiet] = [new Float32Array(8000).fill(0.9), new Float32Array(8000)];
      expect((await session.run(quiet, 1))[0]).toBeGreaterThan(0.9);
      expect((await session.run(loud, 1))[0]).toBeLessThan(0.1);
    } finally {
      await session.close();
    }
  });
});

describe('a hostile file is refused with its reason:', () => {
  test.each<[string, OnnxParts, RegExp]>([
    [
      'more elements than bytes',
      withWeight(tensor('big', [1_000_000, 1_000_000], 1, packedFloats([1]))),
      /initializer\[0\] 'big': expected 4000000000000 bytes for float32 \[1000000, 1000000\], found 4 bytes/,
    ],
    ['dimensions that overflow', withWeight(tensor('big', [2 ** 40, 2 ** 40], 1, none)), /shape of whole numbers/],
    ['a negative dimension', withWeight(tensor('big', [-1], 1, none)), /shape of whole numbers/],
    [
      'fewer elements than bytes',
      withWeight(tensor('w', [1], 1, packedFloats([1, 2]))),
      /expected 4 bytes .* found 8 bytes/,
    ],
    ['an unknown element type', withWeight(tensor('w', [1], 99, none)), /found type 99/],
    [
      'values in two fields',
      withWeight(tensor('w', [1], 1, packedFloats([1]), [4, packedFloats([1])])),
      /values in one field/,
    ],
    ['texts as weights', withWeight(message([1, 1], [2, 8], [6, 'text'])), /no texts as weights/],
    [
      'external data',
      withWeight(message([1, 4], [2, 1], [8, 'w'], [13, message([1, 'location'], [2, 'w.bin'])], [14, 1])),
      /another file: 'w.bin'.*one file|one file.*another file: 'w.bin'/,
    ],
    [
      'external data that leaves the folder',
      withWeight(message([1, 4], [2, 1], [8, 'w'], [13, message([1, 'location'], [2, '../../etc/passwd'])], [14, 1])),
      /path that leaves the folder: '\.\.\/\.\.\/etc\/passwd'/,
    ],
    [
      'external data at a root',
      withWeight(message([1, 4], [2, 1], [8, 'w'], [13, message([1, 'location'], [2, '/etc/passwd'])])),
      /path that leaves the folder: '\/etc\/passwd'/,
    ],
    ['sparse weights', { graphMore: [[15, none]] }, /no sparse weights/],
    [
      'an unknown operator',
      withNode(node('Explode', ['audio'], ['x'])),
      /graph\.node\[0\] \(Explode\): expected an operator/,
    ],
    ['an operator of nobody', withNode(node('Relu', ['audio'], ['x'], [], 'com.evil')), /found Relu of com\.evil/],
    ['an operator of a vendor', withNode(node('QLinearAdd', ['audio'], ['x'], [], 'com.microsoft')), /QDQ/],
    [
      'a domain without a version',
      withNode(node('Scaler', ['audio'], ['x'], [], 'ai.onnx.ml')),
      /opset_import of its domain/,
    ],
    [
      'a branch',
      withNode(node('If', ['audio'], ['x'], [message([1, 'then_branch'], [6, none], [20, 5])])),
      /no a graph inside a node|graph inside a node/,
    ],
    [
      'a loop',
      withNode(node('Loop', ['audio'], ['x'], [message([1, 'body'], [11, none], [20, 10])])),
      /graphs inside a node/,
    ],
    ['functions of its own', { modelMore: [[25, none]] }, /functions of its own/],
    ['training inside', { modelMore: [[20, none]] }, /training inside the model/],
    [
      'a cycle',
      withNode(node('Add', ['audio', 'b'], ['a']), node('Add', ['audio', 'a'], ['b'])),
      /'b', which only a later one gives: a cycle/,
    ],
    ['an input from nowhere', withNode(node('Relu', ['ghost'], ['x'])), /'ghost', which nothing gives/],
    ['a value given twice', withNode(node('Relu', ['audio'], ['size'])), /'size' twice/],
    ['an output that no node gives', { nodes: [] }, /'scores', which no node gives/],
    ['an input of another name', { inputs: [value('wave', [null, 8000])] }, /one graph input named audio, found wave/],
    ['a second input', { inputs: [value('audio', [null, 8000]), value('more', [1])] }, /found audio, more/],
    [
      'another window',
      { inputs: [value('audio', [null, 4000])] },
      /graph\.input audio: expected float32 \[batch, 8000\], found float32 \[free, 4000\]/,
    ],
    ['a window of doubles', { inputs: [value('audio', [null, 8000], 11)] }, /found float64/],
    ['a batch of one', { inputs: [value('audio', [1, 8000])] }, /dynamic_axes/],
    [
      'more scores than labels',
      { outputs: [value('scores', [null, 5])] },
      /graph\.output scores: expected float32 \[batch, 3\]/,
    ],
    ['an opset of the future', { opsets: [['', 99]] }, /opset_import '': expected version 7 to 26, found 99/],
    ['no opset', { opsets: [] }, /opset_import '': .* found none/],
    [
      'an opset twice',
      {
        opsets: [
          ['', 17],
          ['ai.onnx', 18],
        ],
      },
      /each domain once/,
    ],
    ['an ir_version of the future', { irVersion: 99 }, /ir_version: expected 3 to 13, found 99/],
    ['two graphs', { modelMore: [[7, none]] }, /model\.graph: expected once, found twice/],
    [
      'a field that ONNX does not know',
      { modelMore: [[77, none]] },
      /no fields that ONNX does not know, found field 77/,
    ],
    ['a number where bytes belong', { modelMore: [[8, 5]] }, /model\.opset_import: expected bytes, found wire type 0/],
    ['too many nodes', { nodes: Array.from({ length: 20_001 }, () => none) }, /at most 20000 nodes/],
    ['too many properties', { metadata: Array.from({ length: 300 }, (_, i) => [`k${i}`, '']) }, /at most 256 entries/],
    [
      'a property of many megabytes',
      { modelMore: [[14, message([1, 'x'], [2, 'y'.repeat(5_000_000)])]] },
      /metadata_props\.value: expected at most 4194304 bytes/,
    ],
    [
      'a property twice',
      { modelMore: [[14, message([1, 'name'], [2, 'other'])]] },
      /metadata_props\.name: expected each key once/,
    ],
    [
      'a name that is no text',
      withNode(message([1, 'audio'], [2, new Uint8Array([0xff, 0xfe])], [4, 'Relu'])),
      /UTF-8/,
    ],
    [
      'an attribute twice',
      withNode(node('Softmax', ['audio'], ['x'], [attribute('axis', 1), attribute('axis', 0)])),
      /'axis' twice/,
    ],
    [
      'a step of nothing',
      withNode(node('Conv', ['audio', 'slope'], ['x'], [attribute('strides', [0])])),
      /\(Conv\) strides: expected 1 to/,
    ],
    [
      'a padding of gigabytes',
      withNode(node('Conv', ['audio', 'slope'], ['x'], [attribute('pads', [2 ** 30, 0])])),
      /\(Conv\) pads/,
    ],
    ['groups of none', withNode(node('Conv', ['audio', 'slope'], ['x'], [attribute('group', 0)])), /\(Conv\) group/],
    [
      'a constant that asks for terabytes',
      {
        nodes: [node('ConstantOfShape', ['huge'], ['x']), ...smallNodes()],
        ...withWeight(tensor('huge', [2], 7, shape([1e6, 1e6]))),
      },
      /sizes of at most 67108864 elements, found \[1000000, 1000000\]/,
    ],
    [
      'a damaged constant inside a node',
      withNode(node('Constant', [], ['x'], [attribute('value', { tensor: tensor('', [5], 1, none) })])),
      /expected 20 bytes/,
    ],
    [
      'a tree that goes round',
      tree({ nodes_truenodeids: attribute('nodes_truenodeids', [0, 0, 0]) }),
      /one parent|cycle|one first node/,
    ],
    [
      'a tree with a node of another',
      tree({ nodes_falsenodeids: attribute('nodes_falsenodeids', [9, 0, 0]) }),
      /nodes of the same tree, found 0\/9/,
    ],
    [
      'a tree whose lists differ',
      tree({ nodes_values: floats('nodes_values', [1]) }),
      /nodes_values: expected 3 numbers/,
    ],
    [
      'a leaf for a class that is not there',
      tree({ class_ids: attribute('class_ids', [0, 7]) }),
      /class_ids: expected 0 to 2, found 7/,
    ],
    [
      'a feature of a far away column',
      tree({ nodes_featureids: attribute('nodes_featureids', [1e9, 0, 0]) }),
      /nodes_featureids/,
    ],
  ])('%s', (_, parts, reason) => {
    expect(reasonOf(onnxFile(parts))).toMatch(reason);
  });

  test('a cut one, wherever it is cut', () => {
    const whole = onnxFile();
    for (let length = 0; length < whole.length; length += 7) {
      expect(reasonOf(whole.subarray(0, length))).toContain('some.onnx');
    }
  });

  test.each([
    ['a PNG picture', [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a]],
    ['a ZIP archive, as PyTorch and Keras write', [0x50, 0x4b, 3, 4, 0, 0]],
    ['a text that begins "{\\"name\\"', [...Buffer.from('{"name": 1}')]],
    ['an empty file', []],
  ])('another kind of file, by its name: %s', (name, bytes) => {
    expect(reasonOf(new Uint8Array(bytes))).toContain(`expected an ONNX file, found ${name}`);
  });

  test('a large one, unread, by the limit that was given', () => {
    const bytes = onnxFile();
    const { findings } = examine(bytes, 'x', { maxBytes: 100 });
    expect(findings[0]).toMatchObject({ field: 'file', expected: 'at most 100 bytes', found: `${bytes.length} bytes` });
  });

  test('all that is wrong at once, description and graph, each with its field and cure', () => {
    const { findings } = examine(
      onnxFile({
        irVersion: 99,
        nodes: [node('Explode', ['audio'], ['scores'])],
        metadata: [
          ['name', 'X'],
          ['labels', '3'],
        ],
      }),
      'x',
    );
    expect(findings.map(({ field }) => field)).toEqual(
      expect.arrayContaining([
        'metadata_props.name',
        'metadata_props.labels',
        'metadata_props.thresholds',
        'ir_version',
        'graph.node[0] (Explode)',
      ]),
    );
  });
});
