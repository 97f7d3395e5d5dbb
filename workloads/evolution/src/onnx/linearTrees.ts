// LightGBM's trees with a line in each leaf: a tree ensemble says in which leaf a row is, and the line of that leaf is looked up and followed.
import type { GraphWriter } from './graph.ts';
import { numbersIn, type Tree, treesOf, writeSums } from './trees.ts';

/** Trees that are followed at once: what lies between has rows × trees × columns numbers. */
const together = 32;

export function isLinear(model: string): boolean {
  return /^is_linear=1$/m.test(model);
}

/** The matrix has no gaps. @returns the name of raw scores, rows × outputs */
export function writeLinearTrees(
  graph: GraphWriter,
  matrix: string,
  model: string,
  outputs: number,
  columns: number,
): string {
  const { trees } = treesOf(model);
  const cells = graph.op('Unsqueeze', [graph.cast(matrix, 'float64'), graph.places(1)]);
  const parts: string[] = [];
  for (let start = 0; start < trees.length; start += together) {
    const some = trees.slice(start, start + together);
    const values = linesFollowed(graph, matrix, cells, some, columns);
    // Trees take turns with the classes.
    const turns = new Float64Array(some.length * outputs);
    for (const i of some.keys()) turns[i * outputs + ((start + i) % outputs)] = 1;
    parts.push(graph.op('MatMul', [values, graph.doubles(turns, [some.length, outputs])]));
  }
  return graph.cast(graph.op('Sum', parts), 'float32');
}

/** @returns the name of rows × trees */
function linesFollowed(
  graph: GraphWriter,
  matrix: string,
  cells: string,
  trees: readonly Tree[],
  columns: number,
): string {
  const before: number[] = [];
  let leaves = 0;
  for (const tree of trees) {
    before.push(leaves);
    leaves += tree.leaves.length;
  }
  const constants = new Float64Array(leaves);
  const slopes = new Float64Array(leaves * columns);
  for (const [i, tree] of trees.entries()) {
    const linear = tree.fields.get('is_linear') === '1';
    constants.set(linear ? numbersIn(tree.fields.get('leaf_const')) : tree.leaves, before[i]);
    const features = numbersIn(tree.fields.get('leaf_features'));
    const coefficients = numbersIn(tree.fields.get('leaf_coeff'));
    let at = 0;
    for (const [k, count] of numbersIn(tree.fields.get('num_features')).entries())
      for (const end = at + count; at < end; at++)
        slopes[(before[i]! + k) * columns + features[at]!] = coefficients[at]!;
  }
  const found = writeSums(graph, matrix, trees, trees.length, (tree, k) => ({
    place: tree,
    weight: before[tree]! + k,
  }));
  const places = graph.cast(found, 'int64');
  const lines = graph.op('Gather', [graph.doubles(slopes, [leaves, columns]), places]);
  const rise = graph.op('ReduceSum', [graph.op('Mul', [lines, cells]), graph.places(2)], { keepdims: { int: 0 } });
  return graph.op('Add', [rise, graph.op('Gather', [graph.doubles(constants, [leaves]), places])]);
}
