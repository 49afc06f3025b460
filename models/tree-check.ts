/** Owns what must hold of an ensemble of trees in a model: the runtime walks from node to node as the file says, and would walk for ever. */
import type { ModelFinding } from './error.ts';
import type { OnnxNode } from './onnx/structure.ts';

const CURE = 'The exporter made an invalid ensemble: export the trees again.';
/** More features than any front end gives. */
const MAX_FEATURES = 65_536;
const LEAF = 'LEAF';
/** Attributes with one entry for each node. */
const PER_NODE = ['nodes_treeids', 'nodes_nodeids', 'nodes_featureids', 'nodes_truenodeids', 'nodes_falsenodeids'];

/** Findings of a TreeEnsembleClassifier or TreeEnsembleRegressor; none for other operators. */
export function checkTrees(node: OnnxNode): ModelFinding[] {
  if (!node.opType.startsWith('TreeEnsemble')) return [];
  const wrong = (field: string, expected: string, found: string): ModelFinding[] => [
    { code: 'wrong-model', field: `${node.where} ${field}`, expected, found, cure: CURE },
  ];
  const ints = (name: string): readonly number[] => node.attributes.get(name)?.ints ?? [];
  const modes = node.attributes.get('nodes_modes')?.strings ?? [];
  const values = node.attributes.get('nodes_values');
  const count = modes.length;
  for (const name of PER_NODE) {
    if (ints(name).length !== count)
      return wrong(name, `${count} entries, as many as nodes_modes`, `${ints(name).length}`);
  }
  if ((values?.floats ?? 0) !== count || count === 0) {
    return wrong('nodes_values', `${Math.max(1, count)} numbers, one for each node`, `${values?.floats ?? 'none'}`);
  }
  for (const name of ['nodes_missing_value_tracks_true', 'nodes_hitrates']) {
    const found = node.attributes.get(name);
    const entries = (found?.ints.length ?? 0) + (found?.floats ?? 0);
    if (entries !== 0 && entries !== count) return wrong(name, `${count} entries or none`, `${entries}`);
  }
  if (ints('nodes_featureids').some((id) => id < 0 || id >= MAX_FEATURES)) {
    return wrong('nodes_featureids', `features 0 to ${MAX_FEATURES - 1}`, 'others');
  }
  return checkShape(node, modes, wrong) ?? checkLeaves(node, wrong);
}

type Wrong = (field: string, expected: string, found: string) => ModelFinding[];

/** That each tree is one: every node but its first has one parent, and all hang together. Null when so. */
function checkShape(node: OnnxNode, modes: readonly string[], wrong: Wrong): ModelFinding[] | null {
  const ints = (name: string): readonly number[] => node.attributes.get(name)?.ints ?? [];
  const [trees, ids] = [ints('nodes_treeids'), ints('nodes_nodeids')];
  const places = new Map<string, number>();
  for (let i = 0; i < ids.length; i++) {
    const key = `${trees[i]}/${ids[i]}`;
    if (places.has(key)) return wrong('nodes_nodeids', 'each node of a tree once', `${key} twice`);
    places.set(key, i);
  }
  const parents = new Int32Array(ids.length).fill(-1);
  for (const name of ['nodes_truenodeids', 'nodes_falsenodeids']) {
    const children = ints(name);
    for (let i = 0; i < ids.length; i++) {
      if (modes[i] === LEAF) continue;
      const child = places.get(`${trees[i]}/${children[i]}`);
      if (child === undefined) return wrong(name, 'nodes of the same tree', `${trees[i]}/${children[i]}`);
      if (parents[child] !== -1) return wrong(name, 'one parent for each node', `two for ${trees[i]}/${children[i]}`);
      parents[child] = i;
    }
  }
  const roots = new Set<number>();
  const depths = new Int32Array(ids.length);
  for (let i = 0; i < ids.length; i++) {
    if (parents[i] === -1) {
      if (roots.has(trees[i] as number))
        return wrong('nodes_nodeids', 'one first node for each tree', `two in ${trees[i]}`);
      roots.add(trees[i] as number);
    }
    // Upwards until a node whose way is known; a way longer than all nodes goes round.
    let steps = 0;
    for (let at = i; at !== -1 && depths[at] === 0; at = parents[at] as number) {
      steps += 1;
      if (steps > ids.length) return wrong('nodes_truenodeids', 'trees', `a cycle through node ${trees[i]}/${ids[i]}`);
    }
    for (let at = i; at !== -1 && depths[at] === 0; at = parents[at] as number) depths[at] = 1;
  }
  return null;
}

/** That what leaves give goes to outputs that exist. */
function checkLeaves(node: OnnxNode, wrong: Wrong): ModelFinding[] {
  const kind = node.opType === 'TreeEnsembleClassifier' ? 'class' : 'target';
  const ints = (name: string): readonly number[] => node.attributes.get(name)?.ints ?? [];
  const count = ints(`${kind}_ids`).length;
  for (const name of [`${kind}_treeids`, `${kind}_nodeids`]) {
    if (ints(name).length !== count)
      return wrong(name, `${count} entries, as many as ${kind}_ids`, `${ints(name).length}`);
  }
  const weights = node.attributes.get(`${kind}_weights`)?.floats ?? 0;
  if (weights !== count || count === 0) return wrong(`${kind}_weights`, `${Math.max(1, count)} numbers`, `${weights}`);
  const labels =
    node.attributes.get('classlabels_int64s')?.ints.length ||
    node.attributes.get('classlabels_strings')?.strings.length;
  const outputs = (kind === 'class' ? labels : node.attributes.get('n_targets')?.int) ?? 1;
  if (ints(`${kind}_ids`).some((id) => id < 0 || id >= outputs)) {
    return wrong(`${kind}_ids`, `0 to ${outputs - 1}`, `${Math.max(...ints(`${kind}_ids`).slice(0, 1000))}`);
  }
  const trees = new Set(ints('nodes_treeids').map((tree, i) => `${tree}/${ints('nodes_nodeids')[i]}`));
  const lost = ints(`${kind}_treeids`).findIndex((tree, i) => !trees.has(`${tree}/${ints(`${kind}_nodeids`)[i]}`));
  return lost === -1 ? [] : wrong(`${kind}_nodeids`, 'nodes of the ensemble', `entry ${lost} of none`);
}
