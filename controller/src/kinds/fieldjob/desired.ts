// The objects a FieldJob should have: one Job after the other, each when the one before it is complete.
import { type FieldJob, parseDuration } from '@quintet/crds';
import type { KubeObject } from '../../kube/types.ts';
import type { Desired, Observed } from '../../reconcile/kind.ts';
import { type EngineSettings, requireImage } from '../image.ts';
import { retryAt } from '../jobs/state.ts';
import type { Costs } from './costs.ts';
import { isLost, type Run, readRun } from './run.ts';
import { deviceClaims, networkIsolation, outputClaim, resourceConfig, stepNames } from './steps.ts';

export function desired(resource: FieldJob, observed: Observed, settings: EngineSettings, known?: Costs): Desired {
  const run = readRun(resource, observed, settings, known);
  const { now } = observed;
  if (run.finished) return whenFinished(resource, run, now);
  requireImage('field', settings, resource.spec.pod?.image);
  if (run.failure && !run.failure.retry) return { objects: present(resource, run, false) };
  const again = run.failure && retryAt(run.failure, run.startTime);
  const renews = again !== undefined && now >= again;
  const objects =
    renews && run.failure?.startsOver
      ? [...standing(resource), ...untilPlanIsGone(run)]
      : present(resource, run, renews);
  return { objects, ...wakeAt(now, run.deadline, again, run.gpu.fallbackAt, run.trouble?.quietUntil) };
}

function standing(resource: FieldJob): KubeObject[] {
  return [resourceConfig(resource), networkIsolation(resource), ...outputClaim(resource), ...deviceClaims(resource)];
}

/** What this revision has or should have now; a failed Job is left out, and so deleted, when it is time to try anew. */
function present(resource: FieldJob, run: Run, renewFailed: boolean): KubeObject[] {
  const objects = standing(resource);
  const ended = run.finished !== undefined || (run.failure !== undefined && !run.failure.retry);
  for (const name of stepNames) {
    const step = run.steps[name];
    if (!step.wanted) break;
    if (step.state === 'Waiting') {
      // What the plan found is known, though its Job is gone: the shards that follow from it go on.
      if (name === 'plan' && run.plan) continue;
      if (ended || run.strangers) break;
    }
    // Past the deadline nothing computes on; a Job that failed by itself stays, for its log.
    if (run.failure?.reason === 'DeadlineExceeded' && step.state === 'Active') break;
    if (step.state === 'Failed' && renewFailed) break;
    if (!ended && isLost(step) && !(name === 'plan' ? run.plan : name === 'shards' || run.finish)) break;
    objects.push(step.wanted);
  }
  return objects;
}

/** The plan goes first: while it is seen, so is why it went, and nothing is made after it anew. */
function untilPlanIsGone({ steps }: Run): KubeObject[] {
  const { plan, shards, finish } = steps;
  if (!plan.live) return [];
  return [shards, finish].flatMap(({ live, wanted }) => (live && wanted ? [wanted] : []));
}

function whenFinished(resource: FieldJob, run: Run, now: Date): Desired {
  const { ttlAfterFinished } = resource.spec;
  const completionTime = resource.status?.completionTime;
  if (ttlAfterFinished === undefined || !completionTime) return { objects: present(resource, run, false) };
  const left = new Date(completionTime).getTime() + parseDuration(ttlAfterFinished) * 1000 - now.getTime();
  // The FieldJob itself stays with its result: a GitOps tool would only create it, and run it, again.
  if (left <= 0) return { objects: outputClaim(resource) };
  return { objects: present(resource, run, false), requeueAfterMs: left };
}

/** The next of these moments that is still to come. */
function wakeAt(now: Date, ...moments: (Date | undefined)[]): { requeueAfterMs?: number } {
  const waits = moments.map((moment) => (moment ? moment.getTime() - now.getTime() : 0)).filter((ms) => ms > 0);
  return waits.length > 0 ? { requeueAfterMs: Math.min(...waits) } : {};
}
