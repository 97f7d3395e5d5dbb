// A storm of changes through a proxy that breaks connections, answers and streams, with the API server restarted in
// the middle: afterwards everything is as desired, and the caches are equal to what the server has.
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pause } from '../../controller/src/kube/backoff.ts';
import { Client } from '../../controller/src/kube/client.ts';
import { ApiError, isNotFound } from '../../controller/src/kube/errors.ts';
import { keyOf } from '../../controller/src/kube/paths.ts';
import { controllerOf } from '../../controller/src/kube/store.ts';
import type { KubeObject, ResourceType } from '../../controller/src/kube/types.ts';
import type { Watcher } from '../../controller/src/kube/watcher.ts';
import { Controller } from '../../controller/src/reconcile/loop.ts';
import { createMetrics } from '../../controller/src/reconcile/metrics.ts';
import { Watches } from '../../controller/src/reconcile/watches.ts';
import { type ApiCluster, startApi } from '../cluster/api.ts';
import { answerFaults, seededPlan, seededRandom, streamFaults } from '../faults/plan.ts';
import { FaultProxy } from '../faults/proxy.ts';
import {
  type ConfigMap,
  configMaps,
  directClient,
  installThings,
  type Thing,
  thing,
  thingKind,
  things,
} from '../faults/things.ts';

const changes = 2000;
const seed = Number(process.env.QUINTET_SEED ?? 20_261_120);

let api: ApiCluster;
let direct: Client;
let proxy: FaultProxy;
beforeAll(async () => {
  api = await startApi();
  direct = await directClient(api.kubeconfig);
  await installThings(direct, 'storm');
  const tls = { ca: readFileSync(api.caPath), cert: readFileSync(api.certPath), key: readFileSync(api.keyPath) };
  proxy = await FaultProxy.start({ target: api.server, tls, plan: seededPlan({ seed }) });
});
afterAll(async () => {
  await proxy?.stop();
  await direct?.close();
  await api?.stop();
});

test(`at least ${changes} changes through every fault: all reconciled, none missed, no hot loop, steady memory`, {
  timeout: 400_000,
}, async () => {
  const connection = { server: proxy.url, namespace: 'default', tls: {}, authorization: async () => undefined };
  // Short time-outs, so that black holes are met many times in a short run.
  const client = new Client(connection, { timeoutMs: 2_000 });
  const watches = new Watches({
    client,
    namespaces: ['storm'],
    idleMs: 3_000,
    watchSeconds: [5, 10],
    backoff: [50, 2_000],
  });
  const metrics = createMetrics({ processMetrics: false });
  const controller = new Controller(thingKind, { client, watches, metrics });
  watches.start();
  await watches.synced();
  controller.start();

  const heaps: number[] = [];
  const storm = makeStorm(seed);
  const everyFault = () => [...answerFaults, ...streamFaults].every((fault) => proxy.struck.has(fault));
  let made = 0;
  // A fast machine is through before the last kind of fault was dealt: the storm then goes on until it was.
  for (let change = 1; change <= changes || (!everyFault() && change <= 4 * changes); change++) {
    await storm();
    made = change;
    if (change % 500 === 0) heaps.push(usedHeap());
    if (change === changes / 4) await api.killApiServer().then(() => api.startApiServer());
    if (change === changes / 2) proxy.breakAll();
    if (change === (changes * 3) / 4) await api.restartApiServer();
  }
  const struckInStorm = new Map(proxy.struck);
  await collectGarbage();
  // What a fault hid must come to light while faults go on; then the dust settles for the exact comparison.
  await settle(controller, async () => (await unfinished()).length === 0, 120_000);
  expect(await unfinished()).toEqual([]);
  proxy.faulty = false;
  for (const [type, watcher] of [
    [things, watches.all(things)],
    [configMaps, watches.own(configMaps)],
  ] as const) {
    await settle(controller, async () => (await cacheDifferences(type, watcher)).length === 0, 30_000);
    expect(await cacheDifferences(type, watcher)).toEqual([]);
  }

  // No duplicates and nothing left over: exactly the desired ConfigMaps. What was written for a Thing whose deletion a
  // fault still hid is the collector's, whenever it came.
  const { items: live } = await direct.list<Thing>(things, { namespace: 'storm' });
  const wanted = live
    .flatMap(({ metadata, spec }) => Array.from({ length: spec.maps }, (_, index) => `${metadata.name}-${index}`))
    .sort();
  const mapsThere = async () => {
    await collectGarbage();
    const { items } = await direct.list<ConfigMap>(configMaps, {
      namespace: 'storm',
      labelSelector: 'app.kubernetes.io/managed-by=quintet',
    });
    return items.map(({ metadata }) => metadata.name).sort();
  };
  await settle(controller, async () => isDeepStrictEqual(await mapsThere(), wanted), 10_000);
  const maps = await mapsThere();
  expect(maps).toEqual(wanted);

  for (const fault of [...answerFaults, ...streamFaults])
    expect(struckInStorm.get(fault) ?? 0, `${fault} never struck`).toBeGreaterThan(0);

  // Quiet means quiet: nothing but watches ending and being opened again.
  const quietFrom = proxy.total;
  const watchesFrom = proxy.requests.get('WATCH') ?? 0;
  await pause(5_000);
  const opened = (proxy.requests.get('WATCH') ?? 0) - watchesFrom;
  expect(proxy.total - quietFrom).toBe(opened);
  expect(opened).toBeLessThan(8);

  const perChange = proxy.total / made;
  console.log(
    JSON.stringify({
      seed,
      perChange: Number(perChange.toFixed(2)),
      requests: Object.fromEntries(proxy.requests),
      struck: Object.fromEntries(struckInStorm),
      heaps,
      things: live.length,
      maps: maps.length,
    }),
  );
  expect(perChange).toBeLessThan(6);
  // The heap holds the resources that are there, not the changes that went by.
  expect((heaps.at(-1) as number) - (heaps[0] as number)).toBeLessThan(25);
  expect(process.memoryUsage().rss / 2 ** 20).toBeLessThan(600);

  await controller.stop();
  await watches.stop();
  await client.close();
});

/** One change at a time: of ten, four create (until there are 400), four change, two delete. */
function makeStorm(from: number): () => Promise<void> {
  const random = seededRandom(from);
  const alive = new Map<string, Thing['spec']>();
  let made = 0;
  return async () => {
    const dice = random();
    const names = [...alive.keys()];
    const chosen = names[Math.floor(random() * names.length)];
    if (chosen === undefined || (dice < 0.4 && alive.size < 400)) {
      const name = `thing-${made++}`;
      const { spec } = thing('storm', name, { maps: 1 + Math.floor(random() * 2), value: `v${made}`, ballast: 2000 });
      alive.set(name, spec);
      await persist(() => direct.apply(things, { ...thing('storm', name), spec }));
    } else if (dice < 0.8) {
      const spec = { ...(alive.get(chosen) as Thing['spec']), maps: Math.floor(random() * 3), value: `v${random()}` };
      alive.set(chosen, spec);
      await persist(() => direct.apply(things, { ...thing('storm', chosen), spec }));
    } else {
      alive.delete(chosen);
      await persist(() => direct.delete(things, { namespace: 'storm', name: chosen }));
    }
  };
}

/** The storm itself is not under test: it insists, also while the API server is away. */
async function persist(write: () => Promise<unknown>): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await write();
      return;
    } catch (error) {
      if (isNotFound(error)) return;
      if (!(error instanceof ApiError) || attempt > 100) throw error;
      await pause(200);
    }
  }
}

/** No controller-manager runs here: removes what deleted Things owned, as its garbage collector would. */
async function collectGarbage(): Promise<void> {
  const { items: live } = await direct.list<Thing>(things, { namespace: 'storm' });
  const uids = new Set(live.map(({ metadata }) => metadata.uid));
  const { items: maps } = await direct.list<ConfigMap>(configMaps, { namespace: 'storm' });
  for (const map of maps) {
    const owner = controllerOf(map);
    if (owner && !uids.has(owner.uid)) await direct.delete(configMaps, map.metadata, { uid: map.metadata.uid });
  }
}

/** Things whose last change has not reached their ConfigMaps and their status. */
async function unfinished(): Promise<string[]> {
  await collectGarbage();
  const { items: live } = await direct.list<Thing>(things, { namespace: 'storm' });
  const { items } = await direct.list<ConfigMap>(configMaps, { namespace: 'storm' });
  const maps = new Map(items.map((map) => [map.metadata.name, map]));
  return live
    .filter(({ metadata, spec, status }) => {
      const children = [0, 1, 2].map((index) => maps.get(`${metadata.name}-${index}`));
      const asDesired = children.every((map, index) =>
        index < spec.maps ? map?.data.value === spec.value : map === undefined,
      );
      const ready = status?.conditions?.find(({ type }) => type === 'Ready');
      return (
        !asDesired ||
        status?.observedGeneration !== metadata.generation ||
        status?.maps !== spec.maps ||
        ready?.status !== 'True'
      );
    })
    .map(({ metadata }) => metadata.name);
}

/** Keys whose cached version is not the server's. */
async function cacheDifferences(type: ResourceType, watcher: Watcher): Promise<string[]> {
  const selector = type === configMaps ? { labelSelector: 'app.kubernetes.io/managed-by=quintet' } : {};
  const { items } = await direct.list<KubeObject>(type, { namespace: 'storm', ...selector });
  const versions = new Map(items.map(({ metadata }) => [keyOf(metadata), metadata.resourceVersion]));
  const cached = new Map(
    [...watcher.store.values()].map(({ metadata }) => [keyOf(metadata), metadata.resourceVersion]),
  );
  return [...new Set([...versions.keys(), ...cached.keys()])].filter((key) => versions.get(key) !== cached.get(key));
}

async function settle(controller: Controller<Thing>, done: () => Promise<boolean>, timeoutMs: number): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (performance.now() < end) {
    if (controller.queue.isIdle && (await done())) return;
    await pause(500);
  }
}

/** MiB in use after a collection. */
function usedHeap(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return Math.round(process.memoryUsage().heapUsed / 2 ** 20);
}
