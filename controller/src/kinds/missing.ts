// What a pod needs and does not find: named with its namespace and the fields of the spec that name it.

/** For each kind of object: the field of a spec that refers to one, and the member of it that is its name. */
const referrers = {
  Secret: { secretRef: 'name', secretKeyRef: 'name' },
  ConfigMap: { configMap: 'name', configMapKeyRef: 'name' },
  PersistentVolumeClaim: { persistentVolumeClaim: 'claimName', cacheVolume: 'claimName' },
} as const;
type Missing = keyof typeof referrers;

const reasons: Record<Missing, string> = {
  Secret: 'SecretNotFound',
  ConfigMap: 'ConfigMapNotFound',
  PersistentVolumeClaim: 'ClaimNotFound',
};

/** Of the words of a scheduler or kubelet; nothing when they are of something else. */
export function missingObject(
  words: string,
  namespace: string | undefined,
  spec: object | undefined,
): { reason: string; message: string } | undefined {
  const [, found, name] = /\b(secret|configmap|persistentvolumeclaim) "([^"]+)" not found/.exec(words) ?? [];
  if (found === undefined || name === undefined) return undefined;
  const kind = ({ secret: 'Secret', configmap: 'ConfigMap' } as const)[found] ?? 'PersistentVolumeClaim';
  const fields = spec ? fieldsThatName(spec, kind, name) : [];
  const where = fields.length > 0 ? `or name another in ${fields.join(', ')}` : 'or name another in the spec';
  return {
    reason: reasons[kind],
    message: `${kind} ${name} does not exist in namespace ${namespace}; create it, ${where}`,
  };
}

function fieldsThatName(value: unknown, kind: Missing, name: string, path = 'spec'): string[] {
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value))
    return value.flatMap((item, index) => fieldsThatName(item, kind, name, `${path}[${index}]`));
  const members: Readonly<Record<string, string>> = referrers[kind];
  return Object.entries(value).flatMap(([key, inside]) => {
    const at = `${path}.${key}`;
    const member = members[key];
    const names = member !== undefined && (inside as Record<string, unknown> | null)?.[member] === name;
    return names ? [at] : fieldsThatName(inside, kind, name, at);
  });
}
