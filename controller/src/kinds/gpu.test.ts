// GPUs of the kinds that end: asked for by the pods that compute, waited for, replaced by CPU, taken when they come.
import type { FieldJob } from '@quintet/crds';
import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../kube/types.ts';
import type { Deployment } from '../objects/deployment.ts';
import type { Job, Pod } from '../objects/types.ts';
import { condition, kind, planned, planOf, resource, shardsOf } from './fieldjob/testing.ts';
import { noon, observed, uidOf } from './testing.ts';

const preferred = { policy: 'Preferred', fallbackAfter: '2m' };

let serial = 0;
/** A pod of a Job or Deployment: it waits for a GPU since noon, or serves. */
function podOf(owner: KubeObject | undefined, state: 'NoGPU' | 'Ready'): Pod {
  if (!owner) throw new TypeError('nothing is desired that would have this pod');
  const { template } = (owner as Job | Deployment).spec;
  const scheduled = {
    type: 'PodScheduled',
    status: state === 'NoGPU' ? 'False' : 'True',
    reason: 'Unschedulable',
    message: '0/3 nodes are available: 3 Insufficient nvidia.com/gpu.',
    lastTransitionTime: noon.toISOString(),
  };
  const controller = { apiVersion: 'batch/v1', kind: owner.kind, name: owner.metadata.name, controller: true };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `pod-${serial++}`,
      labels: template.metadata.labels ?? {},
      ownerReferences: [{ ...controller, uid: uidOf(owner) }],
    },
    status: {
      phase: state === 'NoGPU' ? 'Pending' : 'Running',
      conditions: [scheduled, { type: 'Ready', status: state === 'Ready' ? 'True' : 'False' }],
    },
  };
}

const asksForGpu = (object: KubeObject | undefined) => JSON.stringify(object).includes('"nvidia.com/gpu":"1"');

describe('a FieldJob', () => {
  const waiting = (one: FieldJob) =>
    planned(one)
      .withJob(shardsOf(one), 'Active')
      .with(podOf(shardsOf(one), 'NoGPU'));

  it('asks for a GPU where it computes, not where it plans', () => {
    const one = resource({ gpu: { policy: 'Required' } });
    expect(asksForGpu(planOf(one))).toBe(false);
    expect(asksForGpu(shardsOf(one))).toBe(true);
  });

  it('claims devices by a template where the spec names a class', () => {
    const one = resource({ gpu: { policy: 'Required', deviceClassName: 'gpu.example.test', count: 2 } });
    const { objects } = kind.desired(one, planned(one));
    expect(objects.map(({ kind: each }) => each)).toContain('ResourceClaimTemplate');
    expect(JSON.stringify(shardsOf(one))).toContain('"resourceClaimTemplateName":"bead-field"');
  });

  it('waits for a required GPU however long, in the words of the scheduler', () => {
    const one = resource({ gpu: { policy: 'Required' } });
    const seen = waiting(one).at(9999);
    expect(asksForGpu(shardsOf(one, seen))).toBe(true);
    expect(condition(one, seen, 'GPUAllocated')).toMatchObject({
      status: 'False',
      reason: 'InsufficientGPU',
      message: expect.stringContaining('3 Insufficient nvidia.com/gpu'),
    });
  });

  it('makes its shards anew for CPU when no GPU came in time, and remembers that', () => {
    const one = resource({ gpu: preferred });
    const early = waiting(one).at(119);
    expect(asksForGpu(shardsOf(one, early))).toBe(true);
    expect(kind.desired(one, early).requeueAfterMs).toBe(1000);

    const late = waiting(one).at(120);
    // Remembered first: whoever begins after a crash, without the pods that waited, would ask for a GPU again.
    expect(asksForGpu(shardsOf(one, late))).toBe(true);
    const { fields } = kind.status(one, late);
    expect(fields).toMatchObject({ gpu: { allocated: 0, fellBackAt: '2026-01-01T12:02:00Z' } });

    const after = resource({ gpu: preferred }, fields);
    // The Job that waits goes first: nothing new begins beside its pods.
    expect(shardsOf(after, waiting(one).at(121))).toBeUndefined();
    expect(kind.status(after, waiting(one).at(121)).fields.gpu).toEqual(fields.gpu);
    // Told throughout: a condition that goes and comes would be told as news.
    expect(condition(after, waiting(one).at(121), 'GPUAllocated')).toMatchObject({ reason: 'FellBackToCPU' });
    const onCpu = shardsOf(after, planned(one).at(121));
    expect(onCpu).toBeDefined();
    expect(asksForGpu(onCpu)).toBe(false);
    const running = planned(one).withJob(onCpu, 'Active', { active: 1 }).with(podOf(onCpu, 'Ready')).at(300);
    expect(shardsOf(after, running)).toBeDefined();
    expect(condition(after, running, 'GPUAllocated')).toMatchObject({
      status: 'False',
      reason: 'FellBackToCPU',
    });
  });

  it('keeps a GPU that comes between the decision and the end of its Job', () => {
    const one = resource({ gpu: preferred });
    const decided = resource({ gpu: preferred }, kind.status(one, waiting(one).at(120)).fields);
    const lucky = planned(one)
      .withJob(shardsOf(one), 'Active', { active: 1 })
      .with(podOf(shardsOf(one), 'Ready'))
      .at(121);
    expect(asksForGpu(shardsOf(decided, lucky))).toBe(true);
    expect(kind.status(decided, lucky).fields.gpu).toEqual({ allocated: 1 });
  });

  it('does not fall back while some of its pods have a GPU', () => {
    const one = resource({ gpu: preferred });
    const seen = waiting(one)
      .with(podOf(shardsOf(one), 'Ready'))
      .at(9999);
    expect(asksForGpu(shardsOf(one, seen))).toBe(true);
    expect(condition(one, seen, 'GPUAllocated')).toMatchObject({ status: 'True' });
  });

  it('asks for a GPU again after a pause', () => {
    const fellBackAt = '2026-01-01T12:02:00Z';
    const { revision } = kind.status(resource({ gpu: preferred }), observed()).fields as { revision: string };
    const paused = resource({ gpu: preferred, suspend: true }, { revision, gpu: { allocated: 0, fellBackAt } });
    expect(asksForGpu(shardsOf(paused))).toBe(true);
    expect(kind.status(paused, observed()).fields.gpu).toEqual({ allocated: 0 });
  });
});
