// CompressionServices for table tests, their Deployments as they stand and pods in the states that matter.
import { type CompressionService, compressionService as definition, parseStored } from '@quintet/crds';
import type { KubeObject } from '../../kube/types.ts';
import type { Deployment } from '../../objects/deployment.ts';
import type { Pod } from '../../objects/types.ts';
import type { Kind } from '../../reconcile/kind.ts';
import { noon, type ObservedBuilder, observed } from '../testing.ts';
import type { Served } from './engines.ts';
import { servingKind } from './index.ts';

export const kind: Kind<Served> = servingKind(definition, { image: 'example.test/compression:1' });

export function resource(spec: Record<string, unknown> = {}, from: typeof definition = definition): CompressionService {
  return parseStored(from, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: from.kind,
    metadata: { name: 'news', namespace: 'team', uid: 'uid-1', generation: 1 },
    spec: { replicas: 2, ...spec },
  });
}

export const objects = (one: Served, seen = observed()) => kind.desired(one, seen).objects;
export const named = (list: readonly KubeObject[], type: string, name?: string) =>
  list.find(({ kind: k, metadata }) => k === type && (name === undefined || metadata.name === name)) as
    | Deployment
    | undefined;
export const main = (one: Served, seen = observed()) => named(objects(one, seen), 'Deployment', 'news-compression');
export const bridge = (one: Served, seen = observed()) =>
  named(objects(one, seen), 'Deployment', 'news-compression-cpu');

/** The Deployment as the Deployment controller leaves it. */
export function live(deployment: Deployment | undefined, status: Deployment['status'], replicas = 2): Deployment {
  if (!deployment) throw new TypeError('no such Deployment is desired');
  const { metadata, spec } = deployment;
  return {
    ...deployment,
    metadata: { ...metadata, generation: 3 },
    spec: { ...spec, replicas },
    ...(status && { status }),
  };
}
export const rolled = {
  observedGeneration: 3,
  replicas: 2,
  updatedReplicas: 2,
  readyReplicas: 2,
  availableReplicas: 2,
};

let serial = 0;
export function pod(backend: 'gpu' | 'cpu', state: 'Ready' | 'NoGPU' | 'Killed', since = 0): Pod {
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

export const condition = (one: Served, seen: ObservedBuilder, type: string) =>
  kind.status(one, seen).conditions.find((each) => each.type === type);
export const phase = (one: Served, seen: ObservedBuilder) => kind.status(one, seen).fields.phase;
