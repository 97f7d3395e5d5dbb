// What the autoscaler tells of itself.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { type Anomalies, figures } from './anomaly.ts';
import type { Outcome } from './resource.ts';

export interface ScalingMetrics {
  desired: Gauge<'kind' | 'namespace' | 'name'>;
  value: Gauge<'kind' | 'namespace' | 'name' | 'metric'>;
  forecast: Gauge<'kind' | 'namespace' | 'name'>;
  forecastError: Gauge<'kind' | 'namespace' | 'name'>;
  forecastFollowed: Gauge<'kind' | 'namespace' | 'name'>;
  changes: Counter<'kind' | 'namespace' | 'name' | 'direction'>;
  podSeconds: Counter<'kind' | 'namespace' | 'name'>;
  cpuSeconds: Counter<'kind' | 'namespace' | 'name'>;
  gpuSeconds: Counter<'kind' | 'namespace' | 'name'>;
  cost: Counter<'kind' | 'namespace' | 'name'>;
  tenantCost: Counter<'kind' | 'namespace' | 'name' | 'tenant'>;
  failures: Counter;
  cycleSeconds: Histogram;
  /** What was decided about one resource. */
  note(labels: Labels, decided: Pick<Outcome, 'scaling' | 'by' | 'ratios' | 'forecast'>): void;
  /** What tenants are to pay of one resource. */
  charge(labels: Labels, costs: ReadonlyMap<string, number>): void;
  /** Of one that is scaled no more nothing is told. */
  forget(labels: Labels): void;
}

/** Each is a series: those that come after so many share one, whatever pods say of themselves. */
const mostTenants = 500;
const otherTenants = 'other';

interface Labels {
  kind: string;
  namespace: string;
  name: string;
}

export interface HealingMetrics {
  actions: Counter<'kind' | 'namespace' | 'name' | 'action' | 'outcome'>;
  /** How far figures of one service are off what is usual. */
  note(labels: Labels, anomalies: Anomalies): void;
  /** Of one that is looked at no more nothing is told. */
  forget(labels: Labels): void;
}

export function createHealingMetrics(registry: Registry): HealingMetrics {
  const sigmas = new Gauge({
    name: 'quintet_anomaly_sigmas',
    help: 'Standard deviations of a figure of a service from what is usual of it; beyond 2 and -2 it is unusual',
    labelNames: ['kind', 'namespace', 'name', 'figure'],
    registers: [registry],
  });
  return {
    note: (labels, anomalies) => {
      for (const [figure, watched] of anomalies) {
        if (watched.sigmas === undefined) sigmas.remove({ ...labels, figure });
        else sigmas.set({ ...labels, figure }, watched.sigmas);
      }
    },
    forget: (labels) => {
      for (const figure of figures) sigmas.remove({ ...labels, figure });
    },
    actions: new Counter({
      name: 'quintet_healing_actions_total',
      help: 'Actions of self-healing: done, observed only, or over the budget',
      labelNames: ['kind', 'namespace', 'name', 'action', 'outcome'],
      registers: [registry],
    }),
  };
}

export function createScalingMetrics(registry: Registry): ScalingMetrics {
  const metrics = scalingSeries(registry);
  const named = new Map<string, { ratios: ReadonlySet<string>; tenants: Set<string> }>();
  const of = ({ kind, namespace, name }: Labels) => {
    const key = `${kind} ${namespace}/${name}`;
    const known = named.get(key) ?? { ratios: new Set<string>(), tenants: new Set<string>() };
    named.set(key, known);
    return known;
  };
  return {
    ...metrics,
    note: (labels, { scaling, by, ratios, forecast }) => {
      if (scaling.replicas === undefined) metrics.desired.remove(labels);
      else metrics.desired.set(labels, scaling.replicas);
      const known = of(labels);
      // What is not known now is not told as it was.
      for (const metric of known.ratios) if (!ratios.has(metric)) metrics.value.remove({ ...labels, metric });
      for (const [metric, ratio] of ratios) metrics.value.set({ ...labels, metric }, ratio);
      known.ratios = new Set(ratios.keys());
      if (by !== 0) metrics.changes.inc({ ...labels, direction: by > 0 ? 'Up' : 'Down' });
      if (!forecast) {
        forgetForecast(metrics, labels);
        return;
      }
      metrics.forecast.set(labels, forecast.replicas);
      metrics.forecastError.set(labels, forecast.error);
      metrics.forecastFollowed.set(labels, forecast.isFollowed ? 1 : 0);
    },
    charge: (labels, costs) => {
      const { tenants } = of(labels);
      for (const [tenant, cost] of costs) {
        if (tenants.size < mostTenants) tenants.add(tenant);
        metrics.tenantCost.inc({ ...labels, tenant: tenants.has(tenant) ? tenant : otherTenants }, cost);
      }
    },
    forget: (labels) => {
      const { desired, podSeconds, cpuSeconds, gpuSeconds, cost, changes, value, tenantCost } = metrics;
      for (const each of [desired, podSeconds, cpuSeconds, gpuSeconds, cost]) each.remove(labels);
      forgetForecast(metrics, labels);
      for (const direction of ['Up', 'Down']) changes.remove({ ...labels, direction });
      const { ratios, tenants } = of(labels);
      for (const metric of ratios) value.remove({ ...labels, metric });
      for (const tenant of [...tenants, otherTenants]) tenantCost.remove({ ...labels, tenant });
      named.delete(`${labels.kind} ${labels.namespace}/${labels.name}`);
    },
  };
}

function forgetForecast(
  {
    forecast,
    forecastError,
    forecastFollowed,
  }: Pick<ScalingMetrics, 'forecast' | 'forecastError' | 'forecastFollowed'>,
  labels: Labels,
): void {
  for (const each of [forecast, forecastError, forecastFollowed]) each.remove(labels);
}

function scalingSeries(registry: Registry): Omit<ScalingMetrics, 'note' | 'charge' | 'forget'> {
  const registers = [registry];
  const resource = ['kind', 'namespace', 'name'] as const;
  return {
    desired: new Gauge({
      name: 'quintet_autoscaling_desired_replicas',
      help: 'Pods that the autoscaler asks for',
      labelNames: resource,
      registers,
    }),
    value: new Gauge({
      name: 'quintet_autoscaling_metric_ratio',
      help: 'Measured value over its target; 1 is on target',
      labelNames: [...resource, 'metric'],
      registers,
    }),
    forecast: new Gauge({
      name: 'quintet_autoscaling_forecast_replicas',
      help: 'Pods that the forecast asks for, whether it is acted on or not',
      labelNames: resource,
      registers,
    }),
    forecastError: new Gauge({
      name: 'quintet_autoscaling_forecast_error_ratio',
      help: 'Measured error of the forecast as a share of the mean demand',
      labelNames: resource,
      registers,
    }),
    forecastFollowed: new Gauge({
      name: 'quintet_autoscaling_forecast_followed',
      help: '1 while the forecast is acted on: it beats the naive one, and the mode lets it',
      labelNames: resource,
      registers,
    }),
    changes: new Counter({
      name: 'quintet_autoscaling_changes_total',
      help: 'Changes of the count of pods',
      labelNames: [...resource, 'direction'],
      registers,
    }),
    podSeconds: new Counter({
      name: 'quintet_autoscaling_pod_seconds_total',
      help: 'Seconds that pods of scaled resources ran, summed over pods',
      labelNames: resource,
      registers,
    }),
    cpuSeconds: new Counter({
      name: 'quintet_autoscaling_cpu_seconds_total',
      help: 'Seconds that CPUs were set aside for scaled resources, summed over CPUs',
      labelNames: resource,
      registers,
    }),
    cost: new Counter({
      name: 'quintet_autoscaling_cost_total',
      help: 'Price of the CPUs and GPUs of scaled resources, by the prices of the installation',
      labelNames: resource,
      registers,
    }),
    tenantCost: new Counter({
      name: 'quintet_autoscaling_tenant_cost_total',
      help: 'The same price, shared by tenants as they used units; without a tenant while nobody did',
      labelNames: [...resource, 'tenant'],
      registers,
    }),
    gpuSeconds: new Counter({
      name: 'quintet_autoscaling_gpu_seconds_total',
      help: 'Seconds that GPUs were held by scaled resources, summed over GPUs',
      labelNames: resource,
      registers,
    }),
    failures: new Counter({
      name: 'quintet_autoscaling_scrape_failures_total',
      help: 'Metrics pages that could not be read',
      registers,
    }),
    cycleSeconds: new Histogram({
      name: 'quintet_autoscaling_cycle_seconds',
      help: 'Time of one cycle over all scaled resources: scrape and decide',
      buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30],
      registers,
    }),
  };
}
