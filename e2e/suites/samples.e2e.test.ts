// docs/samples as users apply them: all five kinds with one command, each to its end, each does its work, and none leaves a trace.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, type Kubectl } from '../kubectl.ts';
import { ask, inside } from './inside.ts';
import { freshNamespace, sharedCluster } from './shared.ts';
import { rows } from './stores.ts';

const namespace = 'e2e-samples';
const samples = join(import.meta.dirname, '../../docs/samples');
let kubectl: Kubectl;

interface Resource {
  kind: string;
  metadata: { name: string };
  status?: {
    phase?: string;
    message?: string;
    url?: string;
    best?: { modelId?: string; score?: string };
    deployment?: { champion?: string };
    safety?: { verdict?: string };
  };
}

/** By kind: there is one sample of each. */
const states: Record<string, string> = {
  CompressionService: 'Ready',
  CopyEngine: 'Ready',
  EvolutionRun: 'Succeeded',
  FieldJob: 'Succeeded',
  MatcherPool: 'Ready',
};

const all = async () => (await kubectl.json<{ items: Resource[] }>(['get', 'quintet', '-n', namespace])).items;
const one = async (kind: string) => {
  const found = (await all()).find((each) => each.kind === kind);
  if (!found) throw new Error(`no ${kind} is there`);
  return found;
};
const post = async <T>(kind: string, from: string, path: string, body: object) => {
  const { status } = await one(kind);
  const { body: answer } = await ask<T>(kubectl, { namespace, from, url: `${status?.url}${path}`, body });
  return answer;
};

beforeAll(async () => {
  ({ kubectl } = await sharedCluster());
  await freshNamespace(kubectl, namespace);
  await kubectl.run(['apply', '-n', namespace, '-f', samples]);
}, 400_000);

// The node has room for one suite's pods.
afterAll(async () => {
  await kubectl?.run(['delete', 'namespace', namespace, '--ignore-not-found', '--wait=false']);
});

describe('the samples', () => {
  it('all reach their state', async () => {
    const done = await eventually(
      'all samples are done',
      async () => {
        const seen = await all();
        return seen.every(({ kind, status }) => status?.phase === states[kind]) && seen;
      },
      {
        timeoutMs: 420_000,
        everyMs: 1000,
        describe: () => kubectl.run(['describe', 'quintet,pods', '-n', namespace], { timeoutMs: 30_000 }),
      },
    );
    expect(Object.fromEntries(done.map(({ kind, status }) => [kind, status?.phase]))).toEqual(states);
  }, 450_000);

  it('read well in one table', async () => {
    const table = await kubectl.run(['get', 'quintet', '-n', namespace]);
    expect(table).toMatch(/evolutionrun\S*\/faults +Succeeded +\d+ +0\.\d+/);
    expect(table).toMatch(/fieldjob\S*\/levitator +Succeeded/);
    expect(table).toMatch(/matcherpool\S*\/press-photos +Ready +1/);
    expect(table).toMatch(/copyengine\S*\/campaigns +Ready +Template +1/);
    expect(table).toMatch(/compressionservice\S*\/notes +Ready +1/);
    expect(table).not.toMatch(/undefined|<none>|<unknown>/);
  });

  it('compress a text', async () => {
    const text = 'The quick brown fox jumps over the lazy dog. '.repeat(200);
    const answer = await post<{ originalTokens: number; compressedTokens: number }>(
      'CompressionService',
      'deploy/notes-compression',
      '/v1/compress',
      { text, ratio: 8 },
    );
    expect(answer.compressedTokens).toBeLessThan(answer.originalTokens / 4);
  });

  it('match a picture in another encoding', async () => {
    const pool = 'deploy/press-photos-matcher';
    // Made by the engine's own sharp: no picture lies in this repository.
    const { png, jpeg } = await inside<{ png: string; jpeg: string }>(
      kubectl,
      namespace,
      pool,
      `const { createRequire } = await import('node:module');
       const sharp = createRequire('/app/main.js')('sharp');
       const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="400" height="300"><rect width="400" height="300" fill="#a7c"/>' +
         Array.from({ length: 40 }, (_, i) => '<circle cx="' + ((i * 97) % 400) + '" cy="' + ((i * 61) % 300) + '" r="' + (8 + i) + '" fill="hsl(' + i * 31 + ',70%,' + (20 + i) + '%)"/>').join('') + '</svg>';
       const png = await sharp(Buffer.from(svg)).png().toBuffer();
       const jpeg = await sharp(png).jpeg({ quality: 60 }).toBuffer();
       console.log(JSON.stringify({ png: png.toString('base64'), jpeg: jpeg.toString('base64') }));`,
    );
    await post('MatcherPool', pool, '/api/v1/items', { id: 'circles', bank: 'protected', image: png });
    const verdict = await post<{ matched: boolean; decidedBy: string; matches: { item: string }[] }>(
      'MatcherPool',
      pool,
      '/api/v1/match',
      { image: jpeg },
    );
    expect(verdict).toMatchObject({ matched: true, decidedBy: 'Hash', matches: [{ item: 'circles' }] });
  });

  it('write copy from templates, which they say', async () => {
    const answer = await post<{ variants: { text: string }[] }>('CopyEngine', 'deploy/campaigns-copy', '/v1/copy', {
      brief: { product: 'walking boots' },
      n: 2,
    });
    expect(answer.variants.length).toBeGreaterThan(0);
    expect(answer.variants[0]?.text).toContain('walking boots');
  });

  it('leave a model in the registry', async () => {
    const { status } = await one('EvolutionRun');
    expect(status?.best?.modelId).toBeTruthy();
    const schema = 'evolutionrun_e2e_samples_';
    const statement = 'select model_id, length(content) from model_metadata join model_artifacts using (model_id)';
    expect(await rows(kubectl, schema, statement)).toContainEqual([
      status?.best?.modelId,
      expect.stringMatching(/^\d{3,}$/),
    ]);
  });

  it('change who answers for a model, and by how many pods, without another search', async () => {
    const told = () => kubectl.run(['describe', 'evolutionrun,pods', '-n', namespace], { timeoutMs: 30_000 });
    const isDone = async () => (await one('EvolutionRun')).status?.phase === 'Succeeded';
    await eventually('the search has ended', isDone, { timeoutMs: 300_000, describe: told });
    const { status: before } = await one('EvolutionRun');
    const patch = (promotion: object) => {
      const change = JSON.stringify({ spec: { promotion } });
      return kubectl.run(['patch', 'evolutionrun', 'faults', '-n', namespace, '--type=merge', '-p', change]);
    };
    const get = <T>(...names: string[]) => kubectl.json<T>(['get', ...names, '-n', namespace]);
    const coordinator = async () =>
      (await get<Resource & { metadata: { uid: string } }>('job', 'faults-evolution')).metadata.uid;
    const serving = { resources: { requests: { cpu: '10m', memory: '128Mi' } } };
    await patch({ mode: 'Champion', serving });
    const isChampion = async () => {
      const { status } = await one('EvolutionRun');
      return status?.phase === 'Succeeded' && status.deployment?.champion === before?.best?.modelId;
    };
    await eventually('the model is the champion', isChampion, { timeoutMs: 120_000, describe: told });
    const promoter = await coordinator();
    await patch({ serving: { ...serving, replicas: 2 } });
    const wanted = async () =>
      (await get<{ spec: { replicas: number } }>('deployment', 'faults-evolution-predictions')).spec.replicas;
    await eventually('two pods are wanted', async () => (await wanted()) === 2, { timeoutMs: 60_000, describe: told });
    expect(await coordinator()).toBe(promoter);
    expect((await one('EvolutionRun')).status).toMatchObject({ phase: 'Succeeded', best: before?.best });
    expect(await rows(kubectl, 'evolutionrun_e2e_samples_', 'select version from model_metadata')).toEqual([['1']]);
  }, 500_000);

  it('leave nothing behind', async () => {
    await kubectl.run(['delete', '-n', namespace, '-f', samples], { timeoutMs: 120_000 });
    const types =
      'deployments,jobs,services,configmaps,secrets,serviceaccounts,networkpolicies,poddisruptionbudgets,pods,persistentvolumeclaims,leases';
    const left = async () => {
      const names = await kubectl.run(['get', types, '-n', namespace, '-o', 'name']);
      return names
        .split('\n')
        .filter((name) => name !== '' && !/configmap\/kube-root-ca|serviceaccount\/default$/.test(name));
    };
    await eventually('nothing is left', async () => (await left()).length === 0, {
      timeoutMs: 120_000,
      describe: async () => (await left()).join('\n'),
    });
    expect(await left()).toEqual([]);
  });
});
