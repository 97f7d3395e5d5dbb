// The two operators that are compared, as processes outside the cluster: ours as its image runs it, and the reference.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../cluster/command.ts';
import { cacheDir } from '../cluster/paths.ts';

export interface Operator {
  name: string;
  start(kubeconfig: string): ChildProcess;
}

const root = join(import.meta.dirname, '../..');
const source = join(import.meta.dirname, 'reference');

/** The options that the chart gives the process: they are what the memory figure is about. */
const nodeFlags = ['--optimize-for-size', '--max-semi-space-size=4', '--max-old-space-size=180', '--v8-pool-size=1'];

/** @param profiles Folder for a CPU profile of each run. */
export function ours(profiles?: string): Operator {
  const profiling = profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`];
  return {
    name: 'quintet',
    start: (kubeconfig) =>
      spawn('node', [...nodeFlags, ...profiling, join(root, 'controller/dist/main.js')], {
        stdio: ['ignore', 'ignore', 'inherit'],
        env: {
          ...process.env,
          NODE_OPTIONS: '',
          MALLOC_ARENA_MAX: '2',
          NODE_ENV: 'production',
          KUBECONFIG: kubeconfig,
          QUINTET_HOST: '127.0.0.1',
          QUINTET_PORT: '0',
          QUINTET_LOG_LEVEL: 'warn',
          QUINTET_FIELD_IMAGE: 'local/engine:1',
          QUINTET_COMPRESSION_IMAGE: 'local/engine:1',
        },
      }),
  };
}

export function reference(kind: string, configMaps: number): Operator {
  return {
    name: 'controller-runtime',
    start: (kubeconfig) =>
      spawn(referencePath(), ['--kind', kind, '--config-maps', String(configMaps)], {
        stdio: 'ignore',
        env: { ...process.env, KUBECONFIG: kubeconfig },
      }),
  };
}

function referencePath(): string {
  const hash = createHash('sha256');
  for (const file of ['main.go', 'go.sum']) hash.update(readFileSync(join(source, file)));
  return join(cacheDir(), 'reference', hash.digest('hex').slice(0, 16));
}

export async function buildReference(): Promise<void> {
  const target = referencePath();
  if (existsSync(target)) return;
  console.log('building the reference operator (once per machine) …');
  mkdirSync(join(cacheDir(), 'reference'), { recursive: true });
  const env = { ...process.env, CGO_ENABLED: '0' };
  await run('go', ['build', '-trimpath', '-ldflags', '-s -w', '-o', `${target}.tmp`, '.'], {
    cwd: source,
    env,
    timeoutMs: 1_200_000,
  });
  renameSync(`${target}.tmp`, target);
}
