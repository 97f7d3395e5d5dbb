// Where a FieldJob stands: read off its Jobs, their pods and what its status already holds.

import { type FieldJob, type FieldJobStatus, parseDuration } from '@quintet/crds';
import { hashOf } from '../../objects/meta.ts';
import { type Job, type Pod, types } from '../../objects/types.ts';
import { annotations, type Observed } from '../../reconcile/kind.ts';
import type { EngineSettings } from '../image.ts';
import { type Failure, failureOfJob, type JobState, stateOfJob } from '../jobs/state.ts';
import { type Trouble, troubleOf } from '../pods.ts';
import { type FinishResult, finishResult, type PlanResult, planResult } from './results.ts';
import { finishJob, labelOfRevision, planJob, type StepName, shardsJob, stepNames } from './steps.ts';

export interface Step {
  name: StepName;
  /** As it should be, once everything it needs is known. */
  wanted?: Job;
  /** As it is, when it is of this revision. */
  live?: Job;
  pods: readonly Pod[];
  state: JobState;
}

export interface Run {
  /** Hash of everything that determines the result and how it is computed. */
  revision: string;
  /** This revision has ended, as its status says; its Jobs may be gone. */
  finished: 'Succeeded' | 'Failed' | undefined;
  startTime: Date | undefined;
  deadline: Date | undefined;
  steps: Record<StepName, Step>;
  /** Size of the work, once the first step has said it. */
  plan: NonNullable<FieldJobStatus['plan']> | undefined;
  /** What the first step said, while its pod is there. */
  solved: PlanResult | undefined;
  finish: FinishResult | undefined;
  failure: Failure | undefined;
  /** Why pods that should run do not. */
  trouble: Trouble | undefined;
}

export function readRun(resource: FieldJob, observed: Observed, settings: EngineSettings): Run {
  const revision = revisionOf(resource);
  const status = resource.status?.revision === revision ? resource.status : undefined;
  const pods = observed.list<Pod>(types.pod).filter(({ metadata }) => metadata.labels?.[labelOfRevision] === revision);

  const planStep = readStep('plan', planJob(resource, revision, settings), observed, pods);
  const solved = planResult(planStep.pods);
  const plan = solved ?? status?.plan;
  const shards = readStep('shards', plan && shardsJob(resource, revision, settings, plan.shards), observed, pods);
  const computed = shards.state === 'Complete';
  const finishStep = readStep('finish', computed ? finishJob(resource, revision, settings) : undefined, observed, pods);
  const steps = { plan: planStep, shards, finish: finishStep };

  // A suspended run holds no start: the step that is resumed brings the new one.
  const begun = stepNames.map((name) => steps[name].live?.status?.startTime).findLast((time) => time !== undefined);
  const startTime = resource.spec.suspend ? undefined : dateOf(status?.startTime ?? begun);
  const limit = resource.spec.activeDeadline === undefined ? undefined : parseDuration(resource.spec.activeDeadline);
  const deadline = startTime && limit !== undefined ? new Date(startTime.getTime() + limit * 1000) : undefined;
  const finished = status?.phase === 'Succeeded' || status?.phase === 'Failed' ? status.phase : undefined;
  const run: Run = {
    revision,
    finished,
    startTime,
    deadline,
    steps,
    plan,
    solved,
    finish: finishResult(finishStep.pods),
    failure: undefined,
    trouble: troubleOf(
      pods.filter(({ status: podStatus }) => podStatus?.phase === 'Pending' || podStatus?.phase === 'Running'),
    ),
  };
  run.failure = failureOf(run, observed.now);
  return run;
}

/** Everything in the spec but what may change while it runs, or after, without touching the result. */
function revisionOf({ spec }: FieldJob): string {
  const { suspend: _s, ttlAfterFinished: _t, activeDeadline: _d, retriesPerShard: _r, ...work } = spec;
  return hashOf({ ...work, shards: { ...work.shards, parallelism: undefined } });
}

function readStep(name: StepName, wanted: Job | undefined, observed: Observed, allPods: readonly Pod[]): Step {
  const pods = allPods.filter(({ metadata }) => metadata.labels?.['app.kubernetes.io/component'] === name);
  if (!wanted) return { name, pods, state: 'Waiting' };
  const found = observed.get<Job>(types.job, wanted.metadata.name);
  const current =
    found?.metadata.annotations?.[annotations.revision] === wanted.metadata.annotations?.[annotations.revision];
  if (!found || !current || found.metadata.deletionTimestamp) return { name, wanted, pods, state: 'Waiting' };
  return { name, wanted, live: found, pods, state: stateOfJob(found) };
}

function failureOf(run: Run, now: Date): Failure | undefined {
  if (run.deadline && now >= run.deadline && run.steps.finish.state !== 'Complete') {
    return {
      reason: 'DeadlineExceeded',
      message: `not finished at ${run.deadline.toISOString()}; raise spec.activeDeadline, spec.shards.parallelism.max or spec.tolerance`,
      retry: false,
      failedAt: run.deadline,
    };
  }
  const failed = stepNames.map((name) => run.steps[name]).find(({ state }) => state === 'Failed');
  return failed?.live && failureOfJob(failed.live, failed.pods, now);
}

function dateOf(text: string | undefined): Date | undefined {
  return text === undefined ? undefined : new Date(text);
}
