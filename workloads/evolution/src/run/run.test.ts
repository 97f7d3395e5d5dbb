// A run from problem to model, with evaluators that behave as told.
import { type EvolutionRunSpec, evolutionRun, parseStored } from '@quintet/crds';
import { writeOnnx } from '@quintet/runtime/onnx';
import { describe, expect, it } from 'vitest';
import { type Problem, problemOf, withFrozen } from '../data/problem.ts';
import { splitRows } from '../data/split.ts';
import { readTableText } from '../data/table.ts';
import { messageOf } from '../errors.ts';
import { EvaluationContext } from '../evaluate/context.ts';
import type { EvaluationTask, Judging, Outcome } from '../evaluate/task.ts';
import { evaluated } from '../frozen/members.ts';
import { frozenModel, isFrozen } from '../frozen/model.ts';
import type { Cut } from '../search/search.ts';
import { runIdOf } from '../service/coordinator.ts';
import { metricsOf } from './artifacts.ts';
import { type RunOptions, type RunResult, runEvolution } from './run.ts';
import { judgingOf } from './settings.ts';

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

const graph = (name: string) =>
  frozenModel(
    name,
    writeOnnx({
      name,
      inputs: [{ name: 'a', type: 'float32', shape: ['rows', 1] }],
      outputs: [{ name: 'out', type: 'float32', shape: ['rows', 1] }],
      nodes: [{ op: 'Identity', inputs: ['a'], outputs: ['out'] }],
    }),
  );

describe('a run', () => {
  it('in which every pipeline fails fails, and says why', async () => {
    const fails = run(resourceOf().spec, () => ({ ok: false, kind: 'Failed', reason: 'no library' }));
    await expect(fails).rejects.toMatchObject({
      reason: 'TrainingFailed',
      message: expect.stringContaining('Linear: no library'),
    });
  });

  it('in which no pipeline is finished fails, and says so; with a frozen model it has that', async () => {
    const { spec } = resourceOf({ budget: { time: '400ms' } });
    const never = new Promise<Outcome>(() => undefined);
    const cuts: Cut[] = [];
    const hangs: Answer = (task, context) => (isFrozen(task.genome) ? honest(task, context) : never);
    const fails = run(spec, hangs, { onCut: async (cut) => void cuts.push(cut) });
    await expect(fails).rejects.toMatchObject({
      reason: 'BudgetTooShort',
      message: expect.stringContaining('no pipeline was finished in 400ms') as string,
    });
    expect(cuts).toEqual([]);
    const model = await run({ ...spec, budget: { time: '4s' } }, hangs, {
      problem: withFrozen(await problem(), [graph('quick')]),
    });
    expect(model.ensemble?.members.map(({ individual }) => individual.index)).toEqual([-1]);
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

describe('frozen models of a run', () => {
  const quick = graph('quick');
  const slow = graph('slow');
  const nameOf = ({ genome }: EvaluationTask) => genome.genes['name'];
  const twelve = resourceOf({ budget: { time: '30m', evaluations: 12 } }).spec;
  const whatWasFound = ({ search, ensemble }: RunResult) => ({
    cut: search.cut,
    reason: search.reason,
    complete: search.complete.map(({ index, score }) => [index, score]),
    ensemble: ensemble?.members.map(({ individual, weight }) => [individual.index, weight]),
  });

  it('are asked for all at once before any pipeline, and hold none of them up', async () => {
    const asked: EvaluationTask[] = [];
    const bred = Promise.withResolvers<void>();
    const result = await run(
      twelve,
      async (task, context) => {
        asked.push(task);
        // The slow one is judged when the search has long gone on without it.
        if (nameOf(task) === 'slow') await bred.promise;
        else if (asked.length > 20) bred.resolve();
        return honest(task, context);
      },
      { problem: withFrozen(await problem(), [slow, quick]) },
    );
    // Two folds and the holdout of each.
    expect(asked.slice(0, 6).map(nameOf)).toEqual(['slow', 'slow', 'slow', 'quick', 'quick', 'quick']);
    expect(Math.max(...asked.slice(0, 6).map(({ priority }) => priority))).toBeLessThan(0);
    expect(result.search.complete.slice(0, 2).map(({ index }) => index)).toEqual([-1, -2]);
    expect(result.search.cut.frozen).toEqual([0, 1]);
  });

  it('that the clock has left out are left out by whoever repeats the run', async () => {
    const { spec } = resourceOf({ budget: { time: '2s', evaluations: 8 } });
    const data = withFrozen(await problem(), [slow, quick]);
    const never = new Promise<Outcome>(() => undefined);
    const cuts: Cut[] = [];
    const first = await run(spec, (task, context) => (nameOf(task) === 'slow' ? never : honest(task, context)), {
      problem: data,
      onCut: async (cut) => void cuts.push(cut),
    });
    expect(first.search.cut.frozen).toEqual([1]);
    expect(cuts).toEqual([first.search.cut]);
    expect(metricsOf({ spec, problem: data, notes: [], result: first })['frozen']).toMatchObject([
      { name: 'slow', note: 'not judged: the clock came before' },
      { name: 'quick', note: expect.stringContaining('judged as it came') as string },
    ]);
    const again = await run(spec, honest, { problem: data, before: { seconds: 2, placed: 8, cut: cuts[0]! } });
    expect(whatWasFound(again)).toEqual(whatWasFound(first));
  });

  it('that fail end the run, and its search', async () => {
    const fails = run(
      resourceOf().spec,
      (task, context) =>
        nameOf(task) === 'quick' ? { ok: false, kind: 'Failed', reason: 'row 3' } : honest(task, context),
      { problem: withFrozen(await problem(), [quick]) },
    );
    await expect(fails).rejects.toMatchObject({ reason: 'TrainingFailed', message: 'the frozen model quick: row 3' });
  });

  it('that fail on a row of the holdout end it while it searches, not when all is done', async () => {
    const data = await problem();
    const { holdout } = splitRows(data, judgingOf(twelve, data).split);
    const features = data.features.map((each) => ({
      ...each,
      values: each.values!.slice().fill(Number.NaN, holdout[3], holdout[3]! + 1),
    }));
    const inProcess: Answer = async (task, context) => {
      try {
        return await honest(task, context);
      } catch (error) {
        return { ok: false, kind: 'Failed', reason: messageOf(error) };
      }
    };
    const fails = run(twelve, inProcess, { problem: withFrozen({ ...data, features }, [quick]) });
    await expect(fails).rejects.toMatchObject({
      reason: 'TrainingFailed',
      message: expect.stringContaining(`gives NaN for row ${holdout[3]! + 1},`) as string,
      where: { field: 'spec.search.frozen' },
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
