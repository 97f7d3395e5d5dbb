// A FieldJob's objects in every state it can be in.
import type { FieldJob } from '@quintet/crds';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { type Pod, types } from '../../objects/types.ts';
import { type ObservedBuilder, observed } from '../testing.ts';
import { fieldJob } from './index.ts';
import {
  base,
  computed,
  condition,
  desired,
  finished,
  finishOf,
  kind,
  names,
  plan,
  planned,
  planOf,
  resource,
  shardsOf,
  stored,
} from './testing.ts';

const find = (job: FieldJob, seen: ObservedBuilder, name: string) =>
  desired(job, seen).objects.find(({ metadata }) => metadata.name === name);

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
    expect(find(job, observed(), 'bead-field')).toMatchObject({ kind: 'ConfigMap' });
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
    const claim = find(kept, observed(), 'bead-field');
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
