// One search in a process of its own, one task at a time, by the CPU that the process took: it costs the same whatever else the machine does.
//   node --conditions=source bench/search-process.ts '{"file": …, "seed": …, "how": …, "seconds": …, "evaluations": …, "goal": …}'
import { type EvolutionRunSpec, evolutionRun, validate } from '@quintet/crds';
import { type Problem, problemOf } from '../src/data/problem.ts';
import { readTable } from '../src/data/table.ts';
import { messageOf } from '../src/errors.ts';
import { type EvaluationCache, withCache } from '../src/evaluate/cache.ts';
import { EvaluationContext } from '../src/evaluate/context.ts';
import type { Evaluation, EvaluationTask, Evaluator, Judging } from '../src/evaluate/task.ts';
import { judgingOf, searchOptionsOf, tableOptionsOf } from '../src/run/settings.ts';
import { search } from '../src/search/search.ts';

export interface Asked {
  readonly file: string;
  readonly seed: number;
  /**
   * Naive: every pipeline on all rows of all folds, and nothing that was computed is used again.
   * NaivePrepared: the same, with matrices and their bins prepared once for all pipelines that want the same, as ours are.
   */
  readonly how: 'Naive' | 'NaivePrepared' | 'Raced';
  /** Most CPU. */
  readonly seconds: number;
  readonly evaluations: number;
  /** Score that ends the search; a raced one then searches again, from the cache that it filled. */
  readonly goal?: number;
}

export interface Cost {
  readonly placed: number;
  readonly racedOut: number;
  /** Seconds of CPU. */
  readonly cpu: number;
  /** Seconds of CPU until each best score. */
  readonly curve: readonly { readonly cpu: number; readonly score: number }[];
  readonly hits: number;
  /** What was asked when the search was stopped has no answer. */
  readonly answered: number;
}

export interface Answered {
  readonly first: Cost;
  readonly again?: Cost;
}

async function main(asked: Asked): Promise<void> {
  const spec = specOf(asked);
  const { problem } = problemOf(await readTable(asked.file, tableOptionsOf(spec)), {
    target: 'target',
    task: 'Binary',
  });
  const known = new Map<string, Evaluation>();
  const cache: EvaluationCache = {
    get: async (key) => known.get(key),
    set: async (key, evaluation) => void known.set(key, evaluation),
  };
  const raced = asked.how === 'Raced';
  const once = () => searched(spec, problem, asked, raced ? cache : undefined);
  const first = await once();
  const answered: Answered = { first, ...(raced && asked.goal !== undefined ? { again: await once() } : {}) };
  console.log(JSON.stringify(answered));
}

async function searched(
  spec: EvolutionRunSpec,
  problem: Problem,
  { how, seconds, goal }: Asked,
  cache: EvaluationCache | undefined,
): Promise<Cost> {
  const began = process.cpuUsage();
  const spent = (): number => {
    const { user, system } = process.cpuUsage(began);
    return (user + system) / 1e6;
  };
  const judging = judgingOf(spec, problem);
  const stop = new AbortController();
  const curve: { cpu: number; score: number }[] = [];
  const cached = withCache(inTurn(problem, judging, how === 'Naive', stop.signal), judging, cache, stop.signal);
  let hits = 0;
  let answered = 0;
  const evaluator: Evaluator = {
    evaluate: async (task) => {
      const outcome = await cached.evaluate(task);
      answered += outcome.ok ? 1 : 0;
      hits += outcome.ok && outcome.cached ? 1 : 0;
      return outcome;
    },
  };
  const { placed, racedOut } = await search(evaluator, searchOptionsOf(spec, problem), stop.signal, ({ best }) => {
    if (best && best.score > (curve.at(-1)?.score ?? Number.NEGATIVE_INFINITY))
      curve.push({ cpu: spent(), score: best.score });
    if (spent() > seconds || (best && goal !== undefined && best.score >= goal)) stop.abort();
  });
  return { placed, racedOut, cpu: spent(), curve, hits, answered };
}

/** As a pool of one process takes them: those of the earliest pipeline first. */
function inTurn(problem: Problem, judging: Judging, anew: boolean, stopped: AbortSignal): Evaluator {
  const queue: { task: EvaluationTask; work: () => void }[] = [];
  let turn = 0;
  // Data of another name is prepared and binned anew.
  const unlike = {
    ...judging,
    get data() {
      return `${judging.data} ${turn++}`;
    },
  };
  const context = new EvaluationContext(problem, anew ? unlike : judging);
  const next = (): void => {
    const first = queue.reduce((a, b) => (b.task.priority < a.task.priority ? b : a));
    queue.splice(queue.indexOf(first), 1);
    first.work();
  };
  return {
    evaluate: (task) =>
      new Promise((settle) => {
        const work = (): void => {
          if (stopped.aborted) return settle({ ok: false, kind: 'Stopped', reason: 'the search has ended' });
          try {
            settle({ ok: true, cached: false, ...context.evaluate(task) });
          } catch (error) {
            settle({ ok: false, kind: 'Failed', reason: messageOf(error) });
          }
        };
        queue.push({ task, work });
        // Whatever follows from an outcome is asked for before the next task is chosen.
        setImmediate(() => setImmediate(next));
      }),
  };
}

function specOf({ seed, how, evaluations }: Asked): EvolutionRunSpec {
  const checked = validate(evolutionRun, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'EvolutionRun',
    metadata: { name: 'search' },
    spec: {
      dataset: {
        source: { persistentVolumeClaim: { claimName: 'local', path: 'data' } },
        format: 'CSV',
        target: 'target',
        task: 'Binary',
      },
      budget: { time: '1h', evaluations },
      evaluation: { racing: how === 'Raced' ? 'Enabled' : 'Disabled' },
      search: { population: 24, learners: ['GradientBoosting', 'Linear', 'NaiveBayes'], seed },
      earlyStopping: { generations: 1000 },
    },
  });
  if (!('resource' in checked)) throw new Error(JSON.stringify(checked));
  return checked.resource.spec;
}

if (import.meta.main) await main(JSON.parse(process.argv[2]!) as Asked);
