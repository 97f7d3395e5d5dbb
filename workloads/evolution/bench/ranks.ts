// Rows that compare answers on paired splits: means of a set, ranks over all, and the budget that is level with FLAML's.
import { median, type Row, row } from '@quintet/runtime/bench';
import type { Data } from './data.ts';

export interface Answer {
  /** Higher is better; a peer that had none in its time has no score. */
  readonly score?: number;
  readonly seconds: number;
  /** Seconds after which the model was found that was best in the end; of peers that tell. */
  readonly found?: number;
  /** Why there is no score. */
  readonly why?: string;
}

export interface Competition {
  readonly seconds: number;
  readonly splits: number;
  readonly peers: readonly string[];
}

type Split = Readonly<Record<string, Answer>>;

/** The means of one set so far, and how we stand to FLAML where at least two pairs say how sure that is. */
export function setRow(bench: Competition, { name, task, rows, columns }: Data, splits: readonly Split[]): Row {
  const metric = task === 'Binary' ? 'ROC AUC' : task === 'Multiclass' ? 'log loss' : 'R²';
  const sign = task === 'Multiclass' ? -1 : 1;
  const meanOf = (who: string): number => sign * mean(scoresOf(splits, who));
  const answering = bench.peers.filter((who) => scoresOf(splits, who).length > 0);
  const made = row({
    bench: 'evolution',
    case: name,
    size: [`${rows} × ${columns}`, `${bench.seconds} s`, `${splits.length} of ${bench.splits} splits`]
      .concat(['ours', ...bench.peers].flatMap((who) => remarks(who, bench.seconds, splits)))
      .join(', '),
    metric,
    unit: 'mean on unseen rows',
    better: sign > 0 ? 'higher' : 'lower',
    ours: meanOf('ours'),
    peers: Object.fromEntries(answering.map((who) => [who, meanOf(who)])),
  });
  const differences = splits.flatMap(({ ours, flaml }) =>
    ours?.score === undefined || flaml?.score === undefined ? [] : [ours.score - flaml.score],
  );
  // No answer of ours is worse than any of FLAML's.
  if (splits.some(({ ours, flaml }) => ours?.score === undefined && flaml?.score !== undefined))
    return { ...made, target: 'an answer wherever FLAML has one', met: false };
  if (differences.length < 2) return made;
  const average = mean(differences);
  const variance = differences.reduce((sum, each) => sum + (each - average) ** 2, 0) / (differences.length - 1);
  const error = Math.sqrt(variance / differences.length);
  return {
    ...made,
    target: `within one standard error (${error.toPrecision(2)}) of FLAML`,
    met: average >= -error,
  };
}

/** Over all splits so far; without an answer one is last. */
export function rankRow({ peers, seconds }: Competition, splits: readonly Split[]): Row {
  const scoreOf = (split: Split, who: string): number => split[who]?.score ?? Number.NEGATIVE_INFINITY;
  const rank = (split: Split, who: string): number =>
    1 + ['ours', ...peers].filter((other) => scoreOf(split, other) > scoreOf(split, who) + 1e-6).length;
  const meanRank = (who: string): number => mean(splits.map((split) => rank(split, who)));
  return row(
    {
      bench: 'evolution',
      case: 'all sets',
      size: `${splits.length} paired splits, ${seconds} s`,
      metric: 'mean rank',
      unit: '1 is best',
      better: 'lower',
      ours: meanRank('ours'),
      peers: Object.fromEntries(peers.map((who) => [who, meanRank(who)])),
    },
    { ratio: 1 },
  );
}

/** `ours` is the smallest budget level with FLAML's whole one, infinite where none is; `found` the seconds after which FLAML had found its model. */
export interface Level {
  readonly ours: number;
  readonly found: number;
}

/** Our budget beside FLAML's, and beside the part of it that FLAML needed; the latter leaves out that FLAML's user cannot know it. */
export function timeRows({ seconds }: Competition, levels: readonly Level[]): Row[] {
  const level = median(levels.map(({ ours }) => ours));
  // A score that was not reached has no time: the table shows the whole budget, and the target is missed.
  const ours = Number.isFinite(level) ? level : seconds;
  const size = `first split of ${levels.length}, level in ${levels.filter((each) => Number.isFinite(each.ours)).length}`;
  const beside = (metric: string, flaml: number): Row => ({
    ...row(
      {
        bench: 'evolution',
        case: 'all sets',
        size,
        metric,
        unit: 's, median',
        better: 'lower',
        ours,
        peers: { flaml },
      },
      { ratio: 1 },
    ),
    met: level <= flaml,
  });
  return [
    beside("smallest budget level with FLAML's whole one", seconds),
    beside("the same, beside FLAML's time to find its model", median(levels.map(({ found }) => found))),
  ];
}

/** Splits without an answer, and why the last had none; the longest time where it overran. */
function remarks(who: string, seconds: number, splits: readonly Split[]): string[] {
  const answers = splits.flatMap((split) => (split[who] ? [split[who]] : []));
  const silent = answers.filter(({ score }) => score === undefined);
  const longest = Math.max(...answers.flatMap((each) => (each.score === undefined ? [] : [each.seconds])));
  return [
    ...(silent.length > 0 ? [`${who} no answer in ${silent.length}: ${silent.at(-1)?.why}`] : []),
    ...(longest > 1.1 * seconds ? [`${who} up to ${longest.toFixed(1)} s`] : []),
  ];
}

function scoresOf(splits: readonly Split[], who: string): number[] {
  return splits.flatMap((split) => (split[who]?.score === undefined ? [] : [split[who].score]));
}

/** NaN without values. */
function mean(values: readonly number[]): number {
  return values.reduce((sum, each) => sum + each, 0) / values.length;
}
