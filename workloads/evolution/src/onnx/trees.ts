// LightGBM's trees, as its text holds them, to a TreeEnsembleRegressor of ai.onnx.ml.
import { EvolutionError } from '../errors.ts';
import { leastShare } from '../learners/forest.ts';
import type { LearnerState } from '../learners/learner.ts';
import type { GraphWriter } from './graph.ts';

interface Nodes {
  readonly trees: number[];
  readonly ids: number[];
  readonly features: number[];
  readonly values: number[];
  readonly modes: string[];
  readonly yes: number[];
  readonly no: number[];
  /** Whether a gap goes where the condition holds. */
  readonly gaps: number[];
}

export interface Tree {
  readonly fields: ReadonlyMap<string, string>;
  readonly leaves: readonly number[];
}

/** Which of the outputs a leaf adds to, and what. */
type LeafOf = (tree: number, leaf: number, value: number) => { readonly place: number; readonly weight: number };

/** @returns the name of raw scores, rows × outputs */
export function writeTrees(graph: GraphWriter, matrix: string, model: string, outputs: number): string {
  const { trees, averaged } = treesOf(model);
  const share = averaged ? outputs / trees.length : 1;
  return writeSums(graph, matrix, trees, outputs, (tree, _, value) => ({
    place: tree % outputs,
    weight: value * share,
  }));
}

/** Forests of two or more classes. @returns the name of shares, rows × outputs */
export function writeForest(
  graph: GraphWriter,
  matrix: string,
  { models, shares }: LearnerState & { kind: 'Forest' },
): string {
  const forests = models.map((model) => treesOf(model).trees);
  const places = forests.flatMap((trees, place) => trees.map(() => place));
  const means = writeSums(graph, matrix, forests.flat(), models.length, (tree, _, value) => ({
    place: places[tree]!,
    weight: value / forests[places[tree]!]!.length,
  }));
  const atLeast = graph.op('Max', [graph.op('Add', [means, graph.numbers(shares)]), graph.number(leastShare)]);
  if (models.length === 1) return graph.op('Min', [atLeast, graph.number(1 - leastShare)]);
  return graph.op('Div', [atLeast, graph.op('ReduceSum', [atLeast, graph.places(1)])]);
}

export function treesOf(model: string): { trees: Tree[]; averaged: boolean } {
  const [head = '', ...blocks] = model.split(/\n(?=Tree=\d+\n)/);
  const trees = blocks.map(fieldsOf).map((fields) => ({ fields, leaves: numbersIn(fields.get('leaf_value')) }));
  return { trees, averaged: /^average_output$/m.test(head) };
}

export function numbersIn(field = ''): number[] {
  return field.split(' ').filter(Boolean).map(numberIn);
}

/** @returns the name of rows × outputs: for each row the sums of what the leaves add that it falls into */
export function writeSums(
  graph: GraphWriter,
  matrix: string,
  trees: readonly Tree[],
  outputs: number,
  leafOf: LeafOf,
): string {
  const nodes: Nodes = { trees: [], ids: [], features: [], values: [], modes: [], yes: [], no: [], gaps: [] };
  const leaves = { trees: [] as number[], ids: [] as number[], places: [] as number[], weights: [] as number[] };
  for (const [tree, { fields, leaves: values }] of trees.entries()) {
    const numbers = (name: string) => numbersIn(fields.get(name));
    const features = numbers('split_feature');
    const inner = features.length;
    const left = numbers('left_child');
    const right = numbers('right_child');
    const thresholds = numbers('threshold');
    const kinds = numbers('decision_type');
    // A leaf k is child −k − 1 in the text; here it follows the inner nodes.
    const idOf = (child: number) => (child >= 0 ? child : inner - child - 1);
    for (let i = 0; i < inner; i++) {
      if ((kinds[i]! & 1) === 1) throw new EvolutionError('Unsupported', 'categorical splits of LightGBM');
      node(nodes, tree, i, features[i]!, floatBelow(thresholds[i]!), 'BRANCH_LEQ', idOf(left[i]!), idOf(right[i]!));
      // Without a rule for gaps LightGBM takes them for zero.
      const ruled = (kinds[i]! >> 2) % 4 === 2;
      nodes.gaps.push(Number(ruled ? (kinds[i]! & 2) === 2 : thresholds[i]! >= 0));
    }
    for (const [k, value] of values.entries()) {
      node(nodes, tree, inner + k, 0, 0, 'LEAF', 0, 0);
      nodes.gaps.push(0);
      const { place, weight } = leafOf(tree, k, value);
      leaves.trees.push(tree);
      leaves.ids.push(inner + k);
      leaves.places.push(place);
      leaves.weights.push(weight);
    }
  }
  return graph.op(
    'TreeEnsembleRegressor',
    [matrix],
    {
      n_targets: { int: outputs },
      aggregate_function: { string: 'SUM' },
      post_transform: { string: 'NONE' },
      nodes_treeids: { ints: nodes.trees },
      nodes_nodeids: { ints: nodes.ids },
      nodes_featureids: { ints: nodes.features },
      nodes_values: { floats: nodes.values },
      nodes_modes: { strings: nodes.modes },
      nodes_truenodeids: { ints: nodes.yes },
      nodes_falsenodeids: { ints: nodes.no },
      nodes_missing_value_tracks_true: { ints: nodes.gaps },
      target_treeids: { ints: leaves.trees },
      target_nodeids: { ints: leaves.ids },
      target_ids: { ints: leaves.places },
      target_weights: { floats: leaves.weights },
    },
    'ai.onnx.ml',
  );
}

function node(
  nodes: Nodes,
  tree: number,
  id: number,
  feature: number,
  value: number,
  mode: string,
  yes: number,
  no: number,
): void {
  nodes.trees.push(tree);
  nodes.ids.push(id);
  nodes.features.push(feature);
  nodes.values.push(value);
  nodes.modes.push(mode);
  nodes.yes.push(yes);
  nodes.no.push(no);
}

function fieldsOf(block: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of block.split('\n')) {
    if (line === 'end of trees') break;
    const at = line.indexOf('=');
    if (at > 0) fields.set(line.slice(0, at), line.slice(at + 1));
  }
  return fields;
}

/** A split between gaps and all else has no bound: `inf`, as C writes it. */
function numberIn(word: string): number {
  if (!word.endsWith('inf')) return Number(word);
  return word.startsWith('-') ? -largest : largest;
}

const largest = 3.4028234663852886e38;
const single = new Float32Array(1);
const bits = new Int32Array(single.buffer);

/** The largest single-precision number that is not above the threshold: every single-precision cell falls on the same side of both. */
function floatBelow(threshold: number): number {
  single[0] = threshold;
  if (single[0] <= threshold) return single[0];
  if (single[0] === 0) return -1.401298464324817e-45;
  bits[0]! += single[0] > 0 ? -1 : 1;
  return single[0];
}
