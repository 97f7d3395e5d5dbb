// A cluster by kind, where a Docker engine answers: the same version of kind on every machine, built like the other tools.
import { join } from 'node:path';
import { run } from './command.ts';
import { kernelName } from './paths.ts';
import { ensureTools, type OnProgress } from './tools.ts';

/** Creates the cluster unless it is there, and writes its kubeconfig to `dir`. @returns its path. */
export async function createKind(name: string, dir: string, onProgress?: OnProgress): Promise<string> {
  const { kind } = await ensureTools(['kind'], onProgress);
  const kubeconfig = join(dir, 'kubeconfig');
  const known = (await run(kind, ['get', 'clusters'])).split('\n').includes(kernelName(name));
  const target = ['--name', kernelName(name), '--kubeconfig', kubeconfig];
  if (known) await run(kind, ['export', 'kubeconfig', ...target]);
  else await run(kind, ['create', 'cluster', ...target, '--wait', '180s'], { timeoutMs: 900_000 });
  return kubeconfig;
}

/** Does nothing when the cluster is gone already. */
export async function deleteKind(name: string): Promise<void> {
  const { kind } = await ensureTools(['kind']);
  await run(kind, ['delete', 'cluster', '--name', kernelName(name)], { timeoutMs: 300_000 });
}

export async function loadIntoKind(name: string, archive: string): Promise<void> {
  const { kind } = await ensureTools(['kind']);
  await run(kind, ['load', 'image-archive', archive, '--name', kernelName(name)], { timeoutMs: 300_000 });
}

export async function exportKindLogs(name: string, folder: string): Promise<void> {
  const { kind } = await ensureTools(['kind']);
  await run(kind, ['export', 'logs', folder, '--name', kernelName(name)], { timeoutMs: 300_000 });
}
