import { describe, expect, it } from 'vitest';
import type { Feature } from '../data/features.ts';
import { fits } from '../learners/index.ts';
import { lightgbmAvailable } from '../learners/lightgbm/library.ts';
import { packPipeline, runnable } from './model.ts';

describe.skipIf(!lightgbmAvailable())('a stored pipeline', () => {
  it('answers again, and the same, after it was closed', async () => {
    const rows = 200;
    const values = Float32Array.from({ length: rows }, (_, i) => (i * 37) % rows);
    const y = Float64Array.from(values, (value) => (value > 90 ? 1 : 0));
    const genes = { boosting: 'Plain', trees: 5, leaves: 8, minLeaf: 5, maxBin: '255', learningRate: 0.3 };
    const options = {
      task: 'Binary' as const,
      outputs: 1,
      genes: { ...genes, rowShare: 0.7, featureShare: 1, l2: 1 },
      seed: 1,
    };
    const all = Int32Array.from(values.keys());
    const target = { task: 'Binary' as const, outputs: 1, classes: ['no', 'yes'] };
    const step = { kind: 'Number', feature: 0, fill: null, log: false, shift: 0, factor: 1, clip: null } as const;
    const feature: Feature = { name: 'a', column: 'a', type: 'Numeric', kind: 'Value', values };
    for (const learner of ['GradientBoosting', 'RandomForest'] as const) {
      const fitted = fits[learner]({ rows, columns: 1, data: values }, { y, weights: undefined }, options);
      const packed = packPipeline({ preprocessing: { steps: [step], outputs: [[0]] }, learner: fitted.state });
      fitted.close?.();
      const stored = runnable(Buffer.from(packed).toString('base64'), target);
      const first = await stored.predict([feature], all);
      expect(new Set(first).size).toBeGreaterThan(1);
      stored.close();
      stored.close();
      expect(await stored.predict([feature], all)).toEqual(first);
      stored.close();
    }
  });

  it('that is damaged is told as it is asked', async () => {
    const stored = runnable('AAAA', { task: 'Binary', outputs: 1, classes: ['no', 'yes'] });
    await expect(stored.predict([], new Int32Array())).rejects.toMatchObject({ reason: 'ModelDamaged' });
  });
});
