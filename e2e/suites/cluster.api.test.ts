// The API server alone: started, ended, crashed and started again, two at once, with its audit log and its access rules.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type ApiCluster, startApi } from '../cluster/api.ts';
import { auditEvents, isWrite } from '../cluster/audit.ts';
import { clusterNames } from '../cluster/clusters.ts';
import { run } from '../cluster/command.ts';
import { clusterDir } from '../cluster/paths.ts';
import { isAlive, type ProcessIdentity, runningDaemon, signal } from '../cluster/process.ts';

/** Names of this run's own, so that another on the same machine is not met. */
const named = (what: string) => `${what}-${process.pid}`;

// Clusters of its own: a suite that starts another at the same time would sweep up what is left behind here.
const state = mkdtempSync(join(tmpdir(), 'quintet-state-'));
beforeAll(() => void vi.stubEnv('XDG_STATE_HOME', state));
afterAll(() => rmSync(state, { recursive: true, force: true }));

const kubectl = (api: ApiCluster, ...args: string[]) => run(api.kubectl, ['--kubeconfig', api.kubeconfig, ...args]);

function daemons(name: string): ProcessIdentity[] {
  return ['etcd', 'kube-apiserver'].flatMap((daemon) => runningDaemon(clusterDir(name), daemon) ?? []);
}

describe('a running API server', () => {
  let api: ApiCluster;
  beforeAll(async () => {
    api = await startApi();
  });
  afterAll(() => api.stop());

  test('answers a kubeconfig that needs no other file', async () => {
    expect(await kubectl(api, 'get', 'namespaces', '-o', 'name')).toContain('namespace/default');
  });

  test('keeps objects and its address when it crashes and when it is restarted', async () => {
    await kubectl(api, 'create', 'configmap', 'kept');
    await api.killApiServer();
    await expect(kubectl(api, 'get', 'configmap', 'kept')).rejects.toThrow('refused');
    await api.startApiServer();
    await kubectl(api, 'get', 'configmap', 'kept');
    await api.restartApiServer();
    expect(await kubectl(api, 'get', 'configmap', 'kept', '-o', 'name')).toBe('configmap/kept\n');
  });

  test('writes who changed what to the audit log', async () => {
    const since = new Date();
    await kubectl(api, 'create', 'configmap', 'audited');
    await kubectl(api, 'get', 'configmap', 'audited');
    const ours = auditEvents(api.auditLogPath, since).filter((event) => event.objectRef?.name === 'audited');
    expect(ours.filter(isWrite).map(({ verb, user }) => [verb, user.username])).toEqual([['create', 'quintet-admin']]);
    expect(ours.map(({ verb }) => verb)).toEqual(['create', 'get']);
  });

  test('gives a user what its role allows and no more', async () => {
    const kubeconfig = api.kubeconfigFor('reader');
    const asReader = (...args: string[]) => run(api.kubectl, ['--kubeconfig', kubeconfig, ...args]);
    await kubectl(api, 'create', 'role', 'read', '--verb=list', '--resource=configmaps');
    await kubectl(api, 'create', 'rolebinding', 'read', '--role=read', '--user=reader');
    // Rights come into force a moment after they were written.
    await expect.poll(() => asReader('get', 'configmaps').catch(String), { timeout: 30_000 }).not.toMatch(/forbidden/i);
    await expect(asReader('get', 'secrets')).rejects.toThrow('cannot list resource "secrets"');
    await expect(asReader('create', 'configmap', 'x')).rejects.toThrow('cannot create resource "configmaps"');
  });

  test('answers late, not wrongly, after it was held', async () => {
    const begin = performance.now();
    const [answer] = await Promise.all([kubectl(api, 'get', '--raw', '/readyz'), api.pauseApiServer(1_500)]);
    expect(answer).toBe('ok');
    // A timer may fire within a millisecond of its time.
    expect(performance.now() - begin).toBeGreaterThan(1_490);
  });
});

describe('the life of an API server', () => {
  test('a second start of the same name takes the running one', async () => {
    const first = await startApi({ name: named('same') });
    const second = await startApi({ name: named('same') });
    expect(second.server).toBe(first.server);
    await second.stop();
  });

  test('two stand side by side with data of their own', async () => {
    const [left, right] = await Promise.all([startApi(), startApi()]);
    await kubectl(left, 'create', 'configmap', 'left');
    expect(await kubectl(right, 'get', 'configmaps', '-o', 'name')).not.toContain('configmap/left');
    await left.stop();
    await kubectl(right, 'get', 'namespaces');
    await right.stop();
  });

  test('stopping twice ends all and leaves only the logs', async () => {
    const api = await startApi();
    const processes = daemons(api.name);
    expect(processes).toHaveLength(2);
    await api.stop();
    await api.stop();
    expect(processes.filter(isAlive)).toEqual([]);
    expect(existsSync(clusterDir(api.name))).toBe(false);
  });

  test('what was killed comes up again under the same name', async () => {
    const crashed = await startApi({ name: named('crash') });
    for (const identity of daemons(crashed.name)) signal(identity, 'SIGKILL');
    const api = await startApi({ name: named('crash') });
    expect(await kubectl(api, 'get', '--raw', '/readyz')).toBe('ok');
    await api.stop();
  });

  test('one whose owner died is removed by the next start', async () => {
    const script = `const { startApi } = await import(${JSON.stringify(import.meta.resolve('../cluster/api.ts'))});
      await startApi({ name: '${named('orphan')}' });
      process.kill(process.pid, 'SIGKILL');`;
    expect(() => execFileSync(process.execPath, ['--conditions=source', '--input-type=module', '-e', script])).toThrow(
      'Command failed',
    );
    const orphans = daemons(named('orphan'));
    expect(orphans).toHaveLength(2);
    const next = await startApi();
    expect(orphans.filter(isAlive)).toEqual([]);
    expect(clusterNames()).not.toContain(named('orphan'));
    await next.stop();
  });
});
