// CopyEngine on a real node: a model from a claim that is filled late, changed under load without a failed request; its ledger in the chart's PostgreSQL;
// another CopyEngine as its client by OpenAI's API; and one without a model.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { eventually, type Kubectl } from '../kubectl.ts';
import { ask, type Client, imageOf, inside, startClient } from './inside.ts';
import { freshNamespace, sharedCluster } from './shared.ts';
import { rows } from './stores.ts';

const namespace = 'e2e-copy';
const serves = 'http://campaigns-copy.e2e-copy.svc';
let kubectl: Kubectl;

interface Engine {
  metadata: { generation: number };
  status?: { phase?: string; observedGeneration?: number; readyReplicas?: number; url?: string };
}

interface Completion {
  model: string;
  choices: { text: string; finish_reason: string }[];
  usage: { prompt_tokens: number; completion_tokens: number };
}

/** What the clients of the rolling change have seen. */
interface Load {
  /** Answers by model. */
  answers: Record<string, number>;
  streams: number;
  /** Tokens that the whole answers count. */
  prompt: number;
  completion: number;
  failed: string[];
  /** The same request, answered differently by one model. */
  inconsistent: string[];
}

const shared = {
  rateLimits: { perClient: { requests: 1_000_000 } },
  resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { cpu: '1', memory: '1Gi' } },
};
const modelIn = (path: string) => ({
  source: { persistentVolumeClaim: { claimName: 'models', path } },
  contextTokens: 256,
});
/** Marks the requests of this run: a kept cluster's ledger has those of others. */
const tag = `load ${Date.now()}`;
const price = (name: string) => ({ name, inputPerMillion: '1', outputPerMillion: '2' });

const apply = (name: string, spec: object) =>
  kubectl.apply(
    stringify({
      apiVersion: 'quintet.dev/v1alpha1',
      kind: 'CopyEngine',
      metadata: { name, namespace },
      spec: { ...shared, ...spec },
    }),
  );
const campaigns = (path: string) =>
  apply('campaigns', {
    model: modelIn(path),
    replicas: 2,
    generation: { maxLength: 64 },
    budgets: { prices: ['autumn', 'winter'].map(price) },
  });

function ready(name: string, replicas: number): Promise<Engine> {
  return eventually(
    `CopyEngine ${name} is Ready with ${replicas} pods`,
    async () => {
      const engine = await kubectl.json<Engine>(['get', 'copyengine', name, '-n', namespace]);
      const { phase, observedGeneration, readyReplicas } = engine.status ?? {};
      const done = phase === 'Ready' && observedGeneration === engine.metadata.generation;
      return done && readyReplicas === replicas ? engine : undefined;
    },
    {
      timeoutMs: 240_000,
      describe: () => kubectl.run(['describe', 'copyengine,pods', '-n', namespace], { timeoutMs: 30_000 }),
    },
  );
}

interface Pod {
  metadata: { name: string; deletionTimestamp?: string };
  status: { phase: string };
}
async function pods(name: string): Promise<string[]> {
  const { items } = await kubectl.json<{ items: Pod[] }>([
    'get',
    'pods',
    '-n',
    namespace,
    '-l',
    `quintet.dev/name=${name}`,
  ]);
  return items
    .filter(({ metadata, status }) => !metadata.deletionTimestamp && status.phase === 'Running')
    .map(({ metadata }) => metadata.name);
}
const anyPod = async (name: string) => (await pods(name))[0] ?? '';

async function post<T>(from: string, url: string, body: object): Promise<T> {
  // The node may not know yet where the pods of a new Service are.
  const answer = await eventually(`${url} answers`, () => ask<T>(kubectl, { namespace, from, url, body }), {
    timeoutMs: 60_000,
  });
  expect(answer).toMatchObject({ status: 200 });
  return answer.body;
}

/** Makes both models, two layers of noise each, in a pod that may write to the claim. */
async function fillClaim(image: string): Promise<void> {
  const script = `
    import { randomModel } from '/app/node_modules/@quintet/copy/dist/testing/gguf.js';
    const shape = { layers: 2, width: 256, heads: 4, context: 512 };
    randomModel('/models/winter.gguf', shape, 'F32', 2);
    randomModel('/models/autumn.gguf', shape, 'F32', 1);`;
  const container = {
    name: 'fill',
    image,
    command: ['node', '--input-type=module', '-e', script],
    volumeMounts: [{ name: 'models', mountPath: '/models' }],
    securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
  };
  const spec = {
    restartPolicy: 'Never',
    automountServiceAccountToken: false,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 65_532,
      fsGroup: 65_532,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    containers: [container],
    volumes: [{ name: 'models', persistentVolumeClaim: { claimName: 'models' } }],
  };
  await kubectl.apply(stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'fill', namespace }, spec }));
  await eventually(
    'the claim is filled',
    async () => {
      const { status } = await kubectl.json<Pod>(['get', 'pod', 'fill', '-n', namespace]);
      if (status.phase === 'Failed') throw new Error(await kubectl.run(['logs', 'fill', '-n', namespace]));
      return status.phase === 'Succeeded';
    },
    { timeoutMs: 90_000 },
  );
}

/** A server with OpenAI's API that lists one model and answers with the arguments that it was started with. */
const standIn = `
  if (!process.env.QUINTET_RESOURCE) {
    const { createServer } = await import('node:http');
    createServer((request, response) => {
      if (request.url === '/health') return response.end('ok');
      if (request.url === '/v1/models') return response.end('{"data":[{"id":"stand-in"}]}');
      request.resume().on('end', () => {
        const choice = { index: 0, text: process.argv.slice(2).join(' '), finish_reason: 'stop' };
        response.setHeader('content-type', 'text/event-stream').end('data: ' + JSON.stringify({ choices: [choice] }) + '\\n\\ndata: [DONE]\\n\\n');
      });
    }).listen(8000);
    await new Promise(() => undefined);
  }`;

/** Four clients that ask for whole answers, two for streams, until they are told to end. */
const load = `
  const seen = { answers: {}, streams: 0, prompt: 0, completion: 0, failed: [], inconsistent: [] };
  const texts = {};
  let ending = false;
  process.once('SIGUSR2', () => { ending = true; });
  const call = (body) => fetch('${serves}/v1/completions', {
    method: 'POST', headers: { 'content-type': 'application/json', 'cache-control': 'no-store' }, signal: AbortSignal.timeout(30000),
    body: JSON.stringify({ temperature: 0, max_tokens: 12, user: '${tag}', ...body }),
  });
  const whole = async (prompt) => {
    const answer = await call({ prompt });
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(answer.status + ' ' + text.slice(0, 200));
    const { model, choices, usage } = JSON.parse(text);
    seen.answers[model] = (seen.answers[model] ?? 0) + 1;
    seen.prompt += usage.prompt_tokens;
    seen.completion += usage.completion_tokens;
    const known = texts[model + prompt] ??= choices[0].text;
    if (known !== choices[0].text) seen.inconsistent.push(model + ' ' + prompt);
  };
  const stream = async (prompt) => {
    const answer = await call({ prompt, stream: true, user: 'stream' });
    const text = await answer.text();
    if (answer.status !== 200 || !text.trimEnd().endsWith('data: [DONE]')) throw new Error('stream ' + answer.status + ' ' + text.slice(-200));
    seen.streams++;
  };
  const client = async (one, name) => {
    for (let i = 0; !ending; i++) {
      try { await one('prompt ' + name + ' ' + (i % 5)); } catch (error) { seen.failed.push(String(error.cause ?? error)); }
      await new Promise((r) => setTimeout(r, 20));
    }
  };
  const telling = setInterval(() => console.log(JSON.stringify(seen)), 1000);
  await Promise.all([...'abcd'].map((name) => client(whole, name)).concat([...'ef'].map((name) => client(stream, name))));
  clearInterval(telling);
  console.log(JSON.stringify(seen));`;

beforeAll(async () => {
  ({ kubectl } = await sharedCluster());
  await freshNamespace(kubectl, namespace);
  await kubectl.apply(
    stringify({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'models', namespace },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    }),
  );
  await campaigns('autumn.gguf');
}, 700_000);

// The node has room for one suite's pods.
afterAll(async () => {
  await kubectl?.run(['delete', 'namespace', namespace, '--ignore-not-found', '--wait=false']);
});

describe('a CopyEngine', () => {
  it('says that its model is missing, and serves as soon as the claim holds it', async () => {
    await eventually('both pods run', async () => (await pods('campaigns')).length === 2, { timeoutMs: 120_000 });
    const from = await anyPod('campaigns');
    const refused = await eventually(
      'the pod tells why it is not ready',
      () =>
        inside<{ status: number; text: string }>(
          kubectl,
          namespace,
          from,
          `const answer = await fetch('http://127.0.0.1:8080/v1/completions', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"prompt":"a"}' });
           console.log(JSON.stringify({ status: answer.status, text: await answer.text() }));`,
        ),
      { timeoutMs: 60_000 },
    );
    expect(refused).toMatchObject({ status: 503, text: expect.stringContaining('NOT_READY') });
    await fillClaim(await imageOf(kubectl, namespace, 'campaigns'));
    const { status } = await ready('campaigns', 2);
    expect(status?.url).toBe(serves);
    const body = { prompt: 'The lamp', max_tokens: 8, temperature: 0 };
    const answer = await post<Completion>(await anyPod('campaigns'), `${serves}/v1/completions`, body);
    expect(answer).toMatchObject({ model: 'autumn', usage: { prompt_tokens: 8, completion_tokens: 8 } });
  }, 400_000);

  it('changes its model under load without a failed request, and its ledger holds what the models counted', async () => {
    const image = await imageOf(kubectl, namespace, 'campaigns');
    const clients: Client<Load> = await startClient(kubectl, { namespace, name: 'load', image, script: load });
    const answered = async (model: string, least: number) =>
      eventually(`${least} answers by ${model}`, async () => ((await clients.latest()).answers[model] ?? 0) >= least, {
        timeoutMs: 180_000,
        everyMs: 500,
        describe: async () => JSON.stringify(await clients.latest()),
      });
    await answered('autumn', 50);
    await campaigns('winter.gguf');
    await ready('campaigns', 2);
    await eventually('the old pods are gone', async () => (await pods('campaigns')).length === 2, {
      timeoutMs: 180_000,
    });
    await answered('winter', 50);
    await kubectl.run(['exec', 'load', '-n', namespace, '--', 'node', '-e', 'process.kill(1, "SIGUSR2")']);
    const seen = await clients.ended();
    console.log(`[copy] ${JSON.stringify(seen)}`);
    expect(seen).toMatchObject({ failed: [], inconsistent: [] });
    expect(Object.keys(seen.answers).toSorted()).toEqual(['autumn', 'winter']);
    expect(seen.streams).toBeGreaterThan(20);

    const { autumn = 0, winter = 0 } = seen.answers;
    const kept = await eventually('the ledger is complete', async () => {
      const [line = []] = await rows(
        kubectl,
        'copyengine_e2e_copy_campaigns_',
        `select count(*), sum(prompt_tokens), sum(completion_tokens), min(state), max(state) from copy_ledger where tag = '${tag}'`,
      );
      return line[0] === String(autumn + winter) && line[3] === 'Done' && line[4] === 'Done' ? line : undefined;
    });
    expect(kept.slice(1, 3)).toEqual([String(seen.prompt), String(seen.completion)]);
  }, 560_000);

  it('is a server for another CopyEngine, which answers with its texts', async () => {
    const endpoints = [{ name: 'campaigns', url: `${serves}/v1` }];
    await apply('gateway', { runtime: 'OpenAI', openai: { endpoints } });
    const { status } = await ready('gateway', 1);
    const from = await anyPod('gateway');
    const body = { prompt: 'The lamp is', max_tokens: 8, temperature: 0 };
    const own = await post<Completion>(from, `${serves}/v1/completions`, body);
    const passed = await post<Completion>(from, `${status?.url}/v1/completions`, body);
    expect(passed.choices[0]?.text).toBe(own.choices[0]?.text);
    expect(passed.usage).toMatchObject({ prompt_tokens: 11, completion_tokens: 8 });
    const events = await inside<string[]>(
      kubectl,
      namespace,
      from,
      `const answer = await fetch('${status?.url}/v1/completions', { method: 'POST', headers: { 'content-type': 'application/json', 'cache-control': 'no-store' }, body: JSON.stringify({ ...${JSON.stringify(body)}, stream: true }) });
       console.log(JSON.stringify((await answer.text()).trim().split('\\n\\n')));`,
    );
    const told = events.slice(0, -1).map((event) => JSON.parse(event.replace('data: ', '')) as Completion);
    expect(events.at(-1)).toBe('data: [DONE]');
    expect(told.map(({ choices }) => choices[0]?.text ?? '').join('')).toBe(own.choices[0]?.text);
  }, 300_000);

  it('writes from templates without a model, and says so', async () => {
    await apply('leaflets', { runtime: 'Template' });
    const { status } = await ready('leaflets', 1);
    const brief = { product: 'Lumen lamp', audience: 'night readers', facts: ['it runs 40 hours on one charge'] };
    const from = await anyPod('leaflets');
    const answer = await post<{ writtenBy: string; variants: { text: string }[] }>(from, `${status?.url}/v1/copy`, {
      brief,
      template: 'ad',
      n: 2,
      seed: 7,
    });
    expect(answer).toMatchObject({ writtenBy: 'Template' });
    expect(answer.variants).toHaveLength(2);
    for (const { text } of answer.variants) expect(text).toContain('Lumen lamp');
  }, 300_000);

  it('runs a server, and is the gateway to it', async () => {
    // Any image that speaks the API will do: this one is the engine's own, told by the environment to be a stand-in where no resource is mounted.
    const image = await imageOf(kubectl, namespace, 'leaflets');
    const env = [{ name: 'NODE_OPTIONS', value: `--import=data:text/javascript,${encodeURIComponent(standIn)}` }];
    const managed = { server: 'TGI', image, port: 8000, resources: shared.resources };
    await apply('managed', { runtime: 'Managed', managed, pod: { env } });
    const { status } = await ready('managed', 1);
    const from = await anyPod('managed');
    const answer = await post<Completion>(from, `${status?.url}/v1/completions`, { prompt: 'Say', max_tokens: 4 });
    expect(answer).toMatchObject({ model: 'stand-in', choices: [{ text: '--hostname 0.0.0.0 --port 8000' }] });
    const { spec } = await kubectl.json<{ spec: { replicas: number } }>([
      'get',
      'deployment',
      'managed-copy-server',
      '-n',
      namespace,
    ]);
    expect(spec.replicas).toBe(1);
  }, 300_000);

  it('leaves nothing behind', async () => {
    await kubectl.run(['delete', 'copyengine', '--all', '-n', namespace]);
    const types = 'deployment,service,configmap,secret,serviceaccount,networkpolicy,poddisruptionbudget,pod';
    const args = ['get', types, '-n', namespace, '-l', 'quintet.dev/kind=CopyEngine', '-o', 'name'];
    const left = async () => (await kubectl.run(args)).trim();
    await eventually('its children are gone', async () => (await left()) === '', { timeoutMs: 180_000 });
    expect(await left()).toBe('');
  }, 200_000);
});
