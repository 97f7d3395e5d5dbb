// Where requests for one Service wait until a pod serves, in the order they came, and then spread over the pods.
import type { Backend } from './routes.ts';

export class GateError extends Error {
  override readonly name = 'GateError';
  readonly reason: 'Full' | 'TimedOut' | 'Gone';

  constructor(reason: GateError['reason'], message: string) {
    super(message);
    this.reason = reason;
  }
}

/** What all gates of an activator may hold together. */
export interface Room {
  requests: number;
  bytes: number;
}

export interface GateOptions {
  /** Shared by gates: what is left of it is taken from while a request waits. */
  room: Room;
  /** Longest wait of one request in milliseconds. */
  holdMs: number;
  /** Requests in work at once in one pod; more wait on: an engine refuses what is too much at once. */
  perBackend: number;
  /** Calls when the numbers of waiting requests or of requests in work have changed. */
  onChange?: () => void;
}

/** The right to send one request to one pod. */
export interface Pass {
  backend: Backend;
  release(): void;
}

interface Waiter {
  bytes: number;
  admit(pass: Pass): void;
  refuse(error: GateError): void;
}

/** A pod that refused a connection is left out for so long: its endpoint may be on its way out. */
const distrustMs = 1_000;

export class Gate {
  /** Requests that ever came. */
  total = 0;
  inFlight = 0;
  readonly #options: GateOptions;
  readonly #waiters = new Set<Waiter>();
  #backends: readonly Backend[] = [];
  readonly #working = new Map<string, number>();
  readonly #distrusted = new Set<string>();
  /** Pods that answered for themselves before Kubernetes said that they are ready. */
  readonly #proven = new Set<string>();

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** Longest wait of one request in milliseconds. */
  get holdMs(): number {
    return this.#options.holdMs;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  /** Pods that might be ready before anybody says so: asked while requests wait and nobody can take them. */
  get candidates(): Backend[] {
    if (this.#waiters.size === 0 || this.#backends.some((backend) => this.#isOpen(backend))) return [];
    return this.#backends.filter((backend) => !backend.isReady);
  }

  setBackends(backends: readonly Backend[]): void {
    this.#backends = backends;
    const unready = new Set(backends.filter(({ isReady }) => !isReady).map(keyOf));
    // Who was ready and is not any more has to prove itself anew.
    for (const key of this.#proven) if (!unready.has(key)) this.#proven.delete(key);
    this.#flow();
  }

  /** It answered its readiness page. */
  prove(backend: Backend): void {
    this.#proven.add(keyOf(backend));
    this.#flow();
  }

  /** It refused a connection. */
  distrust(backend: Backend): void {
    const key = keyOf(backend);
    this.#proven.delete(key);
    this.#distrusted.add(key);
    setTimeout(() => {
      this.#distrusted.delete(key);
      this.#flow();
    }, distrustMs).unref();
  }

  /** Counts a request that came. */
  arrive(): void {
    this.total += 1;
    this.#options.onChange?.();
  }

  /**
   * Waits for a pod that takes one request more.
   * @param bytes What the request costs while it waits.
   * @throws GateError when there is no room to wait, when it took too long, or when `signal` says that nobody waits any more.
   */
  async pass(bytes: number, signal: AbortSignal, holdMs = this.#options.holdMs): Promise<Pass> {
    const free = this.#waiters.size === 0 ? this.#choose() : undefined;
    if (free) return this.#take(free);
    const { room } = this.#options;
    if (room.requests < 1 || room.bytes < bytes)
      throw new GateError('Full', 'too many requests wait for this service to start');
    if (signal.aborted) throw new GateError('Gone', 'the client went away');
    room.requests -= 1;
    room.bytes -= bytes;
    const { promise, resolve, reject } = Promise.withResolvers<Pass>();
    const leave = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', gone);
      if (!this.#waiters.delete(waiter)) return;
      room.requests += 1;
      room.bytes += bytes;
      this.#options.onChange?.();
    };
    const waiter: Waiter = {
      bytes,
      admit: (pass) => {
        leave();
        resolve(pass);
      },
      refuse: (error) => {
        leave();
        reject(error);
      },
    };
    const gone = () => waiter.refuse(new GateError('Gone', 'the client went away'));
    const late = () => waiter.refuse(new GateError('TimedOut', 'no pod of this service was ready in time'));
    const timer = setTimeout(late, holdMs);
    signal.addEventListener('abort', gone);
    this.#waiters.add(waiter);
    this.#options.onChange?.();
    return await promise;
  }

  /** Refuses all that wait: this Service is not stood in for any more, or the activator ends. */
  close(message: string): void {
    for (const waiter of this.#waiters) waiter.refuse(new GateError('Gone', message));
  }

  #flow(): void {
    for (const waiter of this.#waiters) {
      const backend = this.#choose();
      if (!backend) return;
      waiter.admit(this.#take(backend));
    }
  }

  #isOpen(backend: Backend): boolean {
    const key = keyOf(backend);
    return (backend.isReady || this.#proven.has(key)) && !this.#distrusted.has(key);
  }

  /** The pod with the fewest requests in work. */
  #choose(): Backend | undefined {
    let best: Backend | undefined;
    let least = this.#options.perBackend;
    for (const backend of this.#backends) {
      const working = this.#working.get(keyOf(backend)) ?? 0;
      if (working >= least || !this.#isOpen(backend)) continue;
      best = backend;
      least = working;
    }
    return best;
  }

  #take(backend: Backend): Pass {
    const key = keyOf(backend);
    this.#working.set(key, (this.#working.get(key) ?? 0) + 1);
    this.inFlight += 1;
    this.#options.onChange?.();
    let isReleased = false;
    const release = () => {
      if (isReleased) return;
      isReleased = true;
      const left = (this.#working.get(key) ?? 1) - 1;
      if (left > 0) this.#working.set(key, left);
      else this.#working.delete(key);
      this.inFlight -= 1;
      this.#options.onChange?.();
      this.#flow();
    };
    return { backend, release };
  }
}

const keyOf = ({ host, port }: Backend): string => `${host}:${port}`;
