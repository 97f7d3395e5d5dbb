import { expect, it } from 'vitest';
import { randomOf } from '../random.ts';
import { defaultGenomes } from './defaults.ts';
import type { Genome, Space } from './genome.ts';
import { Preselection } from './preselect.ts';
import { mutated } from './vary.ts';

const space: Space = {
  task: 'Binary',
  learners: ['GradientBoosting', 'Linear'],
  steps: [],
  rows: 5000,
  numbers: 8,
  categories: 0,
  gaps: false,
  outputs: 1,
};
const linear = (penalty: number): Genome => ({ learner: 'Linear', genes: { penalty, l1Ratio: 0.5 } });

it('prefers children near what was good, and says nothing before enough is known', () => {
  const preselection = new Preselection(space);
  expect(preselection.ready).toBe(false);
  for (let exponent = -6; exponent <= 0; exponent += 0.5)
    preselection.learn(linear(10 ** exponent), 0.9 - 0.02 * Math.abs(exponent + 2));
  expect(preselection.ready).toBe(true);
  const children = [1e-6, 1e-4, 0.012, 0.9].map((penalty) => ({ genome: linear(penalty) }));
  expect(preselection.best(children).genome).toEqual(linear(0.012));
});

it('takes the cheaper of two that promise the same', () => {
  const preselection = new Preselection(space);
  const [first] = defaultGenomes(space).filter((genome) => genome.learner === 'GradientBoosting');
  for (let i = 0; i < 10; i++) preselection.learn(linear(10 ** (-i / 2)), 0.8 + 0.001 * i);
  const withTrees = (trees: number) => ({ genome: { ...first!, genes: { ...first!.genes, trees } } });
  expect(preselection.best([withTrees(2000), withTrees(100)]).genome.genes['trees']).toBe(100);
});

it('comes nearer to an optimum than chance does with as many evaluations', () => {
  const score = ({ genes }: Genome) =>
    1 -
    (Math.log10(Number(genes['learningRate'])) + 1.9) ** 2 -
    (Math.log2(Number(genes['leaves'])) / 7 - 0.5) ** 2 -
    (Number(genes['featureShare']) - 0.5) ** 2;
  const regret = (chooses: boolean, seed: number): number => {
    const random = randomOf('search', seed);
    const preselection = new Preselection(space);
    let best = defaultGenomes(space)[0]!;
    for (let i = 0; i < 30; i++) {
      const children = Array.from({ length: 8 }, () => ({ genome: mutated(best, space, 0.3, random) }));
      const { genome } = chooses && preselection.ready ? preselection.best(children) : children[0]!;
      preselection.learn(genome, score(genome));
      if (score(genome) > score(best)) best = genome;
    }
    return 1 - score(best);
  };
  const mean = (chooses: boolean) =>
    Array.from({ length: 30 }, (_, seed) => regret(chooses, seed)).reduce((sum, each) => sum + each, 0) / 30;
  expect(mean(true)).toBeLessThan(0.7 * mean(false));
});
