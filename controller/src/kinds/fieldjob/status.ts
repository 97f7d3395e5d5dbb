// What a FieldJob reports: ordered decisions on its conditions, then small bounded figures.
import type { FieldJob } from '@quintet/crds';
import type { ConditionDecision, Observed, StatusDecision } from '../../reconcile/kind.ts';
import { type Run, readRun } from './run.ts';
import type { Settings } from './steps.ts';

type Phase = 'Pending' | 'Planning' | 'Running' | 'Finishing' | 'Succeeded' | 'Failed' | 'Suspended';

interface Verdict {
  phase: Phase;
  conditions: ConditionDecision[];
}

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

export function status(resource: FieldJob, observed: Observed, settings: Settings): StatusDecision {
  const run = readRun(resource, observed, settings);
  for (const decide of decisions) {
    const verdict = decide(resource, run);
    if (verdict) return { conditions: verdict.conditions, fields: fields(resource, run, verdict.phase, observed.now) };
  }
  throw new TypeError('the last decision answers always');
}

function ended(resource: FieldJob, run: Run): Verdict | undefined {
  if (!run.finished) return undefined;
  const kept = resource.status?.conditions?.filter(({ type }) => type === 'Ready' || type === 'Stalled') ?? [];
  return {
    phase: run.finished,
    conditions: kept.map(({ type, status: state, reason, message }) => ({ type, status: state, reason, message })),
  };
}

function succeeded(_resource: FieldJob, run: Run): Verdict | undefined {
  if (!run.finish) return undefined;
  const { throughput, output } = run.finish;
  const message = `${run.plan?.points ?? 0} points at ${Math.round(throughput.pointsPerSecond)} points/s on ${throughput.backend}; see ${output.summary} in the output`;
  return { phase: 'Succeeded', conditions: [condition('Ready', 'True', 'Succeeded', message)] };
}

function failed(_resource: FieldJob, run: Run): Verdict | undefined {
  if (!run.failure || run.failure.retry) return undefined;
  const { reason, message } = run.failure;
  return {
    phase: 'Failed',
    conditions: [condition('Ready', 'False', reason, message), condition('Stalled', 'True', reason, message)],
  };
}

function suspended(resource: FieldJob): Verdict | undefined {
  if (!resource.spec.suspend) return undefined;
  const message = 'set spec.suspend to false to go on; finished chunks are kept';
  return {
    phase: 'Suspended',
    conditions: [condition('Ready', 'True', 'Suspended', message), condition('Suspended', 'True', 'Suspended', message)],
  };
}

function retrying(_resource: FieldJob, run: Run): Verdict | undefined {
  if (!run.failure) return undefined;
  return working(phaseOf(run), run.failure.reason, `${run.failure.message}; it is tried again, finished chunks are kept`);
}

function hindered(_resource: FieldJob, run: Run): Verdict | undefined {
  if (!run.trouble) return undefined;
  return working(phaseOf(run), run.trouble.reason, run.trouble.message);
}

function progressing(_resource: FieldJob, run: Run): Verdict {
  const phase = phaseOf(run);
  const { completions = 0 } = run.steps.shards.wanted?.spec ?? {};
  const messages: Record<string, string> = {
    Pending: 'waiting for the first pod',
    Planning: 'solving for the transducers and judging safety',
    Running: `${doneShards(run)} of ${completions} shards computed`,
    Finishing: 'verifying chunks, judging safety, drawing slices',
  };
  return working(phase, phase, messages[phase] ?? phase);
}

function working(phase: Phase, reason: string, message: string): Verdict {
  return {
    phase,
    conditions: [condition('Ready', 'False', reason, message), condition('Reconciling', 'True', reason, message)],
  };
}

function phaseOf({ steps, plan }: Run): Phase {
  if (steps.shards.state === 'Complete') return 'Finishing';
  if (plan) return 'Running';
  return steps.plan.pods.some(({ status: pod }) => pod?.phase !== 'Pending') ? 'Planning' : 'Pending';
}

function doneShards({ steps, plan, finished }: Run): number {
  if (steps.shards.state === 'Complete' || finished === 'Succeeded') return plan?.shards ?? 0;
  return steps.shards.live?.status?.succeeded ?? 0;
}

function fields(resource: FieldJob, run: Run, phase: Phase, now: Date): Record<string, unknown> {
  const old = resource.status?.revision === run.revision ? resource.status : undefined;
  const result = run.finish;
  const done = doneShards(run);
  const over = phase === 'Succeeded' || phase === 'Failed';
  return prune({
    phase,
    revision: run.revision,
    startedAt: run.startedAt?.toISOString(),
    finishedAt: over ? (old?.finishedAt ?? now.toISOString()) : undefined,
    plan: run.plan && { shards: run.plan.shards, points: run.plan.points, bytes: run.plan.bytes, memoryBytes: run.plan.memoryBytes, solution: run.plan.solution, safety: run.plan.safety, warnings: run.plan.warnings },
    progress: run.plan && { shards: run.plan.shards, done, percent: Math.floor((100 * done) / run.plan.shards) },
    solution: result?.solution ?? old?.solution ?? run.plan?.solution,
    safety: result?.safety ?? old?.safety ?? run.plan?.safety,
    throughput: result?.throughput ?? old?.throughput,
    output: (result && { uri: outputUri(resource), ...result.output }) ?? old?.output,
  });
}

/** Where the results lie: `pvc://namespace/claim/path` or `s3://bucket/prefix`. */
function outputUri({ metadata, spec }: FieldJob): string {
  const { persistentVolumeClaim: claim, s3 } = spec.output;
  if (s3) return `s3://${s3.bucket}/${s3.prefix ?? ''}`;
  return `pvc://${metadata.namespace}/${claim?.claimName}${claim?.path ? `/${claim.path}` : ''}`;
}

function condition(type: string, state: ConditionDecision['status'], reason: string, message: string): ConditionDecision {
  return { type, status: state, reason, message: message.slice(0, 1024) };
}

function prune(object: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}
