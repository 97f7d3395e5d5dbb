// A FieldJob in mode Service on a real node: it solves, samples, draws and streams through its Service, and does so again after
// its pod was deleted.
import { beforeAll, expect, it } from 'vitest';
import { eventually, type Kubectl } from '../kubectl.ts';
import { inside, patiently } from './inside.ts';
import type { Served, ServedPod } from './served.ts';
import { freshNamespace, sharedCluster } from './shared.ts';

const namespace = 'e2e-field-service';
const target = 'deployment/levitator-field';
let kubectl: Kubectl;

const levitator = {
  apiVersion: 'quintet.dev/v1alpha1',
  kind: 'FieldJob',
  metadata: { name: 'levitator', namespace },
  spec: {
    mode: 'Service',
    array: { type: 'TwoSided', twoSided: { rows: 8, columns: 8, separation: '120mm' } },
    targets: [{ name: 'bead', position: ['0mm', '0mm', '60mm'], trap: 'Twin' }],
    resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '1Gi' } },
  },
};

interface Answers {
  solution: string;
  /** Real and imaginary part, by JSON and over the stream. */
  asked: number[];
  streamed: number[];
  solvedHere: { status: number; phases: number };
  refused: { status: number; field: string };
  picture: string;
  sources: string[];
}

/** Everything that the page on FieldJob says of a service, from inside the cluster. */
const script = (url: string) => `${patiently}
  const call = async (path, body) => {
    const init = body ? { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) } : {};
    const answer = await patiently('${url}' + path, init);
    return { status: answer.status, body: await answer.json() };
  };
  const at = [0.001, 0.002, 0.055];
  const points = await call('/v1/points', { points: [at] });
  const solved = await call('/v1/solve', { targets: [{ position: ['5mm', '0mm', '60mm'], trap: 'Twin' }] });
  const inside = await call('/v1/solve', { targets: [{ position: ['5.25mm', '5.25mm', '0mm'] }] });
  const sources = [];
  let picture;
  for (let i = 0; i < 2; i++) {
    const slice = await fetch('${url}/v1/slice?plane=XZ&width=30mm&height=30mm&spacing=1mm');
    picture = Buffer.from(await slice.arrayBuffer());
    sources.push(slice.headers.get('x-quintet-source'));
  }
  const socket = new WebSocket('${url}'.replace('http', 'ws') + '/v1/stream');
  socket.binaryType = 'arraybuffer';
  await new Promise((resolve, reject) => { socket.onopen = resolve; socket.onerror = reject; });
  const query = Buffer.alloc(16);
  at.forEach((value, i) => query.writeFloatLE(value, 4 + 4 * i));
  const heard = new Promise((resolve) => { socket.onmessage = ({ data }) => resolve(Buffer.from(data)); });
  socket.send(query);
  const bytes = await heard;
  socket.close();
  console.log(JSON.stringify({
    solution: points.body.solution,
    asked: points.body.values.pressure[0],
    streamed: [bytes.readFloatLE(4), bytes.readFloatLE(8)],
    solvedHere: { status: solved.status, phases: solved.body.phases.length },
    refused: { status: inside.status, field: inside.body.error?.field },
    picture: picture.subarray(1, 4).toString(),
    sources,
  }));`;

const ready = () =>
  eventually(
    'the service is Ready',
    async () => {
      const one = await kubectl.json<Served>(['get', 'fieldjob', 'levitator', '-n', namespace]);
      const { phase, readyReplicas, url } = one.status ?? {};
      return phase === 'Ready' && readyReplicas === 1 && url;
    },
    { timeoutMs: 180_000, describe: () => kubectl.run(['describe', 'fieldjob,deployment,pod', '-n', namespace]) },
  );

/** Its pods, also those that are ending. */
const pods = async (): Promise<ServedPod[]> =>
  (await kubectl.json<{ items: ServedPod[] }>(['get', 'pods', '-n', namespace, '-l', 'quintet.dev/name=levitator']))
    .items;

beforeAll(async () => {
  ({ kubectl } = await sharedCluster());
  await freshNamespace(kubectl, namespace);
});

it('a FieldJob in mode Service solves, samples, draws and streams, and answers the same after its pod was deleted', async () => {
  await kubectl.apply(JSON.stringify(levitator));
  const url = await ready();
  const answers = await inside<Answers>(kubectl, namespace, target, script(url));
  expect(answers).toMatchObject({
    solvedHere: { status: 200, phases: 128 },
    refused: { status: 422, field: 'targets[0].position' },
    picture: 'PNG',
  });
  expect(answers.sources[1]).toBe('memory');
  const [re = 0, im = 0] = answers.asked;
  expect(Math.hypot(re, im)).toBeGreaterThan(100);
  for (const [i, value] of answers.asked.entries())
    expect(Math.abs(value - (answers.streamed[i] ?? 0))).toBeLessThan(1e-3 * Math.hypot(re, im));

  const [former] = await pods();
  await kubectl.run(['delete', 'pod', former?.metadata.name ?? '', '-n', namespace, '--wait=false']);
  // The one of before answers while it ends, and the status may still be of it.
  await eventually('another pod alone has taken its place', async () => {
    const [next, ...others] = await pods();
    const isReady = next?.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
    return others.length === 0 && isReady && next?.metadata.uid !== former?.metadata.uid;
  });
  await ready();
  const { sources, ...again } = await inside<Answers>(kubectl, namespace, target, script(url));
  const { sources: _, ...before } = answers;
  expect(again).toEqual(before);
  // The chart's Redis has kept what the pod had.
  expect(sources).toEqual(['redis', 'memory']);
});
