// Volumes of everything a spec refers to, mounted where the engines look for it.
import { imagesRoot, type Reference, referencesOf } from '@quintet/crds';
import type { KubeObject } from '../kube/types.ts';

export interface Mounts {
  volumes: { name: string; [source: string]: unknown }[];
  mounts: { name: string; mountPath: string; subPath?: string; readOnly?: boolean }[];
}

/** Secrets, ConfigMaps and images get a volume for each place that names them, a claim one volume for all its places. */
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

/** What to say of an API server's refusal of `child` when it was for an image as a volume, which older clusters do not have. */
export function refusedImage(child: KubeObject, message: string): string | undefined {
  const [, index] = /\bvolumes\[(\d+)\]: Required value: must specify a volume type/.exec(message) ?? [];
  if (index === undefined) return undefined;
  const { spec } =
    (child as KubeObject & { spec?: { template?: { spec?: Partial<PodVolumes> } } }).spec?.template ?? {};
  const volume = spec?.volumes?.[Number(index)];
  if (!volume?.image) return undefined;
  const mounts = spec?.containers?.flatMap(({ volumeMounts = [] }) => volumeMounts) ?? [];
  const path = mounts.find(({ name }) => name === volume.name)?.mountPath.slice(imagesRoot.length + 1);
  const has = 'has no image volumes (feature gate ImageVolume, on by default since Kubernetes 1.35)';
  return `spec.${path}: this cluster ${has}; give the files by persistentVolumeClaim or s3 instead`;
}

interface PodVolumes {
  volumes: { name: string; image?: object }[];
  containers: { volumeMounts?: Mounts['mounts'] }[];
}

function sourceOf(type: Reference['type'], name: string): Record<string, unknown> {
  if (type === 'Secret') return { secret: { secretName: name, defaultMode: 0o440 } };
  if (type === 'ConfigMap') return { configMap: { name } };
  if (type === 'Image') return { image: { reference: name } };
  return { persistentVolumeClaim: { claimName: name, readOnly: true } };
}
