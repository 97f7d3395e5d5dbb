// One worker against two, by the clock: the same search in turns, each bounded by a time.
import { median, type Row, row } from '@quintet/runtime/bench';
import { evolve } from '../src/run/local.ts';
import { dataSets } from './data.ts';
import type { Results } from './results.ts';

export interface WorkersBench {
  readonly folder: string;
  /** Before the split. */
  readonly rows: number;
  readonly evaluations: number;
  readonly seeds: number;
  /** Most of one search. */
  readonly seconds: number;
}

/** When each number of pipelines had taken their place, in order; those that were ready at a clock's end are not among them. */
type Trace = readonly { readonly placed: number; readonly seconds: number }[];

export async function workers(bench: WorkersBench, results: Results): Promise<void> {
  const { folder, evaluations, seconds, seeds } = bench;
  const [data] = await dataSets({ folder, splits: 1, rows: bench.rows, names: ['noise'] });
  const traceOf = async (processes: number, seed: number): Promise<Trace> => {
    const trace: { placed: number; seconds: number }[] = [];
    const result = await evolve({
      file: data!.train,
      target: 'target',
      task: 'Binary',
      workers: processes,
      spec: {
        budget: { time: `${seconds}s`, evaluations },
        search: { population: 24, learners: ['GradientBoosting', 'Linear', 'NaiveBayes'], seed },
        earlyStopping: { generations: 1000 },
      },
      onProgress: ({ phase, placed, secondsUsed }) => {
        if (phase === 'Search') trace.push({ placed, seconds: secondsUsed });
      },
    });
    result.model.close();
    const { placed, reason } = result.search;
    const stopped = reason === 'Clock' ? ', stopped by the clock' : '';
    results.say(`seed ${seed}, workers ${processes}: ${placed} pipelines in ${result.seconds.toFixed(1)} s${stopped}`);
    return trace;
  };
  const pairs: ReturnType<typeof toTheSamePipelines>[] = [];
  for (let seed = 1; seed <= seeds; seed++) {
    const two = await traceOf(2, seed);
    pairs.push(toTheSamePipelines(two, await traceOf(1, seed)));
    results.add(speedRow(`${data!.rows} × ${data!.columns}, ${pairs.length} of ${seeds} seeds`, pairs));
  }
}

function speedRow(size: string, pairs: readonly ReturnType<typeof toTheSamePipelines>[]): Row {
  return row(
    {
      bench: 'evolution',
      case: '1 → 2 workers',
      size: `${size}, to pipeline ${pairs.map(({ placed }) => placed).join(', ')}`,
      metric: 'time to the same pipelines',
      unit: 's, median',
      better: 'lower',
      ours: median(pairs.map(({ two }) => two)),
      peers: { 'one worker': median(pairs.map(({ one }) => one)) },
    },
    { ratio: 1.7 },
  );
}

/** Both place the same pipelines in the same order; where a clock stopped one, they are compared up to its last. */
function toTheSamePipelines(two: Trace, one: Trace): { placed: number; two: number; one: number } {
  const placed = Math.min(...[two, one].map((trace) => trace.at(-1)?.placed ?? 0));
  const reached = (trace: Trace): number => trace.find((each) => each.placed >= placed)?.seconds ?? Number.NaN;
  return { placed, two: reached(two), one: reached(one) };
}
