// CompressionService on a real node: it serves, is rolled under load without losing what it acknowledged, and goes without a trace.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { embeddingTable, writeModel } from '@quintet/runtime/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { imageArchive } from '../cluster/archive.ts';
import { eventually, type Kubectl } from '../kubectl.ts';
import { everything, type Seen, statusOfJobs, submitJobs } from './compression-load.ts';
import { ask, imageOf, inside, kill, startClient } from './inside.ts';
import { Services } from './served.ts';
import { freshNamespace, sharedCluster } from './shared.ts';

const namespace = 'e2e-compression';
const name = 'notes';
const sample = join(import.meta.dirname, '../../docs/samples/compressionservice.yaml');
const text = 'The quick brown fox jumps over the lazy dog. '.repeat(200);
const url = `http://${name}-compression.${namespace}.svc`;
let kubectl: Kubectl;
let services: Services;
/** Of `text`, as the first answer named it. */
let original: { id: string; durable: boolean };

interface Answer {
  text: string;
  originalTokens: number;
  compressedTokens: number;
  original: typeof original;
  fidelity: { similarity?: number };
}

beforeAll(async () => {
  ({ kubectl } = await sharedCluster());
  await freshNamespace(kubectl, namespace);
  services = new Services(kubectl, namespace);
  const { spec } = parse(readFileSync(sample, 'utf8')) as { spec: object };
  // Every request of the suite comes from one client.
  await services.apply(name, { ...spec, replicas: 2, rateLimits: { perClient: { requests: 1_000_000 } } });
});

/** A rollout of pods that drain, on a machine that may be busy. */
const ready = () =>
  services.reaches(
    name,
    'is Ready with 2 pods',
    ({ status }) => status?.phase === 'Ready' && status.readyReplicas === 2,
    300_000,
  );
const patch = (spec: object) =>
  kubectl.run(['patch', 'cmp', name, '-n', namespace, '--type=merge', '-p', JSON.stringify({ spec })]);
const from = async () => (await services.pods(name))[0]?.metadata.name ?? '';
const get = async <T>(path: string) => ask<T>(kubectl, { namespace, from: await from(), url: `${url}${path}` });
const post = async <T>(path: string, body: object) =>
  ask<T>(kubectl, { namespace, from: await from(), url: `${url}${path}`, body });

/** Loads an image that holds a small embedding, as somebody may have pushed it. */
async function loadModel(reference: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'quintet-model-'));
  writeModel(folder, 'last_hidden_state', embeddingTable);
  const names = ['model.onnx', 'tokenizer.json', 'config.json'];
  const files = names.map((file) => ({ path: `minilm/${file}`, content: readFileSync(join(folder, file)) }));
  const archive = join(folder, 'image.tar');
  writeFileSync(archive, imageArchive({ reference, files, entrypoint: ['/none'] }));
  await (await sharedCluster()).cluster.loadImage({ reference, archive });
  rmSync(folder, { recursive: true });
}

describe('a CompressionService', () => {
  it('is Ready with its address, and compresses through its Service', async () => {
    const { status } = await ready();
    expect(status?.url).toBe(url);
    const answer = await post<Answer>('/v1/compress', { text, ratio: 8 });
    expect(answer.status).toBe(200);
    expect(answer.body.compressedTokens).toBeLessThan(answer.body.originalTokens / 4);
    ({ original } = answer.body);
    expect(original.durable).toBe(true);
  });

  it('is rolled under load: no request fails, no job is lost, streams go on, originals of before are read', async () => {
    const image = await imageOf(kubectl, namespace, name);
    const script = everything(url, { id: original.id, text });
    const client = await startClient<Seen>(kubectl, { namespace, name: 'load', image, script });
    await eventually('all are answered', async () => {
      const { requests, originals } = await client.latest();
      return requests > 20 && originals > 5;
    });
    const before = new Set((await services.pods(name)).map(({ metadata }) => metadata.uid));
    await patch({ batching: { maxSize: 16 } });
    await ready();
    // Pods that end let their streams go on for a while, and close what is open then.
    const left = [
      'get',
      'pods',
      '-n',
      namespace,
      '-l',
      `quintet.dev/name=${name}`,
      '-o',
      'jsonpath={.items[*].metadata.uid}',
    ];
    await eventually('the pods of before are gone', async () =>
      (await kubectl.run(left)).split(' ').every((uid) => !before.has(uid)),
    );
    await kubectl.run(['exec', 'load', '-n', namespace, '--', 'node', '-e', "process.kill(1, 'SIGUSR2')"]);
    const seen = await client.ended();
    expect(seen.faults).toEqual([]);
    expect(seen.requests).toBeGreaterThan(100);
    expect(seen.jobs).toBeGreaterThan(10);
    expect(seen.originals).toBeGreaterThan(10);
    // The end of a pod closed one at least, which came through whole by another.
    expect(seen.resumed).toBeGreaterThan(0);
    expect(seen.streams).toBeGreaterThan(1);
  });

  it('finishes the jobs of a pod that is killed while they are worked on and others are sent', async () => {
    const [one, other] = (await services.pods(name)).map(({ metadata }) => metadata.name) as [string, string];
    const submitted = (what: string) => inside<string[]>(kubectl, namespace, one, submitJobs(url, what, 50));
    const before = await submitted('before');
    const [meanwhile] = await Promise.all([submitted('meanwhile'), kill(kubectl, namespace, other)]);
    const then = await inside<string[]>(kubectl, namespace, one, statusOfJobs(url, [...before, ...meanwhile]));
    expect(then).toHaveLength(100);
    expect(new Set(then)).toEqual(new Set(['Succeeded']));
  });

  it('rests and goes on, with the originals of before and a model from an image', async () => {
    const image = 'localhost/quintet/minilm:1';
    await loadModel(image);
    await patch({ suspend: true });
    await services.reaches(name, 'is Suspended', ({ status }) => status?.phase === 'Suspended');
    await eventually('its pods are gone', async () => (await services.pods(name)).length === 0);
    await patch({ suspend: false, embedding: { source: { oci: { image, path: 'minilm' } } } });
    await ready();
    expect(await get(`/v1/originals/${original.id}`)).toEqual({ status: 200, body: { text } });
    const words = { text: 'The alpha is beta the gamma way. '.repeat(200), ratio: 8 };
    const { body } = await post<Answer>('/v1/compress', words);
    expect(body.fidelity.similarity).toBeGreaterThan(0.5);
  });

  it('leaves nothing behind', async () => {
    await kubectl.run(['delete', 'compressionservice', name, '-n', namespace]);
    const types = 'deployment,service,configmap,serviceaccount,networkpolicy,poddisruptionbudget,pod';
    const left = () => kubectl.run(['get', types, '-n', namespace, '-l', `quintet.dev/name=${name}`, '-o', 'name']);
    await eventually('its children are gone', async () => (await left()).trim() === '');
    expect((await left()).trim()).toBe('');
  });
});
