// Engines as processes of their own, so that they can be killed and their memory is their own, on a model of two layers made on the spot.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@quintet/runtime/testing';
import { randomModel } from '../src/testing/gguf.ts';

export const tenants = { news: 'news-news-news-news-news', sport: 'sport-sport-sport-sport' } as const;
export type Tenant = keyof typeof tenants;

export interface Replica {
  readonly url: string;
  /** Resident memory now, and the most there ever was, in MiB. */
  readonly memory: () => { now: number; most: number };
  /** With SIGKILL. */
  readonly kill: () => Promise<void>;
  /** At the same address. */
  readonly start: () => Promise<void>;
}

export interface Folder {
  /** Path of the model that all engines serve. */
  readonly model: string;
  /** Starts an engine; `document` is merged over what all have. */
  readonly engine: (document?: object) => Promise<Replica>;
  /** Writes a file that a configuration names a folder of; returns that folder. */
  readonly secret: (name: string, key: string, text: string) => string;
  readonly remove: () => Promise<void>;
}

/** Milliseconds for which what a killed one had reserved stays so: a minute would only be waited for. */
const lease = '6000';
const program = new URL('../src/service/fixtures/replica.ts', import.meta.url).pathname;

export function makeFolder(): Folder {
  const folder = mkdtempSync(join(tmpdir(), 'quintet-stress-'));
  mkdirSync(join(folder, 'models'));
  randomModel(join(folder, 'models/small.gguf'), { layers: 2, width: 256, heads: 4, context: 1024 });
  const secret = (name: string, key: string, text: string) => {
    mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, name, key), text);
    return join(folder, name);
  };
  for (const [tenant, token] of Object.entries(tenants)) secret('auth', tenant, token);
  const replicas: Replica[] = [];
  let made = 0;
  return {
    model: join(folder, 'models/small.gguf'),
    secret,
    engine: async (document = {}) => {
      const port = await freePort();
      const file = join(folder, `engine-${made++}.json`);
      const config = {
        runtime: 'LlamaCpp',
        model: {
          source: { persistentVolumeClaim: { claimName: 'models', path: 'small.gguf' } },
          contextTokens: 1024,
        },
        batching: { maxSize: 8 },
        auth: { secretRef: { name: 'tokens' }, directory: join(folder, 'auth') },
        rateLimits: { perClient: { requests: 10_000_000 }, maxConcurrent: 10_000 },
        server: { host: '127.0.0.1', port, drainDelay: '0s' },
        logging: { level: 'silent' },
      };
      writeFileSync(file, JSON.stringify({ ...config, ...document }));
      const replica = await started(folder, file, port);
      replicas.push(replica);
      return replica;
    },
    remove: async () => {
      await Promise.all(replicas.map(({ kill }) => kill()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function started(folder: string, file: string, port: number): Promise<Replica> {
  let child: ChildProcess;
  const start = async () => {
    const env = { ...process.env, QUINTET_CONFIG: file };
    child = fork(program, [folder, lease], { execArgv: ['--conditions=source'], env });
    const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`the engine ended with ${code}`)));
    ended.catch(() => undefined);
    await Promise.race([once(child, 'message'), ended]);
  };
  await start();
  return {
    url: `http://127.0.0.1:${port}`,
    memory: () => memoryOf(child),
    start,
    kill: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}

function memoryOf({ pid }: ChildProcess): { now: number; most: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mebibytes = (name: string): number =>
    Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024);
  return { now: mebibytes('VmRSS'), most: mebibytes('VmHWM') };
}
