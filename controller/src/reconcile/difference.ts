// Whether a live object still is what was desired: every field of the desired document is there with its value.
// Fields that others added do not count. Where nothing differs, nothing is allocated.

/** At most so many paths are reported. */
const maxPaths = 20;

/**
 * Paths (`spec.ports[0].port`) at which `live` lacks or contradicts `desired`; undefined when there are none.
 * The server's own rewriting is understood as far as it follows rules: empty values it drops, quantities it
 * normalises, and lists keyed by a field into which others may add.
 */
export function differences(live: unknown, desired: unknown): string[] | undefined {
  return compare(live, desired, '', false);
}

function compare(live: unknown, desired: unknown, field: string, quantities: boolean): string[] | undefined {
  if (live === desired || desired === undefined) return undefined;
  if (live === undefined || live === null) return isEmpty(desired) ? undefined : [''];
  if (Array.isArray(desired)) return Array.isArray(live) ? compareLists(live, desired, field) : [''];
  if (typeof desired === 'object' && desired !== null) {
    if (typeof live !== 'object' || Array.isArray(live)) return [''];
    return compareObjects(live as Record<string, unknown>, desired as Record<string, unknown>, quantities);
  }
  if (desired === null) return [''];
  return quantities && quantityOf(live) === quantityOf(desired) ? undefined : [''];
}

function compareObjects(
  live: Record<string, unknown>,
  desired: Record<string, unknown>,
  quantities: boolean,
): string[] | undefined {
  let found: string[] | undefined;
  for (const field in desired) {
    const inner = compare(
      live[field],
      desired[field],
      field,
      quantities || quantityMaps.has(field) || field === 'sizeLimit',
    );
    if (inner) found = collect(found, inner, `.${field}`);
  }
  return found;
}

function compareLists(live: unknown[], desired: unknown[], field: string): string[] | undefined {
  if (keyedLists.has(field)) {
    let found: string[] | undefined;
    for (let i = 0; i < desired.length; i++) {
      // Usually the order is kept; else any item that has all that is desired will do.
      const first = compare(live[i], desired[i], '', false);
      if (first && !live.some((item) => !compare(item, desired[i], '', false))) found = collect(found, first, `[${i}]`);
    }
    return found;
  }
  if (live.length !== desired.length) return [''];
  let found: string[] | undefined;
  for (let i = 0; i < desired.length; i++) {
    const inner = compare(live[i], desired[i], '', false);
    if (inner) found = collect(found, inner, `[${i}]`);
  }
  return found;
}

function collect(found: string[] | undefined, inner: string[], prefix: string): string[] {
  const result = found ?? [];
  for (const path of inner) if (result.length < maxPaths) result.push(prefix + path);
  return result;
}

/** Lists that the API server merges by key or as sets: additions by others stand beside ours. */
const keyedLists = new Set([
  'containers',
  'initContainers',
  'env',
  'ports',
  'volumes',
  'volumeMounts',
  'volumeDevices',
  'imagePullSecrets',
  'secrets',
  'hostAliases',
  'topologySpreadConstraints',
  'resourceClaims',
  'claims',
  'schedulingGates',
  'readinessGates',
  'ownerReferences',
  'finalizers',
]);

/** Maps whose values are quantities. */
const quantityMaps = new Set(['requests', 'limits', 'capacity', 'hard', 'overhead']);

const suffixes: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** A quantity as a number, so that "1000m" equals "1"; anything else as itself. */
function quantityOf(value: unknown): unknown {
  const match = /^([+-]?[0-9.]+)([eE][+-]?\d+)?([KMGTPE]i|[numkMGTPE])?$/.exec(String(value));
  if (!match) return value;
  const number = Number(`${match[1]}${match[2] ?? ''}`) * (suffixes[match[3] ?? ''] ?? Number.NaN);
  // Twelve digits: 0.1 and 100m must meet.
  return Number.isNaN(number) ? value : Number(number.toPrecision(12));
}

/** What the server leaves out of what it stores. `false` and 0 are not: their absence may mean another default. */
function isEmpty(value: unknown): boolean {
  if (value === null || value === '') return true;
  if (typeof value !== 'object') return false;
  return Array.isArray(value) ? value.length === 0 : Object.keys(value).length === 0;
}
