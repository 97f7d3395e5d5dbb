import { describe, expect, it } from 'vitest';
import type { Deployment } from '../../objects/deployment.ts';
import { type ObservedBuilder, observed } from '../testing.ts';
import { coordinator, kind, resource, running, said } from './testing.ts';

describe('what an EvolutionRun gives', () => {
  const run = resource({
    dataset: {
      source: { http: { url: 'https://data.test/churn.csv', secretRef: { name: 'data-token' } } },
      maxSize: '3Gi',
      target: 'churned',
      task: 'Binary',
    },
    search: {
      frozen: [{ name: 'bureau', source: { persistentVolumeClaim: { claimName: 'models', path: 'b.onnx' } } }],
    },
    promotion: { mode: 'Champion', serving: { auth: { secretRef: { name: 'tokens' } } } },
    output: { s3: { bucket: 'models', secretRef: { name: 'bucket-keys' } } },
    resources: { limits: { memory: '6Gi' } },
    pod: {
      env: [
        { name: 'QUINTET_POSTGRES_URL', value: 'postgres://own' },
        { name: 'TZ', value: 'UTC' },
      ],
    },
  });
  const ending = observed()
    .withJob(coordinator(run), 'Complete')
    .withPod(coordinator(run), { exitCode: 0, message: { ...said, deployment: { champion: 'm-1' } } });
  const given = (seen: ObservedBuilder, name: string) => {
    const found = kind
      .desired(run, seen)
      .objects.find(({ metadata, kind: k }) => metadata.name === name && (k === 'Job' || k === 'Deployment'));
    const { containers, volumes } = (found as Deployment).spec.template.spec as {
      containers: { env: { name: string }[]; envFrom?: unknown }[];
      volumes: { name: string; secret?: { secretName: string }; emptyDir?: object; persistentVolumeClaim?: object }[];
    };
    return {
      secrets: volumes.flatMap(({ secret }) => secret?.secretName ?? []),
      claims: volumes.filter((volume) => volume.persistentVolumeClaim).length,
      tmp: volumes.find(({ name: each }) => each === 'tmp')?.emptyDir,
      env: containers[0]?.env.map(({ name: each }) => each).filter((each) => !/RESOURCE|PORT/.test(each)),
      envFrom: containers[0]?.envFrom,
    };
  };

  it('a coordinator: data, frozen models, stores and the keys of its output, with room for a download', () =>
    expect(given(running(run), 'churn-evolution')).toEqual({
      secrets: ['data-token'],
      claims: 1,
      tmp: { sizeLimit: '4096Mi' },
      env: ['QUINTET_POSTGRES_URL', 'TZ', 'QUINTET_REDIS_URL'],
      envFrom: [{ secretRef: { name: 'bucket-keys' } }],
    }));
  it('a worker: the queue alone, with room for a table as large as its memory', () =>
    expect(given(running(run), 'churn-evolution-workers')).toEqual({
      secrets: [],
      claims: 0,
      tmp: { sizeLimit: '7168Mi' },
      env: ['TZ', 'QUINTET_REDIS_URL'],
    }));
  it('predictions: registry and tokens', () =>
    expect(given(ending, 'churn-evolution-predictions')).toEqual({
      secrets: ['tokens'],
      claims: 0,
      tmp: { sizeLimit: '1Gi' },
      env: ['QUINTET_POSTGRES_URL', 'TZ'],
    }));
});
