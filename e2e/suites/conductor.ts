// The conductor as it runs, inside the test's own process: real kinds, a real API server, clocks of one's choice.
import { join } from 'node:path';
import { expect, vi } from 'vitest';
import { kinds } from '../../controller/src/kinds/index.ts';
import { stores } from '../../controller/src/kinds/testing.ts';
import { Client, type ClientOptions } from '../../controller/src/kube/client.ts';
import { fromKubeconfig } from '../../controller/src/kube/config.ts';
import type { KubeObject, ResourceType } from '../../controller/src/kube/types.ts';
import { eventType, Recorder } from '../../controller/src/reconcile/events.ts';
import { Controller } from '../../controller/src/reconcile/loop.ts';
import type { Status } from '../../controller/src/reconcile/status.ts';
import { Watches } from '../../controller/src/reconcile/watches.ts';
import type { ApiCluster } from '../cluster/api.ts';
import { Kubectl } from '../kubectl.ts';
import { areServed } from './definitions.ts';

const engine = { image: 'local/engine:1', imagePullPolicy: 'IfNotPresent', stores };
export const everyKind = kinds({
  field: engine,
  evolution: engine,
  compression: engine,
  matcher: engine,
  copy: engine,
});

export type Resource = KubeObject & { spec: Record<string, unknown>; status?: Status };

export const typeOf = (kind: string): ResourceType => {
  const found = everyKind.find(({ type }) => type.kind === kind);
  if (!found) throw new TypeError(`no kind ${kind}`);
  return found.type;
};

export const core = (plural: string, kind: string, group = '', version = 'v1'): ResourceType => ({
  group,
  version,
  plural,
  kind,
  namespaced: true,
});

export async function installDefinitions(api: ApiCluster): Promise<Kubectl> {
  const kubectl = new Kubectl(api);
  await kubectl.run(['apply', '--server-side', '-f', join(import.meta.dirname, '../../crds/manifests')]);
  await areServed(kubectl);
  return kubectl;
}

export class Conductor {
  readonly client: Client;
  readonly #watches: Watches;
  readonly #recorder: Recorder;
  readonly #controllers: Controller[];

  private constructor(client: Client) {
    this.client = client;
    this.#watches = new Watches({ client });
    this.#recorder = new Recorder({ client, instance: 'test', now: () => client.now() });
    this.#controllers = everyKind.map(
      (kind) =>
        new Controller(kind, { client, watches: this.#watches, recorder: this.#recorder, conflictRetryMs: 500 }),
    );
  }

  /** With its caches filled, and not reconciling yet. */
  static async open(api: ApiCluster, options: ClientOptions = {}): Promise<Conductor> {
    const connection = await fromKubeconfig([api.kubeconfig]);
    const conductor = new Conductor(new Client(connection, { userAgent: 'quintet-under-test', ...options }));
    conductor.#watches.start();
    await conductor.#watches.synced();
    return conductor;
  }

  start(): void {
    for (const controller of this.#controllers) controller.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#controllers.map((controller) => controller.stop()));
    await this.#recorder.stop();
    await this.#watches.stop();
    await this.client.close();
  }
}

export async function until(check: () => Promise<void>, timeout = 30_000): Promise<void> {
  await vi.waitFor(check, { timeout, interval: 100 });
}

export async function hasCondition(client: Client, resource: KubeObject, want: object): Promise<void> {
  await until(async () => {
    const { status } = await client.get<Resource>(typeOf(resource.kind), resource.metadata);
    expect(status?.conditions).toContainEqual(expect.objectContaining(want));
  });
}

/** Reasons of the Events about a resource. */
export async function eventReasons(client: Client, { metadata }: KubeObject): Promise<string[]> {
  type Event = KubeObject & { reason: string; regarding: { name: string } };
  const { items } = await client.list<Event>(eventType, { namespace: metadata.namespace });
  return items.filter(({ regarding }) => regarding.name === metadata.name).map(({ reason }) => reason);
}

export function compressionService(namespace: string, name: string, spec: object = {}): Resource {
  return {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'CompressionService',
    metadata: { namespace, name },
    spec: { replicas: 0, ...spec },
  };
}
