// Creates COUNT resources under one operator and measures the time until each is Ready at its own generation.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, type Dispatcher, request } from 'undici';
import { startApi } from '../cluster/api.ts';
import { Kubectl } from '../kubectl.ts';
import type { Operator } from './operators.ts';
import { restingSpecs } from './varied.ts';

export interface Measurement {
  createdSeconds: number;
  allReadySeconds: number;
  p50Seconds: number;
  p99Seconds: number;
  /** Of the operator's process, from the first create until all are Ready. */
  cpuSeconds: number;
  /** Of the operator's process, when all are Ready. */
  residentMiB: number;
}

export interface Load {
  kind: 'FieldJob' | 'CompressionService';
  count: number;
  /** Pods of nobody, there before the operator starts. */
  unrelatedPods?: number;
}

const namespace = 'load';
const plurals = { FieldJob: 'fieldjobs', CompressionService: 'compressionservices' };

interface Condition {
  type: string;
  status: string;
}

interface WatchedObject {
  metadata: { name: string; generation: number; resourceVersion: string };
  status?: { observedGeneration?: number; conditions?: Condition[] };
}

export async function measure(operator: Operator, load: Load): Promise<Measurement> {
  const api = await startApi();
  const ca = readFileSync(api.caPath);
  const tls = { ca, cert: readFileSync(api.certPath), key: readFileSync(api.keyPath) };
  const agent = new Agent({ connect: tls, connections: 32 });
  const server = new Server(api.server, agent);
  try {
    const kubectl = new Kubectl(api);
    await kubectl.run(['apply', '--server-side', '-f', join(import.meta.dirname, '../../crds/manifests')]);
    await kubectl.run(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
    await server.send('POST', '/api/v1/namespaces', { metadata: { name: namespace } });
    await createPods(server, load.unrelatedPods ?? 0);
    const child = operator.start(api.kubeconfig);
    const ended = new Promise<never>((_resolve, reject) => {
      child.once('exit', (code, signal) => reject(new Error(`${operator.name} ended: ${code ?? signal}`)));
    });
    ended.catch(() => undefined); // heard by the race below, or not at all once the process is killed
    try {
      await sleep(4000); // caches filled, lease taken
      return await Promise.race([drive(server, load, child.pid ?? 0), ended]);
    } finally {
      // First politely: a profile is written at the end.
      child.kill('SIGTERM');
      await Promise.race([ended.catch(() => undefined), sleep(5_000)]);
      child.kill('SIGKILL');
    }
  } finally {
    await agent.destroy();
    await api.stop();
  }
}

async function drive(server: Server, { kind, count }: Load, pid: number): Promise<Measurement> {
  const path = `/apis/quintet.dev/v1alpha1/namespaces/${namespace}/${plurals[kind]}`;
  const createdAt = new Map<string, number>();
  const readyAt = new Map<string, number>();
  const { promise: allReady, resolve } = Promise.withResolvers<void>();
  const stop = new AbortController();
  const { metadata } = (await server.send('GET', path)) as { metadata: { resourceVersion: string } };
  const watching = server.watch(path, metadata.resourceVersion, stop.signal, (object) => {
    const ready = object.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
    if (!ready || object.status?.observedGeneration !== object.metadata.generation) return;
    if (!readyAt.has(object.metadata.name)) readyAt.set(object.metadata.name, performance.now());
    if (readyAt.size === count) resolve();
  });
  watching.catch(() => undefined);
  const cpuBefore = usageOf(pid).cpuSeconds;
  const start = performance.now();
  await many(count, 16, async (index) => {
    const name = `load-${index}`;
    createdAt.set(name, performance.now());
    await server.send('POST', path, {
      apiVersion: 'quintet.dev/v1alpha1',
      kind,
      metadata: { name },
      spec: restingSpecs[kind],
    });
  });
  const created = performance.now();
  const late = sleep(600_000, undefined, { ref: false, signal: stop.signal }).then(
    () => Promise.reject(new Error(`only ${readyAt.size} of ${count} are Ready`)),
    () => undefined,
  );
  await Promise.race([allReady, watching, late]);
  const end = performance.now();
  stop.abort();
  const after = usageOf(pid);
  const latencies = [...readyAt].map(([name, at]) => (at - (createdAt.get(name) ?? at)) / 1000).sort((a, b) => a - b);
  const at = (share: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN;
  return {
    createdSeconds: (created - start) / 1000,
    allReadySeconds: (end - start) / 1000,
    p50Seconds: at(0.5),
    p99Seconds: at(0.99),
    cpuSeconds: after.cpuSeconds - cpuBefore,
    residentMiB: after.residentMiB,
  };
}

async function createPods(server: Server, count: number): Promise<void> {
  if (count === 0) return;
  await server.send('POST', '/api/v1/namespaces', { metadata: { name: 'others' } });
  const env = Array.from({ length: 20 }, (_, i) => ({ name: `SETTING_${i}`, value: 'x'.repeat(40) }));
  await many(count, 16, (index) =>
    server.send('POST', '/api/v1/namespaces/others/pods', {
      metadata: { name: `pod-${index}`, labels: { app: `app-${index % 100}` } },
      spec: { containers: [{ name: 'main', image: 'local/app:1', env }] },
    }),
  );
}

async function many(count: number, workers: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: workers }, async () => {
      while (next < count) await work(next++);
    }),
  );
}

/** CPU seconds and resident memory of a process, as /proc has them. */
function usageOf(pid: number): { cpuSeconds: number; residentMiB: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  const resident = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  // Fields 14 and 15 of stat(5), in hundredths of a second; readdir makes sure that the process still lives.
  readdirSync(`/proc/${pid}/task`);
  return { cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100, residentMiB: Number(resident) / 1024 };
}

class Server {
  readonly #origin: string;
  readonly #dispatcher: Dispatcher;

  constructor(origin: string, dispatcher: Dispatcher) {
    this.#origin = origin;
    this.#dispatcher = dispatcher;
  }

  async send(method: 'GET' | 'POST', path: string, body?: object): Promise<unknown> {
    const answer = await request(this.#origin + path, {
      method,
      dispatcher: this.#dispatcher,
      headers: { 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await answer.body.text();
    if (answer.statusCode > 299) throw new Error(`${method} ${path}: ${answer.statusCode} ${text.slice(0, 500)}`);
    return JSON.parse(text);
  }

  /** Follows a collection until aborted; a watch that ends is taken up again where it was. */
  async watch(
    path: string,
    from: string,
    signal: AbortSignal,
    onObject: (object: WatchedObject) => void,
  ): Promise<never> {
    let version = from;
    for (;;) {
      const url = `${this.#origin}${path}?watch=1&allowWatchBookmarks=1&resourceVersion=${version}`;
      const { body, statusCode } = await request(url, { dispatcher: this.#dispatcher, signal, bodyTimeout: 0 });
      if (statusCode !== 200) throw new Error(`watch ${path}: ${statusCode} ${(await body.text()).slice(0, 300)}`);
      body.setEncoding('utf8');
      let rest = '';
      for await (const chunk of body) {
        const lines = (rest + String(chunk)).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          const { type, object } = JSON.parse(line) as { type: string; object: WatchedObject };
          if (type === 'ERROR') throw new Error(`watch ${path}: ${line.slice(0, 300)}`);
          version = object.metadata.resourceVersion;
          if (type !== 'BOOKMARK') onObject(object);
        }
      }
    }
  }
}
