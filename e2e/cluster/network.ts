// The node's own network: a namespace joined to the machine by one veth pair, with addresses from a small pool, so that
// clusters stand side by side and neither their pods nor their rules touch the machine's network.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, tryRun } from './command.ts';
import { SERVICE_RANGE } from './control-plane.ts';
import { withLock } from './lock.ts';
import { clusterDir, kernelName, stateDir } from './paths.ts';

const SLOTS = 64;

export interface NodeNetwork {
  slot: number;
  namespace: string;
  /** The machine's end of the veth pair: where the API server listens. */
  hostAddress: string;
  nodeAddress: string;
  podRange: string;
}

/** Addresses of slot `slot`; everything about a node's network follows from it and the cluster's name. */
export function networkOf(name: string, slot: number): NodeNetwork {
  return {
    slot,
    namespace: kernelName(name),
    hostAddress: `10.213.${slot}.1`,
    nodeAddress: `10.213.${slot}.2`,
    podRange: `10.214.${slot}.0/24`,
  };
}

/** Arguments that start `command` inside the namespace. `ip netns exec` would hide the cgroups behind a new /sys. */
export function inNamespace(network: NodeNetwork, command: string, args: string[]) {
  return { command: 'nsenter', args: [`--net=/var/run/netns/${network.namespace}`, command, ...args] };
}

/** Takes a free slot and makes the namespace, the pair and the routes. */
export async function createNetwork(name: string): Promise<NodeNetwork> {
  const slot = await takeSlot(name);
  const network = networkOf(name, slot);
  const { namespace, hostAddress, nodeAddress, podRange } = network;
  const [outer, inner] = [`qt${slot}h`, `qt${slot}n`];
  await tryRun('ip', ['netns', 'delete', namespace]);
  await run('ip', ['netns', 'add', namespace]);
  await run('ip', ['link', 'add', outer, 'type', 'veth', 'peer', 'name', inner, 'netns', namespace]);
  await run('ip', ['address', 'add', `${hostAddress}/30`, 'dev', outer]);
  await run('ip', ['link', 'set', outer, 'up']);
  const inside = (...args: string[]) => run('ip', ['-n', namespace, ...args]);
  await inside('link', 'set', 'lo', 'up');
  await inside('address', 'add', `${nodeAddress}/30`, 'dev', inner);
  await inside('link', 'set', inner, 'up');
  // No default route: what is neither pod, Service nor this machine is unreachable, at once and with an error.
  await inside('route', 'add', SERVICE_RANGE, 'via', hostAddress);
  await run('ip', ['route', 'replace', podRange, 'via', nodeAddress, 'dev', outer]);
  const sysctl = inNamespace(network, 'sh', ['-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
  await run(sysctl.command, sysctl.args);
  return network;
}

/** Removes the namespace with all links in it, and gives the slot back. Does nothing for what is gone already. */
export async function removeNetwork(name: string): Promise<void> {
  await tryRun('ip', ['netns', 'delete', kernelName(name)]);
  const slot = slotOf(name);
  if (slot === undefined) return;
  await tryRun('ip', ['link', 'delete', `qt${slot}h`]);
  rmSync(slotPath(slot), { force: true });
}

/** How many clusters hold a slot. */
export function slotsInUse(): number {
  return existsSync(slotFolder()) ? readdirSync(slotFolder()).length : 0;
}

/** The slot that a cluster holds, if any. */
export function slotOf(name: string): number | undefined {
  if (!existsSync(slotFolder())) return undefined;
  const held = readdirSync(slotFolder()).find((slot) => readFileSync(slotPath(Number(slot)), 'utf8') === name);
  return held === undefined ? undefined : Number(held);
}

function takeSlot(name: string): Promise<number> {
  return withLock('slots', async () => {
    const held = slotOf(name);
    if (held !== undefined) return held;
    mkdirSync(slotFolder(), { recursive: true });
    const inUse = await routedRanges();
    for (let slot = 0; slot < SLOTS; slot += 1) {
      const owner = existsSync(slotPath(slot)) ? readFileSync(slotPath(slot), 'utf8') : undefined;
      const isFree = owner === undefined || !existsSync(clusterDir(owner));
      if (isFree && !inUse.has(`10.213.${slot}`) && !inUse.has(`10.214.${slot}`)) {
        writeFileSync(slotPath(slot), name);
        return slot;
      }
    }
    throw new Error(`no free address range for a node: all ${SLOTS} of 10.213.0.0/16 are in use`);
  });
}

/** First three octets of every destination that the machine routes; another user's clusters show here too. */
async function routedRanges(): Promise<Set<string>> {
  const routes = JSON.parse((await run('ip', ['-json', '-4', 'route', 'show', 'table', 'all'])) || '[]') as {
    dst: string;
  }[];
  return new Set(routes.map(({ dst }) => dst.split('.').slice(0, 3).join('.')));
}

function slotFolder(): string {
  return join(stateDir(), 'slots');
}

function slotPath(slot: number): string {
  return join(slotFolder(), String(slot));
}
