// Where a FieldJob stands: read off its Jobs, their pods and what its status already holds.
import { type FieldJob, type FieldJobStatus, parseDuration } from '@quintet/crds';
import { keepingImage } from '../../objects/job.ts';
import { hashOf } from '../../objects/meta.ts';
import { type Job, type Pod, types } from '../../objects/types.ts';
import { annotations, type Observed } from '../../reconcile/kind.ts';
import { type JobBackend, jobBackend } from '../gpu.ts';
import type { EngineSettings } from '../image.ts';
import { finishedAs, isEndOf } from '../jobs/finished.ts';
import { isActive, podsOfJob, runningSince } from '../jobs/pods.ts';
import { queueTrouble } from '../jobs/queue.ts';
import { type Failure, failureOfJob, type JobState, silent, stateOfJob } from '../jobs/state.ts';
import { stepFailure } from '../jobs/termination.ts';
import { type Trouble, troubleOf } from '../pods.ts';
import type { Costs } from './costs.ts';
import { type FinishResult, finishResult, type PlanResult, planResult } from './results.ts';
import {
  finishJob,
  isOfRevision,
  planJob,
  predictionIn,
  type StepName,
  shardsJob,
  shardsName,
  stepNames,
} from './steps.ts';

export interface Step {
  name: StepName;
  /** As it should be, once everything it needs is known. */
  wanted?: Job;
  /** As it is, when it is of this revision. */
  live?: Job;
  /** Pods of that very Job. */
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
  /** Seconds of one pod that the shards take, by what like work has cost. */
  predicted: number | undefined;
  finish: FinishResult | undefined;
  /** Pods of earlier Jobs still write to the output: nothing new may begin beside them. */
  strangers: boolean;
  failure: Failure | undefined;
  /** What the shards run on. */
  gpu: JobBackend;
  /** Why pods that should run do not. */
  trouble: Trouble | undefined;
}

export function readRun(resource: FieldJob, observed: Observed, settings: EngineSettings, known?: Costs): Run {
  const revision = revisionOf(resource);
  const status = resource.status?.revision === revision || isEndOf(resource) ? resource.status : undefined;
  const pods = observed.list<Pod>(types.pod);

  const planStep = readStep('plan', planJob(resource, revision, settings), observed, pods);
  const solved = planStep.state === 'Complete' ? planResult(planStep.pods) : undefined;
  const plan = solved ?? status?.plan;
  const gpu = shardsBackend(resource, observed, pods, status);
  const predicted =
    plan && predictionOf(resource, revision, observed, { points: plan.points, method: solved?.method }, known);
  const wanted = plan && shardsJob(resource, revision, settings, { shards: plan.shards, predicted }, gpu.backend);
  const shards = readStep('shards', wanted, observed, pods);
  const computed = shards.state === 'Complete';
  const finishStep = readStep('finish', computed ? finishJob(resource, revision, settings) : undefined, observed, pods);
  const steps = { plan: planStep, shards, finish: finishStep };
  const ours = new Set(stepNames.flatMap((name) => steps[name].pods));

  const startTime = startOf(resource, steps, status);
  const deadline = deadlineOf(resource, startTime);
  const run: Run = {
    revision,
    finished: finishedAs(resource, revision, deadline, observed.now),
    startTime,
    deadline,
    steps,
    plan,
    solved,
    predicted,
    finish: finishStep.state === 'Complete' ? finishResult(finishStep.pods) : undefined,
    strangers: pods.some((pod) => isActive(pod) && !ours.has(pod)),
    failure: undefined,
    gpu,
    trouble:
      troubleOf([...ours].filter(isActive), observed.now, {
        spec: resource.spec,
        failedMount: (pod) => observed.failedMount?.(pod),
      }) ??
      queueTrouble(
        stepNames.map((name) => steps[name].live),
        resource.spec.scheduling.queueName,
        observed,
      ),
  };
  run.failure = failureOf(run, observed.now);
  return run;
}

/** What was predicted when the Job was made stays with it: its pods do not come and go as the controller learns, or starts anew. */
function predictionOf(
  resource: FieldJob,
  revision: string,
  observed: Observed,
  work: Parameters<Costs['predict']>[1],
  known: Costs | undefined,
): number | undefined {
  const live = observed.get<Job>(types.job, shardsName(resource.metadata.name));
  return live && isOfRevision(live, revision) ? predictionIn(live) : known?.predict(resource, work);
}

/** A run that was suspended asks for a GPU again. */
function shardsBackend(
  { metadata, spec }: FieldJob,
  observed: Observed,
  pods: readonly Pod[],
  status: FieldJobStatus | undefined,
): JobBackend {
  const live = observed.get<Job>(types.job, shardsName(metadata.name));
  const at = spec.suspend ? undefined : status?.gpu?.fellBackAt;
  return jobBackend(spec.gpu, podsOfJob(live, pods), at === undefined ? undefined : new Date(at), observed.now);
}

const revisions = new WeakMap<FieldJob['spec'], string>();

/** Everything in the spec but what may change while it runs, or after, without touching the result. */
function revisionOf({ spec }: FieldJob): string {
  const before = revisions.get(spec);
  if (before !== undefined) return before;
  const { suspend: _s, ttlAfterFinished: _t, activeDeadline: _d, retriesPerShard: _r, ...work } = spec;
  const revision = hashOf({ ...work, shards: { ...work.shards, parallelism: undefined } });
  revisions.set(spec, revision);
  return revision;
}

function readStep(name: StepName, wanted: Job | undefined, observed: Observed, pods: readonly Pod[]): Step {
  if (!wanted) return { name, pods: [], state: 'Waiting' };
  const found = observed.get<Job>(types.job, wanted.metadata.name);
  const current =
    found?.metadata.annotations?.[annotations.revision] === wanted.metadata.annotations?.[annotations.revision];
  if (!found || !current || found.metadata.deletionTimestamp) return { name, wanted, pods: [], state: 'Waiting' };
  const state = stateOfJob(found);
  return { name, wanted: keepingImage(wanted, found), live: found, pods: podsOfJob(found, pods), state };
}

/** A suspended run holds no start: the step that goes on brings the new one. */
function startOf({ spec }: FieldJob, steps: Run['steps'], status: FieldJobStatus | undefined): Date | undefined {
  if (spec.suspend) return undefined;
  const time =
    status?.startTime ?? stepNames.map((name) => runningSince(steps[name].live)).find((each) => each !== undefined);
  return time === undefined ? undefined : new Date(time);
}

function deadlineOf({ spec }: FieldJob, start: Date | undefined): Date | undefined {
  if (!start || spec.activeDeadline === undefined) return undefined;
  return new Date(start.getTime() + parseDuration(spec.activeDeadline) * 1000);
}

function failureOf(run: Run, now: Date): Failure | undefined {
  if (run.deadline && now >= run.deadline && run.steps.finish.state !== 'Complete') {
    const message = `not finished at ${run.deadline.toISOString()}; raise spec.activeDeadline`;
    return { reason: 'DeadlineExceeded', message, retry: false, failedAt: run.deadline };
  }
  const { plan, finish } = run.steps;
  const lost = outputLost(run.steps, now);
  if (lost) return lost;
  const failed = stepNames.map((name) => run.steps[name]).find(({ state }) => state === 'Failed');
  if (failed?.live) return failureOfJob(failed.live, failed.pods, now);
  if (plan.live && spokeInVain(plan) && !run.plan) return silent(plan.live, now);
  if (finish.live && spokeInVain(finish) && !run.finish) return silent(finish.live, now);
  return undefined;
}

/** What a later step says that does not find the plan, though one was made: the volume is another, or was emptied. */
function outputLost({ shards, finish }: Run['steps'], now: Date): Failure | undefined {
  const said = [finish, shards].map(({ pods }) => stepFailure(pods)).find((each) => each?.reason === 'PlanMissing');
  if (!said) return undefined;
  const message = `the output volume was replaced or emptied (${said.message})`;
  return { reason: 'OutputReplaced', message, retry: true, startsOver: true, failedAt: said.at ?? now };
}

/** Complete, and every pod is there and has ended: what they said is all that will be said. */
function spokeInVain({ state, pods }: Step): boolean {
  return state === 'Complete' && pods.length > 0 && !pods.some(isActive);
}

/** Complete, and the pods that could have told are gone: only running it again tells. */
export function isLost({ state, pods }: Step): boolean {
  return state === 'Complete' && pods.length === 0;
}
