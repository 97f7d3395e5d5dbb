// Which nodes may take a pod: the scheduler's filters, as far as node selector, required node affinity and taints go.

export interface Taint {
  key: string;
  value?: string;
  effect: string;
}

interface Toleration {
  key?: string;
  operator?: string;
  value?: string;
  effect?: string;
}

interface Requirement {
  key: string;
  operator: string;
  values?: readonly string[];
}

interface Term {
  matchExpressions?: readonly Requirement[];
  matchFields?: readonly Requirement[];
}

/** Fields of a pod spec. */
export interface Placing {
  nodeSelector?: Record<string, string>;
  tolerations?: readonly Toleration[];
  affinity?: {
    nodeAffinity?: { requiredDuringSchedulingIgnoredDuringExecution?: { nodeSelectorTerms: readonly Term[] } };
  };
}

export interface Place {
  name: string;
  labels: Readonly<Record<string, string>>;
  taints: readonly Taint[];
  unschedulable: boolean;
}

export function admits(place: Place, { nodeSelector = {}, tolerations = [], affinity }: Placing): boolean {
  const terms = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  return (
    !place.unschedulable &&
    place.taints.every(
      (taint) => keepsNobody.has(taint.effect) || tolerations.some((each) => tolerates(each, taint)),
    ) &&
    Object.entries(nodeSelector).every(([key, value]) => place.labels[key] === value) &&
    (terms === undefined || terms.some((term) => isMet(term, place)))
  );
}

const keepsNobody: ReadonlySet<string> = new Set(['PreferNoSchedule']);

function tolerates({ key, operator = 'Equal', value = '', effect }: Toleration, taint: Taint): boolean {
  if (effect && effect !== taint.effect) return false;
  if (key && key !== taint.key) return false;
  if (operator === 'Exists') return true;
  return key !== undefined && operator === 'Equal' && value === (taint.value ?? '');
}

/** A term that asks for nothing matches nothing. */
function isMet({ matchExpressions = [], matchFields = [] }: Term, { labels, name }: Place): boolean {
  if (matchExpressions.length + matchFields.length === 0) return false;
  return (
    matchExpressions.every((each) => holds(each, labels[each.key])) &&
    matchFields.every((each) => holds(each, each.key === 'metadata.name' ? name : undefined))
  );
}

function holds({ operator, values = [] }: Requirement, value: string | undefined): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
      return value !== undefined && Number(value) > Number(values[0]);
    case 'Lt':
      return value !== undefined && Number(value) < Number(values[0]);
    default:
      return false;
  }
}
