// A run from problem to model, with evaluators that behave as told.
import { type EvolutionRunSpec, evolutionRun, parseStored } from '@quintet/crds';
import { describe, expect, it } from 'vitest';
import { type Problem, problemOf } from '../data/problem.ts';
import { readTableText } from '../data/table.ts';
import { EvaluationContext } from '../evaluate/context.ts';
import type { EvaluationTask, Judging, Outcome } from '../evaluate/task.ts';
import { evaluated } from '../frozen/members.ts';
import { runIdOf } from '../service/coordinator.ts';
import { type RunOptions, runEvolution } from './run.ts';

const resourceOf = (spec: object = {}, metadata: object = {}) =>
  parseStored(evolutionRun, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'EvolutionRun',
    metadata: { name: 'run', namespace: 'test', uid: 'u', ...metadata },
    spec: {
      dataset: { source: { configMap: { name: 'x', key: 'y' } }, target: 'y', task: 'Regression' },
      search: { population: 4, generations: 40, islands: 1, learners: ['Linear'], seed: 2 },
      validation: { folds: 2, holdout: '20%' },
      earlyStopping: { generations: 1000 },
      ...spec,
    },
  });

async function problem(): Promise<Problem> {
  const rows = Array.from(
    { length: 60 },
    (_, i) => `${(i * 37) % 61},${(i * 17) % 13},${((i * 37) % 61) + 0.1 * (i % 7)}`,
  );
  return problemOf(await readTableText(`a,b,y\n${rows.join('\n')}\n`, {}), { target: 'y', task: 'Regression' }).problem;
}

type Answer = (task: EvaluationTask, context: EvaluationContext) => Outcome | Promise<Outcome>;

const honest: Answer = async (task, context) => ({ ok: true, cached: false, ...(await evaluated(context, task)) });

function evaluatorsOf(answer: Answer): RunOptions['evaluators'] {
  return async (data: Problem, judging: Judging) => {
    const context = new EvaluationContext(data, judging);
    let stop: () => void = () => undefined;
    const stopped = new Promise<Outcome>((resolve) => {
      stop = () => resolve({ ok: false, kind: 'Stopped', reason: 'stopped' });
    });
    let ended = false;
    return {
      evaluate: async (task) => (ended ? stopped : Promise.race([stopped, answer(task, context)])),
      stop: () => {
        ended = true;
        stop();
      },
      close: async () => undefined,
    };
  };
}

const run = async (spec: EvolutionRunSpec, answer: Answer, more: Partial<RunOptions> = {}) =>
  runEvolution({
    spec,
    problem: await problem(),
    started: performance.now(),
    evaluators: evaluatorsOf(answer),
    ...more,
  });

describe('a run', () => {
  it('in which every pipeline fails fails, and says why', async () => {
    const fails = run(resourceOf().spec, () => ({ ok: false, kind: 'Failed', reason: 'no library' }));
    await expect(fails).rejects.toMatchObject({
      reason: 'TrainingFailed',
      message: expect.stringContaining('Linear: no library'),
    });
  });

  it('finds again what was done before without its clock, and only then uses the rest of its budget', async () => {
    const budget = { time: '30m', evaluations: 24 };
    const { search: whole } = await run(resourceOf({ budget }).spec, honest);
    expect(whole.reason).toBe('Evaluations');
    // An attempt that comes when all but nothing of the budget is left.
    const { search: late } = await run(resourceOf({ budget: { time: '30m' } }).spec, honest, {
      before: { seconds: 1800, placed: 20 },
    });
    expect(late.reason).toBe('Clock');
    expect(late.cut.placed).toBeGreaterThanOrEqual(20);
    const scores = (from: typeof whole) => from.complete.map(({ index, score }) => [index, score]);
    expect(scores(late)).toEqual(scores(whole).slice(0, scores(late).length));
    const { search: again } = await run(resourceOf({ budget: { time: '30m' } }).spec, honest, {
      before: { seconds: 1800, placed: 20, cut: late.cut },
    });
    expect([again.cut, scores(again)]).toEqual([late.cut, scores(late)]);
  });

  it('is refused where R2 has nothing to compare with', async () => {
    const few = { validation: { folds: 24, holdout: '20%' }, objective: { metric: 'R2' } };
    const small = await problem();
    const rows = 30;
    const cutShort = {
      ...small,
      rows,
      y: small.y.slice(0, rows),
      features: small.features.map((each) => ({ ...each, values: each.values!.slice(0, rows) })),
    };
    await expect(run(resourceOf(few).spec, honest, { problem: cutShort })).rejects.toMatchObject({
      reason: 'SplitInvalid',
      message: expect.stringContaining('judges one target value'),
    });
  });
});

it.each([1, 40, 46, 47, 48, 49, 52])(
  'a name of %i characters gives ids that fit, and others for another spec',
  (length) => {
    const named = (seed: number) => runIdOf(resourceOf({ search: { seed } }, { name: 'n'.repeat(length) }));
    expect(`${named(1)}-m1`.length).toBeLessThanOrEqual(64);
    expect(named(1)).not.toBe(named(2));
  },
);
