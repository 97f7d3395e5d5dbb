import { describe, expect, it, vi } from 'vitest';
import { packPipeline, unpackPipeline } from '../evaluate/model.ts';
import { scoreOf } from '../metrics/metrics.ts';
import type { Matrix, Targets } from '../preprocess/matrix.ts';
import { randomOf } from '../random.ts';
import { fits, learnerNames, loadLearner } from './index.ts';
import { lightgbm, lightgbmAvailable } from './lightgbm/library.ts';

const genes: Record<string, number | string> = {
  boosting: 'Plain',
  trees: 60,
  learningRate: 0.1,
  leaves: 15,
  minLeaf: 5,
  featureShare: 0.8,
  rowShare: 0.8,
  l2: 0.1,
  maxBin: '255',
  penalty: 1e-3,
  l1Ratio: 0,
  k: 9,
  byDistance: 'Yes',
  power: '2',
  smoothing: 1e-6,
  width: 24,
  depth: 1,
  epochs: 40,
  decay: 1e-4,
};

/** Two numbers that matter, two that do not. */
function data(n: number, of: (a: number, b: number) => number): { matrix: Matrix; targets: Targets } {
  const random = randomOf('learners', n);
  const cells = Float32Array.from({ length: n * 4 }, () => random.normal());
  return {
    matrix: { rows: n, columns: 4, data: cells },
    targets: {
      y: Float64Array.from({ length: n }, (_, i) => of(cells[4 * i]!, cells[4 * i + 1]!)),
      weights: undefined,
    },
  };
}

const trees = ['GradientBoosting', 'RandomForest', 'ExtraTrees'];
const tasks = {
  Binary: { outputs: 1, of: (a: number, b: number) => (a + b > 0 ? 1 : 0), metric: 'RocAUC', floor: 0.9 },
  Multiclass: {
    outputs: 3,
    of: (a: number, b: number) => (a > 0.4 ? 2 : b > 0 ? 1 : 0),
    metric: 'Accuracy',
    floor: 0.7,
  },
  Regression: { outputs: 1, of: (a: number, b: number) => (3 * a - 2 * b) / Math.sqrt(13), metric: 'R2', floor: 0.6 },
} as const;

for (const learner of learnerNames) {
  // The library is fetched by `make setup`; without it the learners that need it say so at run time.
  describe.skipIf(trees.includes(learner) && !lightgbmAvailable())(learner, () => {
    for (const [task, { outputs, of, metric, floor }] of Object.entries(tasks)) {
      if (learner === 'NaiveBayes' && task === 'Regression') continue;
      const options = { task: task as keyof typeof tasks, outputs, genes, seed: 1 };
      const train = data(400, of);
      const test = data(300, of);

      it(`learns a ${task} task, the same way each time`, () => {
        const predictions = fits[learner](train.matrix, train.targets, options).predict(test.matrix);
        expect(
          scoreOf(metric, { task: options.task, y: test.targets.y, weights: undefined, outputs }, predictions),
        ).toBeGreaterThan(floor);
        expect(fits[learner](train.matrix, train.targets, options).predict(test.matrix)).toEqual(predictions);
      });

      it(`predicts the same after storage (${task})`, () => {
        const fitted = fits[learner](train.matrix, train.targets, options);
        const pipeline = { preprocessing: { steps: [], outputs: [] }, learner: fitted.state };
        const { learner: state } = unpackPipeline(packPipeline(pipeline)) as typeof pipeline;
        expect(loadLearner(state, options.task, outputs).predict(test.matrix)).toEqual(fitted.predict(test.matrix));
      });
    }
  });
}

describe.skipIf(!lightgbmAvailable())('a forest', () => {
  const cut = (score: number, ...limits: number[]) => limits.filter((limit) => score > limit).length;
  it.each([
    ['two classes, one of them rare', 'Binary', 1, (score: number) => cut(score, 4)],
    ['classes of very different sizes', 'Multiclass', 4, (score: number) => cut(score, 1, 2.5, 4.5)],
  ] as const)('gives the shares of %s', (_, task, outputs, classOf) => {
    const random = randomOf('shares');
    const of = (a: number, b: number) => classOf(a + b + 1.5 * random.normal());
    const [train, test] = [data(3000, of), data(2000, of)];
    for (const learner of ['RandomForest', 'ExtraTrees'] as const) {
      const options = { task, outputs, genes: { ...genes, leaves: 64 }, seed: 1 };
      const predicted = fits[learner](train.matrix, train.targets, options).predict(test.matrix);
      for (let k = 0; k < outputs; k++) {
        const mean = predicted.filter((__, i) => i % outputs === k).reduce((a, b) => a + b) / 2000;
        const wanted = outputs === 1 ? 1 : k;
        const share = test.targets.y.filter((y) => y === wanted).length / 2000;
        expect(Math.abs(mean - share)).toBeLessThan(0.01 + 0.1 * share);
      }
    }
  });

  it('gives the share of all rows where most trees find no split, or none does', () => {
    const random = randomOf('rare');
    const cells = Float32Array.from({ length: 2000 * 21 }, (_, i) =>
      i % 21 ? Number(random.next() < 0.03) : random.normal(),
    );
    const matrix = { rows: 2000, columns: 21, data: cells };
    const y = Float64Array.from({ length: 2000 }, (_, i) => Number(cells[21 * i]! + 0.5 * random.normal() > 0));
    const some = { ...genes, leaves: 64, minLeaf: 50, featureShare: 0.1, rowShare: 0.6 };
    const meanBy = (learnt: Record<string, number | string>) => {
      const options = { task: 'Binary' as const, outputs: 1, genes: learnt, seed: 1 };
      const predicted = fits.RandomForest(matrix, { y, weights: undefined }, options).predict(matrix);
      return predicted.reduce((a, b) => a + b) / 2000;
    };
    const share = y.reduce((a, b) => a + b) / 2000;
    expect(meanBy(some)).toBeCloseTo(share, 1);
    expect(meanBy({ ...some, minLeaf: 1500 })).toBeCloseTo(share, 2);
  });

  it('leaves the labels of other learners on the same rows alone, and takes a class that is in none of them', () => {
    const { matrix, targets } = data(400, (a) => (a > 0 ? 2 : 0));
    const options = { task: 'Multiclass' as const, outputs: 3, genes, seed: 1, dataKey: 'shared' };
    const boosted = () => fits.GradientBoosting(matrix, targets, options);
    const before = boosted().predict(matrix);
    const shares = fits.RandomForest(matrix, targets, options).predict(matrix);
    expect(Math.max(...shares.filter((_, i) => i % 3 === 1))).toBeLessThan(1e-6);
    expect(boosted().predict(matrix)).toEqual(before);
    // LightGBM refuses a forest of all rows and columns.
    const refused = { ...options, genes: { ...genes, rowShare: 1, featureShare: 1 } };
    expect(() => fits.RandomForest(matrix, targets, refused)).toThrow(/LightGBM/);
    expect(boosted().predict(matrix)).toEqual(before);
  });

  it('grows one class after the other: what LightGBM needs for it is never held for several', () => {
    const library = lightgbm();
    const growing = new Set<bigint>();
    let most = 0;
    const { boosterCreate, boosterFree } = library;
    vi.spyOn(library, 'boosterCreate').mockImplementation((...given) => {
      const made = boosterCreate(...given);
      growing.add(made);
      most = Math.max(most, growing.size);
      return made;
    });
    vi.spyOn(library, 'boosterFree').mockImplementation((booster) => {
      growing.delete(booster);
      boosterFree(booster);
    });
    try {
      const { matrix, targets } = data(300, (a) => (a > 0.5 ? 2 : a > -0.5 ? 1 : 0));
      fits.ExtraTrees(matrix, targets, { task: 'Multiclass', outputs: 3, genes, seed: 1 }).close?.();
    } finally {
      vi.restoreAllMocks();
    }
    expect([most, growing.size]).toEqual([1, 0]);
  });
});

it('naive Bayes expects no class that its teaching rows lack, however strange a row', () => {
  const { matrix, targets } = data(200, (a) => (a > 0 ? 1 : 0));
  const fitted = fits.NaiveBayes(matrix, targets, { task: 'Multiclass', outputs: 3, genes, seed: 0 });
  const strange = { rows: 2, columns: 4, data: Float32Array.of(0, 0, 0, 0, 1e6, -1e6, 1e6, 0) };
  const shares = fitted.predict(strange);
  expect([shares[2], shares[5]]).toEqual([0, 0]);
  expect(shares.every(Number.isFinite)).toBe(true);
});

describe('the linear learner', () => {
  const train = data(500, (a, b) => 1 + 3 * a - 2 * b);
  it('finds the coefficients', () => {
    const { state } = fits.Linear(train.matrix, train.targets, {
      task: 'Regression',
      outputs: 1,
      seed: 0,
      genes: { penalty: 0, l1Ratio: 0 },
    });
    const found = state.kind === 'Linear' ? [...state.bias, ...state.weights] : [];
    for (const [i, value] of [1, 3, -2, 0, 0].entries()) expect(found[i]).toBeCloseTo(value, 3);
  });

  it('sets what does not matter to exactly zero under a lasso', () => {
    const { state } = fits.Linear(train.matrix, train.targets, {
      task: 'Regression',
      outputs: 1,
      seed: 0,
      genes: { penalty: 0.1, l1Ratio: 1 },
    });
    expect(state.kind === 'Linear' && state.weights.slice(2).map(Math.abs)).toEqual(Float32Array.of(0, 0));
  });
});

it('weights count: rows of weight zero teach nothing', () => {
  const { matrix, targets } = data(300, (a) => (a > 0 ? 1 : 0));
  const weights = Float64Array.from(targets.y, (_, i) => (i < 150 ? 1 : 0));
  const noisy = { y: targets.y.map((y, i) => (i < 150 ? y : 1 - y)), weights };
  for (const learner of ['Linear', 'NearestNeighbors', 'NaiveBayes', 'NeuralNetwork'] as const) {
    const options = { task: 'Binary' as const, outputs: 1, genes: { ...genes, scale: 'Standard' }, seed: 2 };
    const predictions = fits[learner](matrix, noisy, options).predict(matrix);
    expect(
      scoreOf('RocAUC', { task: 'Binary', y: targets.y, weights: undefined, outputs: 1 }, predictions),
    ).toBeGreaterThan(0.85);
  }
});
