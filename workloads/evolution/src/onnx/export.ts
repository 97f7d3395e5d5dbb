// A whole model as one ONNX graph, from raw cells to predictions: an input for each column. Numbers are float, times double (seconds since 1970), NaN where
// a cell is missing; categories are text, '' where one is.
import { type GraphValue, writeOnnx } from '@quintet/runtime/onnx';
import { type FeatureKind, isTime } from '../data/features.ts';
import { EvolutionError } from '../errors.ts';
import { unpackPipeline } from '../evaluate/model.ts';
import type { Unit } from '../evaluate/unit.ts';
import type { LearnerState } from '../learners/learner.ts';
import type { Preprocessing } from '../preprocess/steps.ts';
import type { StoredModel } from '../run/model.ts';
import { inOrder, writeClasses } from './classes.ts';
import { writePreprocessing } from './columns.ts';
import { GraphWriter } from './graph.ts';
import { isLinear, writeLinearTrees } from './linearTrees.ts';
import { writeNeighbors } from './neighbors.ts';
import { writeForest, writeTrees } from './trees.ts';

/**
 * Outputs are those of scikit-learn's exporters, with `_` behind the name where a column is called so: for classes `label` and `probabilities`,
 * whose columns are in the order of the metadata's `classes`; for a regression `prediction`, rows × 1.
 * @throws EvolutionError Unsupported naming the learner or column that ONNX cannot express
 */
export function exportOnnx(model: StoredModel): Uint8Array {
  for (const { column, kind, type } of model.features)
    if (kind === 'Characters' || kind === 'Words')
      throw new EvolutionError('Unsupported', `column ${column} is ${type}, which has no exact form in ONNX`, {
        column,
      });
  refuseTooLarge(model);
  const graph = new GraphWriter(model.features.map(({ column }) => column));
  const parts = model.members.flatMap(({ weight, pipelines }) =>
    pipelines.map((packed) => {
      const pipeline = unpackPipeline(Buffer.from(packed, 'base64'));
      if ('frozen' in pipeline) throw foreign(pipeline.frozen.name);
      const { preprocessing, learner, unit } = pipeline;
      if (preprocessing.outputs.length === 0) throw unsupported(learner.kind);
      if (leavesGaps(preprocessing) && needsWhole(learner)) throw unsupported(`${learner.kind} on gaps`);
      const matrix = writePreprocessing(graph, preprocessing, model.features);
      const prediction = learnerOf(graph, matrix, learner, model, preprocessing.outputs.length);
      return graph.op('Mul', [restored(graph, prediction, unit), graph.number(weight / pipelines.length)]);
    }),
  );
  const outputs: GraphValue[] =
    model.task === 'Regression'
      ? [{ name: graph.output('Sum', parts, 'prediction'), type: 'float32', shape: ['rows', 1] }]
      : writeClasses(graph, graph.op('Sum', parts), model);
  return writeOnnx({
    name: 'quintet',
    inputs: [...new Map(model.features.map(({ column, kind }) => [column, inputTypeOf(kind)]))].map(([name, type]) => ({
      name,
      type,
      shape: ['rows', 1],
    })),
    outputs,
    nodes: graph.nodes,
    initializers: graph.initializers,
    metadata: {
      task: model.task,
      target: model.target,
      classes: JSON.stringify(inOrder(model.classes)),
      ...(model.task === 'Binary' ? { positiveClass: model.classes[1]! } : {}),
      metric: model.metric,
    },
  });
}

function restored(graph: GraphWriter, prediction: string, unit: Unit | undefined): string {
  if (!unit) return prediction;
  return graph.op('Add', [graph.op('Mul', [prediction, graph.number(unit.deviation)]), graph.number(unit.mean)]);
}

function inputTypeOf(kind: FeatureKind): 'string' | 'float32' | 'float64' {
  if (kind === 'Category') return 'string';
  // Single precision has no seconds of this century.
  return isTime(kind) ? 'float64' : 'float32';
}

/** A graph has its words in full: for each table of a step, and once for all steps that ask for a column's code. */
const mostWords = 2_000_000;

function refuseTooLarge({ features, members }: StoredModel): void {
  const wordsOf = (feature: number) => features[feature]?.levels?.length ?? 0;
  const coded = new Set<number>();
  let words = 0;
  for (const { pipelines } of members) {
    for (const packed of pipelines) {
      const pipeline = unpackPipeline(Buffer.from(packed, 'base64'));
      if ('frozen' in pipeline) continue;
      const used = new Set(pipeline.preprocessing.outputs.flat());
      for (const [i, { kind, feature }] of pipeline.preprocessing.steps.entries()) {
        if (!used.has(i)) continue;
        if (kind === 'Table') words += wordsOf(feature);
        else coded.add(feature);
      }
    }
  }
  for (const feature of coded) words += wordsOf(feature);
  if (words <= mostWords) return;
  throw new EvolutionError(
    'Unsupported',
    `tables of ${words} words are more than the ${mostWords} that a graph may have`,
    {
      field: 'spec.search.preprocessing',
    },
  );
}

function leavesGaps({ steps }: Preprocessing): boolean {
  return steps.some(
    (step) => (step.kind === 'Number' && step.fill === null) || (step.kind === 'Table' && step.missing === null),
  );
}

/** Learners whose answer to a gap has no form here; none of them is ever taught with one. */
function needsWhole(learner: LearnerState): boolean {
  return learner.kind === 'Neighbors' || (learner.kind === 'Trees' && isLinear(learner.model));
}

function learnerOf(
  graph: GraphWriter,
  matrix: string,
  learner: LearnerState,
  model: StoredModel,
  columns: number,
): string {
  const { outputs, task } = model;
  const regression = task === 'Regression';
  const linked = (scores: string): string => {
    if (regression) return scores;
    return outputs === 1 ? graph.op('Sigmoid', [scores]) : graph.op('Softmax', [scores], { axis: { int: 1 } });
  };
  const affine = (x: string, weights: Float32Array, bias: Float32Array): string =>
    graph.op('Gemm', [x, graph.numbers(weights, [weights.length / bias.length, bias.length]), graph.numbers(bias)]);
  switch (learner.kind) {
    case 'Trees':
      if (isLinear(learner.model)) return linked(writeLinearTrees(graph, matrix, learner.model, outputs, columns));
      return linked(writeTrees(graph, matrix, learner.model, outputs));
    case 'Forest':
      return writeForest(graph, matrix, learner);
    case 'Linear':
      return linked(affine(matrix, learner.weights, learner.bias));
    case 'Network': {
      let x = matrix;
      for (const [i, { weights, bias }] of learner.layers.entries()) {
        x = affine(x, weights, bias);
        if (i < learner.layers.length - 1) x = graph.op('Relu', [x]);
      }
      return linked(x);
    }
    case 'Neighbors':
      return writeNeighbors(graph, matrix, learner, outputs);
    case 'Bayes':
      return linked(bayes(graph, matrix, learner, outputs));
    default:
      throw unsupported(learner.kind);
  }
}

/** Log-likelihoods of normal columns; a gap says nothing. */
function bayes(
  graph: GraphWriter,
  matrix: string,
  { priors, means, variances }: LearnerState & { kind: 'Bayes' },
  outputs: number,
): string {
  const shape = [1, priors.length, means.length / priors.length];
  const rows = graph.op('Unsqueeze', [matrix, graph.places(1)]);
  const away = graph.op('Sub', [rows, graph.numbers(means, shape)]);
  const squares = graph.op('Mul', [
    graph.op('Mul', [away, away]),
    graph.numbers(
      variances.map((variance) => 1 / (2 * variance)),
      shape,
    ),
  ]);
  const losses = graph.op('Add', [
    squares,
    graph.numbers(
      variances.map((variance) => Math.log(variance) / 2),
      shape,
    ),
  ]);
  const known = graph.op('Where', [graph.op('IsNaN', [losses]), graph.number(0), losses]);
  const sums = graph.op('ReduceSum', [known, graph.places(2)], { keepdims: { int: 0 } });
  const scores = graph.op('Sub', [graph.numbers(priors, [1, priors.length]), sums]);
  if (outputs > 1) return scores;
  return graph.op('MatMul', [scores, graph.numbers([-1, 1], [2, 1])]);
}

function foreign(name: string): EvolutionError {
  return new EvolutionError(
    'Unsupported',
    `the member ${name} is a graph of its own, which is not written into another`,
    {
      field: 'spec.search.frozen',
    },
  );
}

function unsupported(learner: string): EvolutionError {
  return new EvolutionError('Unsupported', `the learner ${learner} has no form in ONNX here`, {
    field: 'spec.search.learners',
  });
}
