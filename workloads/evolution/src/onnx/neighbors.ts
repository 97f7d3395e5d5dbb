// k nearest neighbours: the same sums in the same order and precision as ours, so that ties fall alike.
import type { LearnerState } from '../learners/learner.ts';
import type { GraphWriter } from './graph.ts';

/** The matrix has no gaps. @returns the name of values or probabilities, rows × outputs */
export function writeNeighbors(
  graph: GraphWriter,
  matrix: string,
  { data, y, weights, columns, k, byDistance, power }: LearnerState & { kind: 'Neighbors' },
  outputs: number,
): string {
  const [distances, places] = graph.pair('TopK', [distancesOf(graph, matrix, data, columns, power), graph.places(k)], {
    axis: { int: 1 },
    largest: { int: 0 },
    sorted: { int: 1 },
  });
  const taught = (values: Float32Array) =>
    graph.op('Gather', [graph.doubles(Float64Array.from(values), [y.length]), places]);
  const lengths = power === 2 ? graph.op('Sqrt', [distances]) : distances;
  // Without a weight of its own each has one vote: the zeroth power of whatever it is.
  const near = byDistance
    ? graph.op('Div', [graph.double(1), graph.op('Add', [graph.double(1e-6), lengths])])
    : graph.op('Pow', [lengths, graph.double(0)]);
  const votes = weights ? graph.op('Mul', [near, taught(weights)]) : near;
  const sumOf = (value: string) => graph.op('ReduceSum', [value, graph.places(1)], { keepdims: { int: 1 } });
  const sum = sumOf(votes);
  const total = graph.op('Where', [graph.op('Equal', [sum, graph.double(0)]), graph.double(1), sum]);
  const targets = taught(y);
  const shares = Array.from({ length: outputs }, (_, o) => {
    const own = outputs > 1 ? graph.cast(graph.op('Equal', [targets, graph.double(o)]), 'float64') : targets;
    return graph.op('Div', [sumOf(graph.op('Mul', [votes, own])), total]);
  });
  return graph.cast(graph.op('Concat', shares, { axis: { int: 1 } }), 'float32');
}

/** @returns the name of rows × taught: squares, or absolute differences, column after column */
function distancesOf(graph: GraphWriter, matrix: string, data: Float32Array, columns: number, power: number): string {
  const cells = graph.cast(matrix, 'float64');
  let sum: string | undefined;
  for (let j = 0; j < columns; j++) {
    const own = graph.op('Gather', [cells, graph.places(j)], { axis: { int: 1 } });
    const theirs = Float32Array.from({ length: data.length / columns }, (_, i) => data[i * columns + j]!);
    const apart = graph.op('Sub', [own, graph.cast(graph.numbers(theirs, [1, theirs.length]), 'float64')]);
    const part = power === 2 ? graph.op('Mul', [apart, apart]) : graph.op('Abs', [apart]);
    sum = sum === undefined ? part : graph.op('Add', [sum, part]);
  }
  return sum!;
}
