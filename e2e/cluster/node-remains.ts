// What a node leaves in the kernel besides its daemons: containers' processes, mounts, cgroups and a network namespace.
import { cpSync, existsSync, lstatSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { containerProcesses, removeCgroups } from './cgroups.ts';
import { restoreKernelSettings } from './kernel-settings.ts';
import { unmountBelow } from './mounts.ts';
import { removeNetwork, slotOf } from './network.ts';
import { nodeDir, podLogsDir } from './node-paths.ts';
import { endProcess, identify, processesUsing } from './process.ts';
import { toolsRoot } from './tools.ts';

const LOG_LINKS = '/var/log/containers';

/** Removes all of it. Containerd and its shims must be found by the folder they use, since shims leave no record. */
export async function removeNodeRemains(name: string, dir: string): Promise<void> {
  const folder = nodeDir(dir);
  if (!existsSync(folder) && slotOf(name) === undefined) return;
  await endAll(() => processesUsing(folder, toolsRoot()).map(({ pid }) => pid));
  await endAll(() => containerProcesses(name));
  await unmountBelow(folder);
  keepPodLogs(folder, dir);
  removeLogLinks(folder);
  removeCgroups(name);
  await removeNetwork(name);
  await restoreKernelSettings();
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}

function keepPodLogs(folder: string, dir: string): void {
  if (existsSync(podLogsDir(folder))) cpSync(podLogsDir(folder), join(dir, 'logs', 'pods'), { recursive: true });
}

/** A kubelet links every container's log from a folder that cannot be configured. */
function removeLogLinks(folder: string): void {
  if (!existsSync(LOG_LINKS)) return;
  for (const name of readdirSync(LOG_LINKS)) {
    const link = join(LOG_LINKS, name);
    if (lstatSync(link).isSymbolicLink() && readlinkSync(link).startsWith(`${folder}/`)) rmSync(link, { force: true });
  }
}

/** Ends what `list` names until it names nothing: a shim may start a process while others are being ended. */
async function endAll(list: () => number[]): Promise<void> {
  for (let round = 0; round < 50; round += 1) {
    const identities = list().flatMap((pid) => identify(pid) ?? []);
    if (identities.length === 0) return;
    await Promise.all(identities.map((identity) => endProcess(identity, 0)));
    await sleep(20);
  }
  throw new Error('processes of the node keep starting while it is being ended');
}
