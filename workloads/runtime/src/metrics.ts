// Metrics shared by the parts: one registry per engine, and metrics that may be asked for twice without an error.
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

export { Counter, Gauge, Histogram, Registry };

/** Seconds; from a memory hit to a model that thinks for a minute. */
export const latencyBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

type Collect<M> = (this: M) => void | Promise<void>;

/** The counter of this name in the registry, made on first use. */
export function counter<L extends string>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly L[] = [],
): Counter<L> {
  return (
    (registry.getSingleMetric(name) as Counter<L> | undefined) ??
    new Counter({ name, help, labelNames, registers: [registry] })
  );
}

/** The gauge of this name in the registry, made on first use; `collect` runs at each scrape. */
export function gauge<L extends string>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly L[] = [],
  collect?: Collect<Gauge<L>>,
): Gauge<L> {
  const existing = registry.getSingleMetric(name) as Gauge<L> | undefined;
  return existing ?? new Gauge({ name, help, labelNames, registers: [registry], ...(collect ? { collect } : {}) });
}

/** The histogram of this name in the registry, made on first use. */
export function histogram<L extends string>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly L[] = [],
  buckets: number[] = latencyBuckets,
): Histogram<L> {
  return (
    (registry.getSingleMetric(name) as Histogram<L> | undefined) ??
    new Histogram({ name, help, labelNames, buckets, registers: [registry] })
  );
}

type Reading<L extends string> = () => Iterable<[labels: Partial<Record<L, string | number>>, value: number]>;
const readings = new WeakMap<object, Reading<string>[]>();

/** A gauge that is read at each scrape; several parts may add readings to the same one. */
export function gaugeOf<L extends string>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly L[],
  read: Reading<L>,
): void {
  const made = gauge(registry, name, help, labelNames, function () {
    for (const source of readings.get(this) ?? [])
      for (const [labels, value] of source()) this.set(labels as Record<L, string>, value);
  });
  const known = readings.get(made) ?? [];
  known.push(read as Reading<string>);
  readings.set(made, known);
}
