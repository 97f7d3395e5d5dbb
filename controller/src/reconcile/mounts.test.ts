// What is heard of pods whose volumes cannot be mounted, and how often it is asked for.
import { expect, it } from 'vitest';
import type { Client, List, ListOptions } from '../kube/client.ts';
import type { KubeObject, ResourceType } from '../kube/types.ts';
import type { Pod } from '../objects/types.ts';
import { FailedMounts } from './mounts.ts';

const noon = new Date('2026-01-01T12:00:00Z');
const after = (seconds: number) => new Date(noon.getTime() + seconds * 1000);
const event = (message: string, seconds: number) => ({ message, lastTimestamp: after(seconds).toISOString() });

function pod(waiting = 'ContainerCreating'): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'lab', uid: 'uid-p' },
    status: {
      phase: 'Pending',
      conditions: [{ type: 'PodScheduled', status: 'True', lastTransitionTime: noon.toISOString() }],
      containerStatuses: [{ name: 'engine', restartCount: 0, state: { waiting: { reason: waiting } } }],
    },
  };
}

/** An API server that answers these Events, or refuses to. */
function server(items: object[] | Error) {
  const asked: ListOptions[] = [];
  const list = async (_type: ResourceType, options: ListOptions = {}): Promise<List<KubeObject>> => {
    asked.push(options);
    if (items instanceof Error) throw items;
    return { items: items as KubeObject[], resourceVersion: '1' };
  };
  return { asked, client: { list } as Pick<Client, 'list'> };
}

it('asks for nothing before a pod has waited ten seconds, but to be asked then', () => {
  const { asked, client } = server([]);
  const again: number[] = [];
  expect(new FailedMounts(client).said(pod(), after(4), (ms) => again.push(ms))).toBeUndefined();
  expect(asked).toEqual([]);
  expect(again).toEqual([6000]);
});

it('tells the last Event of that very pod, and has the pod looked at again when it is there', async () => {
  const { asked, client } = server([event('older', 3), event('secret "nope" not found', 9), event('oldest', 1)]);
  const mounts = new FailedMounts(client);
  const told = new Promise<void>((resolve) => {
    mounts.said(pod(), after(11), (ms) => ms === 0 && resolve());
  });
  await told;
  expect(mounts.said(pod(), after(12), () => undefined)).toBe('secret "nope" not found');
  expect(asked).toEqual([{ namespace: 'lab', fieldSelector: 'involvedObject.uid=uid-p,reason=FailedMount' }]);
});

it('asks anew after half a minute only, with or without an answer', () => {
  const { asked, client } = server(new Error('forbidden'));
  const mounts = new FailedMounts(client);
  for (const seconds of [11, 12, 40, 41, 42]) mounts.said(pod(), after(seconds), () => undefined);
  expect(asked).toHaveLength(2);
});

it('asks nothing of pods that do something else than create containers', () => {
  const { asked, client } = server([]);
  expect(new FailedMounts(client).said(pod('ImagePullBackOff'), after(60), () => undefined)).toBeUndefined();
  expect(asked).toEqual([]);
});
