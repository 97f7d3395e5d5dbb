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
  #usage: Usage;
  #toldAt: number;

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
    const ahead = uid === undefined ? 0 : Number.parseInt(hashOf(uid).slice(0, 8), 16) % toldEveryMs;
    this.#toldAt = now - ahead;
  }

  /**
   * Counts `seconds` in which these pods ran.
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
    const onGpu = running.filter((pod) => pod.metadata.labels?.['quintet.dev/backend'] === 'gpu').length;
    const { requests, limits } = spec.resources ?? {};
    // Without a request Kubernetes takes the limit for one.
    const cpuSeconds = seconds * running.length * (quantityOf(requests?.cpu ?? limits?.cpu) ?? 0);
    const gpuSeconds = seconds * onGpu * spec.gpu.count;
    const cost = (cpuSeconds * this.#prices.cpuHour + gpuSeconds * this.#prices.gpuHour) / 3600;
    const labels = { kind, namespace: metadata.namespace ?? '', name: metadata.name };
    if (running.length > 0) metrics?.podSeconds.inc(labels, seconds * running.length);
    if (cpuSeconds > 0) metrics?.cpuSeconds.inc(labels, cpuSeconds);
    if (gpuSeconds > 0) metrics?.gpuSeconds.inc(labels, gpuSeconds);
    if (cost > 0) {
      metrics?.cost.inc(labels, cost);
      metrics?.charge(labels, new Map(sharesOf(units).map(([tenant, share]) => [tenant, cost * share])));
    }
    this.#usage = {
      cpuHours: this.#usage.cpuHours + cpuSeconds / 3600,
      gpuHours: this.#usage.gpuHours + gpuSeconds / 3600,
      cost: this.#usage.cost + cost,
    };
    if (now - this.#toldAt < toldEveryMs) return false;
    this.#toldAt = now;
    this.told = this.#usage;
    return true;
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
