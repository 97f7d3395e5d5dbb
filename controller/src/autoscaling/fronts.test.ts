// The way to no pods and back through whole cycles: caches as the API server fills them, a pod's page, and activators that
// say what is put into their mouths.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { compressionService, parseStored } from '@quintet/crds';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Queue } from '../activator/activator.ts';
import { servingKind } from '../kinds/serving/index.ts';
import { observed } from '../kinds/testing.ts';
import { Cache } from '../kube/store.ts';
import type { KubeObject } from '../kube/types.ts';
import { type EndpointSlice, frontOf } from '../objects/endpointslice.ts';
import { resourceIndex, resourceIndexValue } from '../reconcile/ownership.ts';
import { Autoscaler } from './autoscaler.ts';
import { Fronts } from './fronts.ts';
import { Prometheus } from './prometheus.ts';
import type { Heard } from './queues.ts';
import { Scraper } from './scrape.ts';

const activator = 'system/quintet-activator';
const service = 'team/notes-compression';
const caches = () => new Cache({ [resourceIndex]: resourceIndexValue });
const kind = servingKind(compressionService, { image: 'example.test/engine:1' }, (...which) => autoscaler.of(...which));

let server: Server;
let port = 0;
let requests = 0;
let now = 0;
let version = 0;
let autoscaler: Autoscaler;
let resources = caches();
let deployments = caches();
let pods = caches();
let slices = caches();
let activators = caches();
let heard: Record<string, Partial<Queue> | 'silent'>;
let changes = 0;

const put = (cache: Cache, object: Record<string, unknown> & { metadata: object }) => {
  const metadata = { namespace: 'team', resourceVersion: String(++version), ...object.metadata };
  cache.put({ apiVersion: 'v1', kind: 'Any', ...object, metadata } as unknown as KubeObject);
};
const labels = { 'quintet.dev/kind': 'CompressionService', 'quintet.dev/name': 'notes' };
const ask = (autoscaling: object = {}, uid = 'u1') =>
  put(resources, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'CompressionService',
    metadata: { name: 'notes', uid },
    spec: { autoscaling: { minReplicas: 0, maxReplicas: 4, scaleToZero: { after: '20s' }, ...autoscaling } },
  });
/** Deployment, pods and the Service's slice, as they are when `count` pods serve. */
const run = (count: number) => {
  put(deployments, { metadata: { name: 'notes-compression' }, spec: { replicas: count } });
  for (let i = 0; i < 4; i++) pods.remove(`team/pod-${i}`);
  for (let i = 0; i < count; i++) {
    const status = { phase: 'Running', podIP: '127.0.0.1', conditions: [{ type: 'Ready', status: 'True' }] };
    put(pods, { metadata: { name: `pod-${i}`, uid: `pod-${i}`, labels }, status });
  }
  const endpoints = Array.from({ length: count }, (_, i) => ({
    addresses: [`10.0.0.${i}`],
    conditions: { ready: true },
  }));
  const own = { ...labels, 'kubernetes.io/service-name': 'notes-compression' };
  put(slices, {
    metadata: { name: 'notes-compression-x', labels: own },
    addressType: 'IPv4',
    endpoints,
    ports: [{ name: 'http', port: 8080 }],
  });
};
const list = (...addresses: string[]) =>
  put(activators, {
    metadata: { name: 'a', namespace: 'system' },
    endpoints: addresses.map((each) => ({ addresses: [each] })),
  });
const scaling = () => autoscaler.of('CompressionService', 'team/notes', 'u1');

/** Carries out what was decided, as the reconcile does. */
function reconcile(): void {
  const stored = resources.get('team/notes');
  if (!stored) return;
  const resource = parseStored(compressionService, stored) as Parameters<typeof kind.desired>[0];
  const deployment = deployments.get('team/notes-compression');
  const seen = observed();
  if (deployment) seen.with({ ...deployment, kind: 'Deployment' });
  const live = slices.get('team/notes-compression-activator');
  if (live) seen.with(live);
  const { objects } = kind.desired(resource, seen);
  const slice = objects.find((object) => object.kind === 'EndpointSlice') as EndpointSlice | undefined;
  if (slice)
    put(slices, { ...slice, metadata: { ...slice.metadata, labels: { ...slice.metadata.labels, ...labels } } });
  else slices.remove('team/notes-compression-activator');
}
const inTheWay = () => frontOf(slices.get('team/notes-compression-activator') as EndpointSlice | undefined)?.addresses;
const cycles = async (count: number) => {
  for (let i = 0; i < count; i++) {
    now += 2_000;
    await autoscaler.cycle();
    reconcile();
  }
};
const queuesOf = (): Heard[] =>
  Object.entries(heard).map(([address, said]) =>
    said === 'silent'
      ? { address, instance: undefined, queue: undefined }
      : { address, instance: `i-${address}`, queue: { port: 20_000, waiting: 0, inFlight: 0, total: 0, ...said } },
  );

function begin(): Autoscaler {
  const queues = {
    follow: () => undefined,
    of: (of: string) => (of === service ? queuesOf() : []),
    close: async () => undefined,
  };
  return new Autoscaler({
    kinds: [{ definition: compressionService, resources }],
    deployments,
    pods,
    rivals: caches(),
    scraper: new Scraper(),
    prometheus: new Prometheus(),
    fronts: new Fronts({ activator, activators, slices, queues }),
    onChange: () => {
      changes += 1;
    },
    now: () => now,
    port,
  });
}

beforeEach(async () => {
  [requests, now, changes] = [0, 1_700_000_000_000, 0];
  [resources, deployments, pods, slices, activators] = [caches(), caches(), caches(), caches(), caches()];
  heard = { '10.9.0.1': {}, '10.9.0.2': {} };
  server = createServer((_request, response) =>
    response.end(`quintet_requests_in_flight 0\nquintet_requests_total ${requests}\n`),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ({ port } = server.address() as AddressInfo);
  autoscaler = begin();
  list('10.9.0.1', '10.9.0.2');
  ask();
  run(1);
});

afterEach(async () => {
  await autoscaler.stop();
  server.closeAllConnections();
  server.close();
});

async function fallAsleep(): Promise<void> {
  await cycles(20);
  run(0);
  await cycles(1);
}

describe('a service that may have no pods', () => {
  it('has its port at the activators from the start, and them in its way only before the last pod goes', async () => {
    await cycles(5);
    expect(inTheWay()).toEqual([]);
    expect(scaling()).toMatchObject({ replicas: 1, front: { port: 20_000, activator } });
    await cycles(6);
    expect(inTheWay()).toEqual(['10.9.0.1', '10.9.0.2']);
    expect(scaling()?.replicas).toBe(1);
    await cycles(4);
    expect(scaling()).toMatchObject({ replicas: 0, active: { status: 'True', reason: 'ScaledToZero' } });
  });

  it('keeps the pods that were asked for by who waited for the window of shrinking, as any others', async () => {
    ask({ metrics: [{ type: 'Concurrency', target: '4' }] });
    await fallAsleep();
    heard['10.9.0.1'] = { waiting: 3, total: 3 };
    autoscaler.wake(service);
    await cycles(2);
    run(1);
    heard['10.9.0.1'] = { waiting: 8, total: 8 };
    await cycles(1);
    expect(scaling()?.replicas).toBe(2);
    run(2);
    heard['10.9.0.1'] = { total: 8 };
    for (let i = 0; i < 50; i++) {
      requests += 1;
      await cycles(1);
    }
    expect(scaling()?.replicas).toBe(2);
    for (let i = 0; i < 110; i++) {
      requests += 1;
      await cycles(1);
    }
    expect(scaling()?.replicas).toBe(1);
  });

  it('is woken at once by the alarm of an activator, and has the activators step aside when a pod serves', async () => {
    await fallAsleep();
    heard['10.9.0.1'] = { waiting: 3, total: 3 };
    const before = changes;
    autoscaler.wake(service);
    expect(scaling()).toMatchObject({ replicas: 1, active: { status: 'True', reason: 'Waking' } });
    expect(changes).toBe(before + 1);
    autoscaler.wake(service);
    expect(changes).toBe(before + 1);
    await cycles(3);
    expect(inTheWay()).toHaveLength(2);
    heard['10.9.0.1'] = { total: 3 };
    run(1);
    await cycles(2);
    expect(inTheWay()).toEqual([]);
    expect(scaling()?.replicas).toBe(1);
  });

  it('keeps what waits through a new leader, which wakes it', async () => {
    await fallAsleep();
    heard['10.9.0.2'] = { waiting: 1, total: 1 };
    await autoscaler.stop();
    autoscaler = begin();
    reconcile();
    expect(inTheWay()).toHaveLength(2);
    await cycles(1);
    expect(inTheWay()).toHaveLength(2);
    expect(scaling()?.replicas).toBe(1);
  });

  it('stays asleep under a new leader while nothing waits', async () => {
    await fallAsleep();
    await autoscaler.stop();
    autoscaler = begin();
    await cycles(10);
    expect(scaling()?.replicas).toBe(0);
  });

  it('goes nowhere while requests come, even few', async () => {
    for (let i = 0; i < 10; i++) {
      requests += 1;
      await cycles(5);
      expect(scaling()?.replicas).toBe(1);
    }
  });

  it('names no activator that has not said that it listens, nor one that is gone, and keeps one that is not heard', async () => {
    await fallAsleep();
    heard['10.9.0.3'] = { port: 1 };
    list('10.9.0.1', '10.9.0.3');
    heard['10.9.0.1'] = 'silent';
    await cycles(2);
    expect(inTheWay()).toEqual(['10.9.0.1']);
  });

  it('keeps a pod where there are no activators', async () => {
    list();
    heard = {};
    await cycles(60);
    expect(scaling()?.replicas).toBe(1);
  });

  it('gets its pods back by minReplicas, with the activators in the way until one serves', async () => {
    await fallAsleep();
    ask({ minReplicas: 1, scaleToZero: undefined });
    await cycles(2);
    expect(scaling()?.replicas).toBe(1);
    expect(inTheWay()).toHaveLength(2);
    run(1);
    await cycles(2);
    expect(inTheWay()).toBeUndefined();
  });

  it('knows nothing of a namesake that was deleted', async () => {
    await fallAsleep();
    ask({}, 'u2');
    expect(autoscaler.of('CompressionService', 'team/notes', 'u2')).toBeUndefined();
    run(2);
    await cycles(1);
    expect(autoscaler.of('CompressionService', 'team/notes', 'u2')?.replicas).toBe(2);
  });
});
