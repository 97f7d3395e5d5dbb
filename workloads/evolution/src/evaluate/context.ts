// Evaluates tasks of one problem, keeping prepared matrices that several genomes share.
import { outputsOf, type Problem } from '../data/problem.ts';
import { type Split, splitRows } from '../data/split.ts';
import { EvolutionError } from '../errors.ts';
import { fits } from '../learners/index.ts';
import type { LearnerState } from '../learners/learner.ts';
import { scoreOf } from '../metrics/metrics.ts';
import { fitPreprocessing, type PreprocessingGenes } from '../preprocess/fit.ts';
import type { Matrix, Targets } from '../preprocess/matrix.ts';
import { weightsOf } from '../preprocess/statistics.ts';
import { type Preprocessing, transform } from '../preprocess/steps.ts';
import { randomOf, seedOf } from '../random.ts';
import type { Genome } from '../search/genome.ts';
import { packPipeline } from './model.ts';
import type { Evaluation, EvaluationTask, Judging } from './task.ts';
import { truthOf } from './truth.ts';
import { restored, standardized, type Unit } from './unit.ts';

/** Bytes of prepared matrices that are kept. */
const keptBytes = 256 << 20;
/** A look at a sample tells good trees from bad ones: finding splits among many bins would be most of its time. */
const coarse = { maxBin: '31' };

interface Prepared {
  readonly key: string;
  readonly train: Matrix;
  readonly test: Matrix;
  readonly targets: Targets;
  readonly testRows: Int32Array;
  readonly preprocessing: Preprocessing;
  readonly unit: Unit | undefined;
}

export class EvaluationContext {
  readonly problem: Problem;
  readonly judging: Judging;
  readonly split: Split;
  readonly #prepared = new Map<string, Prepared>();

  constructor(problem: Problem, judging: Judging) {
    this.problem = problem;
    this.judging = judging;
    this.split = splitRows(problem, judging.split);
  }

  /** @throws whatever the learner throws; EvolutionError TrainingFailed when it predicts no numbers */
  evaluate(task: EvaluationTask): Evaluation {
    const started = performance.now();
    const problem = this.problem;
    const outputs = outputsOf(problem);
    const prepared = this.#prepare(task);
    const { genome } = task;
    const learner = fits[genome.learner](prepared.train, prepared.targets, {
      task: problem.task,
      outputs,
      genes: task.fraction < 1 ? { ...genome.genes, ...coarse } : genome.genes,
      seed: seedOf('learner', this.judging.seed, task.key, task.fold),
      dataKey: prepared.key,
    });
    try {
      const predictions = Float32Array.from(restored(learner.predict(prepared.test), prepared.unit));
      if (predictions.some((value) => !Number.isFinite(value))) {
        throw new EvolutionError('TrainingFailed', `${genome.learner} predicts something that is no number`);
      }
      const score =
        task.fold < 0 ? Number.NaN : scoreOf(this.judging.metric, truthOf(problem, prepared.testRows), predictions);
      if (task.fold >= 0 && !Number.isFinite(score))
        throw new EvolutionError(
          'TrainingFailed',
          `${genome.learner} has no ${this.judging.metric} on fold ${task.fold + 1}`,
        );
      const full = task.fraction >= 1;
      return {
        score,
        predictions: full && task.fold >= 0 ? predictions : new Float32Array(0),
        operations: learner.operations + prepared.train.columns,
        seconds: (performance.now() - started) / 1000,
        ...(full && { model: packed(prepared, learner.state) }),
      };
    } finally {
      learner.close?.();
    }
  }

  #prepare({ genome, fold, fraction }: EvaluationTask): Prepared {
    const genes = preprocessingGenes(genome);
    const key = JSON.stringify([this.judging.data, genes, fold, fraction]);
    const known = this.#prepared.get(key);
    if (known) {
      this.#prepared.delete(key);
      this.#prepared.set(key, known);
      return known;
    }
    const { train: all, test } =
      fold < 0 ? { train: this.split.train, test: new Int32Array(0) } : this.split.folds[fold]!;
    const { weights } = this.problem;
    // What does not count teaches nobody, neither a fill nor a level.
    const counted = weights ? all.filter((row) => weights[row]! > 0) : all;
    const rows = fraction < 1 ? sampled(counted, fraction, this.judging.seed, fold) : counted;
    const seed = seedOf('preprocessing', this.judging.seed, fold);
    const { problem, unit } = standardized(this.problem, rows);
    const { preprocessing, matrix } = fitPreprocessing(problem, rows, genes, seed, this.judging.split);
    const made: Prepared = {
      key,
      train: matrix,
      test: transform(preprocessing, this.problem.features, test),
      targets: {
        y: Float64Array.from(rows, (row) => problem.y[row]!),
        weights: weightsOf(weights, rows),
      },
      testRows: test,
      preprocessing,
      unit,
    };
    this.#prepared.set(key, made);
    this.#trim();
    return made;
  }

  #trim(): void {
    let bytes = 0;
    for (const each of this.#prepared.values()) bytes += each.train.data.byteLength + each.test.data.byteLength;
    for (const [key, each] of this.#prepared) {
      if (bytes <= keptBytes || this.#prepared.size === 1) break;
      this.#prepared.delete(key);
      bytes -= each.train.data.byteLength + each.test.data.byteLength;
    }
  }
}

function packed({ preprocessing, unit }: Prepared, learner: LearnerState): Uint8Array {
  return packPipeline({ preprocessing, learner, ...(unit && { unit }) });
}

function preprocessingGenes({ learner, genes }: Genome): PreprocessingGenes {
  const trees = learner === 'GradientBoosting' || learner === 'RandomForest' || learner === 'ExtraTrees';
  // The lines in the leaves of linear trees have no answer to gaps, and are steadier on scaled numbers.
  const whole = !trees || genes['boosting'] === 'Linear';
  return {
    impute: (genes['impute'] as PreprocessingGenes['impute'] | undefined) ?? (whole ? 'Median' : 'None'),
    indicate: (genes['indicate'] as PreprocessingGenes['indicate'] | undefined) ?? 'No',
    scale: (genes['scale'] as PreprocessingGenes['scale'] | undefined) ?? (whole ? 'Standard' : 'None'),
    encode: (genes['encode'] as PreprocessingGenes['encode'] | undefined) ?? 'OneHot',
    smoothing: Number(genes['levelSmoothing'] ?? 10),
    select: Number(genes['select'] ?? 1),
    interactions: Number(genes['interactions'] ?? 0),
  };
}

/** A share of the rows, the same for all genomes, of which a smaller share is a part. */
function sampled(rows: Int32Array, fraction: number, seed: number, fold: number): Int32Array {
  const order = randomOf('sample', seed, fold).shuffle(rows.slice());
  return order.slice(0, Math.max(10, Math.round(rows.length * fraction))).sort();
}
