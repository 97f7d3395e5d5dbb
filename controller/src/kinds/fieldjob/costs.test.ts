// What FieldJobs have cost decides how many pods the next ones get, and when they should end.
import { fieldJob as definition, type FieldJob, parseStored } from '@quintet/crds';
import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../kube/types.ts';
import type { Job } from '../../objects/types.ts';
import { type ObservedBuilder, observed } from '../testing.ts';
import { type Costs, costs, podsFor } from './costs.ts';
import { fieldJob } from './index.ts';

function resource(name: string, spec: Record<string, unknown> = {}): FieldJob {
  return parseStored(definition, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'FieldJob',
    metadata: { name, namespace: 'lab', uid: `uid-${name}`, generation: 1 },
    spec: {
      array: { type: 'Grid', grid: { rows: 16, columns: 16 } },
      targets: [{ name: 'bead', position: ['0mm', '0mm', '60mm'] }],
      volume: { center: ['0mm', '0mm', '60mm'], size: ['50mm', '50mm', '50mm'] },
      method: 'DirectSum',
      shards: { parallelism: { min: 1, max: 8 } },
      output: { persistentVolumeClaim: { claimName: 'fields' } },
      ...spec,
    },
  });
}

/** 1e6 points in 16 shards, at 1e5 points a second: with 8 pods, 80 seconds of one. */
const plan = {
  step: 'plan',
  shards: 16,
  points: 1_000_000,
  bytes: 8_000_000,
  memoryBytes: 200_000_000,
  solution: { residual: '0.01', targets: [] },
  safety: { verdict: 'Safe' },
};
const finish = {
  step: 'finish',
  solution: plan.solution,
  safety: plan.safety,
  throughput: { pointsPerSecond: 100_000, backend: 'CPU', method: 'DirectSum' },
  output: { bytes: 8_000_123, summary: 'summary.json', pictures: [] },
};

function lifeOf(job: FieldJob, known: Costs) {
  const kind = fieldJob({ image: 'example.test/field:1' }, undefined, known);
  const child = (seen: ObservedBuilder, step: string) =>
    kind.desired(job, seen).objects.find(({ metadata }) => metadata.name === `${job.metadata.name}-field-${step}`);
  const planned = () => {
    const wanted = child(observed(), 'plan');
    return observed().withJob(wanted, 'Complete').withPod(wanted, { exitCode: 0, message: plan });
  };
  const podsOf = (made: KubeObject | undefined) => (made as Job | undefined)?.spec.parallelism;
  const shards = child(planned(), 'shards');
  const running = () => planned().withJob(shards, 'Active');
  const computed = () => planned().withJob(shards, 'Complete', { succeeded: 16 });
  const finished = () => {
    const wanted = child(computed(), 'finish');
    return computed().withJob(wanted, 'Complete').withPod(wanted, { exitCode: 0, message: finish });
  };
  return {
    pods: podsOf(shards),
    podsWhileRunning: () => podsOf(child(running(), 'shards')),
    whileRunning: () => kind.status(job, running()).fields,
    atItsEnd: () => kind.status(job, finished()).fields,
  };
}

describe('a FieldJob', () => {
  it('gets as many pods as it may while nothing like it has been seen, and then what its work is worth', () => {
    const known = costs();
    const first = lifeOf(resource('first'), known);
    expect(first.pods).toBe(8);
    expect(first.whileRunning()).not.toHaveProperty('progress.estimatedCompletionTime');
    first.atItsEnd();
    const next = lifeOf(resource('next'), known);
    expect(next.pods).toBe(3);
    // 80 seconds of a pod, by three from noon on.
    expect(next.whileRunning()).toMatchObject({ progress: { estimatedCompletionTime: '2026-01-01T12:00:26Z' } });
  });

  it('tells at its end how far off the prediction was', () => {
    const known = costs();
    lifeOf(resource('first'), known).atItsEnd();
    // Three pods were as fast as eight before: 30 seconds of a pod.
    expect(lifeOf(resource('next'), known).atItsEnd()).toMatchObject({
      message: expect.stringContaining('30 s of a pod, where 80 s were predicted (+167 %)'),
    });
  });

  it('keeps the pods that it has when others end meanwhile', () => {
    const known = costs();
    lifeOf(resource('first'), known).atItsEnd();
    const next = lifeOf(resource('next'), known);
    expect(next.pods).toBe(3);
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f'])
      known.learn(resource(name), 'r', { points: 1_000_000, podSeconds: 5 });
    expect(lifeOf(resource('last'), known).pods).toBe(1);
    expect(next.podsWhileRunning()).toBe(3);
  });
});

describe('a prediction', () => {
  const small = { array: { type: 'Grid', grid: { rows: 8, columns: 16 } } };

  it('grows with elements where each is summed at each point, and not where they are interpolated', () => {
    const known = costs();
    for (const method of ['DirectSum', 'Interpolated'])
      known.learn(resource('a', { method }), method, { points: 1000, podSeconds: 10 });
    const ofSmall = (method: string) => known.predict(resource('b', { ...small, method }), { points: 2000 });
    expect(ofSmall('DirectSum')).toBeCloseTo(10);
    expect(ofSmall('Interpolated')).toBeCloseTo(20);
  });

  it('goes by the method that the plan chose where the spec leaves it open', () => {
    const known = costs();
    const open = (name: string) => resource(name, { method: 'Auto' });
    known.learn(open('a'), '1', { points: 1000, podSeconds: 25, method: 'DirectSum' });
    known.learn(open('b'), '1', { points: 1000, podSeconds: 1, method: 'Interpolated' });
    expect(known.predict(open('c'), { points: 1000, method: 'Interpolated' })).toBeCloseTo(1);
    expect(known.predict(open('c'), { points: 1000, method: 'DirectSum' })).toBeCloseTo(25);
    expect(known.predict(open('c'), { points: 1000 })).toBeUndefined();
  });

  it('is the median of the most alike, each run counted once', () => {
    const known = costs();
    const learn = (revision: string, podSeconds: number) =>
      known.learn(resource('a'), revision, { points: 1, podSeconds });
    for (const seconds of [1, 2, 300]) learn(`r${seconds}`, seconds);
    for (let i = 0; i < 9; i++) learn('r300', 300);
    expect(known.predict(resource('b'), { points: 1 })).toBe(2);
  });

  it('is none for work of another kind, or an array that a table tells', () => {
    const known = costs();
    known.learn(resource('a'), '1', { points: 1, podSeconds: 1 });
    expect(known.predict(resource('b', { quantities: ['Force'] }), { points: 1 })).toBeUndefined();
    expect(known.predict(resource('d', { resources: { limits: { cpu: '8' } } }), { points: 1 })).toBeUndefined();
    const inTime = (cycles: number) => resource('e', { method: 'TimeDomain', timeDomain: { cycles } });
    known.learn(inTime(40), '1', { points: 1, podSeconds: 1 });
    expect(known.predict(inTime(40), { points: 1 })).toBe(1);
    expect(known.predict(inTime(100_000), { points: 1 })).toBeUndefined();
    const custom = { type: 'Custom', custom: { configMap: { name: 'elements', key: 'a.csv' } } };
    expect(known.predict(resource('c', { array: custom }), { points: 1 })).toBeUndefined();
  });
});

describe('the number of pods', () => {
  const of = (spec: Record<string, unknown>) => resource('a', spec).spec;
  it.each([
    ['half a minute of work each', {}, 16, 100, 4],
    ['no more than the spec allows', {}, 16, 10_000, 8],
    ['no more than there are shards', {}, 2, 10_000, 2],
    ['no fewer than the spec asks for', { shards: { parallelism: { min: 2, max: 8 } } }, 16, 1, 2],
    ['enough to leave half of the deadline', { activeDeadline: '20s' }, 16, 60, 6],
    ['all that are allowed where nothing is known', {}, 16, undefined, 8],
  ] as const)('is %s', (_what, spec, pieces, podSeconds, pods) => {
    expect(podsFor(of(spec), pieces, podSeconds)).toBe(pods);
  });
});
