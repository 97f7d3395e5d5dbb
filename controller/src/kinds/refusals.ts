// What the schemas take but the API server would refuse in a child, said in terms of the spec before anything is written.
import type { KubeObject } from '../kube/types.ts';
import { TerminalError } from '../reconcile/errors.ts';

type Fields = Record<string, unknown>;

/** So many are named; more are counted. */
const maxNamed = 5;

/** @throws TerminalError that names the fields at fault. */
export function refuseInvalid(resource: KubeObject): void {
  const faults = faultsOf((resource as KubeObject & { spec: Fields }).spec);
  if (faults.length === 0) return;
  const more = faults.length > maxNamed ? `; and ${faults.length - maxNamed} more` : '';
  throw new TerminalError('InvalidSpec', `${faults.slice(0, maxNamed).join('; ')}${more}`);
}

/** Every fault, each with the path of its field. */
export function faultsOf(spec: Fields): string[] {
  return [
    ...podFaults(fieldsOf(spec.pod), 'spec.pod'),
    ...schedulingFaults(fieldsOf(spec.scheduling), 'spec.scheduling'),
    ...gpuFaults(fieldsOf(spec.gpu), 'spec.gpu'),
  ];
}

function podFaults(pod: Fields, at: string): string[] {
  const faults = [...labelFaults(pod.labels, `${at}.labels`), ...keyFaults(pod.annotations, `${at}.annotations`)];
  faults.push(...each(pod.env, `${at}.env`, environmentFaults));
  return faults;
}

/** Keys become files of a folder. */
function environmentFaults({ secretKeyRef }: Fields, at: string): string[] {
  const { key } = fieldsOf(secretKeyRef);
  const isFolder = key === '.' || (typeof key === 'string' && key.startsWith('..'));
  return isFolder ? [`${at}.secretKeyRef.key: must be neither . nor begin with ..`] : [];
}

function schedulingFaults(scheduling: Fields, at: string): string[] {
  const faults = labelFaults(scheduling.nodeSelector, `${at}.nodeSelector`);
  faults.push(
    ...each(scheduling.tolerations, `${at}.tolerations`, ({ key }, path) =>
      key === undefined ? [] : qualifiedFaults(key, `${path}.key`),
    ),
  );
  faults.push(
    ...spreadFaults(listOf(scheduling.topologySpreadConstraints).map(fieldsOf), `${at}.topologySpreadConstraints`),
  );
  const { nodeAffinity, podAffinity, podAntiAffinity } = fieldsOf(scheduling.affinity);
  faults.push(...nodeAffinityFaults(fieldsOf(nodeAffinity), `${at}.affinity.nodeAffinity`));
  faults.push(...podAffinityFaults(fieldsOf(podAffinity), `${at}.affinity.podAffinity`));
  faults.push(...podAffinityFaults(fieldsOf(podAntiAffinity), `${at}.affinity.podAntiAffinity`));
  return faults;
}

function spreadFaults(constraints: Fields[], at: string): string[] {
  const pairs = constraints.map(({ topologyKey, whenUnsatisfiable }) =>
    JSON.stringify([topologyKey, whenUnsatisfiable]),
  );
  return constraints.flatMap(({ topologyKey }, index) => {
    const faults = qualifiedFaults(topologyKey, `${at}[${index}].topologyKey`);
    if (pairs.indexOf(pairs[index] ?? '') < index)
      faults.push(`${at}[${index}]: stands twice with this topologyKey and whenUnsatisfiable`);
    return faults;
  });
}

const required = 'requiredDuringSchedulingIgnoredDuringExecution';
const preferred = 'preferredDuringSchedulingIgnoredDuringExecution';

function nodeAffinityFaults(affinity: Fields, at: string): string[] {
  const terms = `${at}.${required}.nodeSelectorTerms`;
  return [
    ...each(fieldsOf(affinity[required]).nodeSelectorTerms, terms, expressionFaults),
    ...each(affinity[preferred], `${at}.${preferred}`, ({ preference }, path) =>
      expressionFaults(fieldsOf(preference), `${path}.preference`),
    ),
  ];
}

function expressionFaults(term: Fields, at: string): string[] {
  return each(term.matchExpressions, `${at}.matchExpressions`, ({ key, operator, values }, path) => {
    const given = listOf(values);
    const faults = qualifiedFaults(key, `${path}.key`);
    if ((operator === 'In' || operator === 'NotIn') && given.length === 0)
      faults.push(`${path}.values: must have one at least with operator ${operator}`);
    if ((operator === 'Exists' || operator === 'DoesNotExist') && given.length > 0)
      faults.push(`${path}.values: must be left out with operator ${operator}`);
    if ((operator === 'Gt' || operator === 'Lt') && !(given.length === 1 && isInteger(given[0])))
      faults.push(`${path}.values: must be one integer with operator ${operator}`);
    return faults;
  });
}

function podAffinityFaults(affinity: Fields, at: string): string[] {
  return [
    ...each(affinity[required], `${at}.${required}`, affinityTermFaults),
    ...each(affinity[preferred], `${at}.${preferred}`, ({ podAffinityTerm }, path) =>
      affinityTermFaults(fieldsOf(podAffinityTerm), `${path}.podAffinityTerm`),
    ),
  ];
}

function affinityTermFaults({ topologyKey, labelSelector }: Fields, at: string): string[] {
  return [
    ...qualifiedFaults(topologyKey, `${at}.topologyKey`),
    ...labelFaults(fieldsOf(labelSelector).matchLabels, `${at}.labelSelector.matchLabels`),
  ];
}

/** Domains that Kubernetes keeps for itself: no device is named in them. */
const ownDomain = /(^|\.)kubernetes\.io\//;

function gpuFaults({ policy, resourceName }: Fields, at: string): string[] {
  if (policy === 'None' || typeof resourceName !== 'string') return [];
  const faults = qualifiedFaults(resourceName, `${at}.resourceName`);
  if (ownDomain.test(resourceName) || resourceName.startsWith('requests.'))
    faults.push(`${at}.resourceName: must be an extended resource of a vendor, such as nvidia.com/gpu`);
  return faults;
}

const maxLabel = 63;
const maxPrefix = 253;
const label = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

function labelFaults(map: unknown, at: string): string[] {
  const values = Object.entries(fieldsOf(map)).flatMap(([key, value]) =>
    isLabelValue(String(value)) ? [] : [`${at}[${JSON.stringify(key)}]: ${JSON.stringify(value)} is no label value`],
  );
  return [...keyFaults(map, at), ...values];
}

const keyFaults = (map: unknown, at: string): string[] =>
  Object.keys(fieldsOf(map)).flatMap((key) => qualifiedFaults(key, at));

/** `prefix/name` as labels, annotations, taints and resources are named. */
function qualifiedFaults(key: unknown, at: string): string[] {
  const parts = String(key).split('/');
  const [name = '', prefix] = parts.reverse();
  const isPrefixed = prefix === undefined || (prefix.length <= maxPrefix && subdomain.test(prefix));
  const isNamed = parts.length <= 2 && name !== '' && isLabelValue(name);
  return isPrefixed && isNamed ? [] : [`${at}: ${JSON.stringify(key)} is no name such as example.com/name`];
}

const isLabelValue = (value: string): boolean => value.length <= maxLabel && label.test(value);
const isInteger = (value: unknown): boolean => /^[-+]?[0-9]{1,18}$/.test(String(value));

function each(list: unknown, at: string, check: (item: Fields, at: string) => string[]): string[] {
  return listOf(list).flatMap((item, index) => check(fieldsOf(item), `${at}[${index}]`));
}

const fieldsOf = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {});
const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
