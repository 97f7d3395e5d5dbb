// Where a MatcherPool's pod keeps its index over restarts of its container: the record needs then not be read again.
import type { Mounts } from '../../objects/references.ts';
import type { Served } from './engines.ts';

const folder = '/var/lib/quintet/snapshot';

interface Snapshot extends Mounts {
  env: Record<string, string>;
}

/** A volume of the pod's own where the spec asks for one, else scratch space on its node; either goes with the pod. */
export function snapshotOf({ kind, spec }: Served): Snapshot {
  if (kind !== 'MatcherPool') return { env: {}, volumes: [], mounts: [] };
  const { snapshot } = spec.index;
  const source = snapshot
    ? {
        ephemeral: {
          volumeClaimTemplate: {
            spec: {
              accessModes: ['ReadWriteOnce'],
              ...(snapshot.storageClassName && { storageClassName: snapshot.storageClassName }),
              resources: { requests: { storage: snapshot.storage } },
            },
          },
        },
      }
    : { emptyDir: { sizeLimit: '10Gi' } };
  return {
    env: { QUINTET_SNAPSHOT_DIRECTORY: folder },
    volumes: [{ name: 'snapshot', ...source }],
    mounts: [{ name: 'snapshot', mountPath: folder }],
  };
}
