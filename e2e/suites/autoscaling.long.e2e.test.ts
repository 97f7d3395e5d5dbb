// Autoscaling on a real node: a step of the load, the same YAML applied over and over, the leader killed in the middle,
// idleness, and another autoscaler.
import { beforeAll, describe, expect, it } from 'vitest';
import { release } from '../install.ts';
import { eventually, type Kubectl } from '../kubectl.ts';
import { conditionOf, Services } from './served.ts';
import { controllerPods, freshNamespace, sharedCluster } from './shared.ts';

const namespace = 'e2e-autoscaling';
const most = 4;
/** One pod takes longer than that under this load, four far less. */
const targetMs = 6_000;
let kubectl: Kubectl;
let services: Services;

const spec = {
  // So little CPU that a second pod helps even where cores are few.
  resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { cpu: '400m', memory: '1Gi' } },
  autoscaling: {
    maxReplicas: most,
    // Twelve clients ask for six pods: four stay, even where clients get little of a busy machine.
    metrics: [
      { type: 'Concurrency', target: '2' },
      { type: 'LatencyP95', target: `${targetMs}ms` },
    ],
    behavior: { scaleDown: { stabilizationWindowSeconds: 60 } },
  },
};

interface Deployment {
  spec: { replicas: number };
}
const replicas = async () =>
  (await kubectl.json<Deployment>(['get', 'deployment', 'steps-compression', '-n', namespace])).spec.replicas;

/** Twelve clients that ask again as soon as they are answered; each line: moment, answers, failures, p95 of the last 2 s. */
const script = (url: string) => `
  let ok = 0, failed = 0, times = [];
  const first = [];
  // Far more work for the service than for its client: what is in work waits for the service.
  const lines = Array.from({ length: 1500 }, (_, i) => 'Line ' + i + ' of text SERIAL says something of its own about ' + (i * 7919 % 1009) + '.').join(' ');
  const one = async (serial) => {
    const start = performance.now();
    try {
      const answer = await fetch('${url}/v1/compress', {
        method: 'POST', headers: { 'content-type': 'application/json', connection: 'close' }, signal: AbortSignal.timeout(60000),
body: JSON.stringify({ text: lines.replaceAll('SERIAL', serial), ratio: 4 }),
      });
      await answer.text();
      if (answer.status === 200) ok++; else throw new Error(String(answer.status));
    } catch (error) { failed++; if (first.length < 5) first.push(String(error.cause ?? error)); }
    times.push(performance.now() - start);
  };
  const began = Date.now();
  for (let client = 0; client < 12; client++) void (async () => { for (let i = 0; ; i++) await one(client + '-' + i); })();
  setInterval(() => {
    times.sort((a, b) => a - b);
    console.log(JSON.stringify({ began, at: Date.now(), ok, failed, first, p95: times[Math.floor(times.length * 0.95)] ?? null }));
    times = [];
  }, 2000);`;

interface Line {
  began: number;
  at: number;
  ok: number;
  failed: number;
  first: string[];
  p95: number | null;
}

async function startLoad(url: string): Promise<void> {
  const [pod] = await services.pods('steps');
  const container = {
    name: 'client',
    image: pod?.spec.containers[0]?.image,
    command: ['node', '-e', script(url)],
    securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
  };
  const podSpec = {
    restartPolicy: 'Never',
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 0,
    securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [container],
  };
  const metadata = { name: 'load', namespace };
  await kubectl.apply(JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata, spec: podSpec }));
}

async function lines(): Promise<Line[]> {
  const log = await kubectl.run(['logs', 'load', '-n', namespace]);
  return log
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line);
}

beforeAll(async () => {
  ({ kubectl } = await sharedCluster());
  await freshNamespace(kubectl, namespace);
  services = new Services(kubectl, namespace);
  await services.apply('steps', spec);
  await services.ready('steps');
});

describe('a service with spec.autoscaling', () => {
  it('says that it is measured, and keeps its least while nothing is asked', async () => {
    await services.reaches('steps', 'is measured', (one) => conditionOf(one, 'ScalingActive')?.status === 'True');
    expect(await replicas()).toBe(1);
  });

  it('grows from one to four on a step, through re-applied YAML and a killed leader, without shrinking once', async () => {
    const { status } = await services.get('steps');
    const seen: { at: number; replicas: number }[] = [];
    let watching = true;
    const watch = (async () => {
      while (watching) {
        seen.push({ replicas: await replicas(), at: Date.now() });
        await new Promise((next) => setTimeout(next, 300));
      }
    })();
    const applying = (async () => {
      while (watching) {
        await services.apply('steps', spec);
        await new Promise((next) => setTimeout(next, 5_000));
      }
    })();
    await startLoad(status?.url ?? '');
    await eventually('a second pod is asked for', async () => (await replicas()) > 1, {
      timeoutMs: 60_000,
      everyMs: 200,
    });
    const [leader = ''] = await controllerPods(kubectl);
    await kubectl.run(['delete', 'pod', leader, '-n', release.namespace, '--grace-period=0', '--force']);
    await eventually('four pods are asked for', async () => (await replicas()) === most, { timeoutMs: 120_000 });
    await services.ready('steps', most);
    // As many moments again as it took to grow, with all pods serving and the YAML applied thrice more.
    await new Promise((next) => setTimeout(next, 15_000));
    const latest = async () => (await lines()).slice(-4).map(({ p95 }) => p95 ?? Number.POSITIVE_INFINITY);
    await eventually('the p95 is back under its target', async () => Math.max(...(await latest())) < targetMs, {
      timeoutMs: 60_000,
      everyMs: 2_000,
    });
    watching = false;
    await Promise.all([watch, applying]);
    const load = await lines();
    const { began = 0 } = load[0] ?? {};
    const firstNew = seen.find((each) => each.replicas > 1)?.at ?? Number.POSITIVE_INFINITY;
    const slowest = Math.max(...load.map(({ p95 }) => p95 ?? 0));
    const settled = Math.max(...load.slice(-4).map(({ p95 }) => p95 ?? Number.POSITIVE_INFINITY));
    const failures = load.at(-1)?.first ?? [];
    console.log(
      `first new replica asked for after ${firstNew - began} ms; p95 at worst ${slowest} ms, then ${settled} ms; ${load.at(-1)?.ok} answers`,
    );
    expect(seen.every((each, i) => i === 0 || each.replicas >= (seen[i - 1]?.replicas ?? 0))).toBe(true);
    expect(failures).toEqual([]);
    expect(firstNew - began).toBeLessThan(5_000);
    expect(slowest).toBeGreaterThan(targetMs);
    const { status: now } = await services.get('steps');
    const reason = expect.stringMatching(/Concurrency|LatencyP95/);
    expect(now).toMatchObject({ autoscaling: { desired: most, reason } });
  }, 300_000);

  it('shrinks to one when nothing is asked any more', async () => {
    await kubectl.run(['delete', 'pod', 'load', '-n', namespace]);
    await services.ready('steps', 1);
    expect(await replicas()).toBe(1);
  }, 200_000);

  it('stands back while a HorizontalPodAutoscaler aims at its Deployment', async () => {
    const rival = {
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'rival', namespace },
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'steps-compression' },
        minReplicas: 2,
        maxReplicas: 2,
        metrics: [
          { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } },
        ],
      },
    };
    await kubectl.apply(JSON.stringify(rival));
    const stood = await services.reaches(
      'steps',
      'yields',
      (one) => conditionOf(one, 'ScalingActive')?.reason === 'AnotherAutoscaler',
    );
    expect(conditionOf(stood, 'ScalingActive')?.message).toContain('rival');
    // The HPA brings its two pods, and nobody takes them back.
    await eventually('the HPA has its way', async () => (await replicas()) === 2, { timeoutMs: 60_000 });
    await services.ready('steps', 2);
    await kubectl.run(['delete', 'hpa', 'rival', '-n', namespace]);
    await services.reaches('steps', 'scales again', (one) => conditionOf(one, 'ScalingActive')?.status === 'True');
  }, 200_000);
});
