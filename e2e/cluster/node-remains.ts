// What a node leaves in the kernel besides its daemons: containers' processes, mounts, cgroups and a network namespace.
import { existsSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { containerProcesses, removeCgroups } from './cgroups.ts';
import { restoreKernelSettings } from './kernel-settings.ts';
import { unmountBelow } from './mounts.ts';
import { removeNetwork, slotOf } from './network.ts';
import { nodeDir } from './node-paths.ts';
import { endProcess, identify, processesUsing } from './process.ts';
import { toolsRoot } from './tools.ts';

/** Removes all of it. Containerd and its shims must be found by the folder they use, since shims leave no record. */
export async function removeNodeRemains(name: string, dir: string): Promise<void> {
  const folder = nodeDir(dir);
  if (!existsSync(folder) && slotOf(name) === undefined) return;
  await endAll(() => processesUsing(folder, toolsRoot()).map(({ pid }) => pid));
  await endAll(() => containerProcesses(name));
  await unmountBelow(folder);
  removeCgroups(name);
  await removeNetwork(name);
  await restoreKernelSettings();
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
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
