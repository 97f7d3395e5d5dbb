import { afterEach, expect, it } from 'vitest';
import type { Problem } from '../data/problem.ts';
import type { LearnerName } from '../learners/index.ts';
import { withCache } from './cache.ts';
import { type EvaluationPool, startPool } from './pool.ts';
import type { EvaluationTask, Judging } from './task.ts';

let pool: EvaluationPool | undefined;
afterEach(() => pool?.close());

const judging = { data: 'x', split: { kind: 'Random' } } as Judging;
const open = async (processes: number, timeLimit = 500, module = 'unruly-worker') => {
  pool = await startPool({} as Problem, judging, {
    processes,
    timeLimit,
    retries: 1,
    module: new URL(`./fixtures/${module}.ts`, import.meta.url).pathname,
  });
  return pool;
};
const task = (learner: LearnerName, fold = 0): EvaluationTask => ({
  genome: { learner, genes: {} },
  key: learner,
  fold,
  fraction: 1,
  priority: fold,
});

it('a learner that hangs is killed at its limit, and the next task runs', async () => {
  const { evaluate } = await open(1);
  const [hung, next] = await Promise.all([evaluate(task('NeuralNetwork')), evaluate(task('Linear', 7))]);
  expect(hung).toMatchObject({ ok: false, kind: 'TimeLimit' });
  expect(next).toMatchObject({ ok: true, score: 7 });
});

it('a process that dies is replaced, and its task fails after its retries', async () => {
  const { evaluate } = await open(2);
  const outcomes = await Promise.all([
    evaluate(task('NaiveBayes')),
    ...[1, 2, 3, 4].map((fold) => evaluate(task('Linear', fold))),
  ]);
  expect(outcomes.map((outcome) => (outcome.ok ? outcome.score : outcome.reason))).toEqual([
    'its process ended (3)',
    1,
    2,
    3,
    4,
  ]);
});

it('processes that never become ready fail what waits for them, rather than keep it waiting', async () => {
  const { evaluate } = await open(2, 60_000, 'stillborn-worker');
  expect(await evaluate(task('Linear'))).toEqual({
    ok: false,
    kind: 'Failed',
    reason: 'its process ended (9) before it was ready; raise spec.evaluation.memoryLimit',
  });
});

it('a cache that never answers holds nothing up once the search is stopped', async () => {
  const silent = { get: () => new Promise<undefined>(() => undefined), set: async () => undefined };
  const stop = new AbortController();
  const never = withCache({ evaluate: () => new Promise(() => undefined) }, judging, silent, stop.signal);
  const outcome = never.evaluate(task('Linear'));
  stop.abort();
  expect(await outcome).toMatchObject({ ok: false, kind: 'Stopped' });
});

it('when it is stopped, tasks under way and waiting end at once', async () => {
  const { evaluate, stop } = await open(1, 60_000);
  const outcomes = Promise.all([evaluate(task('NeuralNetwork')), evaluate(task('Linear'))]);
  stop();
  expect((await outcomes).map((outcome) => !outcome.ok && outcome.kind)).toEqual(['Stopped', 'Stopped']);
  expect(await evaluate(task('Linear'))).toMatchObject({ ok: false, kind: 'Stopped' });
});
