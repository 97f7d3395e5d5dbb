// The two operators that are compared, as processes outside the cluster: ours as its image runs it, and the reference.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
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

/** Compiles the controller, as its image holds it. */
export function buildOurs(): void {
  const { status } = spawnSync('tsc', ['-b', 'controller'], { cwd: root, stdio: 'inherit' });
  if (status !== 0) throw new Error('the controller does not compile');
}

/** @param profiles Folder for a CPU profile of each run. */
export function ours(profiles?: string): Operator {
  const profiling = profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`];
  return { name: 'quintet', start: (kubeconfig) => startOurs(kubeconfig, profiling) };
}

/** The compiled controller as a process of this machine; its log, warnings alone, goes to ours. */
export function startOurs(
  kubeconfig: string,
  flags: readonly string[] = [],
  env: Record<string, string> = {},
): ChildProcess {
  const engines = ['FIELD', 'EVOLUTION', 'COMPRESSION', 'MATCHER', 'COPY'];
  return spawn('node', [...nodeFlags, ...flags, join(root, 'controller/dist/main.js')], {
    stdio: ['ignore', 'ignore', flags.length > 0 ? 'pipe' : 'inherit'],
    env: {
      ...process.env,
      NODE_OPTIONS: '',
      MALLOC_ARENA_MAX: '2',
      NODE_ENV: 'production',
      KUBECONFIG: kubeconfig,
      QUINTET_HOST: '127.0.0.1',
      QUINTET_PORT: '0',
      QUINTET_LOG_LEVEL: 'warn',
      ...Object.fromEntries(engines.map((engine) => [`QUINTET_${engine}_IMAGE`, 'local/engine:1'])),
      ...env,
    },
  });
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
