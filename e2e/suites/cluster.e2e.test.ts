// The local node: pods that find each other by name, claims that bind, Jobs, counted devices; two nodes side by side;
// and nothing left of one that was stopped or killed.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../cluster/command.ts';
import { type BuiltImage, buildImage } from '../cluster/images.ts';
import { mountsBelow } from '../cluster/mounts.ts';
import { type NodeCluster, startNode } from '../cluster/node.ts';
import { nodeDir } from '../cluster/node-paths.ts';
import { clusterDir, kernelName } from '../cluster/paths.ts';
import { identify, processesUsing, recordedDaemons, runningDaemon, signal } from '../cluster/process.ts';
import { makeServiceImages } from '../cluster/service-images.ts';
import { toolsRoot } from '../cluster/tools.ts';

/** What the pods run: one of these, named by their first argument. */
const PROBE = `
const { lookup } = require('node:dns/promises');
const { readFileSync, writeFileSync } = require('node:fs');
const https = require('node:https');
const steps = {
  async names() {
    const { address } = await lookup('kubernetes.default.svc.cluster.local');
    const short = await lookup('kubernetes.default');
    console.log('resolved', address, short.address);
    const account = '/var/run/secrets/kubernetes.io/serviceaccount/';
    const ca = readFileSync(account + 'ca.crt');
    const request = https.get({ host: 'kubernetes.default.svc', path: '/version', ca }, (answer) => {
      console.log('api', answer.statusCode);
      answer.resume();
    });
    request.on('error', (error) => { console.error(error); process.exitCode = 1; });
  },
  write() { writeFileSync('/data/written', 'by ' + process.getuid()); },
  read() { console.log(readFileSync('/data/written', 'utf8')); },
  index() { console.log('index', process.env.JOB_COMPLETION_INDEX); },
  sleep() { process.on('SIGTERM', () => process.exit(0)); setInterval(() => {}, 1000); },
};
steps[process.argv[2]]();
`;

let image: BuiltImage;
const context = mkdtempSync(join(tmpdir(), 'quintet-probe-'));

beforeAll(async () => {
  const staged = join(context, 'build', 'images', 'cluster-probe');
  mkdirSync(staged, { recursive: true });
  writeFileSync(join(staged, 'main.js'), PROBE);
  image = await buildImage({ name: 'cluster-probe', contextDir: context });
});
afterAll(() => rmSync(context, { recursive: true, force: true }));

/** Names of this run's own, so that another on the same machine is not met. */
const named = (what: string) => `${what}-${process.pid}`;

const kubectl = (node: NodeCluster, ...args: string[]) => run(node.kubectl, ['--kubeconfig', node.kubeconfig, ...args]);

function apply(node: NodeCluster, object: object): Promise<string> {
  return run(node.kubectl, ['--kubeconfig', node.kubeconfig, 'apply', '-f', '-'], { input: JSON.stringify(object) });
}

function podSpec(step: string, extra: { limits?: Record<string, string>; claim?: string } = {}): object {
  const { limits = {}, claim } = extra;
  return {
    restartPolicy: 'Never',
    containers: [
      {
        name: 'probe',
        image: image.reference,
        args: [step],
        resources: { limits },
        volumeMounts: claim ? [{ name: 'data', mountPath: '/data' }] : [],
      },
    ],
    volumes: claim ? [{ name: 'data', persistentVolumeClaim: { claimName: claim } }] : [],
  };
}

const pod = (name: string, spec: object) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec });

async function finished(node: NodeCluster, name: string): Promise<string> {
  const wait = ['wait', `pod/${name}`, '--for=jsonpath={.status.phase}=Succeeded', '--timeout=60s'];
  await kubectl(node, ...wait).catch(async (error) => {
    throw new Error(`${error}\n${await kubectl(node, 'describe', 'pod', name)}\n${await kubectl(node, 'logs', name)}`);
  });
  return kubectl(node, 'logs', name);
}

/** What of a node is still in the kernel or on the disk. */
async function remains(name: string): Promise<string[]> {
  const folder = nodeDir(clusterDir(name));
  const found = mountsBelow(folder, readFileSync('/proc/self/mountinfo', 'utf8'));
  found.push(...[folder, clusterDir(name)].filter((path) => existsSync(path)));
  found.push(...processesUsing(folder, toolsRoot()).map(({ pid }) => `process ${pid}`));
  const spaces = (await run('ip', ['netns', 'list'])).split('\n').filter((line) => line.startsWith(kernelName(name)));
  found.push(...spaces);
  const groups = await run('find', ['/sys/fs/cgroup', '-maxdepth', '2', '-name', kernelName(name)]);
  found.push(...groups.split('\n').filter(Boolean));
  return found;
}

describe('two nodes side by side', () => {
  let node: NodeCluster;
  let other: NodeCluster;
  beforeAll(async () => {
    [node, other] = await Promise.all([startNode({ name: named('left') }), startNode({ name: named('right') })]);
    await Promise.all([node.loadImage(image.archive), other.loadImage(image.archive)]);
  });
  afterAll(async () => {
    await Promise.all([node?.stop(), other?.stop()]);
  });

  test('a pod resolves names and reaches the API server through its Service', async () => {
    await apply(node, pod('names', podSpec('names')));
    expect(await finished(node, 'names')).toBe('resolved 10.96.0.1 10.96.0.1\napi 200\n');
  });

  test('both run pods of their own at the same time', async () => {
    await Promise.all([node, other].map((cluster) => apply(cluster, pod('both', podSpec('names')))));
    await Promise.all([node, other].map((cluster) => finished(cluster, 'both')));
    expect(await kubectl(other, 'get', 'pods', '-o', 'name')).toBe('pod/both\n');
  });

  test('a claim without a class binds, keeps what a pod wrote, and takes its folder along when it is deleted', async () => {
    await apply(node, {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data' },
      spec: { accessModes: ['ReadWriteMany'], resources: { requests: { storage: '1Gi' } } },
    });
    await apply(node, pod('writer', podSpec('write', { claim: 'data' })));
    await finished(node, 'writer');
    await apply(node, pod('reader', podSpec('read', { claim: 'data' })));
    expect(await finished(node, 'reader')).toBe('by 65532\n');
    const volume = await kubectl(node, 'get', 'pvc', 'data', '-o', 'jsonpath={.spec.volumeName}');
    const folder = await kubectl(node, 'get', 'pv', volume, '-o', 'jsonpath={.spec.hostPath.path}');
    expect(existsSync(join(folder, 'written'))).toBe(true);
    await kubectl(node, 'delete', 'pod', 'writer', 'reader');
    await kubectl(node, 'delete', 'pvc', 'data');
    await kubectl(node, 'wait', '--for=delete', `pv/${volume}`, '--timeout=30s');
    expect(existsSync(folder)).toBe(false);
  });

  test('an Indexed Job runs every index once', async () => {
    const template = { spec: podSpec('index') };
    const spec = { completions: 3, parallelism: 3, completionMode: 'Indexed', template };
    await apply(node, { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'indexed' }, spec });
    await kubectl(node, 'wait', 'job/indexed', '--for=condition=Complete', '--timeout=60s');
    const lines = await kubectl(node, 'logs', '-l', 'job-name=indexed', '--tail=-1');
    expect(lines.trim().split('\n').sort()).toEqual(['index 0', 'index 1', 'index 2']);
  });

  test('devices that do not exist are counted by the scheduler', async () => {
    await node.patchGpus(4);
    await apply(node, pod('takes-all', podSpec('sleep', { limits: { 'nvidia.com/gpu': '4' } })));
    await kubectl(node, 'wait', 'pod/takes-all', '--for=condition=Ready', '--timeout=60s');
    await apply(node, pod('one-more', podSpec('sleep', { limits: { 'nvidia.com/gpu': '1' } })));
    await kubectl(node, 'wait', 'pod/one-more', '--for=condition=PodScheduled=false', '--timeout=30s');
    // Its Event may come later than its condition.
    const why = 'jsonpath={.status.conditions[?(@.type=="PodScheduled")].message}';
    expect(await kubectl(node, 'get', 'pod', 'one-more', '-o', why)).toContain('Insufficient nvidia.com/gpu');
    await kubectl(node, 'delete', 'pod', 'takes-all', '--timeout=60s');
    await kubectl(node, 'wait', 'pod/one-more', '--for=condition=Ready', '--timeout=60s');
  });

  test("images of Redis and PostgreSQL out of the system's packages serve", async () => {
    const { redis, postgres } = await makeServiceImages(['redis', 'postgres']);
    await Promise.all([redis, postgres].map(({ archive }) => node.loadImage(archive)));
    await apply(node, pod('redis', { containers: [{ name: 'redis', image: redis.reference }] }));
    const env = [
      { name: 'POSTGRES_PASSWORD', value: 'for-this-test' },
      { name: 'POSTGRES_DB', value: 'probe' },
    ];
    await apply(node, pod('postgres', { containers: [{ name: 'postgres', image: postgres.reference, env }] }));
    await kubectl(node, 'wait', 'pod/redis', 'pod/postgres', '--for=condition=Ready', '--timeout=60s');
    const ping = () => kubectl(node, 'exec', 'redis', '--', 'redis-cli', 'ping').catch(String);
    await expect.poll(ping, { timeout: 30_000 }).toBe('PONG\n');
    const address = 'postgres://postgres:for-this-test@127.0.0.1/probe';
    const psql = ['exec', 'postgres', '--', 'psql', address, '--tuples-only', '--command'];
    const ask = () =>
      kubectl(node, ...psql, "select 6 * 7, now() at time zone 'Europe/Berlin' > '2020-01-01'").catch(String);
    await expect.poll(ask, { timeout: 60_000, interval: 500 }).toBe('       42 | t\n\n');
  });

  test('pods outlast an API server that is gone for a while', async () => {
    await apply(node, pod('outlasting', podSpec('sleep')));
    await kubectl(node, 'wait', 'pod/outlasting', '--for=condition=Ready', '--timeout=60s');
    await node.apiServer.kill();
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    await node.apiServer.start();
    const status = 'jsonpath={.status.containerStatuses[0].restartCount} {.status.phase}';
    expect(await kubectl(node, 'get', 'pod', 'outlasting', '-o', status)).toBe('0 Running');
    await apply(node, pod('afterwards', podSpec('names')));
    await finished(node, 'afterwards');
  });
});

describe('the end of a node', () => {
  test('stopping twice leaves nothing, also while a pod runs', async () => {
    const node = await startNode({ name: named('end') });
    await node.loadImage(image.archive);
    await apply(node, pod('running', podSpec('sleep')));
    await kubectl(node, 'wait', 'pod/running', '--for=condition=Ready', '--timeout=60s');
    await node.stop();
    await node.stop();
    expect(await remains(node.name)).toEqual([]);
  });

  test('one whose daemons were all killed is cleaned and started again', async () => {
    const crashed = await startNode({ name: named('crash') });
    await crashed.loadImage(image.archive);
    await apply(crashed, pod('running', podSpec('sleep')));
    await kubectl(crashed, 'wait', 'pod/running', '--for=condition=Ready', '--timeout=60s');
    const dir = clusterDir(crashed.name);
    const shims = processesUsing(nodeDir(dir), toolsRoot()).map(({ pid }) => pid);
    for (const daemon of recordedDaemons(dir)) {
      const identity = runningDaemon(dir, daemon);
      if (identity) signal(identity, 'SIGKILL');
    }
    const node = await startNode({ name: named('crash') });
    expect(shims.filter((pid) => identify(pid))).toEqual([]);
    expect(await kubectl(node, 'get', 'pods')).toBe('');
    await node.loadImage(image.archive);
    await apply(node, pod('again', podSpec('names')));
    await finished(node, 'again');
    await node.stop();
    expect(await remains(node.name)).toEqual([]);
  });
});
