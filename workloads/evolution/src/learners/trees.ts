// Gradient boosting, DART, linear trees, random forests and extra trees, all by LightGBM.
import type { Matrix, Targets } from '../preprocess/matrix.ts';
import { type Fit, type FitOptions, type FittedLearner, type LearnerState } from './learner.ts';
import { lightgbm } from './lightgbm/library.ts';

/** Prepared (binned) matrices are kept for further learners on the same rows. */
const datasetsKept = 4;
const datasets = new Map<string, { handle: bigint; users: number; dropped: boolean }>();

/** One thread an evaluation: results are the same on every machine, and the cores are for other evaluations. */
const always = 'num_threads=1 deterministic=true force_col_wise=true verbosity=-1 feature_pre_filter=false';

export const fitTrees: Fit = (matrix, targets, options) => {
  const library = lightgbm();
  const dataset = datasetOf(matrix, targets, options);
  try {
    const booster = library.boosterCreate(dataset.handle, `${always} ${parametersOf(options)}`);
    let trees = 0;
    try {
      const wanted = Number(options.genes['trees']);
      while (trees < wanted && !library.boosterUpdate(booster)) trees++;
      const model = library.boosterToText(booster);
      const leaves = Number(options.genes['leaves']);
      return {
        ...loadTrees({ kind: 'Trees', model }, options.outputs),
        operations: Math.max(1, trees) * options.outputs * Math.ceil(Math.log2(leaves) + 1),
      };
    } finally {
      library.boosterFree(booster);
    }
  } finally {
    release(dataset);
  }
};

export function loadTrees(state: LearnerState & { kind: 'Trees' }, outputs: number): FittedLearner {
  const library = lightgbm();
  let booster: bigint | undefined = library.boosterFromText(state.model);
  return {
    state,
    operations: 0,
    predict: (matrix) => {
      booster ??= library.boosterFromText(state.model);
      const result = new Float64Array(matrix.rows * outputs);
      // Predictions of one row at a time need no threads.
      if (matrix.rows > 0)
        library.boosterPredict(
          booster,
          matrix.data,
          matrix.rows,
          matrix.columns,
          result,
          'num_threads=1 verbosity=-1 predict_disable_shape_check=true',
        );
      return result;
    },
    close: () => {
      if (booster !== undefined) library.boosterFree(booster);
      booster = undefined;
    },
  };
}

function parametersOf({ task, outputs, genes, seed }: FitOptions): string {
  const of = (name: string) => String(genes[name]);
  const objective =
    task === 'Regression'
      ? 'objective=regression'
      : outputs === 1
        ? 'objective=binary'
        : `objective=multiclass num_class=${outputs}`;
  const shared = [
    objective,
    `seed=${seed}`,
    `num_leaves=${of('leaves')}`,
    `min_data_in_leaf=${of('minLeaf')}`,
    `max_bin=${of('maxBin')}`,
  ];
  if (genes['boosting'] === 'Forest' || genes['boosting'] === 'ExtraTrees') {
    const extra = genes['boosting'] === 'ExtraTrees' ? 'extra_trees=true' : '';
    return [
      ...shared,
      'boosting=rf bagging_freq=1',
      `bagging_fraction=${of('rowShare')}`,
      `feature_fraction_bynode=${of('featureShare')}`,
      extra,
    ].join(' ');
  }
  const boosting: Record<string, string> = {
    Plain: 'boosting=gbdt',
    Extra: 'boosting=gbdt extra_trees=true',
    Dart: 'boosting=dart drop_rate=0.1',
    Linear: 'boosting=gbdt linear_tree=true linear_lambda=0.1',
  };
  return [
    ...shared,
    boosting[of('boosting')] ?? 'boosting=gbdt',
    `learning_rate=${of('learningRate')}`,
    `feature_fraction=${of('featureShare')}`,
    `bagging_fraction=${of('rowShare')} bagging_freq=1`,
    `lambda_l2=${of('l2')}`,
  ].join(' ');
}

function datasetOf(matrix: Matrix, targets: Targets, { genes, dataKey }: FitOptions) {
  const library = lightgbm();
  const binning = `max_bin=${genes['maxBin']}${genes['boosting'] === 'Linear' ? ' linear_tree=true' : ''}`;
  const key = `${dataKey} ${binning}`;
  const known = dataKey === undefined ? undefined : datasets.get(key);
  if (known) {
    datasets.delete(key);
    datasets.set(key, known);
    known.users++;
    return known;
  }
  const handle = library.datasetFromMatrix(matrix.data, matrix.rows, matrix.columns, `${always} ${binning}`);
  library.datasetSetField(handle, 'label', Float32Array.from(targets.y));
  if (targets.weights) library.datasetSetField(handle, 'weight', Float32Array.from(targets.weights));
  const made = { handle, users: 1, dropped: dataKey === undefined };
  if (dataKey !== undefined) {
    datasets.set(key, made);
    for (const [oldest, entry] of datasets) {
      if (datasets.size <= datasetsKept) break;
      datasets.delete(oldest);
      entry.dropped = true;
      if (entry.users === 0) library.datasetFree(entry.handle);
    }
  }
  return made;
}

function release(dataset: { handle: bigint; users: number; dropped: boolean }): void {
  dataset.users--;
  if (dataset.dropped && dataset.users === 0) lightgbm().datasetFree(dataset.handle);
}
