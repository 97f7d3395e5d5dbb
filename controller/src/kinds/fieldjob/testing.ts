// FieldJobs for table tests, and what is observed of them as their steps complete.
import { fieldJob as definition, type FieldJob, parseStored } from '@quintet/crds';
import type { KubeObject } from '../../kube/types.ts';
import type { Kind } from '../../reconcile/kind.ts';
import { type ObservedBuilder, observed } from '../testing.ts';
import { fieldJob } from './index.ts';

export const kind: Kind<FieldJob> = fieldJob({ image: 'example.test/field:1' });

/** Objects of every state. */
export const base = ['ConfigMap/bead-field', 'NetworkPolicy/bead-field'];

/** What the steps say at their ends. */
export const plan = {
  step: 'plan',
  shards: 8,
  points: 1_000_000,
  bytes: 8_000_000,
  memoryBytes: 200_000_000,
  solution: { residual: '0.01', targets: [{ name: 'bead', pressure: '4kPa' }] },
  safety: { verdict: 'Safe', maxPressure: '4.4kPa', message: 'a part of the volume lies behind the elements' },
  warnings: [],
};
export const finish = {
  step: 'finish',
  solution: plan.solution,
  safety: plan.safety,
  throughput: { pointsPerSecond: 1_200_000, backend: 'CPU', method: 'DirectSum' },
  output: { bytes: 8_000_123, summary: 'summary.json', pictures: ['slice-y.png'] },
};

/** One array, one trap, a volume and a claim. */
export const spec = {
  array: { type: 'Grid', grid: { rows: 16, columns: 16 } },
  targets: [{ name: 'bead', position: ['0mm', '0mm', '60mm'], trap: 'Twin' }],
  volume: { center: ['0mm', '0mm', '60mm'], size: ['50mm', '50mm', '50mm'] },
  output: { persistentVolumeClaim: { claimName: 'fields' } },
};

export function resource(more: Record<string, unknown> = {}, status?: Record<string, unknown>): FieldJob {
  return parseStored(definition, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'FieldJob',
    metadata: { name: 'bead', namespace: 'lab', uid: 'uid-1', generation: 1 },
    spec: { ...spec, ...more },
    ...(status && { status }),
  });
}

export const names = (objects: readonly KubeObject[]) =>
  objects.map(({ kind: k, metadata }) => `${k}/${metadata.name}`);
export const desired = (job: FieldJob, seen: ObservedBuilder) => kind.desired(job, seen);
const step = (job: FieldJob, seen: ObservedBuilder, name: string) =>
  desired(job, seen).objects.find(({ metadata }) => metadata.name === `${job.metadata.name}-field-${name}`);
export const planOf = (job: FieldJob) => step(job, observed(), 'plan');
/** Everything up to a plan that has spoken. */
export function planned(job: FieldJob): ObservedBuilder {
  return observed().withJob(planOf(job), 'Complete').withPod(planOf(job), { exitCode: 0, message: plan });
}
export const shardsOf = (job: FieldJob, seen = planned(job)) => step(job, seen, 'shards');
export function computed(job: FieldJob): ObservedBuilder {
  return planned(job).withJob(shardsOf(job), 'Complete', { succeeded: 8 });
}
export const finishOf = (job: FieldJob) => step(job, computed(job), 'finish');
export function finished(job: FieldJob): ObservedBuilder {
  return computed(job).withJob(finishOf(job), 'Complete').withPod(finishOf(job), { exitCode: 0, message: finish });
}
export const condition = (job: FieldJob, seen: ObservedBuilder, type: string) =>
  kind.status(job, seen).conditions.find((each) => each.type === type);

/** Conditions as they stand in a status. */
export function stored(conditions: readonly object[]): object[] {
  return conditions.map((each) => ({ lastTransitionTime: '2026-01-01T12:00:00Z', observedGeneration: 1, ...each }));
}
