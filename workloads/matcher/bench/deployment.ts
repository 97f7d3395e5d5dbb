// What the parts on whole pools share: a real PostgreSQL filled with hashes, and engines that are processes of their own.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '@quintet/runtime/testing';
import { openRecord } from '../src/record/record.ts';
import { startPostgres, type TestPostgres } from '../src/testing/postgres.ts';
import { ask, send } from './client.ts';
import { atEnd } from './ending.ts';
import { skewed } from './hashes.ts';
import { random } from './pictures.ts';

export interface Deployment {
  readonly postgres: TestPostgres;
  readonly directory: string;
  /** Of all items, as they were inserted: item `i` is called `item-i`. */
  readonly hashes: Uint8Array;
  readonly stop: () => Promise<void>;
}

export async function deploy(count: number): Promise<Deployment> {
  const postgres = await startPostgres(['shared_buffers=512MB', 'maintenance_work_mem=512MB', 'max_wal_size=1GB']);
  const directory = await mkdtemp(join(tmpdir(), 'quintet-bench-'));
  const stop = atEnd(async () => {
    await postgres.stop();
    await rm(directory, { recursive: true, force: true });
  });
  try {
    return { postgres, directory, hashes: await filled(postgres, count), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function filled(postgres: TestPostgres, count: number): Promise<Uint8Array> {
  const record = await openRecord({ url: postgres.url });
  const { number } = await record.setBank({ tenant: 'default', name: 'bench' }, 'default', {});
  await record.close();
  const hashes = skewed(count, random(count));
  await copy(postgres, hashes, number);
  return hashes;
}

/** By COPY, the way that takes least of all. */
async function copy({ programs, url }: TestPostgres, hashes: Uint8Array, bank: number): Promise<void> {
  const commands = [
    'drop index items_id',
    'copy items (tenant, id, bank, hash, quality) from stdin',
    `create unique index items_id on items (tenant, id) where state <> 'Removed'`,
    'analyze items',
  ];
  const psql = spawn(
    join(programs, 'psql'),
    ['-X', '-q', '-v', 'ON_ERROR_STOP=1', url, ...commands.flatMap((each) => ['-c', each])],
    {
      stdio: ['pipe', 'ignore', 'inherit'],
    },
  );
  const ended = once(psql, 'exit') as Promise<[number]>;
  const all = Buffer.from(hashes.buffer, hashes.byteOffset, hashes.byteLength);
  for (let from = 0; from < hashes.length; from += 32 * 10_000) {
    const lines: string[] = [];
    for (let at = from; at < Math.min(hashes.length, from + 32 * 10_000); at += 32) {
      lines.push(`default\titem-${at / 32}\t${bank}\t\\\\x${all.toString('hex', at, at + 32)}\t100\n`);
    }
    if (!psql.stdin.write(lines.join(''))) await once(psql.stdin, 'drain');
  }
  psql.stdin.end();
  const [code] = await ended;
  if (code !== 0) throw new Error(`psql ended with ${code}`);
}

export interface Pod {
  readonly url: string;
  /** Seconds from the start of the process until it said that it is ready. */
  readonly seconds: number;
  readonly snapshot: string;
  /** SIGTERM, as Kubernetes ends a pod, or SIGKILL; resolves when the process is gone. */
  readonly end: (signal: 'SIGTERM' | 'SIGKILL') => Promise<void>;
}

/** An engine as a pod runs it; the same name has the same snapshot. */
export async function startPod({ postgres, directory }: Deployment, name: string, more: object = {}): Promise<Pod> {
  const port = await freePort();
  const folder = join(directory, name);
  await mkdir(folder, { recursive: true });
  const server = { host: '127.0.0.1', port, drainDelay: '1ms' };
  const config = { server, rateLimits: { maxConcurrent: 4000 }, logging: { level: 'error' }, ...more };
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  const begun = performance.now();
  const child = spawn(
    process.execPath,
    ['--conditions=source', fileURLToPath(new URL('../src/main.ts', import.meta.url))],
    {
      env: {
        ...process.env,
        QUINTET_CONFIG: join(folder, 'config.json'),
        QUINTET_POSTGRES_URL: postgres.url,
        QUINTET_SNAPSHOT_DIRECTORY: folder,
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  child.once('exit', (code, signal) => {
    if (signal === null && code !== 0) console.error(`the engine ${name} ended with ${code}`);
  });
  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  };
  const kill = atEnd(async () => await end('SIGKILL'));
  const url = `http://127.0.0.1:${port}`;
  await isReady(child, url);
  return {
    url,
    seconds: (performance.now() - begun) / 1000,
    snapshot: join(folder, 'matcher.snapshot'),
    end: async (signal) => {
      await end(signal);
      await kill();
    },
  };
}

async function isReady(child: ChildProcess, url: string): Promise<void> {
  while (child.exitCode === null) {
    const { status } = await send('GET', `${url}/readyz`).catch(() => ({ status: 0 }));
    if (status === 200) return;
    await sleep(5);
  }
  throw new Error(`the engine ended with ${child.exitCode}`);
}

/** Identifiers of what a hash matches. */
export async function matchesOf(pod: Pod, hash: string): Promise<string[]> {
  const { matches } = await ask<{ matches: { item: string }[] }>('POST', `${pod.url}/api/v1/match`, { hash, topK: 20 });
  return matches.map(({ item }) => item);
}
