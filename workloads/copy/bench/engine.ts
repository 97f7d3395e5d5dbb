// The engine in a process of its own, as in a pod, and requests to it.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { Agent, type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { startEngine } from '@quintet/runtime';
import { copyEngine } from '../src/service/engine.ts';

export interface BenchModel {
  /** Threads that the model computes with. */
  threads: number;
  path: string;
  name: string;
  title: string;
  folder: string;
}

export interface Served {
  url: string;
  agent: Agent;
  /** Milliseconds of CPU that it has used. */
  cpu: () => Promise<number>;
  stop: () => Promise<void>;
}

/** Serves by the configuration in `folder` until its parent is gone. */
export async function serve(folder: string, threads: number): Promise<void> {
  const engine = await startEngine(copyEngine({ claims: folder, threads }), {
    configFile: join(folder, 'config.json'),
    env: {},
  });
  await engine.started;
  process.send?.(engine.url);
  process.on('message', () => process.send?.(process.cpuUsage()));
  process.on('disconnect', () => process.exit(0));
}

export async function serving(
  { folder, name, threads }: BenchModel,
  sequences: number,
  contextTokens: number,
  more: object = {},
): Promise<Served> {
  const config = {
    runtime: 'LlamaCpp',
    model: { source: { persistentVolumeClaim: { claimName: 'models', path: `${name}.gguf` } }, contextTokens },
    batching: { maxSize: sequences },
    cache: { memory: { maxEntries: 10_000, maxSize: '64Mi' } },
    server: { host: '127.0.0.1', port: 0, drainDelay: '0s' },
    logging: { level: 'silent' },
    ...more,
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  const main = join(import.meta.dirname, 'main.ts');
  const child = fork(main, ['--serve', folder, '--threads', String(threads)], { execArgv: ['--conditions=source'] });
  const [url] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(() => Promise.reject(new Error('the engine ended'))),
  ])) as [string];
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  return {
    url,
    agent,
    cpu: async () => {
      const answer = once(child, 'message') as Promise<[NodeJS.CpuUsage]>;
      child.send('cpu');
      return millisecondsOf((await answer)[0]);
    },
    stop: async () => {
      agent.destroy();
      const gone = once(child, 'exit');
      child.disconnect();
      await gone;
    },
  };
}

export function millisecondsOf({ user, system }: NodeJS.CpuUsage): number {
  return (user + system) / 1000;
}

/** Throws when the answer is not 200. */
export function post(
  { url, agent }: Served,
  path: string,
  body: object,
  fresh = false,
  signal?: AbortSignal,
): Promise<IncomingMessage> {
  const text = JSON.stringify(body);
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    ...(fresh && { 'cache-control': 'no-store' }),
  };
  return new Promise((resolve, reject) => {
    const options = { method: 'POST', agent, headers, ...(signal && { signal }) };
    const sent = request(new URL(path, url), options, (response) => {
      if (response.statusCode === 200) resolve(response);
      else {
        response.resume();
        reject(new Error(`${path} answered ${response.statusCode}`));
      }
    });
    sent.on('error', reject);
    sent.end(text);
  });
}

export async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  response.setEncoding('utf8');
  for await (const piece of response) text += piece as string;
  return text;
}

/** The value below which a share of the values lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
