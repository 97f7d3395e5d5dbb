// CompressionService on a real node: it serves, it is rolled under load without a failed request, it goes without a trace.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { eventually, type Kubectl } from '../kubectl.ts';
import { freshNamespace, sharedCluster } from './shared.ts';

const namespace = 'e2e-compression';
const sample = join(import.meta.dirname, '../../docs/samples/compressionservice.yaml');
let kubectl: Kubectl;

interface Service {
  metadata: { name: string; generation: number };
  status?: {
    observedGeneration?: number;
    phase?: string;
    url?: string;
    readyReplicas?: number;
    conditions?: { type: string; status: string; reason: string }[];
  };
}

const get = () => kubectl.json<Service>(['get', 'compressionservice', 'notes', '-n', namespace]);
const patch = (spec: object) =>
  kubectl.run([
    'patch',
    'compressionservice',
    'notes',
    '-n',
    namespace,
    '--type=merge',
    '-p',
    JSON.stringify({ spec }),
  ]);

function settled(): Promise<Service> {
  return eventually(
    'the CompressionService is Ready at its generation',
    async () => {
      const service = await get();
      const { observedGeneration, phase } = service.status ?? {};
      return phase === 'Ready' && observedGeneration === service.metadata.generation ? service : undefined;
    },
    {
      timeoutMs: 180_000,
      describe: () => kubectl.run(['describe', 'compressionservice,deployment,pod', '-n', namespace]),
    },
  );
}

/** A pod inside the cluster that runs a script against the Service. */
async function client(name: string, script: string): Promise<void> {
  const { items } = await kubectl.json<{ items: { spec: { containers: { image: string }[] } }[] }>([
    'get',
    'pods',
    '-n',
    namespace,
    '-l',
    'quintet.dev/name=notes',
  ]);
  const securityContext = {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  };
  const container = {
    name: 'client',
    image: items[0]?.spec.containers[0]?.image,
    command: ['node', '-e', script],
    securityContext,
  };
  const spec = {
    restartPolicy: 'Never',
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [container],
  };
  await kubectl.apply(JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace }, spec }));
}

async function logOf(name: string): Promise<string> {
  await eventually(`${name} ends`, async () => {
    const pod = await kubectl.json<{ status: { phase: string } }>(['get', 'pod', name, '-n', namespace]);
    return pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed';
  });
  return (await kubectl.run(['logs', name, '-n', namespace])).trim();
}

beforeAll(async () => {
  ({ kubectl } = await sharedCluster());
  await freshNamespace(kubectl, namespace);
  const resource = parse(readFileSync(sample, 'utf8')) as { metadata: object; spec: object };
  // Every request of the test comes from one client.
  const spec = { ...resource.spec, replicas: 2, rateLimits: { perClient: { requests: 1_000_000 } } };
  await kubectl.apply(JSON.stringify({ ...resource, metadata: { ...resource.metadata, namespace }, spec }));
});

describe('a CompressionService', () => {
  it('is Ready with its address, and compresses through its Service', async () => {
    const { status } = await settled();
    expect(status).toMatchObject({ readyReplicas: 2, url: `http://notes-compression.${namespace}.svc` });
    const body = { text: 'The quick brown fox jumps over the lazy dog. '.repeat(200), ratio: 8 };
    await client(
      'once',
      `fetch('${status?.url}/v1/compress',{method:'POST',headers:{'content-type':'application/json'},body:${JSON.stringify(JSON.stringify(body))}}).then(async(r)=>console.log(r.status,await r.text()))`,
    );
    const log = await logOf('once');
    expect(log).toMatch(/^200 /);
    const answer = JSON.parse(log.slice(4)) as { originalTokens: number; compressedTokens: number };
    expect(answer.compressedTokens).toBeLessThan(answer.originalTokens / 4);
  });

  it('is rolled under load without a failed request', async () => {
    const { status } = await settled();
    const script = `
      const end = Date.now() + 45000; let ok = 0; const failed = [];
      const one = async (i) => { try {
        const r = await fetch('${status?.url}/v1/compress', { method: 'POST', headers: { 'content-type': 'application/json' }, signal: AbortSignal.timeout(10000), body: JSON.stringify({ text: ('line ' + i + ' of a text to compress. ').repeat(40), ratio: 4 }) });
        await r.text(); r.status === 200 ? ok++ : failed.push(r.status);
      } catch (error) { failed.push(String(error.cause ?? error)); } };
      const worker = async (w) => { for (let i = 0; Date.now() < end; i++) { await one(w + '-' + i); await new Promise((r) => setTimeout(r, 20)); } };
      Promise.all([0, 1, 2, 3].map(worker)).then(() => console.log(JSON.stringify({ ok, failed: failed.slice(0, 5), count: failed.length })));`;
    await client('load', script);
    await eventually(
      'the load runs',
      async () =>
        (await kubectl.json<{ status: { phase: string } }>(['get', 'pod', 'load', '-n', namespace])).status.phase ===
        'Running',
    );
    await patch({ batching: { maxSize: 16 } });
    const rolled = await settled();
    expect(rolled.status?.readyReplicas).toBe(2);
    const result = JSON.parse(await logOf('load')) as { ok: number; count: number; failed: unknown[] };
    expect(result).toMatchObject({ count: 0, failed: [] });
    expect(result.ok).toBeGreaterThan(100);
  });

  it('rests and goes on', async () => {
    await patch({ suspend: true });
    await eventually('it is Suspended', async () => (await get()).status?.phase === 'Suspended');
    await patch({ suspend: false });
    expect((await settled()).status?.readyReplicas).toBe(2);
  });

  it('leaves nothing behind', async () => {
    await kubectl.run(['delete', 'compressionservice', 'notes', '-n', namespace]);
    const types = 'deployment,service,configmap,serviceaccount,networkpolicy,poddisruptionbudget,pod';
    const left = () => kubectl.run(['get', types, '-n', namespace, '-l', 'quintet.dev/name=notes', '-o', 'name']);
    await eventually('its children are gone', async () => (await left()).trim() === '');
    expect((await left()).trim()).toBe('');
  });
});
