// The autoscaler of a controller: which caches it reads, and whom it tells.
import { compressionService, copyEngine, fieldJob, matcherPool } from '@quintet/crds';
import type { Registry } from 'prom-client';
import type { Client } from '../kube/client.ts';
import type { Log } from '../kube/log.ts';
import { Watcher } from '../kube/watcher.ts';
import { labelOfService } from '../objects/endpointslice.ts';
import { types } from '../objects/types.ts';
import type { Recorder } from '../reconcile/events.ts';
import type { Watches } from '../reconcile/watches.ts';
import { Autoscaler, type AutoscalerOptions } from './autoscaler.ts';
import { noPrices } from './bill.ts';
import { evict } from './evict.ts';
import { Fronts } from './fronts.ts';
import { Healer } from './healer.ts';
import { mark } from './idlest.ts';
import { createHealingMetrics, createScalingMetrics } from './metrics.ts';
import { Places } from './places.ts';
import { Prometheus } from './prometheus.ts';
import { Queues } from './queues.ts';
import type { Rival } from './rivals.ts';
import { Scraper } from './scrape.ts';

interface Wiring
  extends Pick<AutoscalerOptions, 'onChange' | 'isOurs' | 'intervalMs' | 'now' | 'prometheusURL' | 'prices'> {
  client: Client;
  watches: Watches;
  recorder: Recorder;
  registry: Registry;
  log: Log;
  /** The activators' Service: NAMESPACE/NAME. Left out: there are none. */
  activator?: string | undefined;
  /** Whether free GPUs and quotas are looked at, and the namespaces of this installation: empty is the whole cluster. */
  limitToFreeGpus: boolean;
  namespaces: readonly string[];
}

const aimOf = (rival: Rival) => ({ spec: { scaleTargetRef: rival.spec?.scaleTargetRef ?? {} } });

/** Of their health, metrics and queue. */
const activatorPort = 8081;

export interface Wired {
  autoscaler: Autoscaler;
  healer: Healer;
  /** Follows the activators themselves: to be started and stopped with the other watches. */
  activators: Watcher | undefined;
}

export function autoscalerOf(wiring: Wiring): Wired {
  const { client, watches, recorder, registry, activator, limitToFreeGpus, namespaces, ...options } = wiring;
  const pods = watches.own(types.pod).store;
  const kinds = [compressionService, matcherPool, copyEngine, fieldJob].map((definition) => {
    const { group, version, plural, kind } = definition;
    const { store } = watches.all({ group, version, plural, kind, namespaced: true });
    return { definition, resources: store };
  });
  const [namespace = '', name = ''] = activator?.split('/') ?? [];
  const activators =
    activator === undefined
      ? undefined
      : new Watcher({
          client,
          type: types.endpointSlice,
          namespaces: [namespace],
          labelSelector: `${labelOfService}=${name}`,
          log: options.log,
        });
  const fronts =
    activator !== undefined &&
    activators &&
    new Fronts({
      activator,
      activators: activators.store,
      slices: watches.own(types.endpointSlice).store,
      queues: new Queues({ port: activatorPort, onAlarm: (service) => autoscaler.wake(service) }),
    });
  const { cpuHour, gpuHour } = options.prices ?? noPrices;
  const isPriced = cpuHour > 0 || gpuHour > 0;
  const autoscaler = new Autoscaler({
    ...options,
    kinds,
    deployments: watches.own(types.deployment).store,
    pods,
    configMaps: watches.own(types.configMap).store,
    rivals: watches.foreign(types.horizontalPodAutoscaler, aimOf).store,
    mark: (chosen) => mark(client, chosen),
    scraper: new Scraper({}, isPriced),
    prometheus: new Prometheus(),
    ...(fronts && { fronts }),
    ...(limitToFreeGpus && { places: new Places({ client, pods, namespaces, log: options.log }) }),
    metrics: createScalingMetrics(registry),
    onEvent: (resource, note) => recorder.record(resource, note),
  });
  const { intervalMs: _own, now: _clock, prometheusURL: _url, prices: _prices, ...shared } = options;
  const healer = new Healer({
    ...shared,
    kinds,
    pods,
    configMaps: watches.own(types.configMap).store,
    replace: (pod) => evict(client, pod),
    mark: (chosen) => mark(client, chosen),
    scaling: (...which) => autoscaler.of(...which),
    scraper: new Scraper(),
    metrics: createHealingMetrics(registry),
    onEvent: (resource, note) => recorder.record(resource, note),
    now: () => client.now().getTime(),
  });
  return { autoscaler, healer, activators };
}
