// Scale to zero on a real node: idle to none, requests that find no pod, also while the leader is killed and the same YAML
// is applied over and over, and requests that come just as the last pod goes.
import { beforeAll, describe, expect, it } from 'vitest';
import { release } from '../install.ts';
import { eventually, type Kubectl } from '../kubectl.ts';
import { Bursts } from './burst.ts';
import { conditionOf, Services } from './served.ts';
import { controllerPods, freshNamespace, sharedCluster } from './shared.ts';

const namespace = 'e2e-zero';
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
    behavior: { scaleDown: { stabilizationWindowSeconds: 30 } },
  },
};

interface Deployment {
  spec: { replicas: number };
}
const replicas = async () =>
  (await kubectl.json<Deployment>(['get', 'deployment', `${name}-compression`, '-n', namespace])).spec.replicas;

const asleep = () =>
  services.reaches(
    name,
    'has no pods',
    (one) => conditionOf(one, 'Ready')?.reason === 'ScaledToZero' && one.status?.readyReplicas === 0,
  );

/** When the first pod that serves became ready, to the second. */
async function readySince(): Promise<number> {
  const pods = await services.pods(name);
  const times = pods.flatMap(({ status }) => {
    const ready = status.conditions?.find(({ type, status: state }) => type === 'Ready' && state === 'True');
    return ready ? [Date.parse((ready as { lastTransitionTime?: string }).lastTransitionTime ?? '')] : [];
  });
  expect(times, 'pods that are ready').not.toEqual([]);
  return Math.min(...times);
}

/** The counts that the Deployment was given, one after the other, while the same YAML is applied every 5 s. */
function watchCounts(): { stop: () => Promise<number[]> } {
  const seen: number[] = [];
  let watching = true;
  const look = async () => {
    const now = await replicas();
    if (seen.at(-1) !== now) seen.push(now);
  };
  const watch = (async () => {
    while (watching) {
      await look();
      await new Promise((next) => setTimeout(next, 300));
    }
    // The count may have changed since the last look and before the end that the caller saw.
    await look();
  })();
  const apply = (async () => {
    while (watching) {
      await services.apply(name, spec);
      await new Promise((next) => setTimeout(next, 5_000));
    }
  })();
  return {
    async stop() {
      watching = false;
      await Promise.all([watch, apply]);
      return seen;
    },
  };
}

beforeAll(async () => {
  ({ kubectl } = await sharedCluster());
  await freshNamespace(kubectl, namespace);
  services = new Services(kubectl, namespace);
  bursts = await begin(name);
});

/** A service that may sleep from now on. */
async function begin(service: string): Promise<Bursts> {
  // On a busy machine a pod may take longer to start than it may be idle.
  await services.apply(service, { autoscaling: { ...spec.autoscaling, minReplicas: 1, scaleToZero: undefined } });
  const { status } = await services.ready(service);
  const image = (await services.pods(service))[0]?.spec.containers[0]?.image ?? '';
  await services.apply(service, spec);
  return new Bursts(kubectl, namespace, { url: status?.url ?? '', image });
}

describe('a service with minReplicas 0', () => {
  it('has no pods once nothing was asked for scaleToZero.after', async () => {
    const one = await asleep();
    expect(await replicas()).toBe(0);
    expect(conditionOf(one, 'ScalingActive')).toMatchObject({ status: 'True', reason: 'ScaledToZero' });
  });

  it('answers 200 requests that find no pod, each of them, the first as soon as a pod serves', async () => {
    // Kubernetes tells whole seconds.
    const most = 500 + 1_000;
    const waited: number[] = [];
    // A machine that is busy adds to it: what took longer than it may is looked at again, up to twice.
    for (let tries = 0; tries < 3 && !waited.some((ms) => ms < most); tries++) {
      await eventually('the last pod is gone', async () => (await services.pods(name)).length === 0);
      await bursts.start(`burst-${tries}`, { each: 200 });
      const answers = await bursts.answers(`burst-${tries}`);
      waited.push(answers.first - (await readySince()));
      console.log(
        `200 requests at zero: ${answers.ok} answered, first ${answers.first - answers.began} ms after it was sent and ${waited.at(-1)} ms after its pod became ready (to the second)`,
      );
      expect(answers.failed).toEqual([]);
      expect(answers.ok).toBe(200);
      await asleep();
    }
    expect(Math.min(...waited)).toBeLessThan(most);
  }, 600_000);

  it('answers all 200 with the leader killed in the middle and the same YAML applied all the time, without flapping', async () => {
    await eventually('the last pod is gone', async () => (await services.pods(name)).length === 0);
    const [leader = ''] = await controllerPods(kubectl);
    const counts = watchCounts();
    await bursts.start('orphans', { each: 200 });
    await kubectl.run(['delete', 'pod', leader, '-n', release.namespace, '--grace-period=0', '--force']);
    const answers = await bursts.answers('orphans');
    console.log(`leader killed: ${answers.ok} of 200 answered, the last after ${answers.slowestMs} ms`);
    expect(answers.failed).toEqual([]);
    expect(answers.ok).toBe(200);
    await eventually('the Deployment is at none again', async () => (await replicas()) === 0);
    await asleep();
    const seen = await counts.stop();
    expect(seen[0]).toBe(0);
    expect(seen.at(-1)).toBe(0);
    const turns = seen.filter(
      (each, i) => i > 1 && Math.sign(each - (seen[i - 1] ?? 0)) !== Math.sign((seen[i - 1] ?? 0) - (seen[i - 2] ?? 0)),
    );
    expect(turns, `counts were ${seen.join(', ')}`).toHaveLength(1);
  }, 300_000);

  it('loses none that come just as the last pod goes', async () => {
    // Of three services at once, as the waits are long.
    const late: [client: Bursts, gaps: number[]][] = [
      [bursts, [0, 13, 18]],
      [await begin('dozes'), [0, 15, 19]],
      [await begin('drowses'), [0, 16, 17, 20]],
    ];
    await Promise.all(late.map(([client, gaps], i) => client.start(`late-${i}`, { each: 3, gaps })));
    const answers = await Promise.all(late.map(([client], i) => client.answers(`late-${i}`)));
    expect(answers.flatMap(({ failed }) => failed)).toEqual([]);
    expect(answers.map(({ ok }) => ok)).toEqual(late.map(([, gaps]) => 3 * gaps.length));
  }, 300_000);

  it('is woken by minReplicas 1, too', async () => {
    await asleep();
    await services.apply(name, { autoscaling: { ...spec.autoscaling, minReplicas: 1, scaleToZero: undefined } });
    await services.ready(name, 1);
    const slice = ['endpointslice', `${name}-compression-activator`, '-n', namespace];
    await eventually('nobody stands in any more', async () => (await kubectl.find(slice)) === undefined);
    expect(await replicas()).toBe(1);
  }, 200_000);
});
