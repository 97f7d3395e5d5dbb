// A FieldJob's status in every state it can be in.
import { fieldJob as definition, type FieldJob, parseStored } from '@quintet/crds';
import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../kube/types.ts';
import { type Pod, types } from '../../objects/types.ts';
import { type ObservedBuilder, observed, uidOf } from '../testing.ts';
import { fieldJob } from './index.ts';
import {
  base,
  computed,
  condition,
  desired,
  finished,
  kind,
  names,
  plan,
  planned,
  planOf,
  resource,
  shardsOf,
  stored,
} from './testing.ts';

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
      expect(condition(job, seen(job), 'Ready')).toMatchObject({ reason });
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
    expect(condition(job, observed().withJob(planOf(job), 'Active').with(pod), 'Ready')).toMatchObject({
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
