// Leader election and credentials against a real API server.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { pause } from '../../controller/src/kube/backoff.ts';
import { Client } from '../../controller/src/kube/client.ts';
import { fromKubeconfig, tokenFile } from '../../controller/src/kube/config.ts';
import { Elector, type ElectorOptions, type Lease, leases } from '../../controller/src/kube/lease.ts';
import type { KubeObject, ResourceType } from '../../controller/src/kube/types.ts';
import { Watcher } from '../../controller/src/kube/watcher.ts';
import { type ApiCluster, startApi } from '../cluster/api.ts';
import { configMaps, directClient } from '../faults/things.ts';

const serviceAccounts: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'serviceaccounts',
  kind: 'ServiceAccount',
  namespaced: true,
};
const bindings: ResourceType = {
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  plural: 'clusterrolebindings',
  kind: 'ClusterRoleBinding',
  namespaced: false,
};

let api: ApiCluster;
let direct: Client;
beforeAll(async () => {
  api = await startApi();
  direct = await directClient(api.kubeconfig);
});
afterAll(async () => {
  await direct?.close();
  await api?.stop();
});

function elector(name: string, identity: string, options: Partial<ElectorOptions> = {}): Elector {
  const timing = { leaseDurationMs: 3000, renewDeadlineMs: 2000, retryPeriodMs: 300 };
  return new Elector({
    client: direct,
    namespace: 'default',
    name,
    identity,
    ...timing,
    onLost: () => undefined,
    ...options,
  });
}

/** A client whose requests stop being answered, as a process that hangs or is cut off. */
async function cuttableClient(): Promise<{ client: Client; cut: () => void }> {
  const connection = await fromKubeconfig([api.kubeconfig]);
  let isCut = false;
  const authorization = async (): Promise<string | undefined> => {
    if (isCut) throw new Error('cut off');
    return undefined;
  };
  return { client: new Client({ ...connection, authorization }), cut: () => (isCut = true) };
}

test('a leader that dies is followed within the lease duration; clocks hours apart change nothing', async () => {
  const { client, cut } = await cuttableClient();
  const lost = vi.fn<() => void>();
  const dying = elector('failover', 'dying', {
    client,
    onLost: lost,
    wallClock: () => new Date(Date.now() + 5 * 3_600_000),
  });
  const heir = elector('failover', 'heir', { wallClock: () => new Date(Date.now() - 5 * 3_600_000) });
  expect(await dying.acquire()).toBe(true);
  const succeeded = heir.acquire();
  // Many turns of the heir: the leader's clock is hours ahead of its own, and it still waits.
  await pause(4_000);
  expect([dying.leads, heir.leads]).toEqual([true, false]);
  cut();
  const start = performance.now();
  const overlaps: boolean[] = [];
  const observer = setInterval(() => overlaps.push(dying.leads && heir.leads), 5);
  expect(await succeeded).toBe(true);
  clearInterval(observer);
  const took = performance.now() - start;
  expect(took).toBeGreaterThan(2_000);
  expect(took).toBeLessThan(6_000);
  expect(overlaps).not.toContain(true);
  expect(dying.leads).toBe(false);
  expect(lost).toHaveBeenCalledOnce();
  const lease = await direct.get<Lease>(leases, { namespace: 'default', name: 'failover' });
  expect(lease.spec).toMatchObject({ holderIdentity: 'heir', leaseTransitions: 1 });
  await heir.release();
  await client.close();
});

test('a leader that steps down is followed at the next try, well before its lease runs out', async () => {
  const first = elector('handover', 'first', {
    leaseDurationMs: 15_000,
    renewDeadlineMs: 10_000,
    retryPeriodMs: 2_000,
  });
  const second = elector('handover', 'second', {
    leaseDurationMs: 15_000,
    renewDeadlineMs: 10_000,
    retryPeriodMs: 2_000,
  });
  await first.acquire();
  const succeeded = second.acquire();
  await pause(500);
  const start = performance.now();
  await first.release();
  expect(await succeeded).toBe(true);
  expect(performance.now() - start).toBeLessThan(3_000);
  await second.release();
});

test('a leader keeps its lease through a restart of the API server', async () => {
  const lost = vi.fn<() => void>();
  const { client } = await cuttableClient();
  const leader = elector('restart', 'leader', {
    client,
    onLost: lost,
    leaseDurationMs: 40_000,
    renewDeadlineMs: 30_000,
  });
  await leader.acquire();
  await api.killApiServer();
  await api.startApiServer();
  const before = await direct.get<Lease>(leases, { namespace: 'default', name: 'restart' });
  await vi.waitFor(
    async () => {
      const now = await direct.get<Lease>(leases, { namespace: 'default', name: 'restart' });
      expect(now.spec.renewTime).not.toBe(before.spec.renewTime);
    },
    { timeout: 20_000, interval: 200 },
  );
  expect(leader.leads).toBe(true);
  expect(lost).not.toHaveBeenCalled();
  await leader.release();
  await client.close();
});

test('a service account token that is revoked and replaced in its file is taken up without a restart', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'quintet-token-'));
  const path = join(directory, 'token');
  const account = { namespace: 'default', name: 'rotating' };
  const issue = async (): Promise<void> => {
    await direct.create(serviceAccounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: account });
    const request = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      metadata: {},
      spec: { expirationSeconds: 600 },
    };
    const tokens = { ...serviceAccounts, plural: 'serviceaccounts/rotating/token' };
    const answer = await direct.create<KubeObject & { status: { token: string } }>(tokens, {
      ...request,
      metadata: { namespace: 'default' },
    });
    writeFileSync(path, answer.status.token);
  };
  await direct.apply(bindings, {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'rotating' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', ...account }],
  });
  await issue();
  const { server, tls } = await fromKubeconfig([api.kubeconfig]);
  const client = new Client({
    server,
    namespace: 'default',
    tls: { ca: tls.ca as Buffer },
    authorization: tokenFile(path),
  });
  const watcher = new Watcher({
    client,
    type: configMaps,
    namespaces: ['default'],
    watchSeconds: [1, 2],
    backoff: [50, 1000],
  });
  watcher.start();
  await watcher.synced;
  // The account made anew has another uid: the token in use is refused from now on.
  await direct.delete(serviceAccounts, account);
  await issue();
  await direct.create(configMaps, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { namespace: 'default', name: 'after-rotation' },
  });
  await vi.waitFor(() => expect(watcher.store.get('default/after-rotation')).toBeDefined(), {
    timeout: 20_000,
    interval: 50,
  });
  // The watch of before may have brought it; the server learns a moment later that the account is another.
  await vi.waitFor(() => client.get(configMaps, { namespace: 'default', name: 'after-rotation' }), { timeout: 20_000 });
  await watcher.stop();
  await client.close();
  rmSync(directory, { recursive: true });
});
