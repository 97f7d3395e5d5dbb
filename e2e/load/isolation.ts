// One resource's spec is changed while a hundred others fail or are slow: how long until the change has its effect?
// Half of the others wait 8 s for somebody's webhook with every write, half are refused by it, and all of them are changed
// all the time. First the same is timed without them: on a machine that is busy otherwise, that tells what is theirs.
import { readFileSync } from 'node:fs';
import { createServer, type Server as WebServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { type ApiCluster, startApi } from '../cluster/api.ts';
import { createAuthority, issueCert } from '../cluster/certs.ts';
import { Kubectl } from '../kubectl.ts';
import { buildOurs, startOurs } from './operators.ts';

const troubled = 100;
const changes = 100;
const changesAlone = 30;
const targetMs = 2_000;
const slowMs = 8_000;
const services = (namespace: string) => `/apis/quintet.dev/v1alpha1/namespaces/${namespace}/compressionservices`;
const placeOf = (index: number): string => (index % 2 === 0 ? 'slow' : 'refused');

/** 99 of 100 changes have their effect within 2 s. */
export async function isolation(say: (line: string) => void): Promise<{ holds: boolean; figure: string }> {
  buildOurs();
  const api = await startApi();
  const hook = await startWebhook();
  const stop = new AbortController();
  const server = new Server(api);
  try {
    await prepare(api, hook);
    // Alone, it needs no lease: one that a busy machine lets run out is not what is timed here.
    const controller = startOurs(api.kubeconfig, [], { QUINTET_LEADER_ELECTION: 'false' });
    try {
      await sleep(4_000); // caches filled, lease taken
      const victim = new Victim(server);
      await victim.change();
      const alone = await victim.changes(changesAlone);
      say(`alone: ${described(alone)}`);
      await Promise.all(Array.from({ length: troubled }, (_, index) => server.apply(placeOf(index), `t${index}`, 0)));
      const disturbing = disturb(server, stop.signal);
      await sleep(10_000); // that a hundred are made at once is another load
      const beside = await victim.changes(changes);
      stop.abort();
      await disturbing;
      say(`beside ${troubled} in trouble: ${described(beside)}; the webhook was asked ${hook.asked()} times`);
      return { holds: at(beside, 0.99) < targetMs, figure: `${described(beside)}; alone ${described(alone)}` };
    } finally {
      controller.kill('SIGKILL');
    }
  } finally {
    stop.abort();
    hook.server.close();
    hook.server.closeAllConnections();
    await server.close();
    await api.stop();
  }
}

const at = (sorted: number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;

const described = (sorted: number[]): string =>
  [0.5, 0.9, 0.99].map((share) => `p${share * 100} ${at(sorted, share).toFixed(0)} ms`).join(', ');

/** The others are never at rest: each is changed every few seconds. */
async function disturb(server: Server, signal: AbortSignal): Promise<void> {
  for (let round = 1; !signal.aborted; round++) {
    for (let index = 0; index < troubled && !signal.aborted; index++) {
      await server.apply(placeOf(index), `t${index}`, round).catch(() => undefined);
      await sleep(20);
    }
  }
}

class Victim {
  readonly #server: Server;
  #revision = 0;

  constructor(server: Server) {
    this.#server = server;
  }

  /** Milliseconds of each, sorted. */
  async changes(count: number): Promise<number[]> {
    const took: number[] = [];
    for (let i = 0; i < count; i++) took.push(await this.change());
    return took.sort((a, b) => a - b);
  }

  async change(): Promise<number> {
    const start = performance.now();
    await this.#server.apply('calm', 'victim', ++this.#revision);
    await this.#effect();
    return performance.now() - start;
  }

  /** The Deployment has the change, and the status says so. */
  async #effect(): Promise<void> {
    interface Seen {
      metadata: { generation: number };
      status?: { observedGeneration?: number };
      spec: { template: { metadata: { labels: Record<string, string> } } };
    }
    const deployment = '/apis/apps/v1/namespaces/calm/deployments/victim-compression';
    for (let end = performance.now() + 60_000; performance.now() < end; ) {
      const [workload, resource] = (await Promise.all([
        this.#server.send('GET', deployment).catch(() => undefined),
        this.#server.send('GET', `${services('calm')}/victim`),
      ])) as [Seen | undefined, Seen];
      const isRolled = workload?.spec.template.metadata.labels.revision === `r${this.#revision}`;
      if (isRolled && resource.status?.observedGeneration === resource.metadata.generation) return;
      await sleep(20);
    }
    throw new Error(`change ${this.#revision} had no effect within a minute`);
  }
}

interface Hook {
  server: WebServer;
  caBundle: string;
  asked: () => number;
}

/** Waits, or refuses, by the namespace of what it is asked about. */
async function startWebhook(): Promise<Hook> {
  const authority = createAuthority('webhook');
  const own = issueCert(authority, 'webhook', { commonName: '127.0.0.1', names: ['127.0.0.1'] });
  let asked = 0;
  const server = createServer({ key: own.key, cert: own.cert }, (incoming, response) => {
    const parts: Buffer[] = [];
    incoming.on('data', (part: Buffer) => parts.push(part));
    incoming.on('end', () => {
      asked++;
      const review = JSON.parse(Buffer.concat(parts).toString()) as { request: { uid: string; namespace: string } };
      const isSlow = review.request.namespace === 'slow';
      const answer = { uid: review.request.uid, allowed: isSlow, status: { message: 'not here' } };
      const text = JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: answer });
      setTimeout(() => response.setHeader('content-type', 'application/json').end(text), isSlow ? slowMs : 0);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, caBundle: Buffer.from(authority.cert).toString('base64'), asked: () => asked };
}

async function prepare(cluster: ApiCluster, { server, caBundle }: Hook): Promise<void> {
  const kubectl = new Kubectl(cluster);
  await kubectl.run(['apply', '--server-side', '-f', join(import.meta.dirname, '../../crds/manifests')]);
  await kubectl.run(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
  for (const namespace of ['slow', 'refused', 'calm']) await kubectl.run(['create', 'namespace', namespace]);
  const { port } = server.address() as AddressInfo;
  const webhook = {
    name: 'trouble.example.com',
    clientConfig: { url: `https://127.0.0.1:${port}/`, caBundle },
    rules: [{ apiGroups: ['apps'], apiVersions: ['v1'], operations: ['*'], resources: ['deployments'] }],
    namespaceSelector: {
      matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: ['slow', 'refused'] }],
    },
    failurePolicy: 'Fail',
    sideEffects: 'None',
    timeoutSeconds: 10,
    admissionReviewVersions: ['v1'],
  };
  const head = { apiVersion: 'admissionregistration.k8s.io/v1', kind: 'ValidatingWebhookConfiguration' };
  await kubectl.apply(JSON.stringify({ ...head, metadata: { name: 'trouble' }, webhooks: [webhook] }));
}

class Server {
  readonly #origin: string;
  readonly #agent: Agent;

  constructor({ server, caPath, certPath, keyPath }: ApiCluster) {
    this.#origin = server;
    const tls = { ca: readFileSync(caPath), cert: readFileSync(certPath), key: readFileSync(keyPath) };
    this.#agent = new Agent({ connect: tls, connections: 32 });
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async apply(namespace: string, name: string, revision: number): Promise<void> {
    await this.send('PATCH', `${services(namespace)}/${name}?fieldManager=load&force=true`, {
      apiVersion: 'quintet.dev/v1alpha1',
      kind: 'CompressionService',
      metadata: { name },
      spec: { replicas: 0, pod: { labels: { revision: `r${revision}` } } },
    });
  }

  async send(method: 'GET' | 'PATCH', path: string, body?: object): Promise<unknown> {
    const answer = await request(this.#origin + path, {
      method,
      dispatcher: this.#agent,
      headers: { 'content-type': 'application/apply-patch+yaml' },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await answer.body.text();
    if (answer.statusCode > 299) throw new Error(`${method} ${path}: ${answer.statusCode} ${text.slice(0, 300)}`);
    return JSON.parse(text);
  }
}
