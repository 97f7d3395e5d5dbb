// Where other pods of the pool reach this one.
import { networkInterfaces } from 'node:os';
import type { EngineServer } from '@quintet/runtime';

/** Of a server that listens: the pod's own address where it listens on all. */
export function urlOf({ server }: Pick<EngineServer, 'server'>): string {
  const listening = server.address();
  if (listening === null || typeof listening === 'string') throw new Error('the server does not listen on a port');
  const { address, port } = listening;
  const host = address === '0.0.0.0' || address === '::' ? (outward() ?? '127.0.0.1') : address;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function outward(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const reachable = all.filter(({ internal, address }) => !internal && !address.startsWith('fe80'));
  return (reachable.find(({ family }) => family === 'IPv4') ?? reachable[0])?.address;
}
