// The service as a process of its own, so that its memory is its own, and clients that load it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually, freePort } from '@quintet/runtime/testing';
import type { Load, Seen } from './load.ts';

export interface Service {
  readonly url: string;
  /** Resident memory now, and the most there ever was, in MiB. */
  readonly memory: () => { now: number; most: number };
  readonly stop: () => Promise<void>;
}

/** Resolves when it is ready. `document` is merged over a configuration for one machine. */
export async function startService(document: object, redisUrl?: string): Promise<Service> {
  const directory = mkdtempSync(join(tmpdir(), 'quintet-stress-'));
  const port = await freePort();
  const configFile = join(directory, 'config.json');
  const server = { host: '127.0.0.1', port, drainDelay: '0ms' };
  writeFileSync(configFile, JSON.stringify({ server, logging: { level: 'warn' }, ...document }));
  const main = fileURLToPath(new URL('../src/service/main.ts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=source', main], {
    env: { ...process.env, QUINTET_CONFIG: configFile, ...(redisUrl && { QUINTET_REDIS_URL: redisUrl }) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const url = `http://127.0.0.1:${port}`;
  await eventually(async () => {
    if (child.exitCode !== null) throw new Error(`the service ended with ${child.exitCode}`);
    if (!(await fetch(`${url}/readyz`)).ok) throw new Error('the service is not ready');
  }, 60_000);
  return {
    url,
    memory: () => memoryOf(child),
    async stop() {
      const gone = child.exitCode === null ? once(child, 'exit') : undefined;
      child.kill('SIGTERM');
      await gone;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Runs a load in a process of its own and returns what it saw. */
export async function runLoad(load: Load): Promise<Seen> {
  const script = fileURLToPath(new URL('./load.ts', import.meta.url));
  const child = spawn(process.execPath, [script, JSON.stringify(load)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  await once(child, 'close');
  if (child.exitCode !== 0) throw new Error(`the client ended with ${child.exitCode}`);
  return JSON.parse(out) as Seen;
}

function memoryOf({ pid }: ChildProcess): { now: number; most: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mebibytes = (name: string): number =>
    Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024);
  return { now: mebibytes('VmRSS'), most: mebibytes('VmHWM') };
}
