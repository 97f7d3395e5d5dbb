// Activators that are killed: before requests come, and while they hold them. What a killed process held is gone with its
// connections, as with any proxy; clients that send such a request again lose nothing.
import { beforeAll, describe, expect, it } from 'vitest';
import { release } from '../install.ts';
import { eventually, type Kubectl } from '../kubectl.ts';
import { Bursts } from './burst.ts';
import { conditionOf, Services } from './served.ts';
import { controllerPods, freshNamespace, sharedCluster } from './shared.ts';

const namespace = 'e2e-activators';
const name = 'naps';
let kubectl: Kubectl;
let services: Services;
let bursts: Bursts;

const spec = {
  autoscaling: {
    minReplicas: 0,
    maxReplicas: 2,
    scaleToZero: { after: '10s' },
    metrics: [{ type: 'Concurrency', target: '100' }],
    behavior: { scaleDown: { stabilizationWindowSeconds: 10 } },
  },
};

interface ActivatorPod {
  metadata: { name: string; deletionTimestamp?: string };
  status: { conditions?: { type: string; status: string }[] };
}

/** Those that are ready. */
async function activators(): Promise<string[]> {
  const selector = 'app.kubernetes.io/component=activator';
  const args = ['get', 'pods', '-n', release.namespace, '-l', selector];
  const { items } = await kubectl.json<{ items: ActivatorPod[] }>(args);
  return items
    .filter(({ metadata, status }) => {
      const isReady = status.conditions?.some(({ type, status: state }) => type === 'Ready' && state === 'True');
      return isReady && !metadata.deletionTimestamp;
    })
    .map(({ metadata }) => metadata.name);
}
const kill = (pod: string) =>
  kubectl.run(['delete', 'pod', pod, '-n', release.namespace, '--grace-period=0', '--force']);
const held = async (pod: string): Promise<number> => {
  const path = `/api/v1/namespaces/${release.namespace}/pods/${pod}:8081/proxy/metrics`;
  const page = await kubectl.run(['get', '--raw', path]).catch(() => '');
  return Number(/^quintet_activator_waiting_requests(?:\{[^}]*\})? (\d+)/m.exec(page)?.[1] ?? 0);
};

async function asleep(): Promise<void> {
  await eventually('two activators are ready', async () => (await activators()).length === 2);
  await services.reaches(
    name,
    'has no pods',
    (one) => conditionOf(one, 'Ready')?.reason === 'ScaledToZero' && one.status?.readyReplicas === 0,
  );
  await eventually('the last pod is gone', async () => (await services.pods(name)).length === 0);
}

beforeAll(async () => {
  ({ kubectl } = await sharedCluster());
  await freshNamespace(kubectl, namespace);
  services = new Services(kubectl, namespace);
  await services.apply(name, { ...spec, autoscaling: { ...spec.autoscaling, minReplicas: 1, scaleToZero: undefined } });
  const { status } = await services.ready(name);
  const image = (await services.pods(name))[0]?.spec.containers[0]?.image ?? '';
  bursts = new Bursts(kubectl, namespace, { url: status?.url ?? '', image });
  await services.apply(name, spec);
}, 200_000);

describe('a service at zero', () => {
  it('is answered by the other activator when one was killed before', async () => {
    await asleep();
    const [first = ''] = await activators();
    await kill(first);
    await bursts.start('bereft', { each: 50, tries: 2 });
    const answers = await bursts.answers('bereft');
    console.log(
      `one of two activators killed: ${answers.ok} of 50 answered, ${answers.again} of them at the second try`,
    );
    expect(answers).toMatchObject({ ok: 50, failed: [] });
  }, 300_000);

  it('loses no request of clients that send again, when an activator and the leader are killed while requests wait', async () => {
    await asleep();
    await bursts.start('held', { each: 100, tries: 3 });
    const pods = await activators();
    const victim = await eventually(
      'an activator holds requests',
      async () => {
        const counts = await Promise.all(pods.map(held));
        const most = counts.indexOf(Math.max(...counts));
        return (counts[most] ?? 0) > 0 ? pods[most] : undefined;
      },
      { everyMs: 100 },
    );
    const [leader = ''] = await controllerPods(kubectl);
    await Promise.all([
      kill(victim),
      kubectl.run(['delete', 'pod', leader, '-n', release.namespace, '--grace-period=0', '--force']),
    ]);
    const answers = await bursts.answers('held');
    console.log(
      `activator and leader killed: ${answers.ok} of 100 answered, ${answers.again} of them at a second or third try, the last after ${answers.slowestMs} ms`,
    );
    expect(answers).toMatchObject({ ok: 100, failed: [] });
    expect(answers.again).toBeGreaterThan(0);
  }, 300_000);
});
