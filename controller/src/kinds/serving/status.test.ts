// The status of the kinds that serve, in every state they can be in.
import { copyEngine, compressionService as definition, matcherPool } from '@quintet/crds';
import { describe, expect, it } from 'vitest';
import type { Pod } from '../../objects/types.ts';
import { noon, type ObservedBuilder, observed } from '../testing.ts';
import type { Served } from './engines.ts';
import { condition, kind, live, main, phase, pod, resource, rolled } from './testing.ts';

describe('pods that do not get on', () => {
  let serial = 0;
  const made = (revision: string, minute: number, status: Pod['status']): Pod => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `made-${serial++}`,
      namespace: 'team',
      creationTimestamp: new Date(noon.getTime() + minute * 60_000).toISOString(),
      labels: { 'quintet.dev/backend': 'cpu' },
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: revision, uid: `uid-of-${revision}`, controller: true },
      ],
    },
    ...(status && { status }),
  });
  const crashing = (restartCount: number): Pod['status'] => ({
    phase: 'Running',
    containerStatuses: [
      {
        name: 'engine',
        restartCount,
        state: { waiting: { reason: 'CrashLoopBackOff' } },
        lastState: {
          terminated: {
            exitCode: 1,
            reason: 'Error',
            message: '{"level":"info","msg":"starting"}\n{"level":"fatal","err":"a token of _admin is too short"}',
          },
        },
      },
    ],
  });
  const unplaced: Pod['status'] = {
    phase: 'Pending',
    conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '1 Insufficient cpu.' }],
  };
  const seenWith = (one: Served, ...pods: Pod[]) =>
    observed().with(live(main(one), { ...rolled, readyReplicas: 0, availableReplicas: 0 }), ...pods);

  it('are Pending at first, and Failed when they have ended again and again, in the words of the engine', () => {
    const one = resource();
    expect(kind.status(one, seenWith(one, made('new', 0, crashing(4)))).fields['phase']).toBe('Pending');
    const often = seenWith(one, made('new', 0, crashing(5)));
    expect(kind.status(one, often).fields['phase']).toBe('Failed');
    expect(condition(one, often, 'Stalled')).toMatchObject({
      status: 'True',
      reason: 'PodFailed',
      message: expect.stringMatching(
        /\(Error\): a token of _admin is too short; it was started 5 times or more in vain$/,
      ),
    });
  });

  it('are not Failed while another of their revision serves', () => {
    const one = resource();
    const ready = made('new', 0, { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] });
    const seen = observed().with(
      live(main(one), { ...rolled, availableReplicas: 1 }),
      ready,
      made('new', 0, crashing(9)),
    );
    expect(condition(one, seen, 'Stalled')).toBeUndefined();
    expect(condition(one, seen, 'Reconciling')).toMatchObject({ reason: 'PodFailed' });
  });

  it('speak only for the latest revision', () => {
    const one = resource();
    const creating: Pod['status'] = {
      phase: 'Pending',
      conditions: [{ type: 'PodScheduled', status: 'True' }],
      containerStatuses: [{ name: 'engine', restartCount: 0, state: { waiting: { reason: 'ContainerCreating' } } }],
    };
    const seen = seenWith(one, made('old', 0, unplaced), made('new', 1, creating));
    expect(condition(one, seen, 'Ready')).toMatchObject({ reason: 'RollingOut' });
    expect(condition(one, seenWith(one, made('old', 0, unplaced)), 'Ready')).toMatchObject({ reason: 'Unschedulable' });
  });

  it('name the Secret that the kubelet misses, and the field that names it', () => {
    const one = resource({ auth: { secretRef: { name: 'nope' } } });
    const seen = seenWith(one, made('new', 0, { phase: 'Pending' }));
    seen.failedMount = () => 'MountVolume.SetUp failed for volume "secret-0" : secret "nope" not found';
    expect(condition(one, seen, 'Ready')).toMatchObject({
      reason: 'SecretNotFound',
      message: 'Secret nope does not exist in namespace team; create it, or name another in spec.auth.secretRef',
    });
  });
});

describe('the status of a service', () => {
  const states: Record<
    string,
    { one?: Served; seen: (one: Served) => ObservedBuilder; phase: string; reason: string }
  > = {
    'is Pending before pods are there': { seen: () => observed(), phase: 'Pending', reason: 'RollingOut' },
    'is Ready when every pod is of the latest revision': {
      seen: (one) => observed().with(live(main(one), rolled), pod('cpu', 'Ready'), pod('cpu', 'Ready')),
      phase: 'Ready',
      reason: 'Serving',
    },
    'is not Ready while old pods serve': {
      seen: (one) =>
        observed().with(live(main(one), { ...rolled, replicas: 3, updatedReplicas: 1 }), pod('cpu', 'Ready')),
      phase: 'Progressing',
      reason: 'RollingOut',
    },
    'is not Ready before the Deployment has been looked at': {
      seen: (one) => observed().with(live(main(one), { ...rolled, observedGeneration: 2 }), pod('cpu', 'Ready')),
      phase: 'Progressing',
      reason: 'RollingOut',
    },
    'is Ready at zero': {
      one: resource({ replicas: 0 }),
      seen: (one) => observed().with(live(main(one), { observedGeneration: 3 }, 0)),
      phase: 'Ready',
      reason: 'ScaledToZero',
    },
    'is Suspended without pods': {
      one: resource({ suspend: true }),
      seen: () => observed(),
      phase: 'Suspended',
      reason: 'Suspended',
    },
    'is Progressing while suspended pods still end': {
      one: resource({ suspend: true }),
      seen: () => observed().with(pod('cpu', 'Ready')),
      phase: 'Progressing',
      reason: 'Suspending',
    },
    'names memory when pods are killed for it': {
      seen: (one) => observed().with(live(main(one), { observedGeneration: 3 }), pod('cpu', 'Killed')),
      phase: 'Pending',
      reason: 'OutOfMemory',
    },
    'is not troubled by what became of a pod that serves again': {
      seen: (one) => {
        const restarted = pod('cpu', 'Killed');
        const conditions = [{ type: 'Ready', status: 'True' }];
        const served = { ...restarted, status: { ...restarted.status, conditions } };
        return observed().with(live(main(one), { ...rolled, updatedReplicas: 1 }), served);
      },
      phase: 'Progressing',
      reason: 'RollingOut',
    },
    'is not Failed however long a GPU does not come': {
      one: resource({ gpu: { policy: 'Required' } }),
      seen: (one) =>
        observed().with(
          live(main(one), {
            observedGeneration: 3,
            conditions: [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }],
          }),
          pod('gpu', 'NoGPU'),
        ),
      phase: 'Pending',
      reason: 'InsufficientGPU',
    },
    'is Failed when the rollout stands still for too long': {
      seen: (one) =>
        observed().with(
          live(main(one), {
            observedGeneration: 3,
            conditions: [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }],
          }),
          pod('cpu', 'Killed'),
        ),
      phase: 'Failed',
      reason: 'OutOfMemory',
    },
  };
  for (const [title, { one = resource(), seen, phase: wantPhase, reason }] of Object.entries(states)) {
    it(title, () => {
      expect(phase(one, seen(one))).toBe(wantPhase);
      expect(condition(one, seen(one), 'Ready')).toMatchObject({ reason });
    });
  }

  it('has what /scale and people need', () => {
    const one = resource();
    const seen = observed().with(live(main(one), rolled), pod('cpu', 'Ready'));
    expect(kind.status(one, seen).fields).toMatchObject({
      replicas: 2,
      readyReplicas: 1,
      url: 'http://news-compression.team.svc',
      selector: expect.stringContaining('quintet.dev/name=news'),
    });
  });

  it('knows the kinds that serve', () => {
    expect([definition, matcherPool, copyEngine].map(({ kind: each }) => each)).toEqual([
      'CompressionService',
      'MatcherPool',
      'CopyEngine',
    ]);
  });
});
