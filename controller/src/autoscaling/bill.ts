// What scaled resources use and what that costs: counted cycle by cycle, told in the status now and then.
import type { Served } from '../kinds/serving/engines.ts';
import type { Usage } from '../kinds/serving/scaling.ts';
import { hashOf } from '../objects/meta.ts';
import type { Pod } from '../objects/types.ts';
import type { ScalingMetrics } from './metrics.ts';
import { quantityOf } from './settings.ts';

/** In the installation's currency; 0: it is not told. */
export interface Prices {
  cpuHour: number;
  gpuHour: number;
}

export const noPrices: Prices = { cpuHour: 0, gpuHour: 0 };

/** A status is written for it no more often than that. */
const toldEveryMs = 15 * 60_000;

export class Bill {
  /** As it was told last: what the status is to say. */
  told: Usage | undefined;
  readonly #prices: Prices;
  #usage: Omit<Usage, 'countedUntil'>;
  #toldAt: number;
  /** From when on former leaders have counted nothing; undefined: that is counted by now, or nobody knows. */
  #uncountedSince: number | undefined;

  /**
   * @param before What the status says: of former leaders.
   * @param uid Of the resource: a leader that begins with many does not tell of all at one moment.
   */
  constructor(prices: Prices, before: Record<string, string | undefined> | undefined, now: number, uid?: string) {
    this.#prices = prices;
    this.#usage = {
      cpuHours: hours(before?.['cpuHours']),
      gpuHours: hours(before?.['gpuHours']),
      cost: hours(before?.['cost']),
    };
    const since = before ? Date.parse(before['countedUntil'] ?? '') : Number.NEGATIVE_INFINITY;
    this.#uncountedSince = Number.isNaN(since) ? undefined : since;
    const ahead = uid === undefined ? 0 : Number.parseInt(hashOf(uid).slice(0, 8), 16) % toldEveryMs;
    this.#toldAt = now - ahead;
  }

  /**
   * Counts `seconds` in which these pods ran, and at first what they ran before while no leader counted.
   * @param units By which tenants used them: in these proportions they share the cost. Of what nobody used the tenant is ''.
   * @returns Whether it is time to tell.
   */
  add(
    { kind, metadata, spec }: Served,
    pods: readonly Pod[],
    seconds: number,
    now: number,
    metrics?: ScalingMetrics,
    units: ReadonlyMap<string, number> = new Map(),
  ): boolean {
    const running = pods.filter(({ status }) => status?.phase === 'Running');
    const onGpu = running.filter((pod) => pod.metadata.labels?.['quintet.dev/backend'] === 'gpu');
    const { requests, limits } = spec.resources ?? {};
    // Without a request Kubernetes takes the limit for one.
    const cpus = quantityOf(requests?.cpu ?? limits?.cpu) ?? 0;
    const cpuSeconds = seconds * running.length * cpus;
    const gpuSeconds = seconds * onGpu.length * spec.gpu.count;
    const cost = this.#costOf(cpuSeconds, gpuSeconds);
    const labels = { kind, namespace: metadata.namespace ?? '', name: metadata.name };
    if (running.length > 0) metrics?.podSeconds.inc(labels, seconds * running.length);
    if (cpuSeconds > 0) metrics?.cpuSeconds.inc(labels, cpuSeconds);
    if (gpuSeconds > 0) metrics?.gpuSeconds.inc(labels, gpuSeconds);
    if (cost > 0) {
      metrics?.cost.inc(labels, cost);
      metrics?.charge(labels, new Map(sharesOf(units).map(([tenant, share]) => [tenant, cost * share])));
    }
    const begin = now - 1000 * seconds;
    this.#use(
      cpuSeconds + this.#missed(running, begin) * cpus,
      gpuSeconds + this.#missed(onGpu, begin) * spec.gpu.count,
    );
    this.#uncountedSince = undefined;
    if (now - this.#toldAt < toldEveryMs) return false;
    this.#toldAt = now;
    // Of what rests the same is told, so that nothing is written.
    const { told } = this;
    const isSame = told && Object.entries(this.#usage).every(([name, used]) => used === told[name as keyof Usage]);
    if (!isSame) this.told = { ...this.#usage, countedUntil: new Date(now) };
    return true;
  }

  #use(cpuSeconds: number, gpuSeconds: number): void {
    this.#usage = {
      cpuHours: this.#usage.cpuHours + cpuSeconds / 3600,
      gpuHours: this.#usage.gpuHours + gpuSeconds / 3600,
      cost: this.#usage.cost + this.#costOf(cpuSeconds, gpuSeconds),
    };
  }

  #costOf(cpuSeconds: number, gpuSeconds: number): number {
    return (cpuSeconds * this.#prices.cpuHour + gpuSeconds * this.#prices.gpuHour) / 3600;
  }

  /** Seconds that these pods ran until then while nobody counted: no metrics' business, which former leaders have told of in part. */
  #missed(pods: readonly Pod[], until: number): number {
    const since = this.#uncountedSince;
    if (since === undefined) return 0;
    return pods.reduce((sum, { status }) => {
      const startedAt = Date.parse(status?.containerStatuses?.[0]?.state?.running?.startedAt ?? '');
      return Number.isNaN(startedAt) ? sum : sum + Math.max(0, until - Math.max(startedAt, since)) / 1000;
    }, 0);
  }
}

function sharesOf(units: ReadonlyMap<string, number>): [string, number][] {
  const total = [...units.values()].reduce((sum, each) => sum + each, 0);
  return total > 0 && Number.isFinite(total) ? [...units].map(([tenant, used]) => [tenant, used / total]) : [['', 1]];
}

/** Whatever a status says that is no figure is nothing. */
function hours(text: string | undefined): number {
  const value = Number(text ?? 0);
  return Number.isFinite(value) && value >= 0 ? value : 0;
}
