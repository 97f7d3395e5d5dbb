// What an EvolutionRun should have: while it searches, all of it; once it has ended, no workers.
import { type EvolutionRun, parseDuration } from '@quintet/crds';
import type { KubeObject } from '../../kube/types.ts';
import { keepingImage } from '../../objects/job.ts';
import type { Desired, Observed } from '../../reconcile/kind.ts';
import { type EngineSettings, requireImage } from '../image.ts';
import { retryAt } from '../jobs/state.ts';
import { requireStores, storesOf } from '../stores.ts';
import { mainName } from './names.ts';
import {
  coordinatorJob,
  isolation,
  outputClaim,
  progressService,
  resourceConfig,
  workersDeployment,
} from './objects.ts';
import { predictions } from './predictions.ts';
import { progressEvery } from './progress.ts';
import { type EvolutionSettings, promotedOf, readState, type State } from './state.ts';

export function desired(resource: EvolutionRun, observed: Observed, settings: EvolutionSettings): Desired {
  const state = readState(resource, observed, settings);
  const { now } = observed;
  if (state.finished) return whenFinished(resource, state, settings, now);
  requireImage('evolution', settings, resource.spec.pod?.image);
  requireStores(resource, settings.stores);
  const again = state.failure?.retry ? retryAt(state.failure, state.startTime) : undefined;
  const renew = again !== undefined && now >= again;
  const ended = state.coordinator === 'Complete' || (state.failure && !state.failure.retry);
  const objects = [...standing(resource, settings), ...(renew ? [] : coordinator(resource, state, settings))];
  if (!ended) objects.push(workersDeployment(resource, settings, state.workers.wanted));
  objects.push(...predictions(resource, promotedOf(resource, state), settings));
  return {
    objects,
    ...wakeAt(
      now,
      state.failure ? undefined : state.deadline,
      again,
      state.trouble?.quietUntil,
      state.coordinator === 'Active' && !ended ? new Date(now.getTime() + progressEvery) : undefined,
    ),
  };
}

function standing(resource: EvolutionRun, settings: EngineSettings): KubeObject[] {
  return [
    resourceConfig(resource),
    ...storesOf(resource, mainName(resource), settings.stores).secrets,
    isolation(resource),
    ...outputClaim(resource),
    progressService(resource),
  ];
}

function coordinator(resource: EvolutionRun, state: State, settings: EngineSettings): KubeObject[] {
  const wanted = coordinatorJob(resource, settings);
  return [state.live ? keepingImage(wanted, state.live) : wanted];
}

function whenFinished(resource: EvolutionRun, state: State, settings: EngineSettings, now: Date): Desired {
  const { ttlAfterFinished } = resource.spec;
  const end = resource.status?.completionTime;
  // Past the deadline the coordinator goes, but not before the status says so: without it nothing would tell that the run began, and it would begin again.
  // One that failed by itself stays, for its log.
  const late = state.failure?.reason === 'DeadlineExceeded' && state.coordinator === 'Active';
  const serving = predictions(resource, promotedOf(resource, state), settings);
  const kept = [
    ...standing(resource, settings),
    ...(state.live && !late ? coordinator(resource, state, settings) : []),
    ...serving,
  ];
  // What has succeeded is not begun again for other pods: its log stays.
  const past = state.past ? { left: [state.past] } : {};
  if (!ttlAfterFinished || !end) return { objects: kept, ...past };
  const left = new Date(end).getTime() + parseDuration(ttlAfterFinished) * 1000 - now.getTime();
  if (left > 0) return { objects: kept, ...past, requeueAfterMs: left };
  // Predictions need what stands around them; without any only the output stays.
  return { objects: serving.length > 0 ? [...standing(resource, settings), ...serving] : outputClaim(resource) };
}

function wakeAt(now: Date, ...moments: (Date | undefined)[]): { requeueAfterMs?: number } {
  const waits = moments.map((moment) => (moment ? moment.getTime() - now.getTime() : 0)).filter((ms) => ms > 0);
  return waits.length > 0 ? { requeueAfterMs: Math.min(...waits) } : {};
}
