// What a run found, as the resource's status and the registry hold it.
import type { EvolutionRun } from '@quintet/crds';
import type { Suspect } from '../data/leakage.ts';
import { tableHashOf } from '../data/problem.ts';
import { isFrozen } from '../frozen/model.ts';
import { scoreOf } from '../metrics/metrics.ts';
import { constantType, type Decision, type Deployment, type RunRows } from '../registry/rows.ts';
import { metricsOf, type RunRecord } from '../run/artifacts.ts';
import { packModel } from '../run/model.ts';
import type { RunResult } from '../run/run.ts';
import { mixedPredictions } from '../search/ensemble.ts';
import { frontsOf } from '../search/nsga2.ts';
import { startOf } from '../text.ts';

/** What goes into the resource's status. */
export interface RunSummary {
  readonly step: 'coordinator';
  readonly runId: string;
  readonly generation: number;
  readonly evaluations: {
    readonly done: number;
    readonly cached: number;
    readonly racedOut: number;
    readonly failed: number;
  };
  readonly best: {
    readonly modelId: string;
    readonly learner: string;
    readonly score?: string;
    readonly holdout?: string;
    readonly inferenceTime?: string;
  };
  readonly suspectColumns?: readonly string[];
  /** Judged rows that also teach. */
  readonly duplicateRows?: number;
  /** What answers predictions of this name when the run has ended. */
  readonly deployment?: { readonly champion?: string; readonly challenger?: string; readonly weight?: string };
  /** What the run's model became, where its spec asks for any promotion. */
  readonly promotion?: Decision;
  readonly output?: { readonly uri: string; readonly report: string; readonly bytes: number };
}

/** What versions are counted under. */
export function modelNameOf({ spec, metadata }: EvolutionRun): string {
  return spec.promotion.model ?? metadata.name;
}

export function deploymentOf({ champion, challenger, weight }: Deployment): NonNullable<RunSummary['deployment']> {
  return {
    ...(champion === null ? {} : { champion }),
    ...(challenger === null ? {} : { challenger, weight: `${Math.round(100 * weight)}%` }),
  };
}

function modelIdOf(runId: string): string {
  return `${runId}-m1`;
}

export function summaryOf(runId: string, result: RunResult, output: RunSummary['output']): RunSummary {
  const { search, suspects } = result;
  return {
    step: 'coordinator',
    runId,
    generation: search.generation,
    evaluations: {
      done: search.complete.length,
      cached: search.cached,
      racedOut: search.racedOut,
      failed: search.failed,
    },
    best: {
      modelId: modelIdOf(runId),
      learner: learnerOf(result),
      ...(result.score === undefined ? {} : { score: result.score.toFixed(5) }),
      ...(result.holdout === undefined ? {} : { holdout: result.holdout.toFixed(5) }),
      ...(result.inferenceTime === undefined ? {} : { inferenceTime: `${result.inferenceTime.toPrecision(3)}ms` }),
    },
    ...suspicionOf(suspects),
    ...(output ? { output } : {}),
  };
}

/** As much as fits into a status. */
export function suspicionOf(suspects: readonly Suspect[]): Pick<RunSummary, 'suspectColumns' | 'duplicateRows'> {
  const columns = new Set(suspects.flatMap(({ column }) => (column === undefined ? [] : [startOf(column, 256)])));
  const rows = suspects.reduce((sum, each) => sum + (each.rows ?? 0), 0);
  return {
    ...(columns.size > 0 ? { suspectColumns: [...columns].slice(0, 8) } : {}),
    ...(rows > 0 ? { duplicateRows: rows } : {}),
  };
}

function learnerOf({ ensemble }: RunResult): string {
  const members = ensemble?.members ?? [];
  if (members.length === 0) return constantType;
  return members.length === 1 ? members[0]!.individual.genome.learner : `Ensemble of ${members.length}`;
}

export function rowsOf(resource: EvolutionRun, runId: string, record: RunRecord, summary: RunSummary): RunRows {
  const { problem, result } = record;
  const { search, judging, ensemble, truths } = result;
  const front = new Set(frontsOf(search.complete)[0] ?? []);
  const { bytes, sha256 } = packModel(result.model.stored);
  const overFolds = (metric: 'RocAUC' | 'F1') =>
    !ensemble || problem.task === 'Regression'
      ? null
      : truths.reduce((sum, truth, fold) => sum + scoreOf(metric, truth, mixedPredictions(ensemble.members, fold)), 0) /
        truths.length;
  const bred = search.complete.filter((each) => !isFrozen(each.genome));
  const byGeneration = Map.groupBy(bred, (each) => each.generation);
  return {
    metric: judging.metric,
    result: summary,
    dataset: {
      hash: tableHashOf(problem),
      rows: problem.rows,
      features: problem.features.length,
      target: problem.target,
      task: problem.task,
      classes: problem.classes,
      schema: result.model.stored.features.map(({ name, column, type, kind }) => ({ name, column, type, kind })),
    },
    generations: [...byGeneration].map(([generation, members]) => ({
      generation,
      complete: members.length,
      best: Math.max(...members.map((member) => member.score)),
    })),
    individuals: search.complete.map((each, i) => ({
      index: each.index,
      generation: each.generation,
      island: each.island,
      key: each.key,
      learner: each.genome.learner,
      genes: each.genome.genes,
      parents: each.parents,
      score: each.score,
      foldScores: each.scores,
      cost: each.cost,
      onFront: front.has(i),
    })),
    model: {
      modelId: modelIdOf(runId),
      name: modelNameOf(resource),
      type: learnerOf(result),
      score: result.score ?? null,
      holdout: result.holdout ?? null,
      rocAuc: overFolds('RocAUC'),
      f1Score: overFolds('F1'),
      parameters: metricsOf(record),
      sha256,
      content: bytes,
    },
  };
}
