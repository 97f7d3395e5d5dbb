// The activator's process: settings → watch of EndpointSlices → listeners, and the way back on SIGTERM.
import { pino } from 'pino';
import { pause } from '../kube/backoff.ts';
import { Client } from '../kube/client.ts';
import { loadConnection } from '../kube/config.ts';
import { Watcher } from '../kube/watcher.ts';
import type { EndpointSlice } from '../objects/endpointslice.ts';
import { types } from '../objects/types.ts';
import { labels, managedBy } from '../reconcile/kind.ts';
import { Activator } from './activator.ts';
import { activatorPage } from './page.ts';
import { routesOf } from './routes.ts';
import { activatorSettings } from './settings.ts';

const settings = activatorSettings(process.env);
const log = pino({ level: settings.QUINTET_LOG_LEVEL, base: null, timestamp: pino.stdTimeFunctions.isoTime });
const client = new Client(await loadConnection(process.env), { mayWrite: () => false, connections: 2 });
// The Service's own slices bear its labels, too: one watch brings both sides.
const slices = new Watcher<EndpointSlice>({
  client,
  type: types.endpointSlice,
  namespaces: settings.QUINTET_NAMESPACES,
  labelSelector: `${labels.managedBy}=${managedBy}`,
  log,
});
const activator = new Activator({
  room: { requests: settings.QUINTET_ACTIVATOR_MAX_WAITING, bytes: settings.QUINTET_ACTIVATOR_MAX_BYTES },
  holdMs: settings.QUINTET_ACTIVATOR_HOLD_SECONDS * 1000,
  perBackend: settings.QUINTET_ACTIVATOR_PER_POD,
  log,
});
let isReady = false;
const page = activatorPage({ activator, instance: `${settings.POD_NAME}_${Date.now()}`, isReady: () => isReady });
await page
  .listen({ host: '::', port: settings.QUINTET_PORT })
  .catch(() => page.listen({ host: '0.0.0.0', port: settings.QUINTET_PORT }));

for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop(signal));

let isDue = false;
slices.onChange(() => {
  // A list brings many changes at once: they are looked at together.
  if (isDue || !slices.isSynced) return;
  isDue = true;
  setImmediate(() => void follow());
});
slices.start();
await slices.synced;
await follow();
isReady = true;
log.info({ port: settings.QUINTET_PORT }, 'serving');

async function follow(): Promise<void> {
  isDue = false;
  await activator.follow(routesOf(slices.store.values(), settings.QUINTET_ACTIVATOR));
}

/** By now nobody sends new requests here: those that came are brought to their end. */
async function stop(signal: string): Promise<void> {
  log.info({ signal, load: activator.load }, 'stopping');
  isReady = false;
  const until = performance.now() + settings.QUINTET_ACTIVATOR_HOLD_SECONDS * 1000;
  while (activator.load > 0 && performance.now() < until) await pause(200, new AbortController().signal);
  await activator.close();
  await page.close();
  await slices.stop();
  process.exit(0);
}
