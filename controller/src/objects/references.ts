// Volumes of everything a spec refers to, mounted where the engines look for it.
import { referencesOf } from '@quintet/crds';

export interface Mounts {
  volumes: { name: string; [source: string]: unknown }[];
  mounts: { name: string; mountPath: string; subPath?: string; readOnly?: boolean }[];
}

/** Secrets and ConfigMaps get a volume for each place that names them, a claim one volume for all its places. */
export function referenceMounts(spec: object): Mounts {
  const volumes = new Map<string, Mounts['volumes'][number]>();
  const mounts = new Map<string, Mounts['mounts'][number]>();
  for (const { type, name, mountPath } of referencesOf(spec)) {
    const volume = `${type.toLowerCase()}-${volumes.size}`;
    if (mounts.has(mountPath)) continue;
    volumes.set(mountPath, { name: volume, ...sourceOf(type, name) });
    mounts.set(mountPath, { name: volume, mountPath, readOnly: true });
  }
  return { volumes: [...volumes.values()], mounts: [...mounts.values()] };
}

function sourceOf(type: 'Secret' | 'ConfigMap' | 'Claim', name: string): Record<string, unknown> {
  if (type === 'Secret') return { secret: { secretName: name, defaultMode: 0o440 } };
  if (type === 'ConfigMap') return { configMap: { name } };
  return { persistentVolumeClaim: { claimName: name, readOnly: true } };
}
