// Where an EvolutionRun stands: read off its coordinator, its workers and what its status already holds.
import { type EvolutionRun, type EvolutionRunStatus, parseDuration } from '@quintet/crds';
import { z } from 'zod';
import type { Deployment } from '../../objects/deployment.ts';
import { refusedExitCode } from '../../objects/job.ts';
import { type Job, type Pod, types } from '../../objects/types.ts';
import { annotations, type Observed } from '../../reconcile/kind.ts';
import type { EngineSettings } from '../image.ts';
import { finishedAs, isEndOf } from '../jobs/finished.ts';
import { isActive, podsOfJob, runningSince } from '../jobs/pods.ts';
import { queueTrouble } from '../jobs/queue.ts';
import { type Failure, failureOfJob, type JobState, stateOfJob } from '../jobs/state.ts';
import { firstSuccess, type StepFailure, stepFailure } from '../jobs/termination.ts';
import { type Trouble, troubleOf } from '../pods.ts';
import { mainName, workersName } from './names.ts';
import { attemptOf, coordinatorJob, labelOfAttempt, revisionOf } from './objects.ts';
import type { Promoted } from './predictions.ts';
import type { Coordinators, Progress } from './progress.ts';
import type { Meter, Usage } from './usage.ts';

export type EvolutionSettings = EngineSettings & { readonly coordinators: Coordinators; readonly meter: Meter };

const count = z.number().int().min(0);

/** What the coordinator says when it ends well. */
const outcome = z.object({
  step: z.literal('coordinator'),
  runId: z.string().optional(),
  generation: count.optional(),
  evaluations: z.object({ done: count, cached: count, racedOut: count, failed: count }).partial().optional(),
  best: z
    .object({
      modelId: z.string(),
      learner: z.string(),
      score: z.string(),
      holdout: z.string(),
      inferenceTime: z.string(),
    })
    .partial()
    .optional(),
  suspectColumns: z.array(z.string()).max(32).optional(),
  duplicateRows: count.optional(),
  deployment: z.object({ champion: z.string(), challenger: z.string(), weight: z.string() }).partial().optional(),
  promotion: z
    .object({ role: z.enum(['None', 'Champion', 'Challenger']), why: z.string().max(512).optional() })
    .optional(),
  output: z.object({ uri: z.string(), report: z.string(), bytes: count }).partial().optional(),
});
export type Outcome = z.infer<typeof outcome>;

export interface State {
  revision: string;
  /** What failed is tried again when any of this has changed: more memory may mend it, or another Secret. What succeeded is not. */
  attempt: string;
  /** What the status says of this revision; undefined when it is of another. */
  told: EvolutionRunStatus | undefined;
  /** This revision, or this attempt at it, has ended, as its status says; its Jobs may be gone. */
  finished: 'Succeeded' | 'Failed' | undefined;
  coordinator: JobState;
  live: Job | undefined;
  /** The coordinator of another attempt, which has ended. */
  past: Job | undefined;
  workers: Workers;
  outcome: Outcome | undefined;
  /** What the coordinator says while it searches. */
  progress: Progress | undefined;
  /** A pod of the coordinator has not reported its end yet. */
  speaking: boolean;
  failure: Failure | undefined;
  /** What the last coordinator ended with, while no other has got further yet. */
  stumble: StepFailure | undefined;
  trouble: Trouble | undefined;
  startTime: Date | undefined;
  deadline: Date | undefined;
  usage: Usage | undefined;
}

interface Workers {
  /** None before the coordinator has been admitted and started, and none while suspended. */
  wanted: number;
  ready: number;
}

export function readState(resource: EvolutionRun, observed: Observed, settings: EvolutionSettings): State {
  const revision = revisionOf(resource);
  const attempt = attemptOf(resource);
  const told = toldOf(resource, [revision, attempt]);
  const wanted = coordinatorJob(resource, settings);
  const found = observed.get<Job>(types.job, mainName(resource));
  const current =
    found?.metadata.annotations?.[annotations.revision] === wanted.metadata.annotations?.[annotations.revision];
  const present = found?.metadata.deletionTimestamp ? undefined : found;
  const live = current ? present : undefined;
  const past = !current && present && stateOfJob(present) !== 'Active' ? present : undefined;
  const pods = observed.list<Pod>(types.pod);
  const coordinators = podsOfJob(live, pods);
  const coordinator = live ? stateOfJob(live) : 'Waiting';
  const startTime = startOf(resource, told?.startTime ?? runningSince(live));
  const deadline = deadlineOf(resource, startTime);
  const ofAttempt = pods.filter((pod) => pod.metadata.labels?.[labelOfAttempt] === attempt);
  const progress =
    coordinator === 'Active'
      ? coordinators.map((pod) => settings.coordinators.progress(pod, observed.now)).find((said) => said !== undefined)
      : undefined;
  const workers = workersOf(resource, observed, live, progress);
  return {
    revision,
    attempt,
    told,
    finished: finishedAs(resource, resource.status?.phase === 'Failed' ? attempt : revision, deadline, observed.now),
    coordinator,
    live,
    past,
    workers,
    outcome: coordinator === 'Complete' ? firstSuccess(coordinators, outcome) : undefined,
    progress,
    speaking: coordinators.some(isActive),
    failure: failureOf(live, coordinator, coordinators, deadline, observed.now),
    stumble: live && coordinator === 'Active' ? stumbleOf(live, coordinators, progress, observed.now) : undefined,
    trouble:
      troubleOf(ofAttempt.filter(isActive), observed.now, {
        spec: resource.spec,
        failedMount: (pod) => observed.failedMount?.(pod),
      }) ?? queueTrouble([live], resource.spec.scheduling.queueName, observed),
    startTime,
    deadline,
    usage: settings.meter(
      resource,
      pods.filter((pod) => isOf('coordinator', pod) || isOf('worker', pod)),
      observed.now,
    ),
  };
}

/** What answers predictions: as the coordinator says it, or the status keeps it. */
export function promotedOf({ status }: EvolutionRun, state: Pick<State, 'outcome'>): Promoted | undefined {
  return state.outcome?.deployment ?? status?.deployment;
}

/** Its status, where that is of one of these revisions. */
function toldOf(resource: EvolutionRun, marks: readonly string[]): EvolutionRunStatus | undefined {
  return marks.includes(resource.status?.revision ?? '') || isEndOf(resource) ? resource.status : undefined;
}

/** Milliseconds after which a coordinator whose page nobody has heard is taken to search. */
const getsGoing = 30_000;

/** Nothing where the Job will not try again: then it is about to say so itself. */
function stumbleOf(job: Job, pods: readonly Pod[], progress: Progress | undefined, now: Date): StepFailure | undefined {
  // Before it searches its page is there and has nothing to say.
  if (progress?.generation !== undefined || progress?.evaluations !== undefined) return undefined;
  if (!progress && pods.some((pod) => isActive(pod) && now.getTime() - runsSince(pod) > getsGoing)) return undefined;
  const failed = pods.filter(({ status }) => status?.phase === 'Failed').length;
  const said = failed > Number(job.spec['backoffLimit'] ?? 0) ? undefined : stepFailure(pods);
  return said?.exitCode === refusedExitCode ? undefined : said;
}

function runsSince({ status }: Pod): number {
  const startedAt = status?.containerStatuses?.[0]?.state?.running?.startedAt;
  return startedAt === undefined ? Number.POSITIVE_INFINITY : Date.parse(startedAt);
}

export function isOf(component: 'coordinator' | 'worker', { metadata }: Pod): boolean {
  return metadata.labels?.['app.kubernetes.io/component'] === component;
}

function workersOf(
  resource: EvolutionRun,
  observed: Observed,
  live: Job | undefined,
  progress: Progress | undefined,
): Workers {
  const { suspend } = resource.spec;
  const main = observed.get<Deployment>(types.deployment, workersName(resource));
  const present = main?.spec.replicas ?? 0;
  const ready = main?.status?.readyReplicas ?? 0;
  if (suspend || !live || live.spec.suspend) return { wanted: 0, ready };
  // Between two coordinators the workers stay: what they have in work is not lost, nor is the data fetched again.
  if (!live.status?.active) return { wanted: stateOfJob(live) === 'Active' ? present : 0, ready };
  return { wanted: workersFor(resource, progress, present), ready };
}

/** One for each task that waits or is under way, between the bounds; some go only when less than half have work: tasks come in waves. */
function workersFor({ spec: { workers } }: EvolutionRun, progress: Progress | undefined, present: number): number {
  const within = (wanted: number): number => Math.min(workers.max, Math.max(workers.min, wanted));
  const queued = progress?.evaluations?.queued;
  if (queued === undefined) return within(present);
  return within(queued >= present || queued < present / 2 ? queued : present);
}

/** A suspended run holds no start: going on brings a new one. */
function startOf({ spec }: EvolutionRun, time: string | undefined): Date | undefined {
  return time === undefined || spec.suspend ? undefined : new Date(time);
}

function deadlineOf({ spec }: EvolutionRun, start: Date | undefined): Date | undefined {
  if (!start || !spec.activeDeadline) return undefined;
  return new Date(start.getTime() + parseDuration(spec.activeDeadline) * 1000);
}

function failureOf(
  live: Job | undefined,
  state: JobState,
  pods: readonly Pod[],
  deadline: Date | undefined,
  now: Date,
): Failure | undefined {
  if (deadline && now >= deadline && state !== 'Complete') {
    const message = `not finished at ${deadline.toISOString()}; raise spec.activeDeadline`;
    return { reason: 'DeadlineExceeded', message, retry: false, failedAt: deadline };
  }
  return live && state === 'Failed' ? failureOfJob(live, pods, now) : undefined;
}
