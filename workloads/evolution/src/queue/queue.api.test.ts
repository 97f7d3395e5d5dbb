// Ten thousand tasks over a real Redis, twenty workers, and a real PostgreSQL that counts what came back.
import '../testing/pg.ts';
import { startPostgres, startRedis, type TestPostgres, type TestRedis } from '@quintet/runtime/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { problemOf } from '../data/problem.ts';
import { readTableText } from '../data/table.ts';
import type { EvaluationTask, Judging } from '../evaluate/task.ts';
import { Registry } from '../registry/registry.ts';
import { queueEvaluator } from './evaluator.ts';
import { startWorker } from './worker.ts';

const tasks = 10_000;
const workers = 20;
let redis: TestRedis;
let postgres: TestPostgres;
beforeAll(async () => {
  [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
}, 120_000);
afterAll(() => Promise.all([redis.stop(), postgres.stop()]));

it('of 10 000 queued tasks 20 workers lose none, and none is in the registry twice', async () => {
  const text = `a,y\n${Array.from({ length: 20 }, (_, i) => `${i},${i % 7}`).join('\n')}\n`;
  const { problem } = problemOf(await readTableText(text, {}), { target: 'y', task: 'Regression' });
  const split = { folds: 2, holdout: 0, kind: 'Random', gap: 0, seed: 0 } as const;
  const judging: Judging = { data: problem.hash, task: 'Regression', split, metric: 'RMSE', seed: 0 };
  const runId = 'many';
  const options = { url: redis.url, runId, timeLimit: 60_000, retries: 2, keepResults: 600, keepData: 600 };
  const queue = await queueEvaluator(problem, judging, options);
  // Answers each task with its fold: what is measured here is the queue.
  const module = new URL('../evaluate/fixtures/unruly-worker.ts', import.meta.url).pathname;
  const running = Array.from({ length: workers }, () => startWorker({ url: redis.url, runId, concurrency: 1, module }));
  const registry = await Registry.open(postgres.url);
  try {
    const outcomes = await Promise.all(
      Array.from({ length: tasks }, (_, fold) => {
        const task: EvaluationTask = {
          genome: { learner: 'Linear', genes: {} },
          key: `genome ${fold}`,
          fold,
          fraction: 1,
          priority: fold,
        };
        return queue.evaluate(task);
      }),
    );
    expect(outcomes.map((outcome) => outcome.ok && outcome.score)).toEqual(Array.from({ length: tasks }, (_, i) => i));
    expect(running.reduce((sum, { done }) => sum + done, 0)).toBe(tasks);
    expect(running.every(({ done }) => done > 0)).toBe(true);

    await registry.startRun({ runId, name: runId, spec: {}, seed: 0, teams: [] });
    await registry.finishRun(
      runId,
      {
        metric: 'RMSE',
        result: {},
        dataset: {
          hash: problem.hash,
          rows: problem.rows,
          features: 1,
          target: 'y',
          task: 'Binary',
          classes: [],
          schema: [],
        },
        generations: [],
        individuals: outcomes.map((outcome, index) => ({
          index,
          generation: 0,
          island: 0,
          key: `genome ${index}`,
          learner: 'Linear',
          genes: {},
          parents: [],
          score: outcome.ok ? outcome.score : Number.NaN,
          foldScores: [],
          cost: 0,
          onFront: false,
        })),
        model: {
          modelId: 'many-m1',
          name: 'many',
          type: 'Linear',
          score: 0,
          holdout: null,
          rocAuc: null,
          f1Score: null,
          parameters: {},
          sha256: '',
          content: new Uint8Array(0),
        },
      },
      { mode: 'None', weight: 0, minImprovement: 0, greaterIsBetter: false },
    );
    const rows = await registry.individuals(runId);
    expect(rows).toHaveLength(tasks);
    expect(new Set(rows.map(({ genome_key }) => genome_key)).size).toBe(tasks);
    expect(rows.every(({ index, score }) => index === score)).toBe(true);
  } finally {
    await Promise.all(running.map((worker) => worker.close()));
    await queue.close();
    await registry.close();
  }
}, 300_000);
