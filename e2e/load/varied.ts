// Resources of all five kinds that need no pod: at zero, or suspended. A revision changes what their children look like.
import { eventually, type Kubectl } from '../kubectl.ts';

export interface Resource {
  kind: string;
  metadata: { name: string; generation: number; uid: string };
  status?: { observedGeneration?: number; conditions?: { type: string; status: string }[] };
}

interface Child {
  kind: string;
  metadata: { name: string; ownerReferences?: { uid: string }[] };
  spec: { template: { metadata: { labels?: Record<string, string> } } };
}

/** Specs of resources that need no pod, by kind. */
export const restingSpecs: Readonly<Record<string, object>> = {
  FieldJob: {
    suspend: true,
    array: { type: 'Grid', grid: {} },
    targets: [{ name: 'bead', position: ['0mm', '0mm', '60mm'] }],
    volume: { center: ['0mm', '0mm', '60mm'], size: ['50mm', '50mm', '50mm'] },
    output: { persistentVolumeClaim: { claimName: 'fields' } },
  },
  EvolutionRun: {
    suspend: true,
    dataset: {
      source: { persistentVolumeClaim: { claimName: 'data', path: 'table.csv' } },
      target: 'y',
      task: 'Binary',
    },
  },
  CompressionService: { replicas: 0 },
  MatcherPool: { replicas: 0 },
  CopyEngine: { replicas: 0, runtime: 'Template' },
};

const plurals = ['fieldjobs', 'evolutionruns', 'compressionservices', 'matcherpools', 'copyengines'];
const kinds = ['FieldJob', 'EvolutionRun', 'CompressionService', 'MatcherPool', 'CopyEngine'];
export const pluralOf = (index: number): string => plurals[index % plurals.length] ?? '';
export const nameOf = (index: number): string => `churn-${index}`;

export function varied(namespace: string, index: number, revision: number): object {
  const kind = kinds[index % kinds.length] ?? '';
  const pod = { labels: { revision: `r${revision}` } };
  return {
    apiVersion: 'quintet.dev/v1alpha1',
    kind,
    metadata: { name: nameOf(index), namespace },
    spec: { ...restingSpecs[kind], pod },
  };
}

export async function freshNamespace(kubectl: Kubectl, namespace: string): Promise<void> {
  const timeout = { timeoutMs: 190_000 };
  await kubectl.run(['delete', 'namespace', namespace, '--ignore-not-found', '--wait', '--timeout=180s'], timeout);
  await kubectl.run(['create', 'namespace', namespace]);
}

export async function resourcesIn(kubectl: Kubectl, namespace: string): Promise<Resource[]> {
  return (await kubectl.json<{ items: Resource[] }>(['get', plurals.join(), '-n', namespace])).items;
}

/** Every resource is Ready at its own generation. */
export async function settled(kubectl: Kubectl, namespace: string, count: number): Promise<void> {
  await eventually(
    `${count} resources are Ready`,
    async () => {
      const items = await resourcesIn(kubectl, namespace);
      const ready = items.filter(
        ({ metadata, status }) =>
          status?.observedGeneration === metadata.generation &&
          status.conditions?.some((each) => each.type === 'Ready' && each.status === 'True'),
      );
      return items.length === count && ready.length === count;
    },
    { timeoutMs: 180_000, everyMs: 1000, describe: () => kubectl.run(['get', plurals.join(), '-n', namespace]) },
  );
}

async function childrenIn(kubectl: Kubectl, namespace: string, types: string): Promise<Child[]> {
  const label = ['-l', 'app.kubernetes.io/managed-by=quintet'];
  return (await kubectl.json<{ items: Child[] }>(['get', types, '-n', namespace, ...label])).items;
}

/** Resources of which a Deployment or Job is not of the revision that was written last. */
export async function missed(
  kubectl: Kubectl,
  namespace: string,
  revisions: ReadonlyMap<number, number>,
): Promise<string[]> {
  const owners = await resourcesIn(kubectl, namespace);
  const workloads = await childrenIn(kubectl, namespace, 'deployments,jobs');
  return [...revisions].flatMap(([index, revision]) => {
    const plural = pluralOf(index);
    const owner = owners.find(
      ({ kind, metadata }) => `${kind.toLowerCase()}s` === plural && metadata.name === nameOf(index),
    );
    const own = workloads.filter(({ metadata }) =>
      metadata.ownerReferences?.some(({ uid }) => uid === owner?.metadata.uid),
    );
    const isFollowed = own.length > 0 && own.every((each) => revisionOf(each) === `r${revision}`);
    return isFollowed ? [] : [`${plural}/${nameOf(index)}`];
  });
}

const revisionOf = ({ spec }: Child): string | undefined => spec.template.metadata.labels?.revision;

export async function orphans(kubectl: Kubectl, namespace: string): Promise<string[]> {
  const owners = new Set((await resourcesIn(kubectl, namespace)).map(({ metadata }) => metadata.uid));
  const types = 'deployments,services,configmaps,serviceaccounts,jobs,networkpolicies,poddisruptionbudgets';
  return (await childrenIn(kubectl, namespace, types))
    .filter(({ metadata }) => !metadata.ownerReferences?.some(({ uid }) => owners.has(uid)))
    .map(({ kind, metadata }) => `${kind}/${metadata.name}`);
}
