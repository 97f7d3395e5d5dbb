// A world for services that are to be healed: one pod that is their backend and their clients, and whose faults are switched
// on from outside; and a leak to be put into an engine's process.
import { eventually, type Kubectl } from '../kubectl.ts';
import { type Client, startClient } from './inside.ts';

export interface Load {
  name: string;
  /** Of the service. */
  url: string;
  path: '/v1/compress' | '/v1/completions';
  clients: number;
  /** Of each client after each answer. */
  pauseMs: number;
}

interface State {
  /** Address of the one pod that the backend under /fails answers 500. */
  failing: string;
  /** Whether the backend under /slow takes far longer where much is asked of it at once. */
  slow: boolean;
  /** Whether the requests for `leaks` are such as leak. */
  poison: boolean;
}

interface Said {
  ok: number;
  failed: number;
  /** Milliseconds, of the last ten seconds. */
  p95: number;
}

const port = 8080;

/** A backend that speaks OpenAI's API, and clients of every load that is handed to it. */
const script = `
  import { createServer } from 'node:http';
  const state = { failing: '', slow: false, poison: false };
  const sleep = (ms) => new Promise((next) => setTimeout(next, ms));
  const counts = {};
  let atOnce = 0;
  const answer = async (path, address, response) => {
    if (path.startsWith('/fails') && state.failing !== '' && address.endsWith(state.failing)) return response.writeHead(500).end('{}');
    if (path.startsWith('/slow')) {
      atOnce += 1;
      // More than ten at once are too many for it.
      await sleep(state.slow ? (atOnce > 10 ? 480 : 40) * atOnce : 200);
      atOnce -= 1;
    }
    response.setHeader('content-type', 'text/event-stream');
    const choice = { index: 0, text: 'said', finish_reason: 'stop' };
    response.end('data: ' + JSON.stringify({ choices: [choice] }) + '\\n\\ndata: [DONE]\\n\\n');
  };
  const load = async ({ name, url, path, pauseMs }, client) => {
    const said = (counts[name] ??= { ok: 0, failed: 0, times: [] });
    for (let i = 0; ; i++) {
      const text = ('line ' + (said.ok + said.failed) % 30 + ' of a text to compress. ').repeat(20);
      const body = path === '/v1/compress' ? { text, ratio: 4 } : { prompt: 'Say ' + client + ' ' + i, max_tokens: 4 };
      const headers = { 'content-type': 'application/json', connection: 'close' };
      if (name === 'leaks' && state.poison) headers['x-poison'] = '1';
      const start = Date.now();
      try {
        const response = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body), signal: AbortSignal.timeout(20000) });
        await response.text();
        if (response.status !== 200) throw new Error(String(response.status));
        said.ok += 1;
      } catch { said.failed += 1; }
      said.times.push([Date.now(), Date.now() - start]);
      await sleep(pauseMs);
    }
  };
  createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://world');
    if (pathname === '/set') {
      for (const [name, value] of searchParams) state[name] = JSON.parse(value);
      return response.end('{}');
    }
    if (pathname === '/load') {
      const one = JSON.parse(searchParams.get('of'));
      for (let i = 0; i < one.clients; i++) void load(one, i);
      return response.end('{}');
    }
    request.resume().on('end', () => void answer(pathname, request.socket.remoteAddress ?? '', response));
  }).listen(${port}, () => console.log('{}'));
  setInterval(() => {
    const lines = Object.entries(counts).map(([name, said]) => {
      said.times = said.times.filter(([at]) => at > Date.now() - 10000);
      const times = said.times.map(([, ms]) => ms).sort((a, b) => a - b);
      return [name, { ok: said.ok, failed: said.failed, p95: times[Math.floor(times.length * 0.95)] ?? 0 }];
    });
    console.log(JSON.stringify(Object.fromEntries(lines)));
  }, 1000);`;

export class World {
  /** What engines have for their backend, and a path. */
  readonly backend: string;
  readonly #kubectl: Kubectl;
  readonly #proxy: string;
  readonly #client: Client<Record<string, Said>>;

  private constructor(kubectl: Kubectl, namespace: string, address: string, client: Client<Record<string, Said>>) {
    this.#kubectl = kubectl;
    this.#proxy = `/api/v1/namespaces/${namespace}/pods/world:${port}/proxy`;
    this.backend = `http://${address}:${port}`;
    this.#client = client;
  }

  static async begin(kubectl: Kubectl, namespace: string, image: string): Promise<World> {
    const client = await startClient<Record<string, Said>>(kubectl, { namespace, name: 'world', image, script });
    const address = await eventually('the world has an address', async () => {
      const { status } = await kubectl.json<{ status: { podIP?: string } }>(['get', 'pod', 'world', '-n', namespace]);
      return status.podIP;
    });
    return new World(kubectl, namespace, address, client);
  }

  async set(state: Partial<State>): Promise<void> {
    const pairs = Object.entries(state).map(([name, value]) => `${name}=${encodeURIComponent(JSON.stringify(value))}`);
    await this.#kubectl.run(['get', '--raw', `${this.#proxy}/set?${pairs.join('&')}`]);
  }

  /** Begins, and never ends. */
  async load(one: Load): Promise<void> {
    await this.#kubectl.run(['get', '--raw', `${this.#proxy}/load?of=${encodeURIComponent(JSON.stringify(one))}`]);
  }

  async said(name: string): Promise<Said> {
    const all = await this.#client.latest();
    return all[name] ?? { ok: 0, failed: 0, p95: 0 };
  }
}

/**
 * For NODE_OPTIONS: a process that keeps 8 MiB for ever of each request that bears `x-poison`, until it has so many bytes: it is to
 * be pressed, not killed. Without a blank, for Node splits its options at them.
 */
export const leak = (most: number): string =>
  `--import=data:text/javascript,import{subscribe}from'node:diagnostics_channel';import{isMainThread}from'node:worker_threads';globalThis.leak=[];if(isMainThread)subscribe('http.server.request.start',({request})=>{if(request.headers['x-poison']&&process.memoryUsage.rss()<${most})globalThis.leak.push(Buffer.alloc(8388608,1))})`;

/** For NODE_OPTIONS, too: a process that finds so many bytes in its machine, where nothing limits it. */
export const smallMachine = (bytes: number): string =>
  `--import=data:text/javascript,import%20os%20from'node:os';import{syncBuiltinESMExports}from'node:module';os.totalmem=()=>${bytes};syncBuiltinESMExports()`;
