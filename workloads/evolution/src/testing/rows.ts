// What a run leaves in the registry, as small as it may be.
import type { RunRows } from '../registry/rows.ts';

interface Changes {
  readonly name?: string;
  readonly type?: string;
  readonly target?: string;
  readonly task?: string;
  readonly classes?: readonly string[];
  readonly columns?: readonly string[];
}

export function rowsOf(modelId: string, holdout: number, metric = 'RocAUC', changes: Changes = {}): RunRows {
  const {
    name = 'churn',
    type = 'Linear',
    target = 'y',
    task = 'Binary',
    classes = ['no', 'yes'],
    columns = [],
  } = changes;
  const individual = { index: 0, generation: 0, island: 0, key: 'k', learner: 'Linear', genes: { penalty: 1 } };
  return {
    metric,
    result: { modelId },
    dataset: {
      hash: ['table', target, task, ...classes, ...columns].join(' '),
      rows: 10,
      features: 2,
      target,
      task,
      classes,
      schema: columns.map((column) => ({ name: column, column, type: 'Numeric', kind: 'Value' })),
    },
    generations: [{ generation: 0, complete: 1, best: 0.9 }],
    individuals: [
      { ...individual, parents: [], score: 0.9, foldScores: [0.9, 0.9], cost: 1, onFront: true },
      { ...individual, index: 1, key: 'l', parents: [0], score: 0.8, foldScores: [0.8, 0.8], cost: 1, onFront: false },
    ],
    model: {
      modelId,
      name,
      type,
      score: 0.9,
      holdout,
      rocAuc: 0.9,
      f1Score: 0.8,
      parameters: {},
      sha256: 'x',
      content: Uint8Array.of(1, 2, 3),
    },
  };
}
