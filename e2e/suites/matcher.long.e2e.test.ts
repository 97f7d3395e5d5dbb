// A MatcherPool of two replicas on the chart's PostgreSQL and Redis, while its pods and both stores are killed during registration
// and search: what was acknowledged stays, no verdict is wrong, and nobody lends a hand.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { release } from '../install.ts';
import { eventually, type Kubectl } from '../kubectl.ts';
import { type Client, imageOf, kill, startClient } from './inside.ts';
import { freshNamespace, sharedCluster } from './shared.ts';
import { rows, stores } from './stores.ts';

const namespace = 'e2e-matcher';
let kubectl: Kubectl;

interface Counts {
  acknowledged: number;
  refused: number;
  searches: number;
  unanswered: number;
  /** Verdicts that were wrong, in words. */
  wrong: string[];
  /** After the end: acknowledged items that a lookup or a search does not find. */
  lost?: string[];
}

interface Pool {
  metadata: { generation: number };
  status?: { phase?: string; observedGeneration?: number; readyReplicas?: number };
}

/** Registers hashes and looks them up until it is told to end, then looks for all that were acknowledged. */
const script = (url: string) => `
  import { randomBytes, randomInt } from 'node:crypto';
  const counts = { acknowledged: 0, refused: 0, searches: 0, unanswered: 0, wrong: [] };
  const known = [];
  const call = async (path, body) => {
    const init = body ? { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) } : {};
    const answer = await fetch('${url}' + path, { ...init, signal: AbortSignal.timeout(10000) });
    return { status: answer.status, body: await answer.json() };
  };
  /** The hash with so many bits turned. */
  const near = (hash, bits) => {
    const bytes = Buffer.from(hash, 'hex');
    for (let i = 0; i < bits; i++) { const bit = randomInt(256); bytes[bit >> 3] ^= 1 << (bit & 7); }
    return bytes.toString('hex');
  };
  let ending = false;
  process.once('SIGUSR2', () => { ending = true; });
  const register = async () => {
    for (let i = 0; !ending; i++) {
      const item = { id: 'item-' + i, hash: randomBytes(32).toString('hex') };
      try {
        const { status } = await call('/api/v1/items', item);
        if (status === 201) { counts.acknowledged++; known.push({ ...item, at: Date.now() }); } else counts.refused++;
      } catch { counts.refused++; }
      await new Promise((r) => setTimeout(r, 20));
    }
  };
  const search = async () => {
    while (!ending) {
      const settled = known.filter(({ at }) => at < Date.now() - 2000);
      const item = settled[randomInt(Math.max(1, settled.length))];
      const hash = item ? near(item.hash, 8) : undefined;
      try {
        const stranger = await call('/api/v1/match', { hash: randomBytes(32).toString('hex') });
        counts.searches++;
        if (stranger.status !== 200) counts.unanswered++;
        else if (stranger.body.matched) counts.wrong.push('a stranger matched ' + stranger.body.matches[0]?.item);
        if (hash) {
          const asked = Date.now();
          const { status, body } = await call('/api/v1/match', { hash });
          counts.searches++;
          if (status !== 200) counts.unanswered++;
          // A verdict says how old its index may be: while PostgreSQL is away, a replica knows nothing younger.
          else if (body.matches[0]?.item !== item.id && item.at < asked - body.indexAge - 2000) counts.wrong.push(item.id + ' of ' + (Date.now() - item.at) + ' ms ago was taken for ' + (body.matches[0]?.item ?? 'nothing') + ' by an index of ' + body.indexAge + ' ms');
        }
      } catch { counts.unanswered++; }
      await new Promise((r) => setTimeout(r, 20));
    }
  };
  const telling = setInterval(() => console.log(JSON.stringify(counts)), 1000);
  await Promise.all([register(), search(), search()]);
  const lost = (counts.lost = []);
  for (const { id, hash } of known) {
    for (let attempt = 0; ; attempt++) {
      try {
        const found = await call('/api/v1/items/' + id);
        const matched = await call('/api/v1/match', { hash });
        if (found.status === 200 && matched.body.matches[0]?.item === id) break;
        if (attempt === 5) { lost.push(id + ': ' + found.status + ', ' + JSON.stringify(matched.body).slice(0, 100)); break; }
      } catch (error) { if (attempt === 5) { lost.push(id + ': ' + error); break; } }
      await new Promise((r) => setTimeout(r, 500));
    }
  }
  clearInterval(telling);
  console.log(JSON.stringify(counts));`;

const pool = () => kubectl.json<Pool>(['get', 'matcherpool', 'guard', '-n', namespace]);

function ready(): Promise<Pool> {
  return eventually(
    'the pool is Ready with two pods',
    async () => {
      const one = await pool();
      const { phase, observedGeneration, readyReplicas } = one.status ?? {};
      return phase === 'Ready' && observedGeneration === one.metadata.generation && readyReplicas === 2
        ? one
        : undefined;
    },
    {
      timeoutMs: 240_000,
      describe: () => kubectl.run(['describe', 'matcherpool,pods', '-n', namespace], { timeoutMs: 30_000 }),
    },
  );
}

async function pods(): Promise<string[]> {
  const args = ['get', 'pods', '-n', namespace, '-l', 'quintet.dev/name=guard'];
  const { items } = await kubectl.json<{ items: { metadata: { name: string } }[] }>(args);
  return items.map(({ metadata }) => metadata.name);
}

beforeAll(async () => {
  ({ kubectl } = await sharedCluster());
  await freshNamespace(kubectl, namespace);
  const spec = {
    replicas: 2,
    rateLimits: { perClient: { requests: 1_000_000 } },
    resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '1Gi' } },
  };
  const metadata = { name: 'guard', namespace };
  await kubectl.apply(stringify({ apiVersion: 'quintet.dev/v1alpha1', kind: 'MatcherPool', metadata, spec }));
  await ready();
}, 700_000);

// The node has room for one suite's pods.
afterAll(async () => {
  await kubectl?.run(['delete', 'namespace', namespace, '--ignore-not-found', '--wait=false']);
});

describe('a MatcherPool whose pods and stores are killed', () => {
  it('loses nothing that it acknowledged and gives no wrong verdict', async () => {
    const url = `http://guard-matcher.${namespace}.svc`;
    const image = await imageOf(kubectl, namespace, 'guard');
    const client: Client<Counts> = await startClient(kubectl, {
      namespace,
      name: 'client',
      image,
      script: script(url),
    });
    const acknowledged = async () => (await client.latest()).acknowledged;
    /** So many more, whatever happened before. */
    const goesOn = async (what: string, more = 20) => {
      const before = await acknowledged();
      await eventually(`registering goes on ${what}`, async () => (await acknowledged()) >= before + more, {
        timeoutMs: 120_000,
        everyMs: 500,
        describe: async () => JSON.stringify(await client.latest()),
      });
    };
    await goesOn('at first', 50);
    await sleep(5000);

    await kill(kubectl, namespace, (await pods())[0] ?? '');
    await goesOn('after a pod was killed');
    await kill(kubectl, release.namespace, stores.redis);
    await goesOn('after Redis was killed');
    await kill(kubectl, release.namespace, stores.postgres);
    await goesOn('after PostgreSQL was killed');
    const [another] = (await pods()).filter((name) => name !== 'client').toSorted();
    await Promise.all([
      kill(kubectl, namespace, another ?? ''),
      kill(kubectl, release.namespace, stores.postgres),
      kill(kubectl, release.namespace, stores.redis),
    ]);
    await goesOn('after all of them were killed at once');
    await ready();

    await kubectl.run(['exec', 'client', '-n', namespace, '--', 'node', '-e', 'process.kill(1, "SIGUSR2")']);
    const { lost, wrong, ...counts } = await client.ended();
    console.log(`[matcher] ${JSON.stringify(counts)}`);
    expect({ lost, wrong }).toEqual({ lost: [], wrong: [] });
    expect(counts.acknowledged).toBeGreaterThan(100);
    expect(counts.searches).toBeGreaterThan(100);
    const [[stored] = []] = await rows(kubectl, 'matcherpool_e2e_matcher_guard_', 'select count(*) from items');
    expect(Number(stored)).toBeGreaterThanOrEqual(counts.acknowledged);
  }, 560_000);

  it('has its items again when it is made anew', async () => {
    const resource = await kubectl.json<{ metadata: object; spec: object }>([
      'get',
      'matcherpool',
      'guard',
      '-n',
      namespace,
    ]);
    await kubectl.run(['delete', 'matcherpool', 'guard', '-n', namespace]);
    await eventually('its Secret is gone', async () => {
      return (await kubectl.find(['secret', 'guard-matcher-stores', '-n', namespace])) === undefined;
    });
    const metadata = { name: 'guard', namespace };
    const { spec } = resource;
    await kubectl.apply(stringify({ apiVersion: 'quintet.dev/v1alpha1', kind: 'MatcherPool', metadata, spec }));
    await ready();
    const [[item] = []] = await rows(kubectl, 'matcherpool_e2e_matcher_guard_', 'select id from items limit 1');
    expect(item).toMatch(/^item-\d+$/);
  }, 300_000);
});
