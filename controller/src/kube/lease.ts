// Leader election on a coordination.k8s.io/v1 Lease, as client-go does it: a lease is judged by when *we* last saw it
// change, never by its timestamps, so clocks that disagree do no harm.
import { pause } from './backoff.ts';
import type { Client } from './client.ts';
import { isConflict, isNotFound } from './errors.ts';
import { type Log, silentLog } from './log.ts';
import type { KubeObject, ResourceType } from './types.ts';

export interface ElectorOptions {
  /** Give it a client of its own: a renewal must not queue behind other calls, nor be fenced. */
  client: Client;
  namespace: string;
  name: string;
  /** Unique among the candidates, e.g. the pod's name and a random part. */
  identity: string;
  /** How long others wait after the last renewal they saw. Default 15 000 ms. */
  leaseDurationMs?: number;
  /** A leader that could not renew for so long gives up. Less than the duration. Default 10 000 ms. */
  renewDeadlineMs?: number;
  /** Between two tries. Default 2 000 ms. */
  retryPeriodMs?: number;
  /** Called once when leadership is lost, not when it is released. The process should exit. */
  onLost: (reason: string) => void;
  log?: Log;
  /** Monotonic milliseconds. */
  now?: () => number;
  wallClock?: () => Date;
}

export const leases: ResourceType = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
};

export interface Lease extends KubeObject {
  spec: {
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    acquireTime?: string | undefined;
    renewTime?: string;
    leaseTransitions?: number;
  };
}

export class Elector {
  readonly #options: ElectorOptions;
  readonly #log: Log;
  readonly #durationMs: number;
  readonly #deadlineMs: number;
  readonly #periodMs: number;
  readonly #now: () => number;
  readonly #stop = new AbortController();
  #lease: Lease | undefined;
  /** When we first saw the lease as it is now, and for how long its holder may rely on that. */
  #observed = { version: '', at: 0, forMs: 0 };
  /** Start of the last renewal that succeeded. */
  #renewedAt = Number.NEGATIVE_INFINITY;
  #leads = false;
  #acquiring: Promise<boolean> = Promise.resolve(false);
  #renewing: Promise<void> = Promise.resolve();
  /** Whether the lease was ever written, or may have been: an answer may have been lost. */
  #mayHold = false;

  constructor(options: ElectorOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
    this.#durationMs = options.leaseDurationMs ?? 15_000;
    this.#deadlineMs = options.renewDeadlineMs ?? 10_000;
    this.#periodMs = options.retryPeriodMs ?? 2_000;
    this.#now = options.now ?? (() => performance.now());
    if (this.#deadlineMs >= this.#durationMs) throw new RangeError('renewDeadlineMs must be less than leaseDurationMs');
  }

  /**
   * Whether this process may write now. True only while nobody else can have taken the lease, also after the process
   * was frozen and before any timer ran: ask it before each write.
   */
  get leads(): boolean {
    return this.#leads && this.#now() < this.#renewedAt + this.#durationMs;
  }

  /** Resolves true once elected, and keeps renewing from then on; false when released before. */
  acquire(): Promise<boolean> {
    this.#acquiring = this.#acquire();
    return this.#acquiring;
  }

  /** Gives the lease up, also one that is being acquired just now, so that another takes it at its next try. */
  async release(): Promise<void> {
    this.#stop.abort();
    await this.#acquiring;
    await this.#renewing;
    this.#leads = false;
    if (!this.#mayHold) return;
    try {
      if (!this.#isHolder) await this.#read();
      if (!this.#lease || !this.#isHolder) return;
      const spec = { ...this.#lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: this.#microTime() };
      await this.#options.client.update(leases, { ...this.#lease, spec });
      this.#mayHold = false;
    } catch (error) {
      this.#log.warn({ err: error }, 'the lease could not be released; it runs out by itself');
    }
  }

  get #isHolder(): boolean {
    return this.#lease?.spec.holderIdentity === this.#options.identity;
  }

  async #acquire(): Promise<boolean> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const isElected = await this.#try();
      if (signal.aborted) return false;
      if (isElected) {
        this.#leads = true;
        this.#log.info({ lease: this.#options.name, identity: this.#options.identity }, 'leading');
        this.#renewing = this.#renew();
        return true;
      }
      // A standby looks twice as often as a leader renews: a lease that was given up is taken within a second.
      await pause(this.#periodMs * (0.4 + 0.1 * Math.random()), signal);
    }
    return false;
  }

  async #renew(): Promise<void> {
    const { signal } = this.#stop;
    for (;;) {
      await pause(this.#periodMs, signal);
      if (signal.aborted) return;
      const renewed = await this.#try();
      const held = !this.#lease || this.#lease.spec.holderIdentity === this.#options.identity;
      if (renewed) continue;
      if (held && this.#now() < this.#renewedAt + this.#deadlineMs) continue;
      this.#leads = false;
      const reason = held
        ? `not renewed within ${this.#deadlineMs} ms`
        : `taken by ${this.#lease?.spec.holderIdentity}`;
      this.#log.error({ lease: this.#options.name, reason }, 'leadership lost');
      this.#options.onLost(reason);
      return;
    }
  }

  /** One try to get or keep the lease. Every failure is the same here: not (yet) renewed. */
  async #try(): Promise<boolean> {
    const start = this.#now();
    try {
      if (!this.#lease || !this.#leads) await this.#read();
      if (!this.#lease) this.#observe(await this.#create());
      else if (this.#isFree(this.#lease)) this.#observe(await this.#take(this.#lease));
      else return false;
      this.#renewedAt = start;
      return true;
    } catch (error) {
      if (isConflict(error) || isNotFound(error)) await this.#read().catch(() => undefined);
      else this.#log.warn({ err: error, lease: this.#options.name }, 'the lease could not be read or written');
      return false;
    }
  }

  async #read(): Promise<void> {
    const { client, namespace, name } = this.#options;
    try {
      this.#observe(await client.get<Lease>(leases, { namespace, name }));
    } catch (error) {
      if (!isNotFound(error)) throw error;
      this.#lease = undefined;
    }
  }

  #observe(lease: Lease): void {
    this.#lease = lease;
    const version = lease.metadata.resourceVersion ?? '';
    if (version === this.#observed.version) return;
    const seconds = lease.spec.leaseDurationSeconds;
    this.#observed = { version, at: this.#now(), forMs: seconds === undefined ? this.#durationMs : seconds * 1000 };
  }

  #isFree({ spec }: Lease): boolean {
    if (!spec.holderIdentity || spec.holderIdentity === this.#options.identity) return true;
    return this.#now() >= this.#observed.at + this.#observed.forMs;
  }

  async #create(): Promise<Lease> {
    const { client, namespace, name } = this.#options;
    const metadata = { namespace, name };
    this.#mayHold = true;
    const spec = this.#spec(undefined);
    return await client.create<Lease>(leases, { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec });
  }

  async #take(lease: Lease): Promise<Lease> {
    this.#mayHold = true;
    return await this.#options.client.update<Lease>(leases, { ...lease, spec: this.#spec(lease.spec) });
  }

  #spec(previous: Lease['spec'] | undefined): Lease['spec'] {
    const now = this.#microTime();
    const ours = previous?.holderIdentity === this.#options.identity;
    const transitions = previous?.leaseTransitions ?? 0;
    return {
      holderIdentity: this.#options.identity,
      leaseDurationSeconds: Math.ceil(this.#durationMs / 1000),
      acquireTime: ours ? previous.acquireTime : now,
      renewTime: now,
      leaseTransitions: previous && !ours ? transitions + 1 : transitions,
    };
  }

  /** The server refuses times without exactly six fractional digits. */
  #microTime(): string {
    const date = this.#options.wallClock?.() ?? new Date();
    return date.toISOString().replace('Z', '000Z');
  }
}
