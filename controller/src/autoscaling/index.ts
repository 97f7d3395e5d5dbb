// The autoscaler of a controller: which caches it reads, and whom it tells.
import { compressionService, copyEngine, matcherPool } from '@quintet/crds';
import type { Registry } from 'prom-client';
import type { Log } from '../kube/log.ts';
import { types } from '../objects/types.ts';
import type { Recorder } from '../reconcile/events.ts';
import type { Watches } from '../reconcile/watches.ts';
import { Autoscaler, type AutoscalerOptions, type Rival } from './autoscaler.ts';
import { createScalingMetrics } from './metrics.ts';
import { Scraper } from './scrape.ts';

interface Wiring extends Pick<AutoscalerOptions, 'onChange' | 'isOurs' | 'intervalMs' | 'now'> {
  watches: Watches;
  recorder: Recorder;
  registry: Registry;
  log: Log;
}

const aimOf = (rival: Rival) => ({ spec: { scaleTargetRef: rival.spec?.scaleTargetRef ?? {} } });

export function autoscalerOf({ watches, recorder, registry, ...options }: Wiring): Autoscaler {
  const kinds = [compressionService, matcherPool, copyEngine].map((definition) => {
    const { group, version, plural, kind } = definition;
    const { store } = watches.all({ group, version, plural, kind, namespaced: true });
    return { definition, resources: store };
  });
  return new Autoscaler({
    ...options,
    kinds,
    deployments: watches.own(types.deployment).store,
    pods: watches.own(types.pod).store,
    rivals: watches.foreign(types.horizontalPodAutoscaler, aimOf).store,
    scraper: new Scraper(),
    metrics: createScalingMetrics(registry),
    onEvent: (resource, note) => recorder.record(resource, note),
  });
}
