// An EvolutionRun for table tests, and what is observed of it in the states of its life.
import { evolutionRun as definition, type EvolutionRun, parseStored } from '@quintet/crds';
import type { KubeObject } from '../../kube/types.ts';
import { type ObservedBuilder, observed, stores } from '../testing.ts';
import { evolutionRun } from './index.ts';

export const kind = evolutionRun({ image: 'example.test/evolution:1', stores });

/** A coordinator's word when its search has ended. */
export const said = {
  step: 'coordinator',
  runId: 'run-1',
  generation: 12,
  evaluations: { done: 300, cached: 40, racedOut: 120, failed: 1 },
  best: { modelId: 'm-1', learner: 'GradientBoosting', score: '0.93', holdout: '0.92' },
};

export function resource(spec: Record<string, unknown> = {}, status?: Record<string, unknown>): EvolutionRun {
  return parseStored(definition, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'EvolutionRun',
    metadata: { name: 'churn', namespace: 'team', uid: 'uid-1', generation: 1 },
    spec: {
      dataset: {
        source: { persistentVolumeClaim: { claimName: 'data', path: 'churn.csv' } },
        target: 'churned',
        task: 'Binary',
      },
      workers: { min: 2, max: 4 },
      ...spec,
    },
    ...(status && { status }),
  });
}

export const names = (objects: readonly KubeObject[]) =>
  objects.map(({ kind: k, metadata }) => `${k}/${metadata.name}`);
export const find = (run: EvolutionRun, seen: ObservedBuilder, type: string) =>
  kind.desired(run, seen).objects.find(({ kind: k }) => k === type);
export const coordinator = (run: EvolutionRun) => find(run, observed(), 'Job');
export const running = (run: EvolutionRun) =>
  observed().withJob(coordinator(run), 'Active', { active: 1, ready: 1 }).withPod(coordinator(run));
export const done = (run: EvolutionRun) =>
  observed().withJob(coordinator(run), 'Complete').withPod(coordinator(run), { exitCode: 0, message: said });
