// A MatcherPool of two replicas on the chart's PostgreSQL and Redis, while its pods and both stores are killed during registration
// and search: what was acknowledged stays, no verdict is wrong, and nobody lends a hand.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { release } from '../install.ts';
import { eventually, type Kubectl } from '../kubectl.ts';
import { ask } from './inside.ts';
import { lose, MatcherPool } from './matching.ts';
import { freshNamespace, sharedCluster } from './shared.ts';
import { rows, stores } from './stores.ts';

const namespace = 'e2e-matcher';
const schema = 'matcherpool_e2e_matcher_guard_';
const spec = { replicas: 2 };
let kubectl: Kubectl;
let pool: MatcherPool;

const onePod = async () => [...(await pool.pods()).values()][0] ?? '';

beforeAll(async () => {
  ({ kubectl } = await sharedCluster());
  await freshNamespace(kubectl, namespace);
  pool = new MatcherPool(kubectl, namespace, 'guard');
  await pool.apply(spec);
  await pool.ready(2);
}, 700_000);

// The node has room for one suite's pods.
afterAll(async () => {
  await kubectl?.run(['delete', 'namespace', namespace, '--ignore-not-found', '--wait=false']);
});

describe('a MatcherPool whose pods and stores are killed', () => {
  it('loses nothing that it acknowledged and gives no wrong verdict', async () => {
    const client = await pool.client();
    await client.goesOn('at first', 50);
    await sleep(5000);

    await lose(kubectl, namespace, await onePod());
    await client.goesOn('after a pod was killed');
    await lose(kubectl, release.namespace, stores.redis);
    await client.goesOn('after Redis was killed');
    await lose(kubectl, release.namespace, stores.postgres);
    await client.goesOn('after PostgreSQL was killed');
    await Promise.all([
      lose(kubectl, namespace, await onePod()),
      lose(kubectl, release.namespace, stores.postgres, stores.redis),
    ]);
    await client.goesOn('after all of them were killed at once');
    await pool.ready(2);

    const { lost, wrong, ...counts } = await client.end();
    console.log(`[matcher] ${JSON.stringify(counts)}`);
    expect({ lost, wrong }).toEqual({ lost: [], wrong: [] });
    expect(counts.registered).toBeGreaterThan(100);
    expect(counts.disabled).toBeGreaterThan(10);
    expect(counts.searches).toBeGreaterThan(100);
    const statement = 'select state, count(*) from items group by state';
    const stored = new Map((await rows(kubectl, schema, statement)).map(([state, count]) => [state, Number(count)]));
    const [items = 0, disabled = 0] = [stored.get('Enabled'), stored.get('Disabled')];
    expect(items + disabled).toBeGreaterThanOrEqual(counts.registered);
    await eventually('the status tells what the index holds', async () => {
      const { index } = (await pool.get()).status ?? {};
      return index?.items === items && index.disabled === disabled && index.age === '2s';
    });
  }, 560_000);

  it('finds its items again when it is made anew', async () => {
    await kubectl.run(['delete', 'matcherpool', 'guard', '-n', namespace]);
    await eventually('its Secret is gone', async () => {
      return (await kubectl.find(['secret', 'guard-matcher-stores', '-n', namespace])) === undefined;
    });
    await pool.apply(spec);
    await pool.ready(2);
    const statement = `select id, encode(hash, 'hex') from items where state = 'Enabled' limit 1`;
    const [[item, hash] = []] = await rows(kubectl, schema, statement);
    const verdict = await ask(kubectl, {
      namespace,
      from: await onePod(),
      url: `${pool.url}/api/v1/match`,
      body: { hash },
    });
    expect(verdict).toMatchObject({ status: 200, body: { matched: true, matches: [{ item }] } });
  }, 300_000);
});
