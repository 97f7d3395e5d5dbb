// Trees by LightGBM: gradient boosting, DART, linear trees, and forests whose leaves hold means.
import type { Matrix, Targets } from '../preprocess/matrix.ts';
import { type Fit, type FitOptions, type FittedLearner, type LearnerState, type LoadedLearner } from './learner.ts';
import { Datasets, datasetBytes } from './lightgbm/datasets.ts';
import { lightgbm } from './lightgbm/library.ts';

/** Bytes of binned matrices that are kept for further learners on the same rows. */
const bytesKept = 128 << 20;
const datasets = new Datasets(bytesKept, (handle) => lightgbm().datasetFree(handle));

/** One thread an evaluation: results are the same on every machine, and the cores are for other evaluations. */
const always = 'num_threads=1 deterministic=true force_col_wise=true verbosity=-1 feature_pre_filter=false';

/** The learner must be closed: what it was fitted on is kept until then. */
export const fitTrees: Fit = (matrix, targets, options) => {
  const library = lightgbm();
  const { handle, giveBack } = datasetOf(matrix, targets, options);
  let booster: bigint | undefined;
  let closed = false;
  const close = (): void => {
    if (closed) return;
    closed = true;
    if (booster !== undefined) library.boosterFree(booster);
    giveBack();
  };
  try {
    booster = boosterOn(handle, options);
    return fitted(booster, close, options, grow(booster, options));
  } catch (error) {
    close();
    throw error;
  }
};

/** To be freed before its dataset is given back. */
export function boosterOn(dataset: bigint, options: FitOptions): bigint {
  return lightgbm().boosterCreate(dataset, `${always} ${parametersOf(options)}`);
}

/** @returns how many trees there are then: fewer than wanted where no further split tells anything */
export function grow(booster: bigint, { genes }: FitOptions): number {
  const wanted = Number(genes['trees']);
  let trees = 0;
  while (trees < wanted && !lightgbm().boosterUpdate(booster)) trees++;
  return Math.max(1, trees);
}

export function operationsOf(trees: number, { genes }: FitOptions): number {
  return trees * Math.ceil(Math.log2(Number(genes['leaves'])) + 1);
}

function fitted(booster: bigint, close: () => void, options: FitOptions, trees: number): FittedLearner {
  let state: LearnerState | undefined;
  return {
    // Writing trees down takes as long as growing some of them, and most are judged and forgotten.
    get state() {
      state ??= { kind: 'Trees', model: lightgbm().boosterToText(booster) };
      return state;
    },
    operations: operationsOf(trees * options.outputs, options),
    predict: (matrix) => predicted(booster, matrix, options.outputs),
    close,
  };
}

/** Keeps no text of the trees. */
export function loadTrees(state: LearnerState & { kind: 'Trees' }, outputs: number): LoadedLearner {
  const booster = lightgbm().boosterFromText(state.model);
  return {
    predict: (matrix) => predicted(booster, matrix, outputs),
    close: () => lightgbm().boosterFree(booster),
  };
}

/** Rows × outputs, as the booster's objective has them. */
export function predicted(booster: bigint, { rows, columns, data }: Matrix, outputs: number): Float64Array {
  const result = new Float64Array(rows * outputs);
  // Predictions of one row at a time need no threads.
  const how = 'num_threads=1 verbosity=-1 predict_disable_shape_check=true';
  if (rows > 0) lightgbm().boosterPredict(booster, data, rows, columns, result, how);
  return result;
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

/** The one dataset of all learners on these rows; its labels are the targets, and are left so. */
export function datasetOf(
  matrix: Matrix,
  targets: Targets,
  { genes, dataKey }: FitOptions,
): { handle: bigint; giveBack: () => void } {
  const linear = genes['boosting'] === 'Linear';
  const binning = `max_bin=${genes['maxBin']}${linear ? ' linear_tree=true' : ''}`;
  const key = dataKey === undefined ? undefined : `${dataKey} ${binning}`;
  const dataset = datasets.take(key, datasetBytes(matrix, linear), () => {
    const library = lightgbm();
    const handle = library.datasetFromMatrix(matrix.data, matrix.rows, matrix.columns, `${always} ${binning}`);
    library.datasetSetField(handle, 'label', Float32Array.from(targets.y));
    if (targets.weights) library.datasetSetField(handle, 'weight', Float32Array.from(targets.weights));
    return handle;
  });
  return { handle: dataset.handle, giveBack: () => datasets.giveBack(dataset) };
}
