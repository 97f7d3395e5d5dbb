import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EvaluationTask, Evaluator, Outcome } from '../evaluate/task.ts';
import { randomOf } from '../random.ts';
import { defaultGenomes } from './defaults.ts';
import { canonical, genesOf, keyOf, type Space } from './genome.ts';
import { crowding, dominates, frontsOf, survivors } from './nsga2.ts';
import { errorRate, normalQuantile, Race, worth } from './racing.ts';
import { type SearchOptions, search } from './search.ts';
import { crossed, mutated } from './vary.ts';

const space: Space = {
  task: 'Binary',
  learners: ['GradientBoosting', 'Linear', 'NearestNeighbors', 'NeuralNetwork'],
  steps: ['Imputation', 'Scaling', 'OneHot', 'TargetEncoding', 'Selection', 'Interactions'],
  rows: 5000,
  numbers: 8,
  categories: 3,
  gaps: true,
  outputs: 1,
};

const options: SearchOptions = {
  space,
  population: 12,
  generations: 6,
  islands: 2,
  migration: { interval: 2, count: 2 },
  rates: { crossover: 0.8, mutation: 0.2 },
  folds: 4,
  seed: 5,
  racing: true,
  cost: true,
  fraction: 0.2,
  evaluations: Number.POSITIVE_INFINITY,
  earlyStopping: { generations: 50, minImprovement: 0 },
};

/** A landscape with an optimum inside, noise by fold, and some genomes that always fail. */
function outcomeOf(task: EvaluationTask): Outcome {
  const noise = randomOf('noise', task.key, task.fold, task.fraction).normal();
  if (Number.parseInt(task.key.slice(0, 2), 16) < 8) return { ok: false, kind: 'Failed', reason: 'unlucky' };
  const rate = Number(task.genome.genes['learningRate'] ?? 0.5);
  const score =
    0.9 - Math.abs(Math.log(rate / 0.07)) / 20 - (task.genome.learner === 'GradientBoosting' ? 0 : 0.1) + 0.003 * noise;
  return {
    ok: true,
    cached: false,
    score,
    predictions: Float32Array.of(score),
    operations: Number(task.genome.genes['trees'] ?? 10),
    seconds: 0,
  };
}

/** `workers` tasks at a time, each as long as chance will have it. */
function evaluatorOf(
  workers: number,
  pace: string,
  onStart: () => void = () => undefined,
): Evaluator & { started: number } {
  const random = randomOf('pace', pace);
  const waiting: { task: EvaluationTask; settle: (outcome: Outcome) => void }[] = [];
  let busy = 0;
  const next = (): void => {
    if (busy >= workers || waiting.length === 0) return;
    const { task, settle } = waiting.splice(random.int(waiting.length), 1)[0]!;
    busy++;
    evaluator.started++;
    onStart();
    let turns = random.int(4);
    const turn = (): void => {
      if (turns-- > 0) {
        setImmediate(turn);
        return;
      }
      busy--;
      settle(outcomeOf(task));
      next();
    };
    turn();
  };
  const evaluator = {
    started: 0,
    evaluate: (task: EvaluationTask) =>
      new Promise<Outcome>((settle) => {
        waiting.push({ task, settle });
        next();
      }),
  };
  return evaluator;
}

const never = new AbortController().signal;
const summary = (result: Awaited<ReturnType<typeof search>>) =>
  result.complete.map(({ index, island, key, parents, scores }) => ({ index, island, key, parents, scores }));

describe('the search', () => {
  it.each([true, false])(
    'gives the same pipelines whatever the number of workers and their order, racing: %s',
    async (racing) => {
      const asked = { ...options, racing };
      const one = await search(evaluatorOf(1, 'a'), asked, never);
      for (const [workers, pace] of [
        [2, 'b'],
        [7, 'c'],
        [50, 'd'],
      ] as const) {
        const other = await search(evaluatorOf(workers, pace), asked, never);
        expect(summary(other)).toEqual(summary(one));
        expect([other.placed, other.racedOut, other.failed]).toEqual([one.placed, one.racedOut, one.failed]);
      }
      expect(one.placed).toBe(72);
      expect(one.complete.length + one.racedOut).toBeGreaterThan(60);
    },
  );

  it.each([4, 6, 12, 24])('leaves nobody waiting for whom they wait for, population %i', async (population) => {
    // All pipelines are as good as each other but for chance: many pass every look.
    const evaluate = async (task: EvaluationTask): Promise<Outcome> => {
      const score = 0.8 + 0.01 * randomOf('even', task.key, task.fold, task.fraction).normal();
      return { ok: true, cached: false, score, predictions: Float32Array.of(0), operations: 1, seconds: 0 };
    };
    for (const seed of [1, 2, 3]) {
      const { placed } = await search(
        { evaluate },
        { ...options, population, folds: 10, generations: 60 / population, seed },
        never,
      );
      expect(placed).toBe(60);
    }
  });

  it('finds better pipelines than its defaults', async () => {
    const result = await search(evaluatorOf(4, 'a'), options, never);
    const defaults = result.complete.filter((each) => each.parents.length === 0 && each.index < 12);
    expect(result.best!.score).toBeGreaterThan(Math.max(...defaults.map((each) => each.score)));
    expect(result.best!.parents.length).toBeGreaterThan(0);
  });

  it('spends less by racing, and no raced-out pipeline is among the complete ones', async () => {
    const longer = { ...options, fraction: 1, generations: 8 };
    const raced = evaluatorOf(3, 'a');
    const naive = evaluatorOf(3, 'a');
    const result = await search(raced, longer, never);
    await search(naive, { ...longer, racing: false }, never);
    expect(raced.started).toBeLessThan(naive.started * 0.8);
    expect(result.racedOut).toBeGreaterThan(5);
    for (const each of result.complete) expect(each.scores).toHaveLength(4);
  });

  it('ends equal when replayed from where a clock stopped it', async () => {
    const clock = new AbortController();
    let count = 0;
    const evaluator = evaluatorOf(3, 'x', () => ++count === 90 && clock.abort());
    const cut = await search(evaluator, options, clock.signal);
    expect(cut.reason).toBe('Clock');
    const replayed = await search(evaluatorOf(5, 'y'), { ...options, replay: cut.cut }, never);
    expect(summary(replayed)).toEqual(summary(cut));
    expect(replayed.cut).toEqual(cut.cut);
  });

  it('asks a replay for nothing that the cut does not hold', async () => {
    const clock = new AbortController();
    const answered = new Set<string>();
    const nameOf = ({ key, fold, fraction }: EvaluationTask) => `${key} ${fold} ${fraction}`;
    let count = 0;
    const paced = evaluatorOf(3, 'x', () => ++count === 90 && clock.abort());
    const evaluate = async (task: EvaluationTask): Promise<Outcome> => {
      const outcome = await paced.evaluate(task);
      if (clock.signal.aborted) return { ok: false, kind: 'Stopped', reason: 'the clock' };
      answered.add(nameOf(task));
      return outcome;
    };
    const cut = await search({ evaluate }, options, clock.signal);
    const known = {
      evaluate: (task: EvaluationTask) =>
        answered.has(nameOf(task)) ? Promise.resolve(outcomeOf(task)) : new Promise<Outcome>(() => undefined),
    };
    const replayed = await search(known, { ...options, replay: cut.cut }, never);
    expect(summary(replayed)).toEqual(summary(cut));
  });

  it('stops after the number of pipelines it was given, and when nothing gets better', async () => {
    const few = await search(evaluatorOf(2, 'a'), { ...options, evaluations: 17 }, never);
    expect([few.placed, few.reason]).toEqual([17, 'Evaluations']);
    const stale = await search(
      evaluatorOf(2, 'a'),
      { ...options, generations: 100, earlyStopping: { generations: 2, minImprovement: 0.5 } },
      never,
    );
    expect([stale.reason, stale.generation]).toEqual(['EarlyStopping', 2]);
  });
});

describe('the race', () => {
  it('stops a pipeline that is better by what is worth keeping in no more cases than its bar is set for, where the best is a stranger to its looks, and most that are much worse at once', () => {
    const random = randomOf('race');
    const folds = 5;
    const deviation = 0.01;
    const noise = (better = 0) =>
      Array.from({ length: folds }, () => 0.8 + better + (deviation / Math.SQRT2) * random.normal());
    const member = (index: number) =>
      ({ index, score: 0.8, scores: noise(), low: undefined }) as unknown as Parameters<Race['learn']>[0];
    const race = new Race(folds);
    for (let i = 0; i < 200; i++) race.learn(member(i), member(i + 1000));
    const stopped = (better: number, looks: number): number => {
      const runs = 500;
      let count = 0;
      for (let i = 0; i < runs; i++) {
        const [candidate, reference] = [noise(better * deviation), member(i)];
        const lost = (k: number) => race.losesFolds(candidate.slice(0, k + 1), reference);
        if (Array.from({ length: looks }, (_, k) => lost(k)).some(Boolean)) count++;
      }
      return count / runs;
    };
    expect(stopped(worth, folds - 1)).toBeLessThan(errorRate);
    expect(stopped(0, 1)).toBeLessThan(0.5);
    expect(stopped(-3, 1)).toBeGreaterThan(0.95);
  });

  it('takes the scatter of differences from those near the best, whatever a few others do', () => {
    const near = (k: number) => Array.from({ length: 5 }, (_, fold) => 0.8 + 0.001 * ((fold * 7 + k) % 5));
    const scored = (scores: readonly number[]) =>
      ({ index: 0, score: 0.8, scores, low: undefined }) as unknown as Parameters<Race['learn']>[0];
    const reference = scored(near(0));
    const race = new Race(2);
    for (let k = 0; k < 30; k++) race.learn(scored(k % 10 === 0 ? [0.5, 0.9, 0.4, 0.8, 0.6] : near(k)), reference);
    expect(race.losesFolds([0.79], reference)).toBe(true);
    expect(race.losesFolds([0.8], reference)).toBe(false);
  });

  it('knows the normal quantiles', () => {
    for (const [p, z] of [
      [0.95, 1.644854],
      [0.975, 1.959964],
      [0.99, 2.326348],
      [0.999, 3.090232],
    ] as const)
      expect(normalQuantile(p)).toBeCloseTo(z, 5);
  });
});

describe('genomes', () => {
  it('stay in their grammar whatever is done to them, and canonical form is final', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer(), (seed, other) => {
        const random = randomOf('genomes', seed, other);
        const defaults = defaultGenomes(space);
        const child = mutated(crossed(random.pick(defaults), random.pick(defaults), space, random), space, 0.3, random);
        expect(canonical(child, space)).toEqual(child);
        const strays = genesOf(child.learner, space).filter((gene) => {
          const value = child.genes[gene.name];
          if (value === undefined) return gene.name !== 'levelSmoothing';
          return gene.kind === 'Choice'
            ? !gene.values.includes(String(value))
            : !(Number(value) >= gene.low && Number(value) <= gene.high);
        });
        expect(strays).toEqual([]);
      }),
    );
  });

  it('have keys that do not depend on the order of genes', () => {
    expect(keyOf({ learner: 'Linear', genes: { a: 1, b: 2 } })).toBe(
      keyOf({ learner: 'Linear', genes: { b: 2, a: 1 } }),
    );
    expect(keyOf({ learner: 'Linear', genes: { a: 1, b: 2 } })).not.toBe(
      keyOf({ learner: 'Linear', genes: { a: 1, b: 3 } }),
    );
  });
});

describe('NSGA-II', () => {
  const points = fc.array(fc.record({ score: fc.integer({ min: 0, max: 9 }), cost: fc.integer({ min: 0, max: 9 }) }), {
    minLength: 1,
    maxLength: 30,
  });

  it('puts nobody before one who dominates it, and everybody into one front', () => {
    fc.assert(
      fc.property(points, (all) => {
        const fronts = frontsOf(all);
        expect(fronts.flat().sort((a, b) => a - b)).toEqual(all.map((_, i) => i));
        for (const [place, front] of fronts.entries()) {
          for (const i of front) {
            for (const j of front) expect(dominates(all[i]!, all[j]!)).toBe(false);
            const passed = place === 0 || fronts[place - 1]!.some((j) => dominates(all[j]!, all[i]!));
            expect(passed).toBe(true);
          }
        }
      }),
    );
  });

  it('keeps the ends of a front that is too long', () => {
    const line = [0, 1, 2, 3, 4, 5].map((i) => ({ score: i, cost: i * i }));
    expect(crowding(line, [0, 1, 2, 3, 4, 5]).get(0)).toBe(Number.POSITIVE_INFINITY);
    expect(survivors(line, 2).sort((a, b) => a - b)).toEqual([0, 5]);
  });
});
