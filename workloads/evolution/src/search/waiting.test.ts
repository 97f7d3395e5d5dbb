// How well a search fills its workers, in virtual time: tasks last as their trees and leaves say, and nothing is computed.
import { expect, it } from 'vitest';
import type { EvaluationTask, Outcome } from '../evaluate/task.ts';
import { randomOf } from '../random.ts';
import type { Space } from './genome.ts';
import { search } from './search.ts';

const space: Space = {
  task: 'Binary',
  learners: ['GradientBoosting', 'Linear', 'NaiveBayes'],
  steps: ['Selection'],
  rows: 3600,
  numbers: 30,
  categories: 0,
  gaps: false,
  outputs: 1,
};

function secondsOf({ genome: { genes }, key, fold }: EvaluationTask): number {
  const trees = Number(genes['trees'] ?? 0);
  const old = genes['boosting'] === 'Dart' ? 1 + trees / 50 : 1;
  const work = trees > 0 ? (trees * (8 + Number(genes['leaves'])) * old) / 2000 : 0.3;
  return work * Math.exp(0.2 * randomOf('seconds', key, fold).normal()) + 0.02;
}

function outcomeOf({ genome: { genes, learner }, key, fold }: EvaluationTask): Outcome {
  const rate = Math.log10(Number(genes['learningRate'] ?? 0.5)) + 1.3;
  const leaves = Math.log2(Number(genes['leaves'] ?? 3)) / 7 - 0.6;
  const noise = 0.004 * randomOf('fold', fold).normal() + 0.003 * randomOf('noise', key, fold).normal();
  const score = 0.9 - rate ** 2 / 40 - leaves ** 2 / 30 - (learner === 'GradientBoosting' ? 0 : 0.05) + noise;
  const operations = Number(genes['trees'] ?? 10);
  return { ok: true, cached: false, score, predictions: Float32Array.of(0), operations, seconds: 0 };
}

/** Seconds that the search takes with so many workers. */
async function duration(workers: number, seed: number): Promise<number> {
  let now = 0;
  let done = false;
  const waiting: { task: EvaluationTask; settle: (outcome: Outcome) => void }[] = [];
  const busy: { end: number; task: EvaluationTask; settle: (outcome: Outcome) => void }[] = [];
  const evaluate = (task: EvaluationTask) => new Promise<Outcome>((settle) => void waiting.push({ task, settle }));
  const searching = search(
    { evaluate },
    {
      space,
      population: 24,
      generations: 100,
      islands: 2,
      migration: { interval: 5, count: 2 },
      rates: { crossover: 0.8, mutation: 0.2 },
      folds: 5,
      seed,
      racing: true,
      cost: true,
      fraction: 1,
      evaluations: 120,
      earlyStopping: { generations: 1000, minImprovement: 0 },
    },
    new AbortController().signal,
  ).then(() => (done = true));
  for (;;) {
    // Everything that follows from what has ended is asked for by then.
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
    if (done) break;
    waiting.sort((a, b) => a.task.priority - b.task.priority);
    for (const next of waiting.splice(0, workers - busy.length))
      busy.push({ ...next, end: now + secondsOf(next.task) });
    const [first] = busy.sort((a, b) => a.end - b.end).splice(0, 1);
    if (!first) continue;
    now = first.end;
    first.settle(outcomeOf(first.task));
  }
  await searching;
  return now;
}

it.each([1, 2, 3])(
  'two workers are at least 1.7 times as fast as one, seed %i',
  async (seed) => {
    expect((await duration(1, seed)) / (await duration(2, seed))).toBeGreaterThan(1.7);
  },
  60_000,
);
