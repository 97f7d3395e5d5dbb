// From the pages of two pods to what the status of their pool says, over HTTP.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { matcherPool, parseStored } from '@quintet/crds';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { servingKind } from '../kinds/serving/index.ts';
import { observed } from '../kinds/testing.ts';
import { Cache } from '../kube/store.ts';
import type { KubeObject } from '../kube/types.ts';
import { resourceIndex, resourceIndexValue } from '../reconcile/ownership.ts';
import { Teller } from './teller.ts';

const caches = () => new Cache({ [resourceIndex]: resourceIndexValue });
let [resources, pods] = [caches(), caches()];
let server: Server;
let teller: Teller;
let now: number;
let items: number;
let requests: number;
let silent: boolean;
/** Pages to come that are lost. */
let lost: number;
let changed: string[];
let version = 0;

const put = (cache: Cache, object: Record<string, unknown> & { metadata: object }) => {
  const metadata = { namespace: 'team', resourceVersion: String(++version), ...object.metadata };
  cache.put({ apiVersion: 'v1', kind: 'Any', ...object, metadata } as unknown as KubeObject);
};
const apply = (status?: object) =>
  put(resources, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'MatcherPool',
    metadata: { name: 'guard', uid: 'u1' },
    spec: {},
    ...(status && { status }),
  });
const addPod = (name: string) => {
  const labels = {
    'quintet.dev/kind': 'MatcherPool',
    'quintet.dev/name': 'guard',
    'app.kubernetes.io/component': 'engine',
  };
  const status = { phase: 'Running', podIP: '127.0.0.1', conditions: [{ type: 'Ready', status: 'True' }] };
  put(pods, { kind: 'Pod', metadata: { name, uid: name, labels }, status });
};
const look = async () => {
  now += 30_000;
  await teller.look();
};
const page = () => `quintet_requests_in_flight 0
process_start_time_seconds 1
quintet_requests_total{status="200"} ${requests}
quintet_request_seconds_bucket{le="0.1"} ${requests}
quintet_request_seconds_bucket{le="+Inf"} ${requests}
quintet_cache_requests_total{source="memory"} ${0.75 * requests}
quintet_cache_requests_total{source="miss"} ${0.25 * requests}
quintet_matcher_items{state="items"} ${items}
quintet_matcher_index_age_seconds 0.2
quintet_matcher_index_position ${items}
quintet_matcher_shard 0
`;

beforeEach(async () => {
  [resources, pods] = [caches(), caches()];
  [now, items, requests, silent, lost, changed] = [Date.parse('2026-01-01T12:00:00Z'), 3, 0, false, 0, []];
  server = createServer((_, response) => {
    const isLost = silent || lost-- > 0;
    if (isLost) response.writeHead(500).end();
    else response.end(page());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  teller = new Teller({
    kinds: [{ definition: matcherPool, resources }],
    pods,
    onChange: (_kind, key) => changed.push(key),
    now: () => now,
    port,
  });
  apply();
});
afterEach(async () => {
  await teller.stop();
  server.closeAllConnections();
  server.close();
});

describe('the teller', () => {
  const kind = servingKind(matcherPool, { image: 'example.test/engine:1' }, undefined, (...which) =>
    teller.of(...which),
  );
  const status = (ready = 1) => {
    const resource = parseStored(matcherPool, resources.get('team/guard') as KubeObject);
    const seen = observed().with(...[...pods.values()].slice(0, ready));
    return kind.status(resource, seen).fields;
  };

  it('has the status tell items and traffic of all pods, and says nothing as long as both stay so', async () => {
    for (const name of ['guard-1', 'guard-2']) addPod(name);
    await look();
    for (let i = 0; i < 3; i++) {
      requests += 300;
      await look();
    }
    expect(changed).toEqual(['team/guard', 'team/guard']);
    expect(status()).toMatchObject({
      index: { items: 3, disabled: 0, quarantined: 0, age: '2s', position: 3 },
      traffic: { requestsPerSecond: '20', latencyP95: '95ms', errorRate: '0%', cacheHitRate: '75%' },
    });
    items = 4;
    await look();
    expect(status()).toMatchObject({ index: { items: 4 } });
  });

  it('does not take half of the pages for half of the traffic, unless they stay away', async () => {
    for (const name of ['guard-1', 'guard-2']) addPod(name);
    const looks = async (count: number, lostOfEach = 0) => {
      for (let i = 0; i < count; i++) {
        requests += 300;
        lost = lostOfEach;
        await look();
      }
    };
    await looks(20);
    const before = changed.length;
    await looks(9, 1);
    await looks(20);
    expect([changed.length, status().traffic]).toEqual([before, expect.objectContaining({ requestsPerSecond: '20' })]);
    await looks(20, 1);
    expect(status()).toMatchObject({ traffic: { requestsPerSecond: '10' } });
  });

  it('leaves what was told where no pod is heard, and no traffic without pods', async () => {
    const traffic = { requestsPerSecond: '5' };
    apply({ index: { items: 9 }, traffic });
    addPod('guard-1');
    silent = true;
    await look();
    expect(changed).toEqual([]);
    expect(status()).toMatchObject({ index: { items: 9 }, traffic });
    const { index, traffic: none } = status(0);
    expect([index, none]).toEqual([{ items: 9 }, undefined]);
  });
});
