// What a spec refers to, and where each of it appears in a pod: the controller mounts by these paths, engines read by them.

export const secretsRoot = '/etc/quintet/refs';
export const claimsRoot = '/var/lib/quintet/claims';
export const imagesRoot = '/var/lib/quintet/images';

export interface Reference {
  type: 'Secret' | 'ConfigMap' | 'Claim' | 'Image';
  /** Name of the Secret, ConfigMap or claim; of an image where it is pulled from. */
  name: string;
  /** Where the spec names it: `cache.redis.secretRef`; members of keyed lists by their name. */
  path: string;
  /** Folder in the pod that holds its keys as files, or the root of the claim or image. */
  mountPath: string;
  /** The file meant, below `mountPath`: the key, or the path inside the claim or image; empty for the whole folder. */
  file: string;
}

/** Blocks that are carried out by the controller itself, not read by the engine. */
const notForEngines = new Set(['pod', 'output', 'scheduling', 'gpu', 'resources']);

/** Every reference in `spec`, in the order of its fields; `output` and the pod's own fields are left out. */
export function referencesOf(spec: object): Reference[] {
  const found: Reference[] = [];
  for (const [key, value] of Object.entries(spec)) if (!notForEngines.has(key)) collect(found, value, key, key);
  return found;
}

/** The reference at one place of the spec. */
export function referenceAt(spec: object, path: string): Reference | undefined {
  return referencesOf(spec).find((reference) => reference.path === path);
}

/** The file that a reference means, as a path in the pod. */
export function fileOf({ mountPath, file }: Reference, defaultKey = ''): string {
  const name = file || defaultKey;
  return name === '' ? mountPath : `${mountPath}/${name}`;
}

/** Most of a spec refers to nothing: that costs no list. */
function collect(found: Reference[], value: unknown, key: string, path: string): void {
  if (typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) collect(found, item, key, `${path}.${nameOf(item, index)}`);
    return;
  }
  const own = referenceFrom(key, value as Record<string, unknown>, path);
  if (own) found.push(own);
  else
    for (const member of Object.keys(value))
      collect(found, (value as Record<string, unknown>)[member], member, `${path}.${member}`);
}

function nameOf(item: unknown, index: number): string {
  const name = (item as { name?: unknown } | null)?.name;
  return typeof name === 'string' ? name : String(index);
}

function referenceFrom(key: string, value: Record<string, unknown>, path: string): Reference | undefined {
  const text = (member: string) => (typeof value[member] === 'string' ? value[member] : '');
  if (key === 'secretRef') {
    return { type: 'Secret', name: text('name'), path, mountPath: `${secretsRoot}/${path}`, file: text('key') };
  }
  if (key === 'configMap') {
    return { type: 'ConfigMap', name: text('name'), path, mountPath: `${secretsRoot}/${path}`, file: text('key') };
  }
  if (key === 'persistentVolumeClaim') {
    const name = text('claimName');
    return { type: 'Claim', name, path, mountPath: `${claimsRoot}/${name}`, file: text('path') };
  }
  if (key === 'oci') {
    return { type: 'Image', name: text('image'), path, mountPath: `${imagesRoot}/${path}`, file: text('path') };
  }
  return undefined;
}
