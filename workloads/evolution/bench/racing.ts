// What a score costs by racing and caches, beside naive full evaluation of the same search: seconds of CPU, each search alone in a process.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { median, type Row, row } from '@quintet/runtime/bench';
import { dataSets } from './data.ts';
import type { Results } from './results.ts';
import type { Answered, Asked, Cost } from './search-process.ts';

export interface RacingBench {
  readonly folder: string;
  /** Before the split. The look at a sample begins at 6000 teaching rows of a fold. */
  readonly rows: number;
  readonly evaluations: number;
  readonly seeds: number;
  /** Most CPU of one search. */
  readonly seconds: number;
}

export interface Pair {
  /** Seconds of CPU until a score that is the same as its best. */
  readonly naive: number;
  /** The same search with matrices and bins shared; undefined where it was not as far when its CPU ended. */
  readonly prepared: number | undefined;
  /** Seconds of CPU until the same score; undefined where it was not reached. */
  readonly raced: number | undefined;
  readonly again: number | undefined;
  readonly hits: number;
}

/** Scores that differ by less are the same. */
const same = 2e-4;
/** Pipelines that racing may try for each that is evaluated in full. */
const more = 5;

export async function racing(bench: RacingBench, results: Results): Promise<void> {
  const { folder, rows, seeds, seconds, evaluations } = bench;
  const [data] = await dataSets({ folder, splits: 1, rows, names: ['noise'] });
  const pairs: Pair[] = [];
  for (let seed = 1; seed <= seeds; seed++) {
    const ask = { file: data!.train, seed, seconds };
    const { first: naive } = await costOf({ ...ask, how: 'Naive', evaluations });
    const goal = goalOf(naive);
    results.say(`seed ${seed}, naive: ${told(naive)}, there at ${cpuTo(goal, naive)!.toFixed(1)} s`);
    const { first: prepared } = await costOf({ ...ask, how: 'NaivePrepared', evaluations, goal });
    results.say(`seed ${seed}, naive with shared preparation: ${told(prepared)}`);
    const { first: raced, again } = await costOf({ ...ask, how: 'Raced', evaluations: more * evaluations, goal });
    results.say(`seed ${seed}, racing: ${told(raced)}; again: ${told(again!)}`);
    pairs.push({
      naive: cpuTo(goal, naive)!,
      prepared: cpuTo(goal, prepared),
      raced: cpuTo(goal, raced),
      again: cpuTo(goal, again!),
      hits: again!.hits / again!.answered,
    });
    const size = `${data!.rows} × ${data!.columns}, ${naive.placed} pipelines, ${pairs.length} of ${seeds} seeds`;
    results.add(
      costRow('racing', size, pairs, { of: ({ raced: cpu }) => cpu }),
      // What of it is won by racing, and not by sharing matrices and bins.
      costRow('racing, naive shares preparation too', size, pairs, {
        of: ({ raced: cpu }) => cpu,
        beside: (pair) => pair.prepared,
      }),
      costRow('racing, and the cache of an earlier run', size, pairs, { of: ({ again: cpu }) => cpu }),
      row(
        {
          bench: 'evolution',
          case: 'the search again',
          size,
          metric: 'cache hits',
          unit: 'share',
          better: 'higher',
          ours: median(pairs.map(({ hits }) => hits)),
          peers: {},
        },
        { absolute: 0.95 },
      ),
    );
  }
}

/** The score to which every search is timed, the naive one too: one that is the same as its best. */
export function goalOf({ curve }: Pick<Cost, 'curve'>): number {
  return curve.at(-1)!.score - same;
}

/** Seconds of CPU until a score; undefined where it was not reached. */
export function cpuTo(goal: number, { curve }: Pick<Cost, 'curve'>): number | undefined {
  return curve.find(({ score }) => score >= goal)?.cpu;
}

function told({ placed, racedOut, cpu, curve }: Cost): string {
  return `${placed} pipelines, ${racedOut} stopped early, ${curve.at(-1)?.score.toFixed(5)} in ${cpu.toFixed(1)} s of CPU`;
}

async function costOf(asked: Asked): Promise<Answered> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--conditions=source', join(import.meta.dirname, 'search-process.ts'), JSON.stringify(asked)],
    { env: { ...process.env, OMP_NUM_THREADS: '1' }, maxBuffer: 1 << 26 },
  );
  return JSON.parse(stdout) as Answered;
}

type CpuOf = (pair: Pair) => number | undefined;

/** A score that was not reached in one of the pairs misses the target. */
export function costRow(
  name: string,
  size: string,
  pairs: readonly Pair[],
  { of, beside = ({ naive }) => naive }: { of: CpuOf; beside?: CpuOf },
): Row {
  const reached = pairs.filter((pair) => of(pair) !== undefined && beside(pair) !== undefined);
  const medianOf = (cpu: CpuOf) => (reached.length === 0 ? Number.NaN : median(reached.map((pair) => cpu(pair)!)));
  const made = row(
    {
      bench: 'evolution',
      case: name,
      size: reached.length === pairs.length ? size : `${size}, reached in ${reached.length}`,
      metric: 'CPU to the best score of naive full evaluation',
      unit: 's, median',
      better: 'lower',
      ours: medianOf(of),
      peers: { naive: reached.length === 0 ? median(pairs.map(({ naive }) => naive)) : medianOf(beside) },
    },
    { ratio: 10 },
  );
  return reached.length === pairs.length ? made : { ...made, met: false };
}
