// Racing against full evaluation of the same search, repeats from the cache, and one worker against two; in turns, each search bounded by a time.
import { join } from 'node:path';
import { median, type Row, row } from '@quintet/runtime/bench';
import { evolve, type LocalResult } from '../src/run/local.ts';
import { type Data, dataSets } from './data.ts';
import type { Results } from './results.ts';

export interface SearchBench {
  readonly folder: string;
  readonly parts: ReadonlySet<string>;
  /** Before the split. The look at a sample begins at 6000 teaching rows of a fold. */
  readonly rows: number;
  readonly evaluations: number;
  readonly seeds: number;
  /** Most of one search. */
  readonly seconds: number;
}

interface Searched extends LocalResult {
  /** When each number of pipelines had taken their place, in order; those that were ready at a clock's end are not among them. */
  readonly trace: readonly { readonly placed: number; readonly seconds: number }[];
}

interface Turn {
  readonly naive?: Searched;
  readonly raced?: Searched;
  readonly alone?: Searched;
  readonly first?: Searched;
  readonly again?: Searched;
}

export async function searchSpeed(bench: SearchBench, results: Results): Promise<void> {
  const { folder, parts, evaluations, seconds } = bench;
  const [data] = await dataSets({ folder, splits: 1, rows: bench.rows, names: ['noise'] });
  const search = async (
    name: string,
    seed: number,
    {
      workers = 2,
      racing = true,
      cache,
      like,
    }: { workers?: number; racing?: boolean; cache?: string; like?: Searched },
  ): Promise<Searched> => {
    const trace: { placed: number; seconds: number }[] = [];
    const result = await evolve({
      file: data!.train,
      target: 'target',
      task: 'Binary',
      workers,
      ...(cache === undefined ? {} : { cache }),
      spec: {
        // A search that a clock stopped is repeated up to the last pipeline that took its place in order.
        budget: { time: `${seconds}s`, evaluations: like ? Math.max(1, lastOf(like)) : evaluations },
        evaluation: { racing: racing ? 'Enabled' : 'Disabled' },
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
    results.say(`search, seed ${seed}, ${name}: ${placed} pipelines in ${result.seconds.toFixed(1)} s${stopped}`);
    return { ...result, trace };
  };
  const turns: Turn[] = [];
  for (let seed = 1; seed <= bench.seeds; seed++) {
    let turn: Turn = {};
    if (parts.has('racing')) turn = { naive: await search('naive', seed, { racing: false }) };
    if (parts.has('racing') || parts.has('workers')) turn = { ...turn, raced: await search('raced', seed, {}) };
    if (parts.has('workers')) turn = { ...turn, alone: await search('one worker', seed, { workers: 1 }) };
    if (parts.has('cache')) {
      const cache = join(folder, `cache-${seed}`);
      const first = await search('filling the cache', seed, { cache });
      turn = { ...turn, first, again: await search('from the cache', seed, { cache, like: first }) };
    }
    turns.push(turn);
    results.add(...rowsOf(turns, sizeOf(bench, data!, turns.length)));
  }
}

function sizeOf({ evaluations, seconds }: SearchBench, { rows, columns }: Data, seeds: number): string {
  return `${rows} × ${columns}, ${evaluations} pipelines or ${seconds} s, median of ${seeds}`;
}

function rowsOf(turns: readonly Turn[], size: string): Row[] {
  const bench = 'evolution';
  const rows: Row[] = [];
  const raced = turns.flatMap(({ naive, raced: ours }) => (naive && ours ? [{ naive, ours }] : []));
  if (raced.length > 0) rows.push(toTheSameScore('racing', size, raced));
  const cached = turns.flatMap(({ naive, again: ours }) => (naive && ours ? [{ naive, ours }] : []));
  if (cached.length > 0)
    rows.push(toTheSameScore('racing, and a cache that an earlier run of the search filled', size, cached));
  const repeated = turns.flatMap(({ first, again }) => (first && again ? [{ first, again }] : []));
  if (repeated.length > 0)
    rows.push(
      row(
        {
          bench,
          case: 'repeated run',
          size,
          metric: 'cache hits',
          unit: 'share',
          better: 'higher',
          ours: median(repeated.map(({ again: { cacheHits } }) => cacheHits.hits / cacheHits.asked)),
          peers: {},
        },
        { absolute: 0.95 },
      ),
      row({
        bench,
        case: 'repeated run',
        size,
        metric: 'time',
        unit: 's',
        better: 'lower',
        ours: median(repeated.map(({ again }) => again.seconds)),
        peers: { 'first run': median(repeated.map(({ first }) => first.seconds)) },
      }),
    );
  const scaled = turns.flatMap(({ raced: two, alone: one }) => (two && one ? [toTheSamePipelines(two, one)] : []));
  if (scaled.length > 0)
    rows.push(
      row(
        {
          bench,
          case: '1 → 2 workers',
          size: `${size}, to pipeline ${scaled.map(({ placed }) => placed).join(', ')}`,
          metric: 'time to the same pipelines',
          unit: 's',
          better: 'lower',
          ours: median(scaled.map(({ two }) => two)),
          peers: { 'one worker': median(scaled.map(({ one }) => one)) },
        },
        { ratio: 1.7 },
      ),
    );
  return rows;
}

/** Both place the same pipelines in the same order; where a clock stopped one, they are compared up to its last. */
function toTheSamePipelines(two: Searched, one: Searched): { placed: number; two: number; one: number } {
  const placed = Math.min(lastOf(two), lastOf(one));
  const reached = ({ trace, seconds }: Searched): number =>
    trace.find((each) => each.placed >= placed)?.seconds ?? seconds;
  return { placed, two: reached(two), one: reached(one) };
}

function lastOf({ trace }: Searched): number {
  return trace.at(-1)?.placed ?? 0;
}

/** Seconds of searching, from the same zero, until each first had the best score of the naive one; a score that was never reached misses the target. */
function toTheSameScore(
  name: string,
  size: string,
  pairs: readonly { readonly naive: Searched; readonly ours: Searched }[],
): Row {
  const times = pairs.map(({ naive: { search: naive }, ours: { search: ours } }) => {
    const goal = naive.curve.at(-1);
    return {
      naive: goal?.seconds ?? Number.NaN,
      ours: goal && ours.curve.find(({ score }) => score >= goal.score - 2e-4)?.seconds,
    };
  });
  const reached = times.flatMap(({ naive, ours }) => (ours === undefined ? [] : [{ naive, ours }]));
  const made = row(
    {
      bench: 'evolution',
      case: name,
      size: `${size}, reached in ${reached.length}`,
      metric: 'time to the score of naive full evaluation',
      unit: 's',
      better: 'lower',
      ours: reached.length === 0 ? Number.NaN : median(reached.map(({ ours }) => ours)),
      peers: { 'naive search': median((reached.length === 0 ? times : reached).map(({ naive }) => naive)) },
    },
    { ratio: 10 },
  );
  return reached.length === times.length ? made : { ...made, met: false };
}
