// Self-healing on a real node: a process whose memory really runs out is told to clear its caches, and does; one that is
// well is left alone.
import { beforeAll, expect, it } from 'vitest';
import { eventually, type Kubectl } from '../kubectl.ts';
import { Services } from './served.ts';
import { freshNamespace, sharedCluster } from './shared.ts';

const namespace = 'e2e-healing';
const mebibyte = 2 ** 20;
const limit = 1024;
let kubectl: Kubectl;
let services: Services;

/** Takes so much memory in the process itself; without a blank, for Node splits its options at them. */
const leak = (bytes: number) =>
  `--import=data:text/javascript,import{isMainThread}from'node:worker_threads';if(isMainThread)globalThis.leak=Buffer.alloc(${bytes},1)`;
const sized = { resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: `${limit}Mi` } } };

/** Of the first pod. */
async function page(name: string): Promise<string> {
  const [pod] = await services.pods(name);
  return await kubectl.run([
    'get',
    '--raw',
    `/api/v1/namespaces/${namespace}/pods/${pod?.metadata.name}:8080/proxy/metrics`,
  ]);
}
const figure = (text: string, series: string) =>
  Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${series} `))
      ?.split(' ')[1] ?? Number.NaN,
  );
const healed = async (name: string) => {
  const { items } = await kubectl.json<{ items: { regarding: { name: string }; reason: string; note: string }[] }>([
    'get',
    'events.events.k8s.io',
    '-n',
    namespace,
  ]);
  return items.filter(({ regarding, reason }) => regarding.name === name && reason === 'Healed');
};

beforeAll(async () => {
  ({ kubectl } = await sharedCluster());
  await freshNamespace(kubectl, namespace);
  services = new Services(kubectl, namespace);
});

it('a pod that runs out of memory clears its caches, and one that is well is left alone', async () => {
  await services.apply('well', sized);
  await services.ready('well');
  const idle = figure(await page('well'), 'process_resident_memory_bytes');
  const env = [{ name: 'NODE_OPTIONS', value: leak(Math.round(0.94 * limit * mebibyte - idle)) }];
  await services.apply('leaks', { ...sized, pod: { env } });
  await services.ready('leaks');
  const share = figure(await page('leaks'), 'process_resident_memory_bytes') / (limit * mebibyte);
  expect(share).toBeGreaterThan(0.9);
  const [event] = await eventually('the healer has seen it', async () => {
    const events = await healed('leaks');
    return events.length > 0 && events;
  });
  expect(event?.note).toMatch(/clearCache: pod leaks-compression-.* uses 9\d % of its memory/);
  const { status } = await services.get('leaks');
  expect(status).toMatchObject({ healing: { actionsLastHour: 1 } });
  // The kubelet looks at ConfigMaps about once a minute.
  const series = 'quintet_commands_total{action="clearCache",outcome="done"}';
  await eventually('the engine has done it', async () => figure(await page('leaks'), series) === 1, {
    timeoutMs: 180_000,
  });
  // More looks: it is treated once, and the other never.
  await new Promise((next) => setTimeout(next, 70_000));
  expect(await healed('leaks')).toHaveLength(1);
  expect(await healed('well')).toEqual([]);
  expect(figure(await page('well'), series)).toBeNaN();
}, 600_000);
