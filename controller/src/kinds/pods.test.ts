// What schedulers, kubelets and engines say of a pod that does not get on, as it is told to people.
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
  'what to change where a node has too little': [
    '0/1 nodes are available: 1 Insufficient cpu.',
    {
      reason: 'Unschedulable',
      message: '0/1 nodes are available: 1 Insufficient cpu; lower spec.resources.requests, or add a node with more',
    },
  ],
  'what to change where no node fits': [
    "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector",
    {
      reason: 'Unschedulable',
      message:
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector; change spec.scheduling, or add a node that fits it",
    },
  ],
  'what to change where GPUs are short': [
    '0/1 nodes are available: 1 Insufficient nvidia.com/gpu',
    {
      reason: 'InsufficientGPU',
      message:
        '0/1 nodes are available: 1 Insufficient nvidia.com/gpu; lower spec.gpu.count or spec.resources, free a GPU, or add a node that has one',
    },
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

const engine = (status: object): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'lab' },
  status: { phase: 'Pending', containerStatuses: [{ name: 'engine', restartCount: 0, ...status }] },
});
const ended = (message: string) => engine({ lastState: { terminated: { exitCode: 1, message } } });

it.each([
  ['the error of a JSON line', '{"level":"fatal","err":"no token","msg":"ended"}', 'no token'],
  ['the message of an error with a stack', '{"err":{"message":"no token","stack":"…"}}', 'no token'],
  ['the message of the step that a Job says failed', '{"step":"plan","error":{"reason":"R","message":"no"}}', 'no'],
  ['the message of a JSON line without an error', '{"level":"fatal","msg":"ended"}', 'ended'],
  ['the last of several JSON lines', '{"msg":"starts"}\n{"err":"no token"}', 'no token'],
  ['the first line of what is not JSON', 'Traceback\n  File', 'Traceback'],
  [
    'no tail of a log that is cut in a line of JSON',
    '11,"evaluations":{"done":6,"cached":6}}',
    'no message; see its log',
  ],
  ['what stands between lines of JSON', '6,"done":6}\n{"done":7}\nterminate called', 'terminate called'],
  ['that there is none', '', 'no message; see its log'],
])('quotes %s', (_title, message, quoted) => {
  expect(troubleOf([ended(message)])).toEqual({
    reason: 'PodFailed',
    message: `pod p ended with exit code 1: ${quoted}`,
  });
});

it.each([
  ['spec.output', { output: { persistentVolumeClaim: { claimName: 'nope' } } }],
  ['spec.model.source', { model: { source: { persistentVolumeClaim: { claimName: 'nope', path: 'x' } } } }],
])('names the field of the kind at hand that names a missing claim: %s', (field, spec) => {
  const pod = pending('persistentvolumeclaim "nope" not found');
  expect(troubleOf([pod], noon, { spec })).toEqual({
    reason: 'ClaimNotFound',
    message: `PersistentVolumeClaim nope does not exist in namespace lab; create it, or name another in ${field}.persistentVolumeClaim`,
  });
});

it('names a ConfigMap that cannot be mounted, at each place of a list that names it', () => {
  const failedMount = () => 'MountVolume.SetUp failed for volume "configmap-0" : configmap "nope" not found';
  const spec = { plugins: [{ configMap: { name: 'other' } }, { configMap: { name: 'nope', key: 'a.ts' } }] };
  expect(troubleOf([engine({})], noon, { spec, failedMount })).toEqual({
    reason: 'ConfigMapNotFound',
    message: 'ConfigMap nope does not exist in namespace lab; create it, or name another in spec.plugins[1].configMap',
  });
});

it('names a Secret that a variable of the environment is read from', () => {
  const waiting = { reason: 'CreateContainerConfigError', message: 'secret "nope" not found' };
  const spec = { pod: { env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'nope', key: 'a' } } }] } };
  expect(troubleOf([engine({ state: { waiting } })], noon, { spec })).toMatchObject({
    reason: 'SecretNotFound',
    message: expect.stringContaining('spec.pod.env[0].valueFrom.secretKeyRef'),
  });
});

it('tells in full what else keeps a volume from being mounted', () => {
  const failedMount = () => 'MountVolume.SetUp failed for volume "data" : mount failed: exit status 32';
  expect(troubleOf([engine({})], noon, { failedMount })).toEqual({
    reason: 'VolumeNotMounted',
    message: `pod p: ${failedMount()}`,
  });
});
