// A FieldJob that serves.
import { fieldJob as definition, parseStored } from '@quintet/crds';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { KubeObject } from '../../kube/types.ts';
import { observed } from '../testing.ts';
import { desired, kind, names } from './testing.ts';

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
