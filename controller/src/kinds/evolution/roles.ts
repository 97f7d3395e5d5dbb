// What each role of the engine is given: the volumes, stores and keys that it uses and no others, for workers run graphs of strangers; and room for its files.
import { type EvolutionRun, type EvolutionRunSpec, parseBytes, parseKubernetesQuantity } from '@quintet/crds';
import { resourceFile, resourceFolder } from '../../objects/configmap.ts';
import { type ContainerSettings, type PodSettings, type Variable, variables } from '../../objects/pod.ts';
import { referenceMounts } from '../../objects/references.ts';
import { httpPort } from '../../objects/service.ts';
import type { EngineSettings } from '../image.ts';
import { type Store, storesOf, storeVariables } from '../stores.ts';
import { mainName } from './names.ts';

export type Role = 'coordinator' | 'worker' | 'serve';

interface Given {
  container: Pick<ContainerSettings, 'args' | 'env' | 'envFrom' | 'mounts'>;
  pod: Pick<PodSettings, 'volumes' | 'tmpSize'>;
  /** Of its stores' addresses, by which pods are rolled. */
  mark: string | undefined;
}

const needs: Record<Role, { stores: Store[]; reads: (keyof EvolutionRunSpec)[] }> = {
  coordinator: { stores: ['redis', 'postgres'], reads: ['dataset', 'search', 'queue', 'registry'] },
  // Data and frozen models come with the queue.
  worker: { stores: ['redis'], reads: ['queue'] },
  serve: { stores: ['postgres'], reads: ['registry', 'promotion'] },
};

const mebibyte = 2 ** 20;
/** What a pod needs beside the one file that may be large. */
const otherFiles = 1024 * mebibyte;
/** The largest table that can be given to a process, twice: one may go while another comes. */
const largestTables = 4096 * mebibyte;

/** @param more Variables of the role */
export function givenTo(
  resource: EvolutionRun,
  role: Role,
  settings: EngineSettings,
  more: Record<string, string> = {},
): Given {
  const { spec } = resource;
  const { stores, reads } = needs[role];
  const { volumes, mounts } = referenceMounts(Object.fromEntries(reads.map((block) => [block, spec[block]])));
  const addresses = storesOf(resource, mainName(resource), settings.stores, stores);
  const ours = { QUINTET_RESOURCE: resourceFile, PORT: String(httpPort), ...more, ...settings.env };
  const keys = role === 'coordinator' ? spec.output?.s3?.secretRef : undefined;
  return {
    container: {
      args: [role],
      env: [...variables(withoutOthers(spec.pod?.env, stores), ours), ...addresses.variables],
      ...(keys && { envFrom: [{ secretRef: { name: keys.name } }] }),
      mounts: [{ name: 'resource', mountPath: resourceFolder, readOnly: true }, ...mounts],
    },
    pod: {
      volumes: [{ name: 'resource', configMap: { name: mainName(resource) } }, ...volumes],
      ...tmpOf(spec, role),
    },
    mark: addresses.mark,
  };
}

/** Addresses that the user sets as variables go to the roles that use them. */
function withoutOthers(theirs: readonly Variable[] = [], stores: readonly Store[]): Variable[] {
  const ofStores = Object.entries(storeVariables) as [Store, string][];
  const others = new Set(ofStores.filter(([store]) => !stores.includes(store)).map(([, variable]) => variable));
  return theirs.filter(({ name }) => !others.has(name));
}

/** Coordinators keep a download there while they read it, workers the table, which fits into their memory thrice. */
function tmpOf({ dataset, resources }: EvolutionRunSpec, role: Role): { tmpSize?: string } {
  const { source, maxSize } = dataset;
  const memory = resources.limits?.memory;
  if (role === 'coordinator' && (source.http || source.s3)) return sized(parseBytes(maxSize));
  if (role === 'worker') return sized(memory === undefined ? largestTables : parseKubernetesQuantity(memory));
  return {};
}

function sized(bytes: number): { tmpSize: string } {
  return { tmpSize: `${Math.ceil((bytes + otherFiles) / mebibyte)}Mi` };
}
