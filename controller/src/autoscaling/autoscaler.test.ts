// Whole cycles over real pages of servers on this machine: growth, outage, another autoscaler, and a new leader.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { compressionService } from '@quintet/crds';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Client } from '../kube/client.ts';
import { Cache } from '../kube/store.ts';
import type { KubeObject, ResourceType } from '../kube/types.ts';
import type { EventNote } from '../reconcile/events.ts';
import { resourceIndex, resourceIndexValue } from '../reconcile/ownership.ts';
import { Autoscaler } from './autoscaler.ts';
import { createScalingMetrics } from './metrics.ts';
import { Places } from './places.ts';
import { Prometheus } from './prometheus.ts';
import { Scraper } from './scrape.ts';

let server: Server;
let port = 0;
let page: string | undefined;
let now = 0;
let autoscaler: Autoscaler;
let changed: string[];
let marked: string[];
/** Until marks are written. */
let marking: Promise<void>;
let events: EventNote[];
let version = 0;
let registry: Registry;
/** GPUs of the only node. */
let gpus = 0;
const caches = () => new Cache({ [resourceIndex]: resourceIndexValue });
let resources = caches();
let deployments = caches();
let pods = caches();
let rivals = caches();

const key = 'team/notes';
const scaling = () => autoscaler.of('CompressionService', key, 'u1');
const put = (cache: Cache, object: Record<string, unknown> & { metadata: object }) => {
  const metadata = { namespace: 'team', resourceVersion: String(++version), ...object.metadata };
  cache.put({ apiVersion: 'v1', kind: 'Any', ...object, metadata } as unknown as KubeObject);
};
const ask = (autoscaling: object = {}, rest: object = {}) => {
  const spec = {
    autoscaling: { maxReplicas: 8, metrics: [{ type: 'Concurrency', target: '4' }], ...autoscaling },
    ...rest,
  };
  const metadata = { name: 'notes', uid: 'u1' };
  put(resources, { apiVersion: 'quintet.dev/v1alpha1', kind: 'CompressionService', metadata, spec });
};
const run = (count: number) => {
  put(deployments, { metadata: { name: 'notes-compression' }, spec: { replicas: count } });
  for (let i = 0; i < count; i++) {
    const labels = { 'quintet.dev/kind': 'CompressionService', 'quintet.dev/name': 'notes' };
    const status = { phase: 'Running', podIP: '127.0.0.1', conditions: [{ type: 'Ready', status: 'True' }] };
    put(pods, { metadata: { name: `pod-${i}`, uid: `pod-${i}`, labels }, status });
  }
};
const cycles = async (count: number, everySeconds = 2) => {
  for (let i = 0; i < count; i++) {
    now += everySeconds * 1000;
    await autoscaler.cycle();
  }
};

async function listed({ plural }: ResourceType, _options: unknown, onPage?: (items: object[]) => void) {
  const allocatable = { 'nvidia.com/gpu': String(gpus) };
  if (plural === 'nodes') onPage?.([{ metadata: { name: 'node' }, status: { allocatable } }]);
  return { items: [], resourceVersion: '1' };
}

function begin(scraper = new Scraper()): Autoscaler {
  return new Autoscaler({
    kinds: [{ definition: compressionService, resources }],
    deployments,
    pods,
    rivals,
    scraper,
    prometheus: new Prometheus(),
    mark: async (chosen) => {
      await marking;
      marked.push(...chosen.map(({ pod, cost }) => `${pod.metadata.name} ${cost}`));
    },
    onChange: (kind, name) => changed.push(`${kind} ${name}`),
    onEvent: (_resource, note) => events.push(note),
    metrics: createScalingMetrics((registry = new Registry())),
    now: () => now,
    port,
    places: new Places({ client: { list: listed as Client['list'] }, pods }),
  });
}

beforeEach(async () => {
  page = 'quintet_requests_in_flight 4\n';
  now = 1_700_000_000_000;
  [changed, events, marked, marking] = [[], [], [], Promise.resolve()];
  [resources, deployments, pods, rivals] = [caches(), caches(), caches(), caches()];
  server = createServer((_request, response) => {
    if (page === undefined) response.destroy();
    else response.end(page);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ({ port } = server.address() as AddressInfo);
  autoscaler = begin();
});

afterEach(async () => {
  await autoscaler.stop();
  server.closeAllConnections();
  server.close();
});

describe('the autoscaler', () => {
  it('leaves alone what is on target, and says nothing twice', async () => {
    ask();
    run(2);
    await cycles(5);
    expect(scaling()).toMatchObject({ replicas: 2, active: { status: 'True' }, limited: { status: 'False' } });
    expect(changed).toEqual(['CompressionService team/notes']);
    expect(events).toEqual([]);
  });

  it('asks for more within two cycles of a step, with an event and metrics', async () => {
    ask();
    run(2);
    await cycles(2);
    page = 'quintet_requests_in_flight 12\n';
    await cycles(2);
    expect(scaling()?.replicas).toBeGreaterThan(2);
    expect(events[0]).toMatchObject({ type: 'Normal', reason: 'ScaledUp' });
    expect(await registry.metrics()).toMatch(/quintet_autoscaling_desired_replicas\{.*name="notes"\} [3-8]/);
  });

  it('never shrinks while no pod is heard, however long, and says so', async () => {
    ask();
    run(5);
    await cycles(2);
    page = undefined;
    await cycles(10, 60);
    expect(scaling()).toMatchObject({ replicas: 5, active: { status: 'False', reason: 'FailedGetMetrics' } });
  });

  it.each([
    ['NaN', 'quintet_requests_in_flight NaN\n'],
    ['a negative', 'quintet_requests_in_flight -4\n'],
    ['HTML', '<html>'],
  ])('never shrinks on %s', async (_what, lie) => {
    ask();
    run(5);
    page = lie;
    await cycles(10, 60);
    expect(scaling()?.replicas).toBe(5);
  });

  it('shrinks once the stabilisation window is over', async () => {
    ask();
    run(4);
    await cycles(1);
    page = 'quintet_requests_in_flight 1\n';
    await cycles(4, 60);
    expect(scaling()?.replicas).toBe(4);
    await cycles(4, 60);
    expect(scaling()?.replicas).toBe(1);
  });

  it('as a new leader begins from what runs', async () => {
    ask();
    run(6);
    page = 'quintet_requests_in_flight 0\n';
    await cycles(20);
    expect(scaling()?.replicas).toBe(6);
  });

  it('stands back where an HPA aims at the Deployment or at the resource, and comes back when it is gone', async () => {
    ask();
    run(2);
    const aim = (kind: string, name: string) =>
      put(rivals, { metadata: { name: 'rival' }, spec: { scaleTargetRef: { kind, name } } });
    aim('Deployment', 'notes-compression');
    await cycles(1);
    expect(scaling()).toMatchObject({
      replicas: undefined,
      yieldsTo: { name: 'rival', target: 'Deployment' },
      active: { status: 'False', reason: 'AnotherAutoscaler' },
    });
    aim('CompressionService', 'notes');
    await cycles(1);
    aim('Deployment', 'somebody-elses');
    await cycles(1);
    expect(scaling()).toMatchObject({ replicas: 2, active: { status: 'True' } });
  });

  it('keeps what runs for an HPA on the resource until that has written a count, or had the time to', async () => {
    ask();
    run(5);
    await cycles(2);
    put(rivals, {
      metadata: { name: 'rival' },
      spec: { scaleTargetRef: { kind: 'CompressionService', name: 'notes' } },
    });
    await cycles(10);
    expect(scaling()).toMatchObject({ replicas: 5, yieldsTo: { name: 'rival', target: 'Resource' } });
    ask({}, { replicas: 3 });
    await cycles(1);
    expect(scaling()?.replicas).toBeUndefined();
    ask();
    await cycles(60);
    expect(scaling()?.replicas).toBeUndefined();
  });

  it('does not tell of a page that is lost now and then', async () => {
    ask();
    run(2);
    await cycles(2);
    const good = page;
    for (let i = 0; i < 5; i++) {
      page = undefined;
      await cycles(2);
      page = good;
      await cycles(2);
      expect(scaling()?.active.status).toBe('True');
    }
    expect(changed).toHaveLength(1);
  });

  it('stops at once though pods do not answer', async () => {
    autoscaler = begin(new Scraper({ timeoutMs: 3_600_000 }));
    server.removeAllListeners('request');
    const asked = new Promise((resolve) => server.once('request', resolve));
    ask();
    run(200);
    autoscaler.start();
    await asked;
    await autoscaler.stop();
    expect(scaling()).toBeUndefined();
  });

  it('asks for no more than GPUs can be found for, and says so', async () => {
    ask();
    run(2);
    const labels = { 'quintet.dev/kind': 'CompressionService', 'quintet.dev/name': 'notes' };
    const lastTransitionTime = '2026-01-01T12:00:00Z';
    const message = '0/1 nodes are available: 1 Insufficient nvidia.com/gpu.';
    const unschedulable = {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message,
      lastTransitionTime,
    };
    put(pods, {
      metadata: { name: 'waits', uid: 'waits', labels: { ...labels, 'quintet.dev/backend': 'gpu' } },
      status: { phase: 'Pending', conditions: [unschedulable] },
    });
    page = 'quintet_requests_in_flight 40\n';
    await cycles(3);
    expect(scaling()).toMatchObject({ replicas: 2, limited: { status: 'True', reason: 'InsufficientGPU' } });
    expect(scaling()?.limited.message).toContain('Insufficient nvidia.com/gpu');
  });

  it('never asks for more than GPUs are free, takes none away when they go, and says so', async () => {
    gpus = 6;
    ask({}, { gpu: { policy: 'Required', count: 2 } });
    run(2);
    for (const i of [0, 1]) {
      const labels = {
        'quintet.dev/kind': 'CompressionService',
        'quintet.dev/name': 'notes',
        'quintet.dev/backend': 'gpu',
      };
      const status = { phase: 'Running', podIP: '127.0.0.1', conditions: [{ type: 'Ready', status: 'True' }] };
      const spec = { nodeName: 'node', containers: [{ resources: { limits: { 'nvidia.com/gpu': '2' } } }] };
      put(pods, { metadata: { name: `pod-${i}`, uid: `pod-${i}`, labels }, spec, status });
    }
    page = 'quintet_requests_in_flight 16\n';
    await cycles(4);
    expect(scaling()).toMatchObject({
      replicas: 3,
      limited: {
        status: 'True',
        reason: 'InsufficientGPU',
        message: '2 GPUs free, largest node 2; asked for 8 pods, placed 3',
      },
    });
    gpus = 2;
    await cycles(4, 60);
    expect(scaling()?.replicas).toBe(3);
    gpus = 100;
    await cycles(4, 60);
    expect(scaling()).toMatchObject({ replicas: 8, limited: { status: 'False' } });
  });

  it('asks for no more than a quota has room for, and says what refuses', async () => {
    ask();
    run(2);
    const said = 'pods "notes-compression-x" is forbidden: exceeded quota: gpus';
    const conditions = [{ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: said }];
    put(deployments, { metadata: { name: 'notes-compression' }, spec: { replicas: 2 }, status: { conditions } });
    page = 'quintet_requests_in_flight 40\n';
    await cycles(5);
    expect(scaling()).toMatchObject({
      replicas: 2,
      limited: { status: 'True', reason: 'PodsRefused', message: `no more pods while one is refused: ${said}` },
    });
  });

  it('has the pods that are to go marked before the count falls, and none go that carry streams', async () => {
    ask({ behavior: { scaleDown: { stabilizationWindowSeconds: 0 } } });
    run(5);
    page = 'quintet_requests_in_flight 0\nquintet_streams_open 1\n';
    await cycles(5);
    expect(scaling()).toMatchObject({ replicas: 5, limited: { reason: 'OpenStreams' } });
    expect(marked).toEqual([]);
    page = 'quintet_requests_in_flight 0\nquintet_streams_open 0\n';
    const { promise, resolve: write } = Promise.withResolvers<void>();
    marking = promise;
    [changed] = [[]];
    await cycles(1);
    // Whoever reconciles meanwhile finds the count as it was.
    expect([scaling()?.replicas, marked.length, changed]).toEqual([5, 0, []]);
    write();
    await expect.poll(() => changed).toHaveLength(1);
    expect([scaling()?.replicas, marked.length]).toEqual([1, 4]);
  });

  it('recommends after an hour what its pods had better ask for', async () => {
    ask({}, { resources: { requests: { memory: '64Mi' } } });
    run(1);
    page = `quintet_requests_in_flight 4\nprocess_resident_memory_bytes ${200 * 2 ** 20}\n`;
    await cycles(50, 60);
    expect(scaling()?.recommendation).toBeUndefined();
    await cycles(30, 60);
    expect(scaling()?.recommendation).toBe('resources.requests.memory 230Mi instead of 64Mi');
  });

  it('has nothing to say of what is suspended or deleted', async () => {
    ask();
    run(2);
    await cycles(1);
    ask({}, { suspend: true });
    await cycles(1);
    expect(scaling()).toBeUndefined();
    expect(await registry.metrics()).not.toContain('name="notes"} 2');
  });
});
