// The objects a FieldJob should have: one Job after the other, each when the one before it is complete.

import { type FieldJob, parseDuration } from '@quintet/crds';
import type { KubeObject } from '../../kube/types.ts';
import { leftToKueue } from '../../objects/job.ts';
import { TerminalError } from '../../reconcile/errors.ts';
import type { Desired, Observed } from '../../reconcile/kind.ts';
import { type EngineSettings, requireImage } from '../image.ts';
import { retryAt } from '../jobs/state.ts';
import { type Run, readRun } from './run.ts';
import { networkIsolation, outputClaim, resourceConfig, stepNames } from './steps.ts';

export function desired(resource: FieldJob, observed: Observed, settings: EngineSettings): Desired {
  if (resource.spec.mode === 'Service') {
    throw new TerminalError('Unsupported', 'spec.mode: Service is not part of this version; set it to Batch');
  }
  requireImage('field', settings, resource.spec.pod?.image);
  const run = readRun(resource, observed, settings);
  const { now } = observed;
  if (run.finished) return whenFinished(resource, run, now);
  if (run.failure && !run.failure.retry) return { objects: present(resource, run, false), ...wakeAt(run, now) };

  const again = run.failure && retryAt(run.failure, run.startTime);
  const objects = present(resource, run, again !== undefined && now >= again);
  return { objects, ...wakeAt(run, now, again) };
}

/** What this revision has or should have now; a failed Job is left out, and so deleted, when it is time to try anew. */
function present(resource: FieldJob, run: Run, renewFailed: boolean): KubeObject[] {
  const objects: KubeObject[] = [resourceConfig(resource), networkIsolation(resource), ...outputClaim(resource)];
  for (const name of stepNames) {
    const { wanted, state, live } = run.steps[name];
    const ended = run.finished ?? (run.failure && !run.failure.retry);
    if (!wanted || (ended && state === 'Waiting')) break;
    // Past the deadline nothing computes on; a Job that failed by itself stays, for its log.
    if (run.failure?.reason === 'DeadlineExceeded' && state === 'Active') break;
    if (state === 'Failed' && renewFailed) break;
    if (state === 'Complete' && name === 'plan' && !run.plan && resultLost(run)) break;
    objects.push(live && resource.spec.scheduling.queueName && !resource.spec.suspend ? leftToKueue(wanted) : wanted);
  }
  return objects;
}

/** The plan's pods are gone or said nothing: only running it again tells. A pod still ending may yet speak. */
function resultLost(run: Run): boolean {
  return run.steps.plan.pods.every(({ status }) => status?.phase === 'Succeeded' || status?.phase === 'Failed');
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

function wakeAt(run: Run, now: Date, again?: Date): { requeueAfterMs?: number } {
  const moments = [run.failure?.reason === 'DeadlineExceeded' ? undefined : run.deadline, again]
    .filter((moment) => moment !== undefined)
    .map((moment) => moment.getTime() - now.getTime())
    .filter((ms) => ms > 0);
  return moments.length > 0 ? { requeueAfterMs: Math.min(...moments) } : {};
}
