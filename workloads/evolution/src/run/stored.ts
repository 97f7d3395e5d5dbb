// What a run's model is made of: its members' fitted pipelines, or where none has room what always says the same.
import type { Feature, FeatureSpec } from '../data/features.ts';
import { outputsOf, type Problem } from '../data/problem.ts';
import type { Split } from '../data/split.ts';
import { packPipeline } from '../evaluate/model.ts';
import type { Judging } from '../evaluate/task.ts';
import type { Ensemble } from '../search/ensemble.ts';
import type { Individual } from '../search/population.ts';
import { statisticsOf } from './drift.ts';
import type { StoredModel } from './model.ts';

/** @param refitted Members that were fitted once more on all rows; undefined where that was not wanted */
export function storedModel(
  problem: Problem,
  judging: Judging,
  split: Split,
  ensemble: Ensemble | undefined,
  refitted: ReadonlyMap<string, Uint8Array> | undefined,
): StoredModel {
  const pipelines = (individual: Individual): string[] => {
    const whole = refitted?.get(individual.key);
    // Without a fit on all rows the last fold has learned from most of them.
    const models = whole ? [whole] : refitted ? individual.models.slice(-1) : individual.models;
    return models.flatMap((model) => (model ? [Buffer.from(model).toString('base64')] : []));
  };
  const members = (ensemble?.members ?? []).map(({ individual, weight }) => ({
    learner: individual.genome.learner,
    weight,
    pipelines: pipelines(individual),
  }));
  return {
    format: 'quintet-model/1',
    task: problem.task,
    target: problem.target,
    classes: problem.classes,
    outputs: outputsOf(problem),
    metric: judging.metric,
    features: problem.features.map(specOf),
    statistics: statisticsOf(problem.features, split.train),
    members:
      members.length > 0
        ? members
        : [{ learner: 'Constant', weight: 1, pipelines: [constantPipeline(problem, split)] }],
  };
}

function specOf({ name, column, type, kind, levels }: Feature): FeatureSpec {
  return { name, column, type, kind, ...(levels ? { levels } : {}) };
}

/** When no pipeline has room: class shares, or the mean, each row counting by its weight. */
function constantPipeline(problem: Problem, { train }: Split): string {
  const { y, weights } = problem;
  const outputs = outputsOf(problem);
  const values = new Float32Array(outputs);
  const total = weights ? train.reduce((sum, row) => sum + weights[row]!, 0) : train.length;
  for (const row of train) {
    const weight = weights ? weights[row]! : 1;
    if (outputs > 1) values[y[row]!]! += weight / total;
    else values[0]! += (weight * y[row]!) / total;
  }
  return Buffer.from(
    packPipeline({ preprocessing: { steps: [], outputs: [] }, learner: { kind: 'Constant', values } }),
  ).toString('base64');
}
