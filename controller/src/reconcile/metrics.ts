// Metrics under the names of client-go and controller-runtime, so that dashboards made for Go operators work here.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export interface Metrics {
  registry: Registry;
  queueDepth: Gauge<'name' | 'controller'>;
  queueAdds: Counter<'name' | 'controller'>;
  queueSeconds: Histogram<'name' | 'controller'>;
  workSeconds: Histogram<'name' | 'controller'>;
  unfinishedSeconds: Gauge<'name' | 'controller'>;
  longestRunningSeconds: Gauge<'name' | 'controller'>;
  queueRetries: Counter<'name' | 'controller'>;
  reconciles: Counter<'controller' | 'result'>;
  reconcileErrors: Counter<'controller'>;
  terminalErrors: Counter<'controller'>;
  reconcileSeconds: Histogram<'controller'>;
  activeWorkers: Gauge<'controller'>;
  maxWorkers: Gauge<'controller'>;
  restRequests: Counter<'code' | 'method'>;
  watchesOpened: Counter<'what' | 'resource'>;
  leader: Gauge<'name'>;
  eventsDropped: Counter;
  clockAhead: Gauge;
}

export function createMetrics(options: { processMetrics?: boolean } = {}): Metrics {
  const registry = new Registry();
  const registers = [registry];
  if (options.processMetrics ?? true) collectDefaultMetrics({ register: registry });
  const queue = ['name', 'controller'] as const;
  const controller = ['controller'] as const;
  // client-go's buckets: 10 ns to 1000 s; the lowest are of no use here.
  const seconds = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Counter<L>({ name, help, labelNames, registers });
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Gauge<L>({ name, help, labelNames, registers });
  const histogram = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Histogram<L>({ name, help, labelNames, buckets: seconds, registers });
  return {
    registry,
    queueDepth: gauge('workqueue_depth', 'Keys that wait to be reconciled', queue),
    queueAdds: counter('workqueue_adds_total', 'Keys added to the queue', queue),
    queueSeconds: histogram('workqueue_queue_duration_seconds', 'How long a key waits before it is reconciled', queue),
    workSeconds: histogram('workqueue_work_duration_seconds', 'How long the reconcile of a key takes', queue),
    unfinishedSeconds: gauge('workqueue_unfinished_work_seconds', 'Age of all reconciles under way, summed', queue),
    longestRunningSeconds: gauge(
      'workqueue_longest_running_processor_seconds',
      'Age of the oldest reconcile under way',
      queue,
    ),
    queueRetries: counter('workqueue_retries_total', 'Keys added again after a failure', queue),
    reconciles: counter('controller_runtime_reconcile_total', 'Reconciles by result', ['controller', 'result']),
    reconcileErrors: counter('controller_runtime_reconcile_errors_total', 'Reconciles that failed', controller),
    terminalErrors: counter(
      'controller_runtime_terminal_reconcile_errors_total',
      'Reconciles that no retry can help',
      controller,
    ),
    reconcileSeconds: histogram('controller_runtime_reconcile_time_seconds', 'How long a reconcile takes', controller),
    activeWorkers: gauge('controller_runtime_active_workers', 'Reconciles under way', controller),
    maxWorkers: gauge('controller_runtime_max_concurrent_reconciles', 'Most reconciles at once', controller),
    restRequests: counter('rest_client_requests_total', 'Requests to the API server by answer', ['code', 'method']),
    watchesOpened: counter('quintet_watch_opens_total', 'Lists and watches opened', ['what', 'resource']),
    leader: gauge('leader_election_master_status', '1 while this process leads', ['name']),
    clockAhead: new Gauge({
      name: 'quintet_clock_ahead_seconds',
      help: "By how much this replica's clock is ahead of the API server's; 0 while they agree",
      registers,
    }),
    eventsDropped: new Counter({
      name: 'quintet_events_dropped_total',
      help: 'Events not written because there were too many',
      registers,
    }),
  };
}
