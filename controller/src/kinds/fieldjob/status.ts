// What a FieldJob reports: ordered decisions on its conditions, then small bounded figures.

import type { FieldJob, FieldJobStatus } from '@quintet/crds';
import { defined } from '../../objects/pod.ts';
import type { ConditionDecision, Observed, StatusDecision } from '../../reconcile/kind.ts';
import { gpuCondition } from '../gpu.ts';
import type { EngineSettings } from '../image.ts';
import { runningSince } from '../jobs/pods.ts';
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
import type { Cost, Costs } from './costs.ts';
import { type Run, readRun } from './run.ts';
import { outputUri } from './steps.ts';

type Stage = 'Pending' | 'Planning' | 'Running' | 'Finishing';

/** The first that answers decides. */
const decisions: readonly ((resource: FieldJob, run: Run) => Verdict | undefined)[] = [
  ended, // an ended run stays ended until its spec changes, suspended or not
  succeeded, // the last step is complete and has spoken
  failed, // a person must act
  suspended,
  retrying, // failed for a reason that may pass
  hindered, // pods exist and do not get on
  progressing,
];

export function status(
  resource: FieldJob,
  observed: Observed,
  settings: EngineSettings,
  known?: Costs,
): StatusDecision {
  const run = readRun(resource, observed, settings, known);
  const cost = costOf(resource, run);
  if (cost) known?.learn(resource, run.revision, cost);
  for (const decide of decisions) {
    const verdict = decide(resource, run);
    if (!verdict) continue;
    const conditions = [...verdict.conditions, ...gpuConditions(resource, run, verdict)];
    return { conditions, fields: fields(resource, run, verdict, observed.now) };
  }
  throw new TypeError('the last decision answers always');
}

function ended(resource: FieldJob, { finished }: Run): Verdict | undefined {
  return finished && remembered(finished, resource.status?.conditions);
}

function succeeded(resource: FieldJob, run: Run): Verdict | undefined {
  if (!run.finish) return undefined;
  const { throughput, output } = run.finish;
  const speed = `${run.plan?.points ?? 0} points at ${Math.round(throughput.pointsPerSecond)} points/s on ${throughput.backend}`;
  const message = [speed, ...comparison(resource, run), `see ${output.summary} in the output`].join('; ');
  return good('Succeeded', 'Succeeded', message);
}

/** How far off the prediction was. */
function comparison(resource: FieldJob, run: Run): string[] {
  const cost = costOf(resource, run);
  if (!cost || run.predicted === undefined) return [];
  const off = Math.round(100 * (run.predicted / cost.podSeconds - 1));
  const seconds = (value: number): string => value.toPrecision(2);
  return [
    `${seconds(cost.podSeconds)} s of a pod, where ${seconds(run.predicted)} s were predicted (${off >= 0 ? '+' : ''}${off} %)`,
  ];
}

/** What the shards took, where their Job is there to tell how many pods there were at once. */
function costOf({ status: stored }: FieldJob, run: Run): Cost | undefined {
  const pods = run.steps.shards.live?.spec.parallelism;
  const throughput = run.finish?.throughput ?? (run.finished === 'Succeeded' ? stored?.throughput : undefined);
  const { pointsPerSecond, method } = throughput ?? {};
  if (!pods || !pointsPerSecond || !run.plan) return undefined;
  return { points: run.plan.points, podSeconds: (pods * run.plan.points) / pointsPerSecond, method };
}

function failed(_resource: FieldJob, { failure }: Run): Verdict | undefined {
  return failure && !failure.retry ? stalled(failure.reason, failure.message) : undefined;
}

function suspended({ spec }: FieldJob): Verdict | undefined {
  return spec.suspend ? resting('set spec.suspend to false to go on; finished chunks are kept') : undefined;
}

function retrying(_resource: FieldJob, run: Run): Verdict | undefined {
  if (!run.failure) return undefined;
  const kept = run.failure.startsOver ? 'it starts over' : 'it is tried again, finished chunks are kept';
  const message = `${run.failure.message}; ${kept}`;
  return troubled(phaseOf(run), run.failure.reason, message);
}

function hindered(_resource: FieldJob, run: Run): Verdict | undefined {
  return run.trouble && hindrance(phaseOf(run), run.trouble);
}

function progressing(_resource: FieldJob, run: Run): Verdict {
  const messages: Record<Stage, string> = {
    Pending: 'waiting for the first pod',
    Planning: 'solving for the transducers and judging safety',
    Running: `${doneShards(run)} of ${run.plan?.shards} shards computed`,
    Finishing: 'verifying chunks, judging safety, drawing slices',
  };
  const stage = stageOf(run);
  return working(phaseOf(run), stage, messages[stage]);
}

/** Of the shards while they compute: the other steps ask for no GPU. */
function gpuConditions({ spec }: FieldJob, { gpu, steps }: Run, { phase }: Verdict): ConditionDecision[] {
  const computes = phase === 'Pending' || phase === 'Progressing';
  if (spec.gpu.policy === 'None' || !computes) return [];
  const { onGpu, wait, fellBackAt } = gpu;
  // In between, too, when the Job that waited goes and the one for CPU is not there yet.
  if (fellBackAt && steps.shards.state !== 'Complete') {
    const message = 'the shards run on CPU, no GPU was free in time; suspend and resume to ask for one again';
    return [condition('GPUAllocated', 'False', 'FellBackToCPU', message)];
  }
  if (steps.shards.state !== 'Active') return [];
  return [gpuCondition({ wanted: Math.max(1, onGpu), onGpu, onCpu: 0, wait: onGpu > 0 ? undefined : wait })];
}

const phaseOf = (run: Run): 'Pending' | 'Progressing' => (stageOf(run) === 'Pending' ? 'Pending' : 'Progressing');

function stageOf({ steps, plan }: Run): Stage {
  if (steps.shards.state === 'Complete') return 'Finishing';
  if (plan) return 'Running';
  return steps.plan.pods.some(({ status: pod }) => pod?.phase !== 'Pending') ? 'Planning' : 'Pending';
}

function doneShards({ steps, plan, finished }: Run): number {
  if (steps.shards.state === 'Complete' || finished === 'Succeeded') return plan?.shards ?? 0;
  return steps.shards.live?.status?.succeeded ?? 0;
}

function fields(resource: FieldJob, run: Run, { phase, conditions }: Verdict, now: Date): Record<string, unknown> {
  if (run.finished) return whatIsStored(resource.status, run.revision);
  const old = resource.status?.revision === run.revision ? resource.status : undefined;
  const { startsOver } = run.failure ?? {};
  const over = phase === 'Succeeded' || phase === 'Failed';
  return defined({
    phase,
    message: conditions.find(({ type }) => type === 'Ready')?.message,
    revision: run.revision,
    startTime: wholeSeconds(run.startTime),
    completionTime: over ? (old?.completionTime ?? wholeSeconds(now)) : undefined,
    ...(!startsOver && carried(old)),
    ...gpuFields(resource, run),
    ...(!startsOver && planned(run)),
    ...results(resource, run),
  });
}

function gpuFields({ spec }: FieldJob, { gpu }: Run): Record<string, unknown> {
  if (spec.gpu.policy === 'None') return {};
  const { onGpu, fellBackAt } = gpu;
  return { gpu: { allocated: onGpu * spec.gpu.count, ...(fellBackAt && { fellBackAt: wholeSeconds(fellBackAt) }) } };
}

/** An ended run reports what it reported: its Jobs and pods may be gone. */
function whatIsStored(stored: FieldJobStatus | undefined, revision: string): Record<string, unknown> {
  const { conditions: _c, observedGeneration: _g, ...rest } = stored ?? {};
  return { ...rest, revision };
}

/** What earlier steps said and whose pods may be gone. */
function carried(old: FieldJobStatus | undefined): Record<string, unknown> {
  const { warnings, solution, safety, throughput, output } = old ?? {};
  return { warnings, solution, safety, throughput, output };
}

function planned(run: Run): Record<string, unknown> {
  const { plan, solved } = run;
  if (!plan) return {};
  const { shards, points, bytes, memoryBytes } = plan;
  return {
    plan: { shards, points, bytes, memoryBytes },
    progress: progressOf(run, plan),
    ...(solved && { solution: solved.solution, safety: solved.safety, warnings: solved.warnings }),
  };
}

function results(resource: FieldJob, { finish, plan }: Run): Record<string, unknown> {
  if (!finish) return {};
  const { solution, safety, throughput, output } = finish;
  return {
    solution,
    safety,
    throughput: { points: plan?.points, ...throughput, pointsPerSecond: Math.round(throughput.pointsPerSecond) },
    output: { uri: outputUri(resource), bytes: output.bytes, pictures: output.pictures },
  };
}

function progressOf(run: Run, { shards }: NonNullable<FieldJobStatus['plan']>): Record<string, unknown> {
  const done = doneShards(run);
  const job = run.steps.shards.live?.status;
  const end = estimatedEnd(run);
  return {
    shards,
    done,
    running: run.steps.shards.state === 'Active' ? (job?.active ?? 0) : 0,
    percent: Math.floor((100 * done) / shards),
    ...(end && { estimatedCompletionTime: end }),
  };
}

/** Of the shards, while they compute. */
function estimatedEnd({ steps: { shards }, predicted }: Run): string | undefined {
  const start = runningSince(shards.live);
  const pods = shards.live?.spec.parallelism;
  if (shards.state !== 'Active' || start === undefined || !pods || predicted === undefined) return undefined;
  return wholeSeconds(new Date(new Date(start).getTime() + (1000 * predicted) / pods));
}
