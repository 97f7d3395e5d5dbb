import { type MatcherPool, matcherPool, parseStored } from '@quintet/crds';
import { describe, expect, it } from 'vitest';
import type { Deployment } from '../../objects/deployment.ts';
import { observed } from '../testing.ts';
import { servingKind } from './index.ts';

const kind = servingKind(matcherPool, { image: 'example.test/matcher:1' });

interface PodSpec {
  containers: { volumeMounts: unknown[]; env: unknown[] }[];
  volumes: { name: string }[];
}

function pod(index: object) {
  const pool: MatcherPool = parseStored(matcherPool, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'MatcherPool',
    metadata: { name: 'guard', namespace: 'team', uid: 'uid-1', generation: 1 },
    spec: { index: { postgres: { secretRef: { name: 'record' } }, ...index } },
  });
  const { objects } = kind.desired(pool, observed());
  const deployment = objects.find(({ kind: type }) => type === 'Deployment') as Deployment;
  const { containers, volumes } = deployment.spec.template.spec as unknown as PodSpec;
  return { container: containers[0], volume: volumes.find(({ name }) => name === 'snapshot') };
}

describe('the snapshot of a MatcherPool', () => {
  it('lies on scratch space of the pod, where the engine is told to keep it', () => {
    const { container, volume } = pod({});
    expect(volume).toEqual({ name: 'snapshot', emptyDir: { sizeLimit: '10Gi' } });
    expect(container?.volumeMounts).toContainEqual({ name: 'snapshot', mountPath: '/var/lib/quintet/snapshot' });
    expect(container?.env).toContainEqual({ name: 'QUINTET_SNAPSHOT_DIRECTORY', value: '/var/lib/quintet/snapshot' });
  });

  it('has a volume of the pod’s own where the spec asks for one', () => {
    expect(pod({ snapshot: { storageClassName: 'fast', storage: '20Gi' } }).volume).toEqual({
      name: 'snapshot',
      ephemeral: {
        volumeClaimTemplate: {
          spec: {
            accessModes: ['ReadWriteOnce'],
            storageClassName: 'fast',
            resources: { requests: { storage: '20Gi' } },
          },
        },
      },
    });
  });
});
