// Who owns the fields of an object that was made by POST. Making by POST, where an apply would adopt whatever bears the
// name, costs one request instead of two; but the server then knows our fields as updated, not as applied, and an apply
// that drops one of them would leave it there. So before the first apply the entry is turned into an applied one, as
// client-go's csaupgrade does for kubectl.
import type { KubeObject } from './types.ts';

interface ManagedFields {
  manager?: string;
  operation?: string;
}

/** Who makes objects for a manager that applies them: a name of its own, so that nobody else's updates are taken for it. */
export const makerFor = (manager: string): string => `${manager}-create`;

/** Index of our entry in the list of the object as it is cached, which holds the list no more. */
const noted = new WeakMap<KubeObject, number>();

/** Notes what `manager` has made and not applied since: call it before the list is dropped. */
export function noteManaged(object: KubeObject, manager: string): void {
  const index = indexOf(object, manager);
  if (index >= 0) noted.set(object, index);
}

/** What makes our fields applied ones, as a JSON patch; nothing when they are, or none are known to be ours. */
export function ownershipPatch(object: KubeObject, manager: string): object[] | undefined {
  const index = noted.get(object) ?? indexOf(object, manager);
  if (index < 0) return undefined;
  const path = `/metadata/managedFields/${index}`;
  return [
    { op: 'test', path: `${path}/manager`, value: makerFor(manager) },
    { op: 'test', path: `${path}/operation`, value: 'Update' },
    { op: 'replace', path: `${path}/manager`, value: manager },
    { op: 'replace', path: `${path}/operation`, value: 'Apply' },
  ];
}

function indexOf(object: KubeObject, manager: string): number {
  const { managedFields } = object.metadata as { managedFields?: ManagedFields[] };
  const maker = makerFor(manager);
  return managedFields?.findIndex((each) => each.manager === maker && each.operation === 'Update') ?? -1;
}
