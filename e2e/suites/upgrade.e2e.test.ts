// An upgrade of the chart while services run: the controllers change, the definitions change, no engine pod does.
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { run } from '../cluster/command.ts';
import { buildImage } from '../cluster/images.ts';
import { ensureTools } from '../cluster/tools.ts';
import { release } from '../install.ts';
import type { Kubectl } from '../kubectl.ts';
import { request, Services } from './served.ts';
import { controllerPods, freshNamespace, type Shared, sharedCluster } from './shared.ts';
import { startTraffic, type Traffic } from './traffic.ts';

const namespace = 'e2e-upgrade';
const chart = join(import.meta.dirname, '../../helm/quintet');
const definition = 'crds/quintet.dev_compressionservices.yaml';
let shared: Shared;
let kubectl: Kubectl;
let services: Services;
let clients: Traffic;
let folder: string;

const uids = async () => (await services.pods('steady')).map(({ metadata }) => metadata.uid).toSorted();
const generationOf = async () =>
  (
    await kubectl.json<{ metadata: { generation: number } }>([
      'get',
      'deployment',
      'steady-compression',
      '-n',
      namespace,
    ])
  ).metadata.generation;
const regions = { strategy: 'Latency', peers: [{ name: 'eu', url: 'https://eu.example.test' }] };

/** Over the values that the release has. */
async function upgrade(from: string, values: Record<string, unknown> = {}): Promise<void> {
  const { helm } = await ensureTools(['helm']);
  const file = join(folder, 'values.yaml');
  await writeFile(file, stringify(values));
  const args = ['upgrade', release.name, from, '--namespace', release.namespace, '--reset-then-reuse-values'];
  await run(helm, [...args, '--kubeconfig', shared.cluster.kubeconfig, '--values', file, '--wait', '--timeout', '5m'], {
    timeoutMs: 400_000,
  });
}

/** The chart as an older release had it: a version before, and a definition that lacks a field and a column. */
async function olderChart(): Promise<string> {
  const older = join(folder, 'quintet');
  await cp(chart, older, { recursive: true });
  const about = join(older, 'Chart.yaml');
  await writeFile(about, (await readFile(about, 'utf8')).replace(/^version: .*$/m, 'version: 0.0.1'));
  const file = join(older, 'templates', definition);
  const text = await readFile(file, 'utf8');
  const withoutRegions = text.replace(/^( +)regions:\n(?:\1 .*\n)+/gm, '');
  if (withoutRegions === text) throw new Error(`${definition} has no field "regions" that could be left out`);
  await writeFile(file, withoutRegions);
  return older;
}

beforeAll(async () => {
  shared = await sharedCluster();
  kubectl = shared.kubectl;
  folder = await mkdtemp(join(tmpdir(), 'quintet-chart-'));
  await freshNamespace(kubectl, namespace);
  services = new Services(kubectl, namespace);
  await services.apply('steady', { replicas: 2 });
  const { status } = await services.ready('steady', 2);
  const [pod] = await services.pods('steady');
  const image = pod?.spec.containers[0]?.image ?? '';
  clients = await startTraffic(kubectl, {
    namespace,
    name: 'clients',
    url: `${status?.url}/v1/compress`,
    body: request,
    image,
  });
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('an upgrade', () => {
  it('to another image and other settings of the controllers restarts no engine pod and fails no request', async () => {
    const before = { pods: await uids(), generation: await generationOf() };
    const controllers = await controllerPods(kubectl);
    const reference = 'localhost/quintet/controller:next';
    if (shared.cluster.provider !== 'kubeconfig') {
      await shared.cluster.loadImage(await buildImage({ name: 'controller', reference }));
    }
    const [registry, repository, tag] = ['localhost', 'quintet/controller', 'next'];
    const image = shared.cluster.provider === 'kubeconfig' ? {} : { image: { registry, repository, tag } };
    await upgrade(chart, { ...image, controller: { logLevel: 'debug' } });

    await kubectl.run(['rollout', 'status', 'deployment', release.name, '-n', release.namespace, '--timeout=120s'], {
      timeoutMs: 130_000,
    });
    // Those of before may take their time to end.
    await expect
      .poll(async () => (await controllerPods(kubectl)).filter((name) => controllers.includes(name)), {
        timeout: 60_000,
      })
      .toEqual([]);
    // The new leader has looked at it: what it follows now, it follows by the new release.
    await services.apply('steady', { replicas: 2, healing: { mode: 'Observe' } });
    await services.ready('steady', 2);
    expect({ pods: await uids(), generation: await generationOf() }).toEqual(before);
    expect((await clients.counts()).first).toEqual([]);
  });

  it('brings new fields of the definitions, and leaves resources and pods as they are', async () => {
    const before = { pods: await uids(), uid: (await services.get('steady')).metadata.uid };
    await upgrade(await olderChart());
    await expect(services.apply('steady', { replicas: 2, regions })).rejects.toThrow(/regions/);

    await upgrade(chart);
    const { metadata } = await services.get('steady');
    expect({ pods: await uids(), uid: metadata.uid }).toEqual(before);
    await services.apply('later', { replicas: 0, regions });
    await services.reaches('later', 'is Ready at zero', ({ status }) => status?.phase === 'Ready');
    const crd = parse(await kubectl.run(['get', 'crd', 'compressionservices.quintet.dev', '-o', 'yaml'])) as {
      status: { storedVersions: string[] };
      spec: object;
    };
    expect(crd.status.storedVersions).toEqual(['v1alpha1']);
    expect(stringify(crd.spec)).toContain('regions:');

    const { ok, failed, first } = await clients.stop();
    console.log(`three upgrades: ${ok} requests, ${failed} failed`);
    expect({ failed, first }).toEqual({ failed: 0, first: [] });
    await services.remove('steady', 'later');
  });
});
