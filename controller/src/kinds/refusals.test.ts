// Specs that the schemas take and Kubernetes does not: each is told by the field to change.
import { describe, expect, it } from 'vitest';
import { faultsOf, refuseInvalid } from './refusals.ts';

const affinity = (operator: string, values?: string[]) => ({
  nodeAffinity: {
    requiredDuringSchedulingIgnoredDuringExecution: {
      nodeSelectorTerms: [{ matchExpressions: [{ key: 'zone', operator, ...(values && { values }) }] }],
    },
  },
});
const expression =
  'spec.scheduling.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0]';
const podTerm = { topologyKey: '-', labelSelector: { matchLabels: { app: 'no spaces' } } };

const refused: Record<string, { spec: Record<string, unknown>; wants: string[] }> = {
  'a label whose key has no name': { spec: { pod: { labels: { 'a/': 'x' } } }, wants: ['spec.pod.labels: "a/"'] },
  'a label value that ends in a dash': {
    spec: { pod: { labels: { app: 'x-' } } },
    wants: ['spec.pod.labels["app"]: "x-"'],
  },
  'an annotation with two slashes': {
    spec: { pod: { annotations: { 'a/b/c': 'x' } } },
    wants: ['spec.pod.annotations'],
  },
  'a key that is a folder': {
    spec: { pod: { env: [{ name: 'A', secretKeyRef: { name: 's', key: '..a' } }] } },
    wants: ['spec.pod.env[0].secretKeyRef.key'],
  },
  'a node label with a bad prefix': {
    spec: { scheduling: { nodeSelector: { 'a..b/zone': 'x' } } },
    wants: ['spec.scheduling.nodeSelector'],
  },
  'a spread that stands twice': {
    spec: {
      scheduling: {
        topologySpreadConstraints: [
          { topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule' },
          { topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule' },
        ],
      },
    },
    wants: ['spec.scheduling.topologySpreadConstraints[1]'],
  },
  'In without values': { spec: { scheduling: { affinity: affinity('In') } }, wants: [`${expression}.values`] },
  'Exists with values': {
    spec: { scheduling: { affinity: affinity('Exists', ['a']) } },
    wants: [`${expression}.values`],
  },
  'Gt with a word': { spec: { scheduling: { affinity: affinity('Gt', ['a']) } }, wants: [`${expression}.values`] },
  'a pod affinity with bad names': {
    spec: {
      scheduling: { affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [podTerm] } } },
    },
    wants: [
      'spec.scheduling.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey',
      'spec.scheduling.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector',
    ],
  },
  'a device of Kubernetes itself': {
    spec: { gpu: { policy: 'Required', resourceName: 'node.kubernetes.io/gpu' } },
    wants: ['spec.gpu.resourceName'],
  },
};

describe('a spec is refused for', () => {
  for (const [title, { spec, wants }] of Object.entries(refused)) {
    it(title, () => {
      expect(faultsOf(spec)).toEqual(wants.map((path) => expect.stringContaining(path)));
    });
  }
});

it('what Kubernetes takes is not refused', () => {
  expect(
    faultsOf({
      pod: { labels: { 'example.com/team': 'a_b.c-d', empty: '' } },
      scheduling: {
        nodeSelector: { 'topology.kubernetes.io/zone': 'a' },
        tolerations: [
          { operator: 'Exists' },
          { key: 'a', operator: 'Equal', effect: 'NoExecute', tolerationSeconds: 3 },
        ],
        affinity: affinity('Gt', ['3']),
      },
      gpu: { policy: 'Required', resourceName: 'nvidia.com/mig-1g.10gb' },
    }),
  ).toEqual([]);
});

it('many faults are told within bounds', () => {
  const labels = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`a${index}`, '-']));
  const resource = { apiVersion: 'v', kind: 'K', metadata: { name: 'n' }, spec: { pod: { labels } } };
  expect(() => refuseInvalid(resource)).toThrow(/a4.*; and 4 more$/);
});
