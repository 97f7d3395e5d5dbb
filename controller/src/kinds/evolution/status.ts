// What an EvolutionRun reports: ordered decisions on its conditions, then what its coordinator found.
import type { EvolutionRun, EvolutionRunStatus } from '@quintet/crds';
import { defined } from '../../objects/pod.ts';
import type { ConditionDecision, Observed, StatusDecision } from '../../reconcile/kind.ts';
import { described } from '../jobs/state.ts';
import {
  condition,
  good,
  hindrance,
  remembered,
  resting,
  stalled,
  troubled,
  type Verdict,
  wholeSeconds,
  working,
} from '../verdict.ts';
import { deploymentStatus, predictionsConditions } from './predictions.ts';
import { timeLeft } from './progress.ts';
import { type EvolutionSettings, promotedOf, readState, type State } from './state.ts';

/** The first that answers decides. */
const decisions: readonly ((resource: EvolutionRun, state: State) => Verdict | undefined)[] = [
  ended, // an ended run stays ended until its spec changes
  succeeded, // the coordinator is complete and has spoken
  failed, // a person must act
  suspended,
  retrying, // failed for a reason that may pass
  hindered, // pods exist and do not get on
  stumbled, // the Job starts the coordinator again
  searching,
];

export function status(resource: EvolutionRun, observed: Observed, settings: EvolutionSettings): StatusDecision {
  const state = readState(resource, observed, settings);
  for (const decide of decisions) {
    const verdict = decide(resource, state);
    if (!verdict) continue;
    const conditions = [
      ...verdict.conditions,
      ...suspectConditions(state),
      ...promotionConditions(state),
      ...predictionsConditions(resource, promotedOf(resource, state), observed),
    ];
    return { conditions, fields: fields(resource, state, verdict, observed.now) };
  }
  throw new TypeError('the last decision answers always');
}

function ended(resource: EvolutionRun, { finished }: State): Verdict | undefined {
  return finished && remembered(finished, resource.status?.conditions);
}

function succeeded(_resource: EvolutionRun, { coordinator, outcome, speaking }: State): Verdict | undefined {
  if (coordinator !== 'Complete' || (!outcome && speaking)) return undefined;
  const best = outcome?.best;
  const message = best?.score ? `best is ${best.learner ?? 'a model'} with ${best.score}` : 'the search has ended';
  return good('Succeeded', 'Succeeded', message);
}

function failed(_resource: EvolutionRun, { failure }: State): Verdict | undefined {
  return failure && !failure.retry ? stalled(failure.reason, failure.message) : undefined;
}

function suspended({ spec }: EvolutionRun): Verdict | undefined {
  return spec.suspend ? resting('set spec.suspend to false to go on from the last generation') : undefined;
}

function retrying(_resource: EvolutionRun, { failure }: State): Verdict | undefined {
  return failure && troubled('Progressing', failure.reason, `${failure.message}; it is tried again`);
}

function hindered(_resource: EvolutionRun, { trouble, live }: State): Verdict | undefined {
  return trouble && hindrance(live?.status?.ready ? 'Progressing' : 'Pending', trouble);
}

function stumbled(_resource: EvolutionRun, { stumble }: State): Verdict | undefined {
  return stumble && troubled('Progressing', stumble.reason, `${described(stumble)}; it is tried again`);
}

function searching(_resource: EvolutionRun, { live, workers: { ready } }: State): Verdict {
  if (!live?.status?.active) return working('Pending', 'Pending', 'waiting for the coordinator');
  return working('Progressing', 'Searching', `the search runs, ${ready} workers evaluate`);
}

function fields(resource: EvolutionRun, state: State, verdict: Verdict, now: Date): Record<string, unknown> {
  if (state.finished) return { ...whatIsStored(resource.status, markOf(state, state.finished)), ...usageOf(state) };
  const old = state.told;
  const over = verdict.phase === 'Succeeded' || verdict.phase === 'Failed';
  const { step: _step, ...found } = state.outcome ?? { step: 'coordinator' };
  const searches = verdict.phase === 'Progressing' ? soFar(state) : {};
  return defined({
    ...carried(old),
    ...searches,
    ...found,
    phase: verdict.phase,
    message: verdict.conditions.find(({ type }) => type === 'Ready')?.message,
    revision: markOf(state, verdict.phase),
    startTime: wholeSeconds(state.startTime),
    completionTime: over ? (old?.completionTime ?? wholeSeconds(now)) : undefined,
    workers: over ? 0 : state.workers.ready,
    // What answers predictions goes on while another search runs.
    deployment: deploymentStatus(resource, promotedOf(resource, state)),
    ...usageOf(state),
  });
}

/** What must change for the run to begin again. */
function markOf({ revision, attempt }: State, phase: string): string {
  return phase === 'Failed' ? attempt : revision;
}

/** Of all searches of this resource, whatever their spec was. */
function usageOf({ usage }: State): Record<string, unknown> {
  return usage ? { usage } : {};
}

/** What the coordinator says of a search that goes on. */
function soFar({ progress }: State): Record<string, unknown> {
  if (!progress) return {};
  const { secondsLeft, percent, ...rest } = progress;
  return defined({
    ...defined(rest),
    eta: secondsLeft === undefined ? undefined : timeLeft(secondsLeft),
    progress: percent === undefined ? undefined : { percent },
  });
}

/** What the audit found: with `leakage: Warn` the run goes on, and this is what there is to read. */
function suspectConditions({ outcome, progress, told, finished }: State): ConditionDecision[] {
  const columns = outcome?.suspectColumns ?? progress?.suspectColumns ?? told?.suspectColumns ?? [];
  const rows = outcome?.duplicateRows ?? progress?.duplicateRows ?? told?.duplicateRows ?? 0;
  const found = [
    ...(columns.length > 0 ? [columns.slice(0, 5).join(', ')] : []),
    ...(rows > 0 ? [`${rows} judged rows also teach`] : []),
  ];
  if (found.length === 0) return [];
  const where = `see the report${finished ? '' : ' when the run has ended'}`;
  return [condition('DataSuspect', 'True', 'LeakageFound', `${found.join('; ')}: ${where}`)];
}

/** What the run's model became; a model that is not better than the active one is no trouble. */
function promotionConditions({ outcome, told }: State): ConditionDecision[] {
  const promotion = outcome?.promotion ?? told?.promotion;
  if (!promotion) return [];
  const { role, why } = promotion;
  if (role === 'None') return [condition('Promoted', 'False', 'NotPromoted', why ?? 'the active model stays')];
  return [condition('Promoted', 'True', role, why ?? `the model of this run is the ${role.toLowerCase()} of its name`)];
}

/** An ended run reports what it reported: its Jobs and pods may be gone. */
function whatIsStored(stored: EvolutionRunStatus | undefined, revision: string): Record<string, unknown> {
  const { conditions: _c, observedGeneration: _g, ...rest } = stored ?? {};
  return { ...rest, revision };
}

/** What the coordinator said before, and whose pod may be gone. */
function carried(old: EvolutionRunStatus | undefined): Record<string, unknown> {
  const { runId, generation, evaluations, best, suspectColumns, duplicateRows, promotion, output } = old ?? {};
  return { runId, generation, evaluations, best, suspectColumns, duplicateRows, promotion, output };
}
