// Any spec that the schemas accept: no builder throws, and whatever the controller would write is what the API server takes.
//   QUINTET_FUZZ_SPECS=2000 vitest run --project api e2e/suites/conductor-fuzz.api.test.ts
import { readFileSync } from 'node:fs';
import { type AnyDefinition, kinds as definitions } from '@quintet/crds';
import fc from 'fast-check';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { kinds } from '../../controller/src/kinds/index.ts';
import { type ObservedBuilder, observed, stores } from '../../controller/src/kinds/testing.ts';
import type { Client } from '../../controller/src/kube/client.ts';
import { resourcePath, withQuery } from '../../controller/src/kube/paths.ts';
import type { KubeObject, ResourceType } from '../../controller/src/kube/types.ts';
import type { Watcher } from '../../controller/src/kube/watcher.ts';
import type { PodTemplate } from '../../controller/src/objects/types.ts';
import { Children } from '../../controller/src/reconcile/apply.ts';
import { TerminalError } from '../../controller/src/reconcile/errors.ts';
import type { Kind } from '../../controller/src/reconcile/kind.ts';
import { type ApiCluster, startApi } from '../cluster/api.ts';
import { resources, type Written } from '../load/specs.ts';
import { installDefinitions } from './conductor.ts';

const specs = Number(process.env.QUINTET_FUZZ_SPECS ?? 60);
const seed = Number(process.env.QUINTET_FUZZ_SEED ?? 1);
const namespace = 'fuzz';
const engine = { image: 'local/engine:1', imagePullPolicy: 'IfNotPresent', stores };
const all = kinds({ field: engine, evolution: engine, compression: engine, matcher: engine, copy: engine });

let api: ApiCluster;
let agent: Agent;
beforeAll(async () => {
  api = await startApi();
  const tls = { ca: readFileSync(api.caPath), cert: readFileSync(api.certPath), key: readFileSync(api.keyPath) };
  agent = new Agent({ connect: tls, connections: 16 });
  const kubectl = await installDefinitions(api);
  await kubectl.run(['create', 'namespace', namespace]);
});
afterAll(async () => {
  await agent?.destroy();
  await api?.stop();
});

test.each(definitions.map((definition) => [definition.kind, definition] as const))(
  `%s: ${specs} specs are built and taken`,
  { timeout: 60_000 + specs * 600 },
  async (name, definition) => {
    const kind = all.find(({ type }) => type.kind === name) as Kind<KubeObject>;
    const tally = new Tally();
    const written = fc.sample(resources(definition), { numRuns: specs, seed });
    let next = 0;
    const work = async () => {
      for (let one = written[next++]; one; one = written[next++]) await tryOne(kind, definition, one, tally);
    };
    await Promise.all(Array.from({ length: 16 }, work));
    console.log(tally.describe(name));
    expect(tally.faults).toEqual([]);
    expect(tally.written, 'most specs lead to objects').toBeGreaterThan(tally.objects > 0 ? specs / 10 : specs);
  },
);

class Tally {
  readonly faults: string[] = [];
  readonly terminal = new Map<string, number>();
  /** Specs that led to objects. */
  written = 0;
  objects = 0;

  refuse(reason: string): void {
    this.terminal.set(reason, (this.terminal.get(reason) ?? 0) + 1);
  }

  fault(what: string, one: Written, said: string): void {
    if (this.faults.length < 40)
      this.faults.push(`${what}: ${said.slice(0, 600)}\n  of ${JSON.stringify(one.spec).slice(0, 300)}`);
  }

  describe(kind: string): string {
    const refused = [...this.terminal].map(([reason, count]) => `${count} ${reason}`).join(', ');
    return `${kind}: ${specs} specs, ${this.written} led to ${this.objects} objects, all tried on the API server; ${refused || 'none'} told to the user`;
  }
}

async function tryOne(kind: Kind<KubeObject>, definition: AnyDefinition, one: Written, tally: Tally): Promise<void> {
  const metadata = { ...one.metadata, namespace };
  const type = { ...kind.type };
  const stored = await post(withQuery(resourcePath(type, namespace), { dryRun: 'All' }), { ...one, metadata });
  if ('refused' in stored)
    return tally.fault(`the API server refuses a ${definition.kind} that zod takes`, one, stored.refused);
  const owner = stored.object as KubeObject;
  try {
    const documents = everyDocument(kind, kind.parse(owner));
    const before = tally.objects;
    const client = dryRun((document, said) => {
      tally.objects++;
      if (said) tally.fault(`the API server refuses its ${document.kind}`, one, said);
    });
    for (const document of documents) await childrenOf(kind, client).bring(owner, { objects: [document] });
    if (tally.objects > before) tally.written++;
  } catch (error) {
    if (error instanceof TerminalError) tally.refuse(error.reason);
    else tally.fault('a builder throws', one, String((error as Error).stack));
  }
}

/** What a kind desires as its children come to be: at first, when pods wait for a GPU, and after each Job that ends. */
function everyDocument(kind: Kind<KubeObject>, resource: KubeObject): KubeObject[] {
  const found = new Map<string, KubeObject>();
  let seen: ObservedBuilder = observed();
  for (let round = 0; round < 4; round++) {
    const { objects } = kind.desired(resource, seen);
    kind.status(resource, seen);
    for (const object of objects) found.set(JSON.stringify(object), object);
    seen = observed().at(5 * 3600);
    for (const object of objects) {
      if (object.kind === 'Job')
        seen.withJob(object, 'Complete').withPod(object, { exitCode: 0, message: saidBy(object) });
      else seen.with({ ...object, metadata: { ...object.metadata, uid: 'uid' } });
      if (object.kind === 'Deployment') seen.with(pendingPodOf(object));
    }
  }
  return [...found.values()];
}

/** Last words of a step that ended well. */
function saidBy({ metadata }: KubeObject): object {
  const verdict = { solution: { residual: '0.01', targets: [] }, safety: { verdict: 'Safe', maxPressure: '4kPa' } };
  const throughput = { pointsPerSecond: 1, backend: 'CPU', method: 'DirectSum' };
  const output = { bytes: 1, summary: 'summary.json', pictures: [] };
  const [step] = ['plan', 'finish'].filter((each) => metadata.name.endsWith(each));
  return { step, ...verdict, throughput, output, shards: 8, points: 1, bytes: 1, memoryBytes: 1, warnings: [] };
}

function pendingPodOf(deployment: KubeObject): KubeObject {
  const { template } = (deployment as KubeObject & { spec: { template: PodTemplate } }).spec;
  const message = '0/1 nodes are available: 1 Insufficient nvidia.com/gpu.';
  const scheduled = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message };
  const conditions = [{ ...scheduled, lastTransitionTime: '2026-01-01T12:00:00Z' }];
  const metadata = { name: `${deployment.metadata.name}-0`, labels: template.metadata.labels ?? {} };
  return { apiVersion: 'v1', kind: 'Pod', metadata, status: { phase: 'Pending', conditions } } as KubeObject;
}

function childrenOf(kind: Kind<KubeObject>, client: Client): Children {
  const nothing = { size: 0, get: () => undefined, values: () => [].values(), by: () => [] };
  const write = (_key: string, send: () => Promise<unknown>) => send();
  const watchers = kind.children.map((type) => ({ type, store: nothing, write }) as unknown as Watcher);
  return new Children({ client, owner: kind.type, watchers });
}

/** A client that only asks whether the API server would take what it is given. */
function dryRun(told: (document: KubeObject, refused: string | undefined) => void): Client {
  return {
    fieldManager: 'quintet',
    async create(type: ResourceType, document: KubeObject, fieldManager: string) {
      const path = resourcePath(type, document.metadata.namespace);
      const answer = await post(withQuery(path, { dryRun: 'All', fieldManager }), document);
      told(document, 'refused' in answer ? answer.refused : undefined);
      return 'object' in answer ? answer.object : document;
    },
  } as unknown as Client;
}

async function post(path: string, body: object): Promise<{ object: unknown } | { refused: string }> {
  const headers = { 'content-type': 'application/json' };
  const options = { method: 'POST', dispatcher: agent, headers, body: JSON.stringify(body) } as const;
  const answer = await request(api.server + path, options);
  const object = (await answer.body.json()) as { message?: string };
  return answer.statusCode < 300 ? { object } : { refused: `${answer.statusCode} ${object.message}` };
}
