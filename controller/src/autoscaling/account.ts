// What a scaled resource has used, what it had better ask for, and what its forecast has learnt: told together, now and then.
import type { Served } from '../kinds/serving/engines.ts';
import type { Scaling } from '../kinds/serving/scaling.ts';
import type { Pod } from '../objects/types.ts';
import { Advice } from './advice.ts';
import { Bill, type Prices } from './bill.ts';
import type { ScalingMetrics } from './metrics.ts';
import type { PodSignals } from './signals.ts';

interface Stretch {
  resource: Served;
  pods: readonly Pod[];
  signals: ReadonlyMap<string, PodSignals>;
  scaling: Scaling | undefined;
  seconds: number;
  now: number;
  metrics: ScalingMetrics | undefined;
}

export class Account {
  /** As it was told last: what the status is to say. */
  told: Pick<Scaling, 'usage' | 'recommendation' | 'learnt'> = {};
  readonly #bill: Bill;
  readonly #advice = new Advice();

  constructor(prices: Prices, { status, metadata }: Served, now: number) {
    this.#bill = new Bill(prices, status?.usage, now, metadata.uid);
  }

  /**
   * @param learnt What the forecast has learnt by now.
   * @returns Whether there is something to tell.
   */
  add({ resource, pods, signals, scaling, seconds, now, metrics }: Stretch, learnt: () => string | undefined): boolean {
    const said = pods.flatMap(({ metadata }) => signals.get(metadata.uid ?? '') ?? []);
    this.#advice.add(said, scaling, seconds);
    if (!this.#bill.add(resource, pods, seconds, now, metrics, unitsOf(said))) return false;
    const { told: usage } = this.#bill;
    const recommendation = this.#advice.of(resource);
    const known = learnt();
    this.told = {
      ...(usage && { usage }),
      ...(recommendation !== undefined && { recommendation }),
      ...(known !== undefined && { learnt: known }),
    };
    return true;
  }
}

/** Of all pods, by tenant. */
function unitsOf(said: readonly PodSignals[]): Map<string, number> {
  const all = new Map<string, number>();
  for (const { units } of said)
    for (const [tenant, rate] of units ?? []) all.set(tenant, (all.get(tenant) ?? 0) + rate);
  return all;
}
