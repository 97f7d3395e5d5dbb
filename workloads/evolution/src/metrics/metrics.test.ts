import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scoreOf, type Truth } from './metrics.ts';
import { binaryAuc } from './ranking.ts';

const truth = (y: number[], rest: Partial<Truth> = {}): Truth => ({
  task: 'Binary',
  y: Float64Array.from(y),
  weights: undefined,
  outputs: 1,
  ...rest,
});

describe('the area under the curve', () => {
  it('is the share of pairs in the right order, ties counting half, whatever the weights', () => {
    const row = fc.record({
      is: fc.constantFrom(0, 1),
      score: fc.constantFrom(-1.5, -0, 0, 0.25, 0.3, 7, 1e-20),
      weight: fc.integer({ min: 1, max: 4 }),
    });
    fc.assert(
      fc.property(fc.array(row, { minLength: 2, maxLength: 30 }), (rows) => {
        let won = 0;
        let pairs = 0;
        for (const a of rows) {
          for (const b of rows) {
            if (a.is !== 1 || b.is !== 0) continue;
            pairs += a.weight * b.weight;
            won += a.weight * b.weight * (a.score > b.score ? 1 : a.score === b.score ? 0.5 : 0);
          }
        }
        const auc = binaryAuc(
          rows.map((each) => each.is),
          rows.map((each) => each.score),
          rows.map((each) => each.weight),
        );
        expect(auc).toBeCloseTo(pairs === 0 ? 0.5 : won / pairs, 12);
      }),
    );
  });
});

// Expected values: scikit-learn 1.9, roc_auc_score(multi_class="ovr"), f1_score(average="macro"), log_loss, balanced_accuracy_score, r2_score.
describe('scores agree with scikit-learn', () => {
  const y = [0, 2, 1, 2, 0, 1, 1];
  const three = truth(y, { task: 'Multiclass', outputs: 3 });
  const probabilities = [
    0.7, 0.2, 0.1, 0.1, 0.3, 0.6, 0.2, 0.5, 0.3, 0.3, 0.4, 0.3, 0.5, 0.25, 0.25, 0.6, 0.3, 0.1, 0.1, 0.8, 0.1,
  ];
  const expected = {
    RocAUC: 0.908333333333,
    F1: 0.711111111111,
    LogLoss: 0.697840584113,
    Accuracy: 0.714285714286,
    BalancedAccuracy: 0.722222222222,
  };
  for (const [metric, value] of Object.entries(expected)) {
    it(`${metric} of three classes`, () => {
      expect(scoreOf(metric as 'F1', three, probabilities)).toBeCloseTo(metric === 'LogLoss' ? -value : value, 9);
    });
  }

  it('R2, RMSE and MAE with weights', () => {
    const weighted = truth([1, 2, 4, 8], { task: 'Regression', weights: Float64Array.of(1, 2, 1, 0.5) });
    const guess = [1.5, 1.5, 5, 7];
    expect(scoreOf('R2', weighted, guess)).toBeCloseTo(0.884285714286, 9);
    expect(scoreOf('RMSE', weighted, guess)).toBeCloseTo(-0.707106781187, 9);
    expect(scoreOf('MAE', weighted, guess)).toBeCloseTo(-0.666666666667, 9);
  });
});
