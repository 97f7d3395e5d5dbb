// Objects and status of the kinds that serve, in every state they can be in.
import {
  type CompressionService,
  copyEngine,
  compressionService as definition,
  matcherPool,
  parseStored,
} from '@quintet/crds';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { KubeObject } from '../../kube/types.ts';
import type { Deployment } from '../../objects/deployment.ts';
import type { Pod } from '../../objects/types.ts';
import type { Kind } from '../../reconcile/kind.ts';
import { noon, type ObservedBuilder, observed, stores } from '../testing.ts';
import type { Served } from './engines.ts';
import { servingKind } from './index.ts';
import type { Scaling } from './scaling.ts';

const kind: Kind<Served> = servingKind(definition, { image: 'example.test/compression:1' });

function resource(spec: Record<string, unknown> = {}, from: typeof definition = definition): CompressionService {
  return parseStored(from, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: from.kind,
    metadata: { name: 'news', namespace: 'team', uid: 'uid-1', generation: 1 },
    spec: { replicas: 2, ...spec },
  });
}

const objects = (one: Served, seen = observed()) => kind.desired(one, seen).objects;
const named = (list: readonly KubeObject[], type: string, name?: string) =>
  list.find(({ kind: k, metadata }) => k === type && (name === undefined || metadata.name === name)) as
    | Deployment
    | undefined;
const main = (one: Served, seen = observed()) => named(objects(one, seen), 'Deployment', 'news-compression');
const bridge = (one: Served, seen = observed()) => named(objects(one, seen), 'Deployment', 'news-compression-cpu');

/** The Deployment as the Deployment controller leaves it. */
function live(deployment: Deployment | undefined, status: Deployment['status'], replicas = 2): Deployment {
  if (!deployment) throw new TypeError('no such Deployment is desired');
  const { metadata, spec } = deployment;
  return {
    ...deployment,
    metadata: { ...metadata, generation: 3 },
    spec: { ...spec, replicas },
    ...(status && { status }),
  };
}
const rolled = { observedGeneration: 3, replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2 };

let serial = 0;
function pod(backend: 'gpu' | 'cpu', state: 'Ready' | 'NoGPU' | 'Killed', since = 0): Pod {
  const at = new Date(noon.getTime() + since * 1000).toISOString();
  const scheduled = {
    type: 'PodScheduled',
    status: state === 'NoGPU' ? 'False' : 'True',
    reason: 'Unschedulable',
    message: '0/3 nodes are available: 3 Insufficient nvidia.com/gpu.',
    lastTransitionTime: at,
  };
  const killed = { terminated: { exitCode: 137, reason: 'OOMKilled' } };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `pod-${serial++}`, labels: { 'quintet.dev/backend': backend } },
    status: {
      phase: state === 'NoGPU' ? 'Pending' : 'Running',
      conditions: [scheduled, { type: 'Ready', status: state === 'Ready' ? 'True' : 'False' }],
      ...(state === 'Killed' && {
        containerStatuses: [
          { name: 'engine', restartCount: 3, state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState: killed },
        ],
      }),
    },
  };
}

const condition = (one: Served, seen: ObservedBuilder, type: string) =>
  kind.status(one, seen).conditions.find((each) => each.type === type);
const phase = (one: Served, seen: ObservedBuilder) => kind.status(one, seen).fields.phase;

describe('the objects of a service', () => {
  it('are those of the golden files', async () => {
    const full = resource({
      cache: { redis: { secretRef: { name: 'redis' } }, disk: { maxSize: '2Gi' } },
      auth: { secretRef: { name: 'tokens' } },
      model: { source: { persistentVolumeClaim: { claimName: 'models', path: 'tagger.onnx' } } },
      embedding: { source: { oci: { image: 'example.test/minilm:1', path: 'minilm' } } },
      gpu: { policy: 'Required', resourceName: 'nvidia.com/mig-1g.10gb', count: 2, runtimeClassName: 'nvidia' },
      scheduling: { spot: 'Preferred', topologySpreadConstraints: [{ topologyKey: 'topology.kubernetes.io/zone' }] },
      pod: {
        env: [
          { name: 'QUINTET_RESOURCE', value: 'ours wins' },
          { name: 'TZ', value: 'UTC' },
        ],
      },
    });
    await expect(
      objects(full)
        .map((each) => stringify(each))
        .join('---\n'),
    ).toMatchFileSnapshot('golden/service.yaml');
  });

  it('are named by engine, so that two kinds of one name do not meet', () => {
    const names = (from: typeof definition) =>
      servingKind(from, { image: 'x:1', stores })
        .desired(resource({}, from), observed())
        .objects.map(({ metadata }) => metadata.name);
    expect(new Set(names(definition))).toEqual(new Set(['news-compression', 'news-compression-stores']));
    expect(new Set(names(matcherPool as never))).toEqual(new Set(['news-matcher', 'news-matcher-stores']));
  });

  it('roll the pods when what the engine reads changes, not when the count or the autoscaler does', () => {
    const hash = (spec: Record<string, unknown>) =>
      main(resource(spec))?.spec.template.metadata.annotations?.['quintet.dev/config'];
    expect(hash({ batching: { maxSize: 8 } })).not.toBe(hash({}));
    expect(hash({ replicas: 9 })).toBe(hash({}));
    expect(hash({ autoscaling: { maxReplicas: 4 } })).toBe(hash({}));
    expect(hash({ suspend: true })).toBe(hash({}));
  });

  it('hold what runs within the bounds of an autoscaling block, until something is decided', () => {
    const scaled = resource({ autoscaling: { minReplicas: 3, maxReplicas: 8 } });
    expect(main(scaled)?.spec.replicas).toBe(3);
    expect(condition(scaled, observed(), 'ScalingActive')).toMatchObject({
      status: 'Unknown',
      reason: 'NotMeasuredYet',
    });
    expect(main(scaled, observed().with(live(main(scaled), {}, 6)))?.spec.replicas).toBe(6);
    expect(main(scaled, observed().with(live(main(scaled), {}, 60)))?.spec.replicas).toBe(8);
    const paused = resource({ suspend: true, autoscaling: { minReplicas: 3, maxReplicas: 8 } });
    expect(main(paused)?.spec.replicas).toBe(0);
    expect(main(scaled, observed().with(live(main(paused), {}, 0)))?.spec.replicas).toBe(3);
  });

  it('follow what the autoscaler decided, within bounds, and yield to another', () => {
    const said = { status: 'True', reason: 'ValidMetricFound', message: 'it follows' } as const;
    const scaled = resource({ autoscaling: { minReplicas: 2, maxReplicas: 8 } });
    const decided = (scaling: Partial<Scaling>) =>
      servingKind<Served>(definition, { image: 'x:1' }, (name, key) => {
        expect([name, key]).toEqual(['CompressionService', 'team/news']);
        return { replicas: undefined, active: said, limited: said, reason: 'x', lastScaleTime: noon, ...scaling };
      });
    const count = (scaling: Partial<Scaling>) =>
      (
        decided(scaling)
          .desired(scaled, observed().with(live(main(scaled), {}, 6)))
          .objects.find(
            ({ metadata, kind: of }) => of === 'Deployment' && metadata.name === 'news-compression',
          ) as Deployment
      ).spec.replicas;
    expect(count({ replicas: 5 })).toBe(5);
    expect(count({ replicas: 99 })).toBe(8);
    expect(count({ replicas: 0 })).toBe(2);
    expect(count({})).toBe(6);
    expect(count({ yieldsTo: { name: 'hpa', target: 'Deployment' } })).toBe(6);
    expect(count({ yieldsTo: { name: 'hpa', target: 'Resource' } })).toBe(2);
    expect(decided({ replicas: 5 }).status(scaled, observed())).toMatchObject({
      conditions: expect.arrayContaining([
        {
          type: 'ScalingActive',
          ...said,
          message: expect.stringMatching(/^it follows; spec\.replicas \(2\) is not read.*minReplicas/),
        },
      ]),
      fields: { autoscaling: { desired: 5, reason: 'x', lastScaleTime: '2026-01-01T12:00:00Z' } },
    });
  });

  it('are selected by what never changes, whatever the policy on GPUs', () => {
    const selector = (policy: string) => main(resource({ gpu: { policy } }))?.spec.selector;
    expect(selector('Required')).toEqual(selector('None'));
    const preferring = resource({ gpu: { policy: 'Preferred', fallbackAfter: '1m' } });
    const seen = observed()
      .with(live(main(preferring), {}), pod('gpu', 'NoGPU'))
      .at(60);
    expect(bridge(preferring, seen)?.spec.selector).not.toEqual(selector('None'));
  });

  it('never sleep longer before they end than the pod may take to end', () => {
    const sleep = (seconds: number) =>
      JSON.stringify(main(resource({ pod: { terminationGracePeriodSeconds: seconds } })));
    expect(sleep(2)).toContain('"sleep":{"seconds":2}');
    expect(sleep(0)).not.toContain('preStop');
  });

  it('carry the queue that admits them', () => {
    expect(main(resource({ scheduling: { queueName: 'team-a' } }))?.metadata.labels).toMatchObject({
      'kueue.x-k8s.io/queue-name': 'team-a',
    });
  });

  it('have a claim template for a device class, and the pods claim by it', () => {
    const claiming = resource({ gpu: { policy: 'Required', deviceClassName: 'gpu.example.com', count: 1 } });
    expect(named(objects(claiming), 'ResourceClaimTemplate')?.spec).toMatchObject({
      spec: { devices: { requests: [{ exactly: { deviceClassName: 'gpu.example.com', count: 1 } }] } },
    });
    expect(main(claiming)?.spec.template.spec).toMatchObject({
      resourceClaims: [{ name: 'gpu', resourceClaimTemplateName: 'news-compression' }],
    });
  });

  it('cannot be made without an image, and say which value to set', () => {
    const bare = servingKind(definition, { image: '' });
    expect(() => bare.desired(resource(), observed())).toThrow(/engines\.compression\.image/);
    const own = bare.desired(resource({ pod: { image: 'mine:1' } }), observed()).objects;
    expect(JSON.stringify(named(own, 'Deployment'))).toContain('"image":"mine:1"');
  });
});

describe('a GPU that is preferred', () => {
  const preferring = resource({ gpu: { policy: 'Preferred', fallbackAfter: '2m' } });
  const waiting = (...pods: Pod[]) =>
    observed().with(live(main(preferring), { observedGeneration: 3, replicas: 2, updatedReplicas: 2 }), ...pods);

  it('is waited for until the time is over', () => {
    const seen = waiting(pod('gpu', 'NoGPU'), pod('gpu', 'NoGPU')).at(60);
    expect(bridge(preferring, seen)).toBeUndefined();
    expect(kind.desired(preferring, seen).requeueAfterMs).toBe(60_000);
    expect(condition(preferring, seen, 'GPUAllocated')).toMatchObject({ status: 'False', reason: 'InsufficientGPU' });
  });

  it('is bridged on CPU then, while the pods that want it stay in the queue', () => {
    const seen = waiting(pod('gpu', 'NoGPU'), pod('gpu', 'Ready')).at(120);
    expect(bridge(preferring, seen)?.spec.replicas).toBe(1);
    expect(JSON.stringify(bridge(preferring, seen))).not.toContain('nvidia.com/gpu');
    expect(JSON.stringify(main(preferring, seen))).toContain('nvidia.com/gpu');
    expect(condition(preferring, seen, 'GPUAllocated')).toMatchObject({ status: 'False', reason: 'FellBackToCPU' });
  });

  it('is Ready while the bridge serves', () => {
    const seen = waiting(pod('gpu', 'NoGPU'), pod('gpu', 'NoGPU'), pod('cpu', 'Ready'), pod('cpu', 'Ready')).at(120);
    const there = live(bridge(preferring, seen), { ...rolled }, 2);
    expect(phase(preferring, seen.with(there))).toBe('Ready');
    expect(condition(preferring, seen, 'Ready')).toMatchObject({ reason: 'ServingOnCPU' });
  });

  it('takes over when it is free, and only then the bridge goes', () => {
    const seen = waiting(pod('gpu', 'NoGPU'), pod('gpu', 'NoGPU')).at(120);
    const there = live(bridge(preferring, seen), rolled);
    const half = observed().with(
      live(main(preferring), rolled),
      there,
      pod('gpu', 'Ready'),
      pod('cpu', 'Ready'),
      pod('cpu', 'Ready'),
    );
    expect(bridge(preferring, half)?.spec.replicas).toBe(1);
    const whole = observed().with(
      live(main(preferring), rolled),
      there,
      pod('gpu', 'Ready'),
      pod('gpu', 'Ready'),
      pod('cpu', 'Ready'),
    );
    expect(bridge(preferring, whole)).toBeUndefined();
    expect(condition(preferring, whole, 'GPUAllocated')).toMatchObject({ status: 'True' });
  });

  it('is never bridged when it is required', () => {
    const requiring = resource({ gpu: { policy: 'Required' } });
    const seen = observed()
      .with(live(main(requiring), {}), pod('gpu', 'NoGPU'))
      .at(9999);
    expect(bridge(requiring, seen)).toBeUndefined();
    expect(condition(requiring, seen, 'Ready')).toMatchObject({ reason: 'InsufficientGPU' });
  });
});

describe('a rollout while every GPU is held', () => {
  const surging = (replicas: number) => ({ ...rolled, replicas: replicas + 1, updatedReplicas: 1 });
  const strategy = (one: Served, seen: ObservedBuilder) => {
    const found = main(one, seen)?.spec.strategy as { rollingUpdate: { maxUnavailable: number } } | undefined;
    return found?.rollingUpdate.maxUnavailable;
  };

  it('takes the GPU of an old pod where others serve meanwhile', () => {
    const one = resource({ gpu: { policy: 'Required' } });
    const seen = observed().with(
      live(main(one), surging(2)),
      pod('gpu', 'Ready'),
      pod('gpu', 'Ready'),
      pod('gpu', 'NoGPU'),
    );
    expect(strategy(one, seen)).toBe(1);
    const gone = observed().with(live(main(one), rolled), pod('gpu', 'Ready'), pod('gpu', 'Ready'));
    expect(strategy(one, gone)).toBe(0);
  });

  it('does not end the only pod when a GPU is required, and says what helps', () => {
    const one = resource({ replicas: 1, gpu: { policy: 'Required' } });
    const seen = observed().with(live(main(one), surging(1), 1), pod('gpu', 'Ready'), pod('gpu', 'NoGPU'));
    expect(strategy(one, seen)).toBe(0);
    expect(condition(one, seen, 'Ready')?.message).toMatch(/Insufficient.*free a GPU, or delete that pod/);
  });

  it('serves on CPU for the old pod that ends, when a GPU is preferred', () => {
    const one = resource({ replicas: 1, gpu: { policy: 'Preferred', fallbackAfter: '2m' } });
    const held = [live(main(one), surging(1), 1), pod('gpu', 'Ready'), pod('gpu', 'NoGPU')];
    expect(
      bridge(
        one,
        observed()
          .with(...held)
          .at(60),
      ),
    ).toBeUndefined();
    const due = observed()
      .with(...held)
      .at(120);
    expect(bridge(one, due)?.spec.replicas).toBe(1);
    expect(strategy(one, due)).toBe(0);
    const bridged = observed()
      .with(...held, pod('cpu', 'Ready'))
      .at(120);
    expect(strategy(one, bridged)).toBe(1);
  });

  it('takes as many away as are missing anyway, or the last old pod would never end', () => {
    const one = resource({ gpu: { policy: 'Preferred', fallbackAfter: '2m' } });
    const seen = observed()
      .with(live(main(one), surging(2)), pod('gpu', 'Ready'), pod('gpu', 'NoGPU'), pod('gpu', 'NoGPU'))
      .with(pod('cpu', 'Ready'), pod('cpu', 'Ready'))
      .at(120);
    expect(bridge(one, seen)?.spec.replicas).toBe(2);
    expect(strategy(one, seen)).toBe(2);
  });
});

describe('pods that do not get on', () => {
  const made = (revision: string, minute: number, status: Pod['status']): Pod => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `pod-${serial++}`,
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
