// A FieldJob's objects and status in every state it can be in.
import { fieldJob as definition, type FieldJob, parseStored } from '@quintet/crds';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { KubeObject } from '../../kube/types.ts';
import { type Pod, types } from '../../objects/types.ts';
import { type ObservedBuilder, observed, uidOf } from '../testing.ts';
import { fieldJob } from './index.ts';

const kind = fieldJob({ image: 'example.test/field:1' });

const plan = {
  step: 'plan',
  shards: 8,
  points: 1_000_000,
  bytes: 8_000_000,
  memoryBytes: 200_000_000,
  solution: { residual: '0.01', targets: [{ name: 'bead', pressure: '4kPa' }] },
  safety: { verdict: 'Safe', maxPressure: '4.4kPa', message: 'a part of the volume lies behind the elements' },
  warnings: [],
};
const finish = {
  step: 'finish',
  solution: plan.solution,
  safety: plan.safety,
  throughput: { pointsPerSecond: 1_200_000, backend: 'CPU', method: 'DirectSum' },
  output: { bytes: 8_000_123, summary: 'summary.json', pictures: ['slice-y.png'] },
};

function resource(spec: Record<string, unknown> = {}, status?: Record<string, unknown>): FieldJob {
  return parseStored(definition, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'FieldJob',
    metadata: { name: 'bead', namespace: 'lab', uid: 'uid-1', generation: 1 },
    spec: {
      array: { type: 'Grid', grid: { rows: 16, columns: 16 } },
      targets: [{ name: 'bead', position: ['0mm', '0mm', '60mm'], trap: 'Twin' }],
      volume: { center: ['0mm', '0mm', '60mm'], size: ['50mm', '50mm', '50mm'] },
      output: { persistentVolumeClaim: { claimName: 'fields' } },
      ...spec,
    },
    ...(status && { status }),
  });
}

const names = (objects: readonly KubeObject[]) => objects.map(({ kind: k, metadata }) => `${k}/${metadata.name}`);
const desired = (job: FieldJob, seen: ObservedBuilder) => kind.desired(job, seen);
function child(job: FieldJob, seen: ObservedBuilder, name: string): KubeObject | undefined {
  return desired(job, seen).objects.find(({ metadata }) => metadata.name === name);
}
const planOf = (job: FieldJob) => child(job, observed(), 'bead-field-plan');
/** Everything up to a plan that has spoken. */
function planned(job: FieldJob): ObservedBuilder {
  return observed().withJob(planOf(job), 'Complete').withPod(planOf(job), { exitCode: 0, message: plan });
}
const shardsOf = (job: FieldJob) => child(job, planned(job), 'bead-field-shards');
function computed(job: FieldJob): ObservedBuilder {
  return planned(job).withJob(shardsOf(job), 'Complete', { succeeded: 8 });
}
const finishOf = (job: FieldJob) => child(job, computed(job), 'bead-field-finish');
function finished(job: FieldJob): ObservedBuilder {
  return computed(job).withJob(finishOf(job), 'Complete').withPod(finishOf(job), { exitCode: 0, message: finish });
}
const base = ['ConfigMap/bead-field', 'NetworkPolicy/bead-field'];
const ready = (job: FieldJob, seen: ObservedBuilder) =>
  kind.status(job, seen).conditions.find(({ type }) => type === 'Ready');
const condition = (job: FieldJob, seen: ObservedBuilder, type: string) =>
  kind.status(job, seen).conditions.find((c) => c.type === type);

describe('the objects of a FieldJob', () => {
  it('begin with its plan', () => {
    expect(names(desired(resource(), observed()).objects)).toEqual([...base, 'Job/bead-field-plan']);
  });

  it('follow each other as the steps complete', () => {
    const job = resource();
    expect(names(desired(job, planned(job)).objects)).toEqual([
      ...base,
      'Job/bead-field-plan',
      'Job/bead-field-shards',
    ]);
    expect(names(desired(job, computed(job)).objects)).toContain('Job/bead-field-finish');
  });

  it('are those of the golden files', async () => {
    const job = resource({
      scheduling: { queueName: 'team-a' },
      activeDeadline: '90s',
    });
    const all = desired(job, finished(job))
      .objects.map((object) => stringify(object))
      .join('---\n');
    await expect(all).toMatchFileSnapshot('golden/batch.yaml');
  });

  it('hold as many shards as the plan found, and no more pods at once than the spec allows', () => {
    const job = resource({ shards: { max: 16, parallelism: { min: 1, max: 3 } } });
    expect(shardsOf(job)).toMatchObject({ spec: { completions: 8, parallelism: 3, completionMode: 'Indexed' } });
  });

  it('keep the plan from status when its pods are gone', () => {
    const job = resource();
    const { revision } = kind.status(job, planned(job)).fields as { revision: string };
    const { step: _, ...size } = plan;
    const later = resource({}, { revision, phase: 'Progressing', plan: size });
    expect(names(desired(later, observed().withJob(planOf(job), 'Complete')).objects)).toContain(
      'Job/bead-field-shards',
    );
  });

  it('leave out a complete plan that nobody can read, so that it runs again', () => {
    const job = resource();
    expect(names(desired(job, observed().withJob(planOf(job), 'Complete')).objects)).toEqual(base);
  });

  it('wait for a plan pod that has not reported its end yet', () => {
    const job = resource();
    const seen = observed().withJob(planOf(job), 'Complete').withPod(planOf(job));
    expect(names(desired(job, seen).objects)).toContain('Job/bead-field-plan');
  });

  it('ignore Jobs of an older revision', () => {
    const before = resource();
    const after = resource({ tolerance: '0.01' });
    expect(names(desired(after, finished(before)).objects)).toEqual([...base, 'Job/bead-field-plan']);
  });

  it('do not change when only suspension, deadline or time to live do', () => {
    const { revision } = kind.status(resource(), observed()).fields;
    const other = resource({ suspend: true, activeDeadline: '1h', ttlAfterFinished: '1h', retriesPerShard: 9 });
    expect(kind.status(other, observed()).fields.revision).toBe(revision);
  });

  it('are suspended Jobs while it is suspended', () => {
    expect(planOf(resource({ suspend: true }))).toMatchObject({ spec: { suspend: true } });
  });

  it('leave the suspension of a queued Job to Kueue, but for a pause that the spec asks for', () => {
    expect(planOf(resource({ scheduling: { queueName: 'team-a' } }))).not.toHaveProperty('spec.suspend');
    expect(planOf(resource({ suspend: true, scheduling: { queueName: 'team-a' } }))).toMatchObject({
      spec: { suspend: true },
    });
  });

  it('are not replaced when the installation brings a newer image, and keep the one they have', () => {
    const job = resource();
    const newer = fieldJob({ image: 'example.test/field:2' });
    const running = planned(job).withJob(shardsOf(job), 'Active');
    const [, , first, shards] = newer.desired(job, running).objects;
    expect(names([first, shards].filter((each) => each !== undefined))).toEqual([
      'Job/bead-field-plan',
      'Job/bead-field-shards',
    ]);
    expect(JSON.stringify(shards)).toContain('example.test/field:1');
  });

  it('wait for pods of an earlier revision, which still write to the same output', () => {
    const before = resource();
    const after = resource({ tolerance: '0.01' });
    const seen = planned(before).withJob(shardsOf(before), 'Active').withPod(shardsOf(before));
    expect(names(desired(after, seen).objects)).toEqual(base);
    const ended = planned(before).withPod(shardsOf(before), { exitCode: 143 });
    expect(names(desired(after, ended).objects)).toContain('Job/bead-field-plan');
  });

  it('ignore what the pods of a deleted namesake said', () => {
    const job = resource();
    const former = finished(job)
      .list<Pod>(types.pod)
      .map((each) => ({
        ...each,
        metadata: {
          ...each.metadata,
          ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name: 'x', uid: 'former', controller: true }],
        },
      }));
    const seen = () => observed().with(...former);
    expect(kind.status(job, seen()).fields.phase).toBe('Pending');
    expect(names(desired(job, seen()).objects)).toEqual([...base, 'Job/bead-field-plan']);
  });

  it('run the last step again when its pod is gone before it was heard', () => {
    const job = resource();
    const seen = () => computed(job).withJob(finishOf(job), 'Complete');
    expect(names(desired(job, seen()).objects)).not.toContain('Job/bead-field-finish');
    expect(kind.status(job, seen()).fields.phase).toBe('Progressing');
  });

  it('stay, and say so, when the engine ended well without a word', () => {
    const job = resource();
    const seen = () =>
      observed().withJob(planOf(job), 'Complete').withPod(planOf(job), { exitCode: 0, message: 'hello' });
    expect(names(desired(job, seen()).objects)).toContain('Job/bead-field-plan');
    expect(condition(job, seen(), 'Stalled')).toMatchObject({ reason: 'EngineSilent' });
  });

  it('write to a bucket by the environment of AWS tools, with the keys of the Secret, and may reach it', () => {
    const s3 = { bucket: 'fields', endpoint: 'http://store.local:9000', region: 'eu-1', secretRef: { name: 'keys' } };
    const job = resource({ output: { s3 } });
    const [container] =
      (planOf(job) as { spec: { template: { spec: { containers: Record<string, unknown>[] } } } } | undefined)?.spec
        .template.spec.containers ?? [];
    expect(container).toMatchObject({
      env: expect.arrayContaining([
        { name: 'QUINTET_OUTPUT', value: 's3://fields/lab/bead' },
        { name: 'AWS_ENDPOINT_URL_S3', value: 'http://store.local:9000' },
        { name: 'AWS_REGION', value: 'eu-1' },
      ]),
      envFrom: [{ secretRef: { name: 'keys' } }],
      volumeMounts: [{ name: 'resource' }, { name: 'tmp' }],
    });
    expect(child(job, observed(), 'bead-field')).toMatchObject({ kind: 'ConfigMap' });
    const policy = desired(job, observed()).objects.find(({ kind: k }) => k === 'NetworkPolicy');
    expect(policy).toMatchObject({ spec: { egress: [{}] } });
    const named = resource({ output: { s3: { bucket: 'fields', prefix: 'mine/' } } });
    expect(kind.status(named, finished(named)).fields).toMatchObject({ output: { uri: 's3://fields/mine' } });
  });

  it('go when the time to live is over, and not before', () => {
    const job = resource({ ttlAfterFinished: '1h' });
    const { fields, conditions } = kind.status(job, finished(job));
    const done = resource({ ttlAfterFinished: '1h' }, { ...fields, conditions: stored(conditions) });
    expect(desired(done, finished(job).at(60))).toMatchObject({ requeueAfterMs: 3_540_000 });
    expect(names(desired(done, finished(job).at(3600)).objects)).toEqual([]);
    expect(kind.status(done, observed().at(3601)).fields).toMatchObject({
      phase: 'Succeeded',
      output: { bytes: 8_000_123 },
    });
  });

  it('are not made again when somebody deletes the Jobs of a finished run', () => {
    const job = resource();
    const { fields, conditions } = kind.status(job, finished(job));
    const done = resource({}, { ...fields, conditions: stored(conditions) });
    expect(names(desired(done, observed()).objects)).toEqual(base);
  });

  it('leave the failed Job out when it is time to try again after a full disk', () => {
    const job = resource();
    const full = { step: 'shard', error: { reason: 'OutputFull', message: 'no space left', field: 'spec.output' } };
    const seen = () =>
      planned(job).withJob(shardsOf(job), 'Failed').withPod(shardsOf(job), { exitCode: 75, message: full });
    expect(names(desired(job, seen().at(5)).objects)).toContain('Job/bead-field-shards');
    expect(desired(job, seen().at(5)).requeueAfterMs).toBe(5000);
    expect(names(desired(job, seen().at(10)).objects)).not.toContain('Job/bead-field-shards');
    expect(condition(job, seen(), 'Reconciling')).toMatchObject({ reason: 'OutputFull', status: 'True' });
  });

  it('begin anew, the plan first, when a step finds the output without it', () => {
    const job = resource();
    const missing = { step: 'shard', error: { reason: 'PlanMissing', message: 'plan.json is missing' } };
    const seen = () =>
      planned(job)
        .withJob(shardsOf(job), 'Active', { succeeded: 3, active: 1 })
        .withPod(shardsOf(job), { exitCode: 75, message: missing });
    expect(condition(job, seen(), 'Reconciling')).toMatchObject({ reason: 'OutputReplaced', warn: true });
    expect(kind.status(job, seen()).fields).not.toHaveProperty('progress');
    expect(kind.status(job, seen()).fields).not.toHaveProperty('plan');
    expect(desired(job, seen().at(5)).requeueAfterMs).toBe(5000);
    // The evidence stays until the plan is seen gone.
    expect(names(desired(job, seen().at(10)).objects)).toEqual([...base, 'Job/bead-field-shards']);
    const { fields } = kind.status(job, seen());
    const unplanned = resource({}, fields);
    const later = () =>
      observed()
        .withJob(shardsOf(job), 'Active', { active: 1 })
        .withPod(shardsOf(job), { exitCode: 75, message: missing });
    expect(names(desired(unplanned, later().at(11)).objects)).toEqual([...base, 'Job/bead-field-plan']);
  });

  it('include a claim made to the spec’s template, owned only when it goes with the resource', () => {
    const kept = resource({ output: { volumeClaimTemplate: { storage: '1Gi' } } });
    const claim = child(kept, observed(), 'bead-field');
    expect(names(desired(kept, observed()).objects)).toContain('PersistentVolumeClaim/bead-field');
    expect(claim).toBeDefined();
    const owners = (policy: string) =>
      desired(resource({ output: { volumeClaimTemplate: { reclaimPolicy: policy } } }), observed()).objects.find(
        ({ kind: k }) => k === 'PersistentVolumeClaim',
      )?.metadata.ownerReferences;
    expect(owners('Retain')).toBeUndefined();
    expect(owners('Delete')).toHaveLength(1);
  });
});

describe('the status of a FieldJob', () => {
  const states: Record<
    string,
    { job?: FieldJob; seen: (job: FieldJob) => ObservedBuilder; phase: string; reason: string }
  > = {
    'is Pending before any pod runs': { seen: () => observed(), phase: 'Pending', reason: 'Pending' },
    'is Progressing while it plans': {
      seen: (job) => observed().withJob(planOf(job), 'Active').withPod(planOf(job)),
      phase: 'Progressing',
      reason: 'Planning',
    },
    'is Progressing while it computes': {
      seen: (job) => planned(job).withJob(shardsOf(job), 'Active', { succeeded: 3, active: 2 }),
      phase: 'Progressing',
      reason: 'Running',
    },
    'is Progressing while it finishes': { seen: (job) => computed(job), phase: 'Progressing', reason: 'Finishing' },
    'is Succeeded at the end': { seen: (job) => finished(job), phase: 'Succeeded', reason: 'Succeeded' },
    'is Suspended when asked to': {
      job: resource({ suspend: true }),
      seen: () => observed(),
      phase: 'Suspended',
      reason: 'Suspended',
    },
    'is Failed when a limit would be broken': {
      seen: (job) =>
        observed()
          .withJob(planOf(job), 'Failed')
          .withPod(planOf(job), {
            exitCode: 78,
            message: {
              step: 'plan',
              error: { reason: 'SafetyLimitExceeded', message: '7.1kPa over 6kPa', field: 'spec.safety.maxPressure' },
            },
          }),
      phase: 'Failed',
      reason: 'SafetyLimitExceeded',
    },
    'is Failed when a pod was killed for memory until retries ran out': {
      seen: (job) =>
        planned(job)
          .withJob(shardsOf(job), 'Failed')
          .withPod(shardsOf(job), { exitCode: 137, message: '', reason: 'OOMKilled' }),
      phase: 'Failed',
      reason: 'OutOfMemory',
    },
    'is Failed past its deadline': {
      job: resource({ activeDeadline: '10m' }),
      seen: (job) => planned(job).withJob(shardsOf(job), 'Active').at(600),
      phase: 'Failed',
      reason: 'DeadlineExceeded',
    },
  };
  for (const [title, { job = resource(), seen, phase, reason }] of Object.entries(states)) {
    it(title, () => {
      expect(kind.status(job, seen(job)).fields.phase).toBe(phase);
      expect(ready(job, seen(job))).toMatchObject({ reason });
    });
  }

  it('names the claim that does not exist', () => {
    const job = resource();
    const pod: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'p',
        namespace: 'lab',
        ownerReferences: [
          {
            apiVersion: 'batch/v1',
            kind: 'Job',
            name: 'bead-field-plan',
            uid: uidOf(planOf(job) as KubeObject),
            controller: true,
          },
        ],
      },
      status: {
        phase: 'Pending',
        conditions: [
          {
            type: 'PodScheduled',
            status: 'False',
            reason: 'Unschedulable',
            message: '0/1 nodes: persistentvolumeclaim "fields" not found.',
          },
        ],
      },
    };
    expect(ready(job, observed().withJob(planOf(job), 'Active').with(pod))).toMatchObject({
      reason: 'ClaimNotFound',
      message: expect.stringContaining('spec.output'),
    });
  });

  it('reports progress and what the plan found while it computes', () => {
    const job = resource();
    expect(
      kind.status(job, planned(job).withJob(shardsOf(job), 'Active', { succeeded: 3, active: 2 })).fields,
    ).toMatchObject({
      progress: { shards: 8, done: 3, running: 2, percent: 37 },
      solution: plan.solution,
      safety: plan.safety,
      plan: { points: 1_000_000 },
    });
  });

  it('reports where the result lies', () => {
    const job = resource();
    expect(kind.status(job, finished(job)).fields).toMatchObject({
      throughput: { pointsPerSecond: 1_200_000, backend: 'CPU' },
      output: { uri: 'pvc://lab/fields/bead', pictures: ['slice-y.png'] },
      progress: { percent: 100 },
    });
  });

  it('starts over when the spec changes after a failure', () => {
    const job = resource();
    const failed = { phase: 'Failed', revision: String(kind.status(job, observed()).fields.revision) };
    expect(kind.status(resource({}, failed), observed()).fields.phase).toBe('Failed');
    const mended = resource({ safety: { maxPressure: '9kPa' } }, failed);
    expect(kind.status(mended, observed()).fields.phase).toBe('Pending');
  });

  it('counts its deadline anew after a pause', () => {
    const job = resource({ activeDeadline: '1h' });
    const { revision } = kind.status(job, observed()).fields;
    // As the Job stands when its resource goes on: suspended since, with the start of the first run.
    const suspended = { startTime: '2026-01-01T12:00:00Z', conditions: [{ type: 'Suspended', status: 'True' }] };
    const resumed = resource({ activeDeadline: '1h' }, { revision, phase: 'Suspended' });
    const seen = observed().withJob(planOf(job), 'Active', suspended).at(7200);
    expect(kind.status(resumed, seen).fields.phase).toBe('Pending');
  });

  it('goes on when the deadline that it missed is raised', () => {
    const job = resource({ activeDeadline: '10m' });
    const late = () => planned(job).withJob(shardsOf(job), 'Active').at(600);
    const { fields, conditions } = kind.status(job, late());
    const failed = { ...fields, observedGeneration: 1, conditions: stored(conditions) };
    expect(kind.status(resource({ activeDeadline: '10m' }, failed), late()).fields.phase).toBe('Failed');
    const raised = parseStored(definition, {
      ...resource({ activeDeadline: '1h' }, failed),
      metadata: { ...job.metadata, generation: 2 },
    });
    expect(names(desired(raised, late()).objects)).toContain('Job/bead-field-shards');
  });

  it('stays ended when a release changes defaults, and with them every revision', () => {
    const job = resource();
    const { fields, conditions } = kind.status(job, finished(job));
    const other = { ...fields, revision: 'of-an-older-release', observedGeneration: 1, conditions: stored(conditions) };
    expect(kind.status(resource({}, other), observed()).fields).toMatchObject({
      phase: 'Succeeded',
      output: { bytes: 8_000_123 },
    });
    expect(names(desired(resource({}, other), observed()).objects)).toEqual(base);
  });

  it('is not touched by a missing image once it has ended', () => {
    const job = resource();
    const { fields, conditions } = kind.status(job, finished(job));
    const done = resource({}, { ...fields, observedGeneration: 1, conditions: stored(conditions) });
    expect(names(fieldJob({ image: '' }).desired(done, observed()).objects)).toEqual(base);
    expect(() => fieldJob({ image: '' }).desired(job, observed())).toThrow(/engines\.field\.image/);
  });

  it('watches pods', () => {
    expect(kind.observes).toContain(types.pod);
  });
});

function stored(conditions: readonly object[]): object[] {
  return conditions.map((each) => ({ lastTransitionTime: '2026-01-01T12:00:00Z', observedGeneration: 1, ...each }));
}

describe('a FieldJob in mode Service', () => {
  const service = (spec: Record<string, unknown> = {}) =>
    parseStored(definition, {
      apiVersion: 'quintet.dev/v1alpha1',
      kind: 'FieldJob',
      metadata: { name: 'bead', namespace: 'lab', uid: 'uid-1', generation: 1 },
      spec: { mode: 'Service', array: { type: 'Grid', grid: {} }, ...spec },
    });

  it('has the objects of the golden file', async () => {
    const all = desired(service({ replicas: 2, auth: { secretRef: { name: 'tokens' } } }), observed())
      .objects.map((object) => stringify(object))
      .join('---\n');
    await expect(all).toMatchFileSnapshot('golden/service.yaml');
  });

  it('is one pod behind a Service unless it says more, and none while it is suspended', () => {
    const deployment = (spec: Record<string, unknown> = {}) =>
      desired(service(spec), observed()).objects.find(({ kind: k }) => k === 'Deployment');
    expect(deployment()).toMatchObject({ spec: { replicas: 1 } });
    expect(deployment({ suspend: true })).toMatchObject({ spec: { replicas: 0 } });
    expect(names(desired(service(), observed()).objects).some((name) => name.startsWith('Job/'))).toBe(false);
  });

  it('keeps the claim of an earlier run', () => {
    const one = service({ output: { volumeClaimTemplate: { storage: '1Gi' } } });
    expect(names(desired(one, observed()).objects)).toContain('PersistentVolumeClaim/bead-field');
  });

  it('is Ready with its address when its pods serve, and says what it waits for before', () => {
    const one = service();
    expect(kind.status(one, observed()).fields).toMatchObject({ phase: 'Pending' });
    const [deployment] = desired(one, observed()).objects.filter(({ kind: k }) => k === 'Deployment');
    const serving = {
      ...deployment,
      metadata: { ...deployment?.metadata, generation: 1 },
      status: { observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1 },
    } as unknown as KubeObject;
    const { fields, conditions } = kind.status(one, observed().with(serving));
    expect(fields).toMatchObject({ phase: 'Ready', url: expect.stringContaining('bead-field.lab.svc') });
    expect(conditions).toContainEqual(expect.objectContaining({ type: 'Ready', status: 'True', reason: 'Serving' }));
  });
});
