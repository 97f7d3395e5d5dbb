// From a pod whose memory runs out to the command that its engine reads, over a real page.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { compressionService, parseStored } from '@quintet/crds';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Healing } from '../kinds/serving/healing.ts';
import { servingKind } from '../kinds/serving/index.ts';
import { type Scaling, together } from '../kinds/serving/scaling.ts';
import { observed } from '../kinds/testing.ts';
import { Cache } from '../kube/store.ts';
import type { KubeObject } from '../kube/types.ts';
import type { ConfigMap } from '../objects/configmap.ts';
import type { Pod } from '../objects/types.ts';
import type { EventNote } from '../reconcile/events.ts';
import { resourceIndex, resourceIndexValue } from '../reconcile/ownership.ts';
import { Healer } from './healer.ts';
import { createHealingMetrics } from './metrics.ts';
import { Scraper } from './scrape.ts';

const caches = () => new Cache({ [resourceIndex]: resourceIndexValue });
let server: Server;
let port = 0;
let used = 95;
let now = 0;
let version = 0;
let healer: Healer;
let registry: Registry;
let [resources, pods, configMaps] = [caches(), caches(), caches()];
let events: EventNote[];
let changed: string[];
let replaced: string[];
let marked: string[];
let refusal: string | undefined;
let scaling: Scaling | undefined;
let page: () => string;

const kind = servingKind(compressionService, { image: 'example.test/engine:1' }, (...which) =>
  together(scaling, healer.of(...which)),
);
const put = (cache: Cache, object: Record<string, unknown> & { metadata: object }) => {
  const metadata = { namespace: 'team', resourceVersion: String(++version), ...object.metadata };
  cache.put({ apiVersion: 'v1', kind: 'Any', ...object, metadata } as unknown as KubeObject);
};
const ask = (spec: object = {}) =>
  put(resources, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'CompressionService',
    metadata: { name: 'notes', uid: 'u1' },
    spec,
  });
const told = (): Healing | undefined => healer.of('CompressionService', 'team/notes', 'u1');
const looks = async (count: number) => {
  for (let i = 0; i < count; i++) {
    now += 30_000;
    await healer.look();
  }
};
/** Unwell, treated, well again. */
const relapse = async () => {
  used = 95;
  await looks(2);
  used = 20;
  await looks(1);
};
function begin(): Healer {
  return new Healer({
    kinds: [{ definition: compressionService, resources }],
    pods,
    configMaps,
    scraper: new Scraper(),
    replace: async ({ metadata }) => {
      if (refusal) throw new Error(refusal);
      replaced.push(metadata.name);
    },
    mark: async (chosen) => void marked.push(...chosen.map(({ pod, cost }) => `${pod.metadata.name} ${cost}`)),
    scaling: () => scaling,
    onChange: (_kind, key) => changed.push(key),
    onEvent: (_resource, note) => events.push(note),
    metrics: createHealingMetrics((registry = new Registry())),
    now: () => now,
    port,
  });
}
/** The ConfigMap that the reconcile makes of it, which the API server then has. */
function reconcile(): ConfigMap {
  const resource = parseStored(compressionService, resources.get('team/notes') as KubeObject);
  const live = configMaps.get('team/notes-compression');
  const { objects } = kind.desired(resource, live ? observed().with(live) : observed());
  const made = objects.find((object) => object.kind === 'ConfigMap') as ConfigMap;
  put(configMaps, { ...made });
  return made;
}

beforeEach(async () => {
  [used, now, events, changed] = [95, Date.parse('2026-01-01T12:00:00Z'), [], []];
  [resources, pods, configMaps] = [caches(), caches(), caches()];
  [replaced, marked, refusal, scaling] = [[], [], undefined, undefined];
  page = () => `quintet_requests_in_flight 0\nprocess_resident_memory_bytes ${used}\nquintet_memory_limit_bytes 100\n`;
  server = createServer((_request, response) => response.end(page()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ({ port } = server.address() as AddressInfo);
  const labels = {
    'quintet.dev/kind': 'CompressionService',
    'quintet.dev/name': 'notes',
    'app.kubernetes.io/component': 'engine',
  };
  const status = { phase: 'Running', podIP: '127.0.0.1', conditions: [{ type: 'Ready', status: 'True' }] };
  put(pods, { metadata: { name: 'notes-1', uid: 'p1', labels }, status });
  healer = begin();
});
afterEach(async () => {
  await healer.stop();
  server.closeAllConnections();
  server.close();
});

describe('the healer', () => {
  it('puts a command where the engine reads it, and tells of it by event, metric and status', async () => {
    ask();
    await looks(2);
    expect(changed).toEqual(['team/notes']);
    const said = JSON.parse(reconcile().data?.['healing.json'] ?? '') as { commands: object[] };
    expect(said.commands).toMatchObject([{ action: 'clearCache', pods: ['notes-1'], at: '2026-01-01T12:01:00.000Z' }]);
    expect(events).toEqual([
      { type: 'Normal', reason: 'Healed', message: 'clearCache: pod notes-1 uses 95 % of its memory' },
    ]);
    expect(await registry.metrics()).toMatch(/quintet_healing_actions_total\{.*outcome="Done"\} 1/);
    const resource = parseStored(compressionService, resources.get('team/notes') as KubeObject);
    expect(kind.status(resource as never, observed()).fields['healing']).toMatchObject({
      lastAction: 'clearCache: pod notes-1 uses 95 % of its memory',
      actionsLastHour: 1,
    });
  });

  it('only says what it would do with mode Observe, and nothing with None', async () => {
    ask({ healing: { mode: 'Observe' } });
    await looks(3);
    expect([told(), events.map(({ reason }) => reason)]).toEqual([undefined, ['HealingObserved']]);
    ask({ healing: { mode: 'None' } });
    await looks(10);
    expect(events).toHaveLength(1);
  });

  it('tells nothing of what is unusual once no pod is looked at', async () => {
    ask();
    used = 20;
    await looks(22);
    used = 60;
    await looks(1);
    const unusual = async () => /quintet_anomaly_sigmas\{.*figure="Memory"\} (.*)/.exec(await registry.metrics())?.[1];
    expect(Number(await unusual())).toBeGreaterThan(2);
    pods.remove('team/notes-1');
    await looks(1);
    expect(await unusual()).toBeUndefined();
  });

  it('leaves alone what is well', async () => {
    ask();
    used = 70;
    await looks(100);
    expect([changed, events]).toEqual([[], []]);
  });

  it('keeps to the budget of an hour, which a new leader knows, and has it again afterwards', async () => {
    ask({ healing: { maxActionsPerHour: 2 } });
    await relapse();
    await relapse();
    reconcile();
    await healer.stop();
    healer = begin();
    await relapse();
    expect(events.map(({ reason }) => reason)).toEqual(['Healed', 'Healed', 'HealingOverBudget']);
    now += 3_600_000;
    await looks(4);
    await relapse();
    expect(events.at(-1)?.reason).toBe('Healed');
    expect(told()?.actionsLastHour).toBe(1);
  });

  it('under a new leader leaves what was put for the engines', async () => {
    ask();
    await looks(2);
    const before = reconcile().data?.['healing.json'];
    await healer.stop();
    healer = begin();
    expect(reconcile().data?.['healing.json']).toBe(before);
  });

  it('takes the file away when its hour is over', async () => {
    ask();
    await relapse();
    reconcile();
    now += 3_600_000;
    await looks(1);
    expect(reconcile().data).not.toHaveProperty('healing.json');
  });

  it('replaces a pod that fails most requests, and says so where a PodDisruptionBudget refuses', async () => {
    ask();
    const [first] = [...pods.values()] as Pod[];
    const unheard = { ...first?.status, podIP: undefined };
    put(pods, { ...first, metadata: { ...first?.metadata, name: 'notes-9', uid: 'p9' }, status: unheard });
    let [requests, errors] = [0, 0];
    page = () => {
      [requests, errors] = [requests + 300, errors + 150];
      return `quintet_requests_in_flight 0\nquintet_requests_total{status="200"} ${requests - errors}\nquintet_requests_total{status="500"} ${errors}\n`;
    };
    refusal = 'the disruption budget notes needs 1 healthy pods';
    await looks(5);
    expect([replaced, events]).toEqual([
      [],
      [
        {
          type: 'Warning',
          reason: 'HealingRefused',
          message: `replacePod: 50 % of the answers of pod notes-1 are errors, but ${refusal}`,
        },
      ],
    ]);
    expect(told()).toBeUndefined();
    await looks(4);
    expect(events).toHaveLength(1);
    refusal = undefined;
    await looks(1);
    expect(replaced).toEqual(['notes-1']);
  });

  it('replaces a pod that leaks once a PodDisruptionBudget lets it', async () => {
    ask();
    refusal = 'the disruption budget notes needs 1 healthy pods';
    await looks(40);
    expect(replaced).toEqual([]);
    expect(events.filter(({ reason }) => reason === 'HealingRefused').length).toBeGreaterThan(3);
    refusal = undefined;
    await looks(5);
    expect(replaced).toEqual(['notes-1']);
  });

  it('does what was over the budget when there is a budget again, and does not take it for done meanwhile', async () => {
    ask({ healing: { maxActionsPerHour: 1 } });
    await relapse();
    used = 95;
    await looks(30);
    expect([replaced, told()?.commands.length]).toEqual([[], 1]);
    expect(events.at(-1)?.message).toMatch(/^clearCache is not done/);
    now += 3_600_000;
    await looks(5);
    expect(events.at(-1)).toMatchObject({ reason: 'Healed', message: expect.stringMatching(/^clearCache/) as string });
  });

  it('acts on what it had only observed as soon as it may', async () => {
    ask({ healing: { mode: 'Observe' } });
    await looks(12);
    expect(new Set(events.map(({ message }) => message.split(' ')[0]))).toEqual(new Set(['clearCache']));
    ask();
    await looks(5);
    expect(events.at(-1)?.reason).toBe('Healed');
  });

  it('replaces the only pod once, and remembers that while none is there', async () => {
    ask();
    page = () => 'quintet_requests_in_flight 0\nquintet_gpu_temperature_celsius{gpu="0"} 97\n';
    await looks(5);
    expect(replaced).toEqual(['notes-1']);
    const [pod] = [...pods.values()];
    pods.remove('team/notes-1');
    await looks(3);
    put(pods, { ...pod, metadata: { ...pod?.metadata, name: 'notes-2', uid: 'p2' } });
    await looks(10);
    expect(replaced).toEqual(['notes-1']);
  });

  it('under a new leader makes no cache smaller that its predecessor has made larger', async () => {
    ask();
    let [hits, misses, share] = [0, 0, 0.8];
    page = () => {
      [hits, misses] = [hits + 300 * share, misses + 300 * (1 - share)];
      const cache = (source: string, count: number) => `quintet_cache_requests_total{source="${source}"} ${count}\n`;
      return `quintet_requests_in_flight 0\nprocess_resident_memory_bytes 30\nquintet_memory_limit_bytes 100\n${cache('memory', hits)}${cache('miss', misses)}`;
    };
    const fall = async () => {
      share = 0.8;
      await looks(14);
      share = 0.2;
      await looks(4);
    };
    await fall();
    reconcile();
    await healer.stop();
    healer = begin();
    await fall();
    const sizes = told()?.commands.map(({ input }) => input?.['maxEntries']);
    expect(sizes).toEqual([15_000, 22_500]);
  });

  it('ends the one pod more of a service that is not to be healed any longer', async () => {
    ask({ autoscaling: { minReplicas: 1, maxReplicas: 2 } });
    const held = { status: 'False', reason: 'DesiredWithinRange', message: 'the count is within its bounds' } as const;
    scaling = { replicas: 1, active: held, limited: held, reason: '', lastScaleTime: undefined };
    page = () => 'quintet_requests_in_flight 0\nquintet_gpu_temperature_celsius{gpu="0"} 97\n';
    await looks(2);
    expect(told()?.extra).toBe(1);
    ask({ autoscaling: { minReplicas: 1, maxReplicas: 2 }, healing: { mode: 'None' } });
    now += 600_000;
    await looks(1);
    expect([told()?.extra, changed.length]).toEqual([0, 2]);
  });

  it('has one pod more while one is sick, within maxReplicas, and then no more: none goes that carries streams', async () => {
    const autoscaling = { minReplicas: 1, maxReplicas: 2 };
    ask({ autoscaling });
    const held = { status: 'False', reason: 'DesiredWithinRange', message: 'the count is within its bounds' } as const;
    scaling = { replicas: 1, active: held, limited: held, reason: '', lastScaleTime: undefined };
    page = () => 'quintet_requests_in_flight 0\nquintet_gpu_temperature_celsius{gpu="0"} 97\n';
    const wanted = () => {
      const resource = parseStored(compressionService, resources.get('team/notes') as KubeObject);
      const deployment = kind.desired(resource as never, observed()).objects.find((each) => each.kind === 'Deployment');
      return (deployment as unknown as { spec: { replicas: number } }).spec.replicas;
    };
    await looks(2);
    expect([events.at(-1)?.message, wanted()]).toEqual(['growPool: the GPU of pod notes-1 is at 97 °C', 2]);
    await looks(2);
    expect([replaced, wanted()]).toEqual([['notes-1'], 2]);
    now += 600_000;
    const calm = page;
    page = () => `${calm()}quintet_streams_open 1\n`;
    await looks(3);
    expect([marked, wanted()]).toEqual([[], 2]);
    page = calm;
    await looks(1);
    expect([marked, wanted()]).toEqual([['notes-1 -1000'], 1]);
  });
});
