// A whole run in real processes, with a learner that hangs.
import { evolutionRun, parseStored } from '@quintet/crds';
import { expect, it } from 'vitest';
import { problemOf } from '../data/problem.ts';
import { readTableText } from '../data/table.ts';
import { runEvolution } from '../run/run.ts';
import { startPool } from './pool.ts';

it('a run whose learner hangs in every process ends by its clock, with a model, and leaves no process', async () => {
  const { spec } = parseStored(evolutionRun, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'EvolutionRun',
    metadata: { name: 'hangs', namespace: 'test', uid: 'u' },
    spec: {
      dataset: { source: { configMap: { name: 'x', key: 'y' } }, target: 'y', task: 'Regression' },
      search: { population: 8, islands: 1, learners: ['Linear', 'NeuralNetwork'], seed: 1 },
      validation: { folds: 3 },
      earlyStopping: { generations: 1000 },
      budget: { time: '5s' },
    },
  });
  const rows = Array.from({ length: 90 }, (_, i) => `${(i * 37) % 61},${i % 13},${((i * 37) % 61) + (i % 7)}\n`);
  const { problem } = problemOf(await readTableText(`a,b,y\n${rows.join('')}`, {}), {
    target: 'y',
    task: 'Regression',
  });
  const processes = () => process.getActiveResourcesInfo().filter((each) => each === 'ProcessWrap').length;
  const before = processes();
  const result = await runEvolution({
    spec,
    problem,
    started: performance.now(),
    evaluators: (data, judging) =>
      startPool(data, judging, {
        processes: 2,
        timeLimit: 1_800_000,
        retries: 2,
        module: new URL('./fixtures/hanging-worker.ts', import.meta.url).pathname,
      }),
  });
  expect(result.search.reason).toBe('Clock');
  expect(result.search.complete.map(({ genome }) => genome.learner)).not.toContain('NeuralNetwork');
  expect((await result.model.predict([{ a: 1, b: 2 }])).values.every(Number.isFinite)).toBe(true);
  await expect.poll(processes).toBe(before);
}, 60_000);
