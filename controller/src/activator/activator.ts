// The activator: a listener for each Service that it stands in for, a gate behind each, and what waits there.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { request } from 'undici';
import { pause } from '../kube/backoff.ts';
import { type Log, silentLog } from '../kube/log.ts';
import { Gate, type Room } from './gate.ts';
import { forward, forwardUpgrade } from './proxy.ts';
import type { Backend, Route } from './routes.ts';

export interface ActivatorOptions {
  /** Requests and bytes that may wait in all. */
  room: Room;
  holdMs: number;
  perBackend: number;
  log?: Log;
  /** Default: every address, of IPv6 where the machine has it. */
  host?: string;
  /** How long a Service that is not stood in for any more is still answered for: whoever knew the way. Default 60 s. */
  lingerMs?: number;
}

/** What the controller reads of one Service. */
export interface Queue {
  port: number;
  waiting: number;
  inFlight: number;
  /** Requests that ever came. */
  total: number;
}

interface Door {
  service: string;
  gate: Gate;
  server: Server;
  /** Set while it lingers. */
  closing?: NodeJS.Timeout;
}

/** How often a pod that is not said to be ready is asked while requests wait for it. */
const probeMs = 100;
/** Requests of one burst are told together. */
const gatherMs = 20;

export class Activator {
  readonly #options: ActivatorOptions;
  readonly #log: Log;
  readonly #doors = new Map<number, Door>();
  readonly #listeners = new Set<() => void>();
  readonly #stop = new AbortController();
  #alarm = 0;
  #probing: Promise<void> | undefined;

  constructor(options: ActivatorOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
  }

  /** Grows whenever requests begin to wait for a Service for which none waited. */
  get alarm(): number {
    return this.#alarm;
  }

  /** By Service: those only whose listener accepts connections. */
  queues(): Record<string, Queue> {
    const queues: Record<string, Queue> = {};
    for (const [port, { service, gate, server }] of this.#doors) {
      if (!server.listening) continue;
      const { waiting, inFlight, total } = gate;
      queues[service] = { port, waiting, inFlight, total };
    }
    return queues;
  }

  /** Requests that wait or are in work. */
  get load(): number {
    return [...this.#doors.values()].reduce((sum, { gate }) => sum + gate.waiting + gate.inFlight, 0);
  }

  /** Resolves when `alarm` is another than `known`, or after `ms`. */
  async alarmed(known: number, ms: number): Promise<void> {
    if (this.#alarm !== known) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#listeners.add(resolve);
    await promise;
    clearTimeout(timer);
    this.#listeners.delete(resolve);
  }

  /** Stands in for these Services, and for no others after a while. Resolves when it listens. */
  async follow(routes: ReadonlyMap<number, Route>): Promise<void> {
    const opened: Promise<unknown>[] = [];
    for (const [port, route] of routes) {
      const known = this.#doors.get(port);
      if (known && known.service !== route.service) this.#shut(port, 'this port is another service now');
      const door = this.#doors.get(port) ?? this.#open(port, route.service, opened);
      clearTimeout(door.closing);
      delete door.closing;
      door.gate.setBackends(route.backends);
    }
    for (const [port, door] of this.#doors) {
      if (routes.has(port) || door.closing) continue;
      const shut = () => this.#shut(port, 'this service is gone');
      door.closing = setTimeout(shut, this.#options.lingerMs ?? 60_000).unref();
    }
    await Promise.all(opened);
  }

  /** Refuses what still waits, and ends every connection. */
  async close(): Promise<void> {
    this.#stop.abort();
    for (const port of this.#doors.keys()) this.#shut(port, 'the activator ends');
    await this.#probing;
  }

  #open(port: number, service: string, opened: Promise<unknown>[]): Door {
    let waited = 0;
    const gate = new Gate({
      ...this.#options,
      onChange: () => {
        if (gate.waiting > 0 && waited === 0) setTimeout(() => this.#sound(), gatherMs);
        if (gate.waiting > 0) this.#probe();
        waited = gate.waiting;
      },
    });
    const server = createServer(
      {
        // A request may wait for minutes before its body is read.
        requestTimeout: 0,
        headersTimeout: 20_000,
        maxHeaderSize: 32 * 1024,
        noDelay: true,
        shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket',
      },
      (incoming, response) => void forward(gate, incoming, response),
    );
    server.on('upgrade', (incoming, socket, head) => void forwardUpgrade(gate, incoming, socket, head));
    const door: Door = { service, gate, server };
    this.#doors.set(port, door);
    opened.push(this.#listen(server, port, service));
    return door;
  }

  async #listen(server: Server, port: number, service: string): Promise<void> {
    const attempt = (host: string | undefined) =>
      new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ port, ...(host !== undefined && { host }) }, () => {
          server.off('error', reject);
          resolve();
        });
      });
    try {
      await attempt(this.#options.host);
      this.#log.info({ service, port: (server.address() as AddressInfo).port }, 'standing in');
    } catch (error) {
      // Not told to the controller, so no traffic comes here.
      this.#log.error({ err: error, service, port }, 'cannot listen');
      this.#doors.delete(port);
    }
  }

  #shut(port: number, why: string): void {
    const door = this.#doors.get(port);
    if (!door) return;
    clearTimeout(door.closing);
    this.#doors.delete(port);
    door.gate.close(why);
    // What is being answered is answered to its end.
    door.server.close();
    door.server.closeIdleConnections();
  }

  #sound(): void {
    this.#alarm += 1;
    for (const listener of this.#listeners) listener();
  }

  /** Asks pods that are about to be ready themselves: the kubelet looks every two seconds, and tells by way of the API. */
  #probe(): void {
    this.#probing ??= this.#probeWhileWaiting().finally(() => {
      this.#probing = undefined;
    });
  }

  async #probeWhileWaiting(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const gates = [...this.#doors.values()].map(({ gate }) => gate);
      if (gates.every(({ waiting }) => waiting === 0)) return;
      await Promise.all(gates.flatMap((gate) => gate.candidates.map((backend) => probe(gate, backend))));
      await pause(probeMs, signal);
    }
  }
}

async function probe(gate: Gate, backend: Backend): Promise<void> {
  const url = `http://${backend.host}:${backend.port}/readyz`;
  try {
    const { statusCode, body } = await request(url, { signal: AbortSignal.timeout(1_000), reset: true });
    await body.dump({ limit: 4096 });
    if (statusCode === 200) gate.prove(backend);
  } catch {
    // Not there yet.
  }
}
