// What a run has to choose from: the pipelines that its search breeds, and beside them the frozen models of its problem.
import type { Problem } from '../data/problem.ts';
import type { Evaluator, Judging } from '../evaluate/task.ts';
import { frozenMembers, refuseUnfit, withMembers } from '../frozen/members.ts';
import { type SearchOptions, type SearchProgress, type SearchResult, search } from '../search/search.ts';

export interface Found extends SearchResult {
  /** By a clock: whoever repeats the run has to be told where. */
  readonly isCut: boolean;
  /** Without the frozen models. */
  readonly bred: SearchResult;
}

export interface Finding {
  readonly evaluator: Evaluator;
  readonly problem: Problem;
  readonly judging: Judging;
  readonly options: SearchOptions;
  /** Aborts when the clock has struck. */
  readonly stopped: AbortSignal;
  /** Ends everything under way. */
  readonly strike: () => void;
  readonly onProgress: (progress: SearchProgress) => void;
}

/** @throws EvolutionError naming the frozen model that does not fit, or fails: then the search ends too */
export async function find(finding: Finding): Promise<Found> {
  const { evaluator, problem, judging, options, stopped, strike, onProgress } = finding;
  await refuseUnfit(problem);
  const judged = frozenMembers(evaluator, problem, judging, options.cost, options.replay);
  judged.catch(strike);
  const bred = await search(evaluator, options, stopped, onProgress);
  const members = await judged;
  return {
    ...bred,
    bred,
    complete: [...members, ...bred.complete],
    cut: withMembers(bred.cut, problem, members),
    isCut: bred.reason === 'Clock' || members.length < (problem.frozen?.length ?? 0),
  };
}
