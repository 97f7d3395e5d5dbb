// A tiny kind for tests of the Kubernetes layer on a real API server: a Thing desires ConfigMaps with a value.
import { Client } from '../../controller/src/kube/client.ts';
import { fromKubeconfig } from '../../controller/src/kube/config.ts';
import type { KubeObject, ResourceType } from '../../controller/src/kube/types.ts';
import { TerminalError } from '../../controller/src/reconcile/errors.ts';
import { annotations, type Desired, type Kind } from '../../controller/src/reconcile/kind.ts';
import type { Status } from '../../controller/src/reconcile/status.ts';

export interface Thing extends KubeObject {
  spec: {
    /** ConfigMaps `<name>-0` … */
    maps: number;
    value: string;
    revision?: string;
    /** Bytes of ballast in each ConfigMap. */
    ballast?: number;
    bad?: string;
  };
  status?: Status;
}

export const things: ResourceType = {
  group: 'test.quintet.dev',
  version: 'v1',
  plural: 'things',
  kind: 'Thing',
  namespaced: true,
};
export const configMaps: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};
const definitions: ResourceType = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
};
const namespaces: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
};

export interface ConfigMap extends KubeObject {
  data: { value: string; ballast?: string };
}

export const thingKind: Kind<Thing> = {
  type: things,
  children: [configMaps],
  observes: [],
  extraRules: [],
  parse: (stored) => stored as Thing,
  desired({ metadata, spec }): Desired {
    if (spec.bad) throw new TerminalError('BadSpec', spec.bad);
    const objects = Array.from({ length: spec.maps }, (_, index) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        name: `${metadata.name}-${index}`,
        ...(spec.revision && { annotations: { [annotations.revision]: spec.revision } }),
      },
      data: { value: spec.value, ...(spec.ballast && { ballast: 'x'.repeat(spec.ballast) }) },
    }));
    return { objects };
  },
  status({ spec }, observed) {
    const maps = observed.list(configMaps).length;
    const ready = maps === spec.maps;
    return {
      conditions: [
        { type: 'Ready', status: ready ? 'True' : 'False', reason: ready ? 'Complete' : 'Incomplete', message: '' },
      ],
      fields: { maps },
    };
  },
};

/** A client with the rights of the kubeconfig, not through any proxy. */
export async function directClient(kubeconfig: string): Promise<Client> {
  return new Client(await fromKubeconfig([kubeconfig]));
}

/** Makes the CRD of Things and a namespace, and waits until both can be used. */
export async function installThings(client: Client, namespace: string): Promise<void> {
  const spec = {
    group: things.group,
    scope: 'Namespaced',
    names: { plural: things.plural, singular: 'thing', kind: things.kind, listKind: 'ThingList' },
    versions: [
      {
        name: things.version,
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  };
  const metadata = { name: `${things.plural}.${things.group}` };
  await client.apply(definitions, {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata,
    spec,
  });
  await client.apply(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  for (let attempt = 0; ; attempt++) {
    try {
      await client.list(things, { namespace });
      return;
    } catch (error) {
      if (attempt > 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

export function thing(namespace: string, name: string, spec: Partial<Thing['spec']> = {}): Thing {
  return {
    apiVersion: `${things.group}/${things.version}`,
    kind: things.kind,
    metadata: { namespace, name },
    spec: { maps: 1, value: 'first', ...spec },
  };
}
