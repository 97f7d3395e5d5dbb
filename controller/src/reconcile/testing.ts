// Things, a kind for tests of the loop, and a controller of them against a server of its own for each test.
import { afterEach, beforeEach, expect, vi } from 'vitest';
import { Client } from '../kube/client.ts';
import { TestServer } from '../kube/testserver.ts';
import type { KubeObject, ResourceType } from '../kube/types.ts';
import { types } from '../objects/types.ts';
import { TerminalError } from './errors.ts';
import type { Recorder } from './events.ts';
import { annotations, type Desired, type Kind, labels, managedBy, type Observed, type StatusDecision } from './kind.ts';
import { Controller } from './loop.ts';
import { createMetrics } from './metrics.ts';
import type { Status } from './status.ts';
import { Watches } from './watches.ts';

export interface Thing extends KubeObject {
  spec: { maps: string[]; left?: string[]; value?: string; revision?: string; bad?: boolean };
  status?: Status;
}

export const things: ResourceType = {
  group: 'test.dev',
  version: 'v1',
  plural: 'things',
  kind: 'Thing',
  namespaced: true,
};
export const configMaps = types.configMap;
export const pods = types.pod;
export const receipts: ResourceType = {
  group: 'other.dev',
  version: 'v1',
  plural: 'receipts',
  kind: 'Receipt',
  namespaced: true,
};

/** A kind that makes one ConfigMap per name in its spec, counts its pods and what others made for its maps. */
export const kind: Kind<Thing> = {
  type: things,
  children: [configMaps],
  observes: [pods],
  dependents: [receipts],
  extraRules: [],
  parse: (stored) => stored as Thing,
  desired({ spec }, observed): Desired {
    if (spec.bad) throw new TerminalError('BadSpec', 'spec.bad must not be set');
    const objects = spec.maps.map((name) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, ...(spec.revision && { annotations: { [annotations.revision]: spec.revision } }) },
      data: { value: spec.value ?? '' },
    }));
    const left = observed.list(configMaps).filter(({ metadata }) => spec.left?.includes(metadata.name));
    return { objects, left };
  },
  status(resource: Thing, observed: Observed): StatusDecision {
    const children = observed.list(configMaps);
    const maps = children.length;
    const made = children.flatMap((child) => observed.dependents(receipts, child));
    const complete = maps === resource.spec.maps.length;
    return {
      conditions: [
        {
          type: 'Ready',
          status: complete ? 'True' : 'False',
          reason: complete ? 'Complete' : 'Incomplete',
          message: '',
        },
      ],
      fields: { maps, pods: observed.list(pods).length, ...(made.length > 0 && { made }) },
    };
  },
};

/** Labels of what is a Thing's. */
export const labelsOf = (name: string) => ({
  [labels.managedBy]: managedBy,
  [labels.kind]: 'Thing',
  [labels.name]: name,
});

export let server: TestServer;
export let controller: Controller<Thing>;
let client: Client;
let watches: Watches;
/** Whether the lease was renewed in time, as is asked before each write. */
export const mayWrite = vi.fn<() => boolean>();

/** Call it once in each file: every test begins with an empty server. */
export function useServer(): void {
  beforeEach(async () => {
    mayWrite.mockReset().mockReturnValue(true);
    server = await TestServer.start();
  });
  afterEach(async () => {
    server.intercept = undefined;
    await stop();
    await server.stop();
  });
}

/** Watches what the kind needs, and reconciles nothing yet. */
export async function standBy(overrides: Partial<Kind<Thing>> = {}, recorder?: Recorder): Promise<void> {
  client = new Client(server.connection, { timeoutMs: 2000, mayWrite });
  watches = new Watches({ client, backoff: [5, 50] });
  const metrics = createMetrics({ processMetrics: false });
  const options = { client, watches, metrics, conflictRetryMs: 50, ...(recorder && { recorder }) };
  controller = new Controller({ ...kind, ...overrides }, options);
  watches.start();
  await watches.synced();
}

export async function start(overrides: Partial<Kind<Thing>> = {}, recorder?: Recorder): Promise<void> {
  await standBy(overrides, recorder);
  controller.start();
}

export async function stop(): Promise<void> {
  await controller.stop();
  await watches.stop();
  await client.close();
}

/** Things that the controller knows of. */
export const known = (): KubeObject[] => [...watches.all(things).store.values()];

export function putThing(name: string, spec: Partial<Thing['spec']>): Thing {
  const stored = server.get(things, 'a', name);
  return server.put(things, {
    ...stored,
    metadata: { ...stored?.metadata, name, namespace: 'a' },
    spec: { maps: [], ...spec },
  }) as Thing;
}

export function statusOf(name: string): Status | undefined {
  return (server.get(things, 'a', name) as Thing | undefined)?.status;
}

export function condition(name: string, type: string): object | undefined {
  return statusOf(name)?.conditions?.find((one) => one.type === type);
}

/** Waits until the controller has seen all that the server has, and has nothing left to do. */
export async function settled(): Promise<void> {
  const versions = (objects: Iterable<KubeObject>) =>
    new Map([...objects].map(({ metadata }) => [metadata.name, metadata.resourceVersion]));
  const isOurs = ({ metadata }: KubeObject) => metadata.labels?.[labels.managedBy] === managedBy;
  await until(() => {
    expect(versions(known())).toEqual(versions(server.all(things)));
    const maps = watches.own(configMaps).store.values();
    expect(versions(maps)).toEqual(versions(server.all(configMaps).filter(isOurs)));
    expect(controller.queue.isIdle).toBe(true);
  });
}

export async function until(check: () => void): Promise<void> {
  await vi.waitFor(check, { timeout: 15_000, interval: 10 });
}
