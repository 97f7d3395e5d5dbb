import { describe, expect, it } from 'vitest';
import { admits, type Place, type Placing } from './admits.ts';

const node: Place = {
  name: 'gpu-1',
  labels: { zone: 'a', memory: '80' },
  taints: [{ key: 'nvidia.com/gpu', value: 'present', effect: 'NoSchedule' }],
  unschedulable: false,
};
const tolerations = [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }];
const needing = (...terms: object[]): Placing => ({
  tolerations,
  affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } } },
});
const asking = (key: string, operator: string, ...values: string[]) =>
  needing({ matchExpressions: [{ key, operator, values }] });

describe('a node', () => {
  it.each<[string, Placing, boolean]>([
    ['takes a pod that tolerates its taint', { tolerations }, true],
    ['keeps off a pod that does not', {}, false],
    ['takes a pod that names key and value', { tolerations: [{ key: 'nvidia.com/gpu', value: 'present' }] }, true],
    ['keeps off a pod that names another value', { tolerations: [{ key: 'nvidia.com/gpu', value: 'absent' }] }, false],
    [
      'keeps off a pod that tolerates another effect',
      { tolerations: [{ operator: 'Exists', effect: 'NoExecute' }] },
      false,
    ],
    ['takes a pod that tolerates everything', { tolerations: [{ operator: 'Exists' }] }, true],
    ['takes a pod that selects its label', { tolerations, nodeSelector: { zone: 'a' } }, true],
    ['keeps off a pod that selects another', { tolerations, nodeSelector: { zone: 'b' } }, false],
    ['follows In', asking('zone', 'In', 'b', 'a'), true],
    ['follows NotIn', asking('zone', 'NotIn', 'a'), false],
    ['follows Exists', asking('rack', 'Exists'), false],
    ['follows DoesNotExist', asking('rack', 'DoesNotExist'), true],
    ['follows Gt', asking('memory', 'Gt', '79'), true],
    ['follows Lt', asking('memory', 'Lt', '80'), false],
    ['is not found by an operator that nobody knows', asking('zone', 'Like', 'a'), false],
    ['follows a field', needing({ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['gpu-1'] }] }), true],
    [
      'is enough for one of several terms',
      needing({}, { matchExpressions: [{ key: 'zone', operator: 'Exists' }] }),
      true,
    ],
    ['is not found by an empty term', needing({}), false],
  ])('%s', (_what, placing, expected) => expect(admits(node, placing)).toBe(expected));

  it('that is cordoned takes nobody, and one that would rather not have a pod takes it', () => {
    expect(admits({ ...node, unschedulable: true }, { tolerations })).toBe(false);
    expect(admits({ ...node, taints: [{ key: 'a', effect: 'PreferNoSchedule' }] }, {})).toBe(true);
  });
});
