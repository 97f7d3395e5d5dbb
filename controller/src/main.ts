// The controller: settings → connection → watches → lease → workers, and the way back on SIGTERM.
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { pino } from 'pino';
import { autoscalerOf } from './autoscaling/index.ts';
import { tellerOf } from './autoscaling/teller.ts';
import { kinds } from './kinds/index.ts';
import { together } from './kinds/serving/scaling.ts';
import { Client } from './kube/client.ts';
import { loadConnection } from './kube/config.ts';
import { Elector } from './kube/lease.ts';
import { Recorder } from './reconcile/events.ts';
import { Controller } from './reconcile/loop.ts';
import { createMetrics } from './reconcile/metrics.ts';
import { startServer } from './reconcile/server.ts';
import { Shard } from './reconcile/shard.ts';
import { Watches } from './reconcile/watches.ts';
import { settingsFrom } from './settings.ts';

/** A reconcile at work for longer than this hangs: its calls time out long before. */
const stuckAfterMs = 5 * 60_000;

const settings = settingsFrom(process.env);
const log = pino({ level: settings.QUINTET_LOG_LEVEL, base: null, timestamp: pino.stdTimeFunctions.isoTime });
const connection = await loadConnection(process.env);
const metrics = createMetrics();
const onRequest = (method: string, code: string) => metrics.restRequests.inc({ method, code });
const identity = `${settings.POD_NAME ?? hostname()}_${randomBytes(4).toString('hex')}`;

// The lease has a client of its own: a renewal must not wait behind a storm of applies.
const leaseClient = new Client(connection, { connections: 1, timeoutMs: 5_000, onRequest });
const elector = new Elector({
  client: leaseClient,
  namespace: settings.QUINTET_LEASE_NAMESPACE,
  name: settings.QUINTET_LEASE_NAME,
  identity,
  onLost: (reason) => exit(1, `leadership lost: ${reason}`),
  log,
});
const leads = () => !settings.QUINTET_LEADER_ELECTION || elector.leads;
const client = new Client(connection, { mayWrite: leads, onRequest, onClockSkew });
const watches = new Watches({
  client,
  namespaces: settings.QUINTET_NAMESPACES,
  log,
  onOpen: (what, type) => metrics.watchesOpened.inc({ what, resource: type.plural }),
});
const shard = settings.QUINTET_SHARD_SELECTOR ? new Shard(settings.QUINTET_SHARD_SELECTOR, { client, log }) : undefined;
const recorder = new Recorder({
  client,
  instance: settings.POD_NAME ?? hostname(),
  log,
  now: () => client.now(),
  onDropped: () => metrics.eventsDropped.inc(),
});
const reconcile = (kind: string, key: string) =>
  controllers.find(({ name }) => name === kind.toLowerCase())?.queue.add(key);
const { autoscaler, healer, activators } = autoscalerOf({
  client,
  watches,
  recorder,
  log,
  registry: metrics.registry,
  // A clock that never jumps: histories and windows are lengths of time.
  now: () => performance.timeOrigin + performance.now(),
  intervalMs: settings.QUINTET_AUTOSCALING_INTERVAL_MS,
  activator: settings.QUINTET_ACTIVATOR,
  prometheusURL: settings.QUINTET_PROMETHEUS_URL,
  limitToFreeGpus: settings.QUINTET_LIMIT_TO_FREE_GPUS,
  namespaces: settings.QUINTET_NAMESPACES,
  prices: { cpuHour: settings.QUINTET_PRICE_CPU_HOUR, gpuHour: settings.QUINTET_PRICE_GPU_HOUR },
  ...(shard && { isOurs: (namespace: string) => shard.has(namespace) }),
  onChange: reconcile,
});
const teller = tellerOf({
  watches,
  log,
  ...(shard && { isOurs: (namespace: string) => shard.has(namespace) }),
  onChange: reconcile,
});
const controllers: Controller[] = kinds(
  settings.engines,
  (...which) => together(autoscaler.of(...which), healer.of(...which)),
  (...which) => teller.of(...which),
).map(
  (kind) =>
    new Controller(kind, {
      client,
      watches,
      metrics,
      recorder,
      log,
      workers: settings.QUINTET_CONCURRENCY,
      ...(shard && { shard }),
    }),
);

const server = await startServer({
  host: settings.QUINTET_HOST,
  port: settings.QUINTET_PORT,
  registry: metrics.registry,
  missing: () =>
    [
      ...watches.missing,
      ...(shard && !shard.isSynced ? ['namespaces'] : []),
      ...(activators && !activators.isSynced ? ['activators'] : []),
    ].map((plural) => `${plural} are not listed yet`),
  stuck: () =>
    controllers
      .filter(({ oldestWorkMs }) => oldestWorkMs > stuckAfterMs)
      .map(({ name, oldestWorkMs }) => `a reconcile of ${name} hangs since ${Math.round(oldestWorkMs / 1000)} s`),
});
log.info({ port: server.port, server: connection.server, kinds: controllers.map(({ name }) => name) }, 'serving');

let stopping = false;
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop(signal));

watches.start();
shard?.start();
activators?.start();
await Promise.all([watches.synced(), shard?.synced, activators?.synced]);
if (settings.QUINTET_LEADER_ELECTION) await elector.acquire();
if (!stopping) {
  metrics.leader.set({ name: settings.QUINTET_LEASE_NAME }, 1);
  for (const controller of controllers) controller.start();
  autoscaler.start();
  healer.start();
  teller.start();
  log.info({ identity, concurrency: settings.QUINTET_CONCURRENCY }, 'reconciling');
}

/** Reconciles under way end, then the lease goes, so that the next leader starts at once and never beside us. */
async function stop(signal: string): Promise<void> {
  stopping = true;
  log.info({ signal }, 'stopping');
  setTimeout(() => exit(1, 'did not stop in time'), 25_000).unref();
  await Promise.all([autoscaler.stop(), healer.stop(), teller.stop()]);
  await Promise.all(controllers.map((controller) => controller.stop()));
  await recorder.stop();
  if (settings.QUINTET_LEADER_ELECTION) await elector.release();
  await Promise.all([watches.stop(), shard?.stop(), activators?.stop()]);
  await server.close();
  exit(0, 'stopped');
}

/** Times are told by the API server's clock, so this hinders nothing here; whatever else runs on this node may suffer. */
function onClockSkew(aheadMs: number): void {
  metrics.clockAhead.set(aheadMs / 1000);
  if (aheadMs === 0) log.info("this node's clock agrees with the API server's again");
  else log.warn({ aheadSeconds: aheadMs / 1000 }, "this node's clock is not the API server's; set it by NTP");
}

function exit(code: number, message: string): void {
  log[code === 0 ? 'info' : 'fatal']({}, message);
  process.exit(code);
}
