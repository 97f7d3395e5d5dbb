// What the scheduler says of a pod without a node, as it is told to people.
import { expect, it } from 'vitest';
import type { Pod } from '../objects/types.ts';
import { troubleOf } from './pods.ts';
import { noon } from './testing.ts';

function pending(message: string): Pod {
  const scheduled = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'lab' },
    status: { phase: 'Pending', conditions: [{ ...scheduled, lastTransitionTime: noon.toISOString() }] },
  };
}
const after = (seconds: number) => new Date(noon.getTime() + seconds * 1000);

const said: Record<string, [message: string, wants: { reason: string; message: string }]> = {
  'a claim that is being deleted, without the words that came with it': [
    'persistentvolumeclaim "big-field" is being deleted. not found',
    { reason: 'Unschedulable', message: 'persistentvolumeclaim "big-field" is being deleted' },
  ],
  'what else is not found, in full': [
    '0/1 nodes are available: runtimeclass "x" not found',
    { reason: 'Unschedulable', message: '0/1 nodes are available: runtimeclass "x" not found' },
  ],
};
for (const [title, [message, wants]] of Object.entries(said)) {
  it(`tells ${title}`, () => expect(troubleOf([pending(message)], noon)).toEqual(wants));
}

it('is quiet about a claim that is being bound for the first minute', () => {
  const pod = pending('0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.');
  expect(troubleOf([pod], after(59))).toMatchObject({ reason: 'ClaimBinding', quietUntil: after(60) });
  expect(troubleOf([pod], after(60))).not.toHaveProperty('quietUntil');
  expect(troubleOf([pod], after(60))).toMatchObject({ reason: 'ClaimUnbound' });
});
