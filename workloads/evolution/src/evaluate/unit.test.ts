import { describe, expect, it } from 'vitest';
import { problemOf } from '../data/problem.ts';
import { readTableText } from '../data/table.ts';
import { lightgbmAvailable } from '../learners/lightgbm/library.ts';
import { randomOf } from '../random.ts';
import { type Genome, keyOf } from '../search/genome.ts';
import { EvaluationContext } from './context.ts';
import { packPipeline, runnable } from './model.ts';

const rows = 600;
const split = { folds: 3, holdout: 0, kind: 'Random', gap: 0, seed: 1 } as const;

/** Two numbers and a word that matter; the same table whatever the unit of its target. */
async function contextOf(scale: number, shift: number): Promise<EvaluationContext> {
  const random = randomOf('unit', 1);
  const effects = Array.from({ length: 40 }, () => random.normal());
  const lines = Array.from({ length: rows }, () => {
    const [a, b, word] = [random.normal(), random.normal(), random.int(effects.length)];
    return `${a},${b},w${word},${(0.5 * a - 0.3 * b + effects[word]! + 0.3 * random.normal()) * scale + shift}`;
  });
  const table = await readTableText(`a,b,word,y\n${lines.join('\n')}\n`, { exact: ['y'] });
  const { problem } = problemOf(table, { target: 'y', task: 'Regression' });
  return new EvaluationContext(problem, { data: problem.hash, task: 'Regression', split, metric: 'R2', seed: 1 });
}

const trees = { trees: 40, leaves: 15, minLeaf: 5, learningRate: 0.2, featureShare: 1, rowShare: 1, l2: 1, maxBin: 63 };
const genomes: Genome[] = [
  { learner: 'Linear', genes: { penalty: 0.001, l1Ratio: 0 } },
  { learner: 'Linear', genes: { penalty: 0.01, l1Ratio: 0.9 } },
  { learner: 'NearestNeighbors', genes: { k: 5, byDistance: 'Yes', power: 2 } },
  { learner: 'NeuralNetwork', genes: { width: 16, depth: 1, learningRate: 0.01, epochs: 20, decay: 1e-4 } },
  { learner: 'GradientBoosting', genes: { ...trees, boosting: 'Plain' } },
  { learner: 'GradientBoosting', genes: { ...trees, boosting: 'Dart' } },
  { learner: 'GradientBoosting', genes: { ...trees, boosting: 'Linear' } },
];
const task = (genome: Genome) => ({ genome, key: keyOf(genome), fold: 0, fraction: 1, priority: 0 });

describe('the unit of a target', () => {
  for (const genome of genomes) {
    const name = [genome.learner, genome.genes['boosting'] ?? genome.genes['l1Ratio']].filter(Boolean).join(' ');
    it.skipIf(genome.learner === 'GradientBoosting' && !lightgbmAvailable())(
      `changes nothing of how well it is learnt (${name})`,
      async () => {
        const plain = (await contextOf(1, 0)).evaluate(task(genome)).score;
        expect(plain).toBeGreaterThan(0.5);
        expect((await contextOf(1e5, 3e5)).evaluate(task(genome)).score).toBeCloseTo(plain, 3);
        expect((await contextOf(1e-3, 1e3)).evaluate(task(genome)).score).toBeCloseTo(plain, 2);
      },
    );
  }

  it('is that of stored predictions too', async () => {
    const context = await contextOf(1e5, 3e5);
    const { predictions, model } = context.evaluate(task(genomes[0]!));
    const stored = runnable(Buffer.from(model!).toString('base64'), { ...context.problem, outputs: 1 });
    const again = await stored.predict(context.problem.features, context.split.folds[0]!.test);
    expect(Float32Array.from(again)).toEqual(predictions);
  });

  it('was kept by networks of earlier versions, which predict as they did', async () => {
    const layers = [{ weights: Float32Array.of(2), bias: Float32Array.of(1), inputs: 1 }];
    const learner = { kind: 'Network', layers, shift: 100, factor: 0.25 } as const;
    const step = { kind: 'Number', feature: 0, fill: 0, log: false, shift: 0, factor: 1, clip: null } as const;
    const stored = packPipeline({ preprocessing: { steps: [step], outputs: [[0]] }, learner });
    const { problem } = await contextOf(1, 0);
    const x = { ...problem.features[0]!, values: Float32Array.of(3) };
    const earlier = runnable(Buffer.from(stored).toString('base64'), { ...problem, outputs: 1 });
    expect(await earlier.predict([x], Int32Array.of(0))).toEqual(Float64Array.of(100 + (2 * 3 + 1) / 0.25));
  });
});
