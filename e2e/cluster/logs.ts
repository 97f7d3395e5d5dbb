// Everything that tells why something went wrong in a cluster, gathered in one folder.
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { logsDir, readCluster } from './clusters.ts';
import { tryRun } from './command.ts';
import { exportKindLogs } from './kind.ts';
import { clusterDir } from './paths.ts';
import { ensureTools } from './tools.ts';

/** Objects as the API server has them, by the name of the file that they go to. */
const QUERIES = {
  'objects.txt': ['get', 'all,pvc,events', '--all-namespaces', '-o', 'wide'],
  'nodes.txt': ['describe', 'nodes'],
  'pods.yaml': ['get', 'pods', '--all-namespaces', '-o', 'yaml'],
  'quintet.yaml': ['get', 'quintet', '--all-namespaces', '-o', 'yaml'],
};

/** Writes to `folder` the logs of a cluster's daemons, also of one that has ended, and while it runs its objects and pods' logs. */
export async function collectLogs(name: string, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const from = logsDir(name);
  if (existsSync(from)) cpSync(from, join(folder, 'daemons'), { recursive: true });
  if (readCluster(name)?.kind === 'kind') await exportKindLogs(name, join(folder, 'kind'));
  const kubeconfig = join(clusterDir(name), 'kubeconfig');
  if (!existsSync(kubeconfig)) return;
  const { kubectl } = await ensureTools(['kubectl']);
  const ask = (args: string[]) =>
    tryRun(kubectl, ['--kubeconfig', kubeconfig, '--request-timeout=10s', ...args], { timeoutMs: 30_000 });
  for (const [file, args] of Object.entries(QUERIES)) {
    const answer = await ask(args);
    if (answer) writeFileSync(join(folder, file), answer);
  }
  const format = 'jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name}{"\\n"}{end}';
  const pods = (await ask(['get', 'pods', '--all-namespaces', '-o', format])) ?? '';
  for (const pod of pods.split('\n').filter(Boolean)) {
    const [namespace = '', podName = ''] = pod.split('/');
    const options = ['--namespace', namespace, '--all-containers', '--prefix', '--tail=2000'];
    for (const [suffix, more] of [
      ['', []],
      ['.previous', ['--previous']],
    ] as const) {
      const text = await ask(['logs', podName, ...options, ...more]);
      if (text) writeFileSync(join(folder, `${namespace}.${podName}${suffix}.log`), text);
    }
  }
}
