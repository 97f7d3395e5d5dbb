import { type CopyEngine, copyEngine, parseStored } from '@quintet/crds';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { KubeObject } from '../../kube/types.ts';
import type { Deployment } from '../../objects/deployment.ts';
import { observed } from '../testing.ts';
import { servingKind } from './index.ts';

const kind = servingKind<CopyEngine>(copyEngine, { image: 'example.test/copy:1' });
const model = {
  source: { persistentVolumeClaim: { claimName: 'models', path: 'mistral' } },
  contextTokens: 8192,
};

function resource(managed: object = {}, more: object = {}): CopyEngine {
  return parseStored(copyEngine, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'CopyEngine',
    metadata: { name: 'ads', namespace: 'team', uid: 'uid-1', generation: 1 },
    spec: {
      runtime: 'Managed',
      model,
      managed: { image: 'vllm/vllm-openai:v0.12.0', ...managed },
      gpu: { policy: 'Required', count: 2 },
      ...more,
    },
  });
}

const objects = (one: CopyEngine) => kind.desired(one, observed()).objects;
const named = (list: readonly KubeObject[], type: string, name: string) =>
  list.find(({ kind: k, metadata }) => k === type && metadata.name === name) as Deployment | undefined;
const containerOf = (one: CopyEngine, name: string) => {
  const { spec } = named(objects(one), 'Deployment', name)?.spec.template ?? {};
  const [container] = (spec?.['containers'] ?? []) as {
    command?: string[];
    args: string[];
    resources: { limits: Record<string, string> };
  }[];
  return container;
};
const engineReads = (one: CopyEngine) => {
  const { data } = named(objects(one), 'ConfigMap', 'ads-copy') as unknown as { data: Record<string, string> };
  return JSON.parse(data['resource.json'] ?? '') as { spec: Record<string, unknown> };
};

describe('a managed server', () => {
  it('has the objects of the golden file', async () => {
    const args = ['--enable-prefix-caching'];
    const cacheVolume = { claimName: 'compiled' };
    const server = objects(resource({ args, cacheVolume, replicas: 2 })).filter(
      ({ metadata }) => metadata.name === 'ads-copy-server',
    );
    await expect(
      server.map((each) => stringify(each, { aliasDuplicateObjects: false })).join('---\n'),
    ).toMatchFileSnapshot('golden/managed.yaml');
  });

  it('has the GPUs, and the model, which the gateway does without', () => {
    expect(containerOf(resource(), 'ads-copy-server')?.resources.limits).toMatchObject({ 'nvidia.com/gpu': '2' });
    expect(containerOf(resource(), 'ads-copy')?.resources.limits).not.toHaveProperty('nvidia.com/gpu');
    const { spec } = engineReads(resource());
    expect(spec).not.toHaveProperty('model');
    expect(spec).not.toHaveProperty('managed');
    expect(spec['openai']).toMatchObject({
      endpoints: [{ url: 'http://ads-copy-server.team.svc:8000/v1', model: 'mistral' }],
    });
  });

  it.each([
    ['VLLM', 'vllm serve /var/lib/quintet/claims/models/mistral --served-model-name mistral'],
    ['SGLang', 'python3 -m sglang.launch_server --model-path /var/lib/quintet/claims/models/mistral'],
    ['TGI', '--model-id /var/lib/quintet/claims/models/mistral --hostname 0.0.0.0 --port 9000 --num-shard 2'],
    ['LlamaServer', '--model /var/lib/quintet/claims/models/mistral --alias mistral --host 0.0.0.0 --port 9000'],
  ])('is started as %s wants it', (server, begins) => {
    const { command = [], args = [] } = containerOf(resource({ server, port: 9000 }), 'ads-copy-server') ?? {};
    const line = [...command, ...args].join(' ');
    expect(line.slice(0, begins.length)).toBe(begins);
    expect(line).toMatch(/--port 9000.*8192/);
  });

  it('may fetch a model that its arguments name', () => {
    const args = ['--model', 'mistralai/Mistral-7B-Instruct-v0.3'];
    const one = resource({ args }, { model: undefined });
    expect(containerOf(one, 'ads-copy-server')?.args.slice(-2)).toEqual(args);
    expect(engineReads(one).spec['openai']).not.toHaveProperty('endpoints.0.model');
  });

  it('rolls the gateway with what it writes, so that no answer of another model is kept, and with nothing else', () => {
    const template = (one: CopyEngine) => named(objects(one), 'Deployment', 'ads-copy')?.spec.template;
    const before = template(resource());
    expect(template(resource({ replicas: 3 }))).toEqual(before);
    for (const changed of [
      resource({ args: ['--quantization=fp8'] }),
      resource({ image: 'vllm/vllm-openai:v0.13.0' }),
      resource({}, { model: { ...model, revision: 'b' } }),
    ])
      expect(template(changed)).not.toEqual(before);
    const { spec } = engineReads(resource({}, { model: { ...model, revision: 'b' } }));
    expect(spec['openai']).toMatchObject({ endpoints: [{ revision: expect.stringMatching(/^b:/) }] });
  });

  it('shares its pods with adapters that come and go: those on a claim that is mounted roll none', () => {
    const template = (claimName: string, ...names: string[]) => {
      const adapters = names.map((name) => ({
        name,
        source: { persistentVolumeClaim: { claimName, path: `${name}.gguf` } },
      }));
      const one = parseStored(copyEngine, {
        apiVersion: 'quintet.dev/v1alpha1',
        kind: 'CopyEngine',
        metadata: { name: 'ads', namespace: 'team', uid: 'uid-1', generation: 1 },
        spec: { model, ...(adapters.length > 0 && { adapters }) },
      });
      return named(objects(one), 'Deployment', 'ads-copy')?.spec.template;
    };
    expect(template('models', 'acme', 'zest')).toEqual(template('models'));
    expect(template('brands', 'acme')).not.toEqual(template('models'));
  });

  it('is neither a pod that the Service sends requests to, nor one that is counted', () => {
    const list = objects(resource());
    const labels = named(list, 'Deployment', 'ads-copy-server')?.spec.template.metadata.labels ?? {};
    expect(labels).not.toHaveProperty('quintet.dev/name');
    const service = named(list, 'Service', 'ads-copy') as unknown as { spec: { selector: Record<string, string> } };
    const matches = Object.entries(service.spec.selector).every(([key, value]) => labels[key] === value);
    expect(matches).toBe(false);
  });

  it('rests with the resource', () => {
    expect(named(objects(resource({}, { suspend: true })), 'Deployment', 'ads-copy-server')?.spec.replicas).toBe(0);
  });

  it('says what it cannot take a model from', () => {
    const s3 = { source: { s3: { bucket: 'models', key: 'mistral' } } };
    expect(() => objects(resource({}, { model: s3 }))).toThrow(/persistentVolumeClaim/);
  });
});
