// The rights that the controller and the users of its kinds need, from what each kind declares.
import type { KubeObject, ResourceType } from './kube/types.ts';
import type { Kind, PolicyRule } from './reconcile/kind.ts';

/** The part of a kind that rights follow from. */
export type Declared = Pick<Kind<KubeObject>, 'type' | 'children' | 'observes' | 'dependents' | 'extraRules'>;

const follow = ['list', 'watch'];
/** For the users of the kinds, who look at one as well. */
const read = ['get', ...follow];
/** `get` looks at what bears a child's name; server-side apply asks for `patch`. */
const own = ['get', ...follow, 'create', 'patch', 'delete'];

/** What the controller does: nothing more is granted. */
export function controllerRules(kinds: readonly Declared[]): PolicyRule[] {
  const rights = new Rights();
  for (const { type, children, observes, dependents = [] } of kinds) {
    rights.add(type.group, type.plural, follow);
    rights.add(type.group, `${type.plural}/status`, ['patch']);
    // Where the admission plugin OwnerReferencesPermissionEnforcement is on, blockOwnerDeletion needs it (OpenShift).
    rights.add(type.group, `${type.plural}/finalizers`, ['update']);
    for (const child of children) rights.add(child.group, child.plural, own);
    for (const seen of [...observes, ...dependents]) rights.add(seen.group, seen.plural, follow);
  }
  rights.add('events.k8s.io', 'events', ['create', 'patch']);
  // Why a pod's volumes cannot be mounted stands nowhere else.
  rights.add('', 'events', ['list']);
  for (const rule of kinds.flatMap(({ extraRules }) => extraRules)) rights.addRule(rule);
  return rights.rules();
}

/** Added where the installation has stores of its own to hand out: each resource's Secret holds their addresses. */
export const storeRules: PolicyRule[] = [{ apiGroups: [''], resources: ['secrets'], verbs: own }];

/** Added where scaling is limited to free GPUs: quotas are read in every namespace, nodes where the whole cluster is served. */
export const quotaRules: PolicyRule[] = [{ apiGroups: [''], resources: ['resourcequotas'], verbs: ['list'] }];
export const nodeRules: PolicyRule[] = [{ apiGroups: [''], resources: ['nodes'], verbs: ['list'] }];

/** What an activator does: it learns which Services it stands in for, and where their pods are. */
export const activatorRules: PolicyRule[] = [
  { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: follow },
];

/** The Lease of the election: `create` cannot be bound to a name, for the object is not there yet. */
export function leaderElectionRules(leaseName: string): (PolicyRule & { resourceNames?: string[] })[] {
  const lease = { apiGroups: ['coordination.k8s.io'], resources: ['leases'] };
  return [
    { ...lease, verbs: ['create'] },
    { ...lease, resourceNames: [leaseName], verbs: ['get', 'update'] },
  ];
}

export function viewerRules(types: readonly Pick<ResourceType, 'group' | 'plural'>[]): PolicyRule[] {
  const rights = new Rights();
  for (const { group, plural } of types) {
    rights.add(group, plural, read);
    rights.add(group, `${plural}/status`, ['get']);
  }
  return rights.rules();
}

export function editorRules(
  types: readonly (Pick<ResourceType, 'group' | 'plural'> & { scale?: unknown })[],
): PolicyRule[] {
  const rights = new Rights();
  for (const { group, plural, scale } of types) {
    rights.add(group, plural, ['create', 'update', 'patch', 'delete', 'deletecollection']);
    if (scale) rights.add(group, `${plural}/scale`, ['get', 'update', 'patch']);
  }
  return rights.rules();
}

/** Verbs by group and resource; resources of one group with the same verbs share a rule. */
class Rights {
  readonly #verbs = new Map<string, Set<string>>();

  add(group: string, resource: string, verbs: readonly string[]): void {
    const key = `${group} ${resource}`;
    this.#verbs.set(key, new Set([...(this.#verbs.get(key) ?? []), ...verbs]));
  }

  addRule({ apiGroups, resources, verbs }: PolicyRule): void {
    for (const group of apiGroups) for (const resource of resources) this.add(group, resource, verbs);
  }

  rules(): PolicyRule[] {
    const shared = new Map<string, PolicyRule>();
    for (const key of [...this.#verbs.keys()].sort()) {
      const [group = '', resource = ''] = key.split(' ');
      const verbs = [...(this.#verbs.get(key) ?? [])].sort((a, b) => order.indexOf(a) - order.indexOf(b));
      const rule = shared.get(`${group} ${verbs.join()}`);
      if (rule) rule.resources.push(resource);
      else shared.set(`${group} ${verbs.join()}`, { apiGroups: [group], resources: [resource], verbs });
    }
    return [...shared.values()];
  }
}

const order = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection'];
