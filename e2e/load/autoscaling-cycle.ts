// One cycle of the autoscaler over many resources: pages of real size, fetched over real connections from a process of
// its own, parsed and decided on.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Session } from 'node:inspector/promises';
import { compressionService } from '@quintet/crds';
import { type Row, row } from '@quintet/runtime/bench';
import { Autoscaler } from '../../controller/src/autoscaling/autoscaler.ts';
import { Prometheus } from '../../controller/src/autoscaling/prometheus.ts';
import { Scraper } from '../../controller/src/autoscaling/scrape.ts';
import { keyOf } from '../../controller/src/kube/paths.ts';
import { Cache } from '../../controller/src/kube/store.ts';
import type { KubeObject } from '../../controller/src/kube/types.ts';
import { resourceIndex, resourceIndexValue } from '../../controller/src/reconcile/ownership.ts';

const podsEach = 10;

export async function cycleRows(quick: boolean): Promise<Row[]> {
  const resources = quick ? 50 : 500;
  const server = spawn(process.execPath, ['-e', script, String(resources * podsEach)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [line] = (await once(server.stdout, 'data')) as [Buffer];
    const port = Number(line.toString());
    const { seconds, cpuSeconds, heap, gained } = await measure(resources, port);
    const base = { bench: 'autoscaling', case: 'one cycle', better: 'lower' as const, peers: {} };
    const size = `${resources} resources, ${resources * podsEach} pods`;
    return [
      row({ ...base, size, metric: 'slowest of five cycles', unit: 's', ours: seconds }, { absolute: 5 }),
      row({ ...base, size, metric: 'CPU time of the busiest', unit: 's', ours: cpuSeconds }),
      // Of the 180 MiB that the chart gives the controller.
      row({ ...base, size, metric: 'heap in use afterwards', unit: 'MiB', ours: heap }, { absolute: 128 }),
      row({ ...base, size, metric: 'heap gained by ten cycles more', unit: 'MiB', ours: gained }, { absolute: 8 }),
    ];
  } finally {
    server.kill();
  }
}

interface Measured {
  seconds: number;
  cpuSeconds: number;
  /** MiB. */
  heap: number;
  gained: number;
}

async function measure(count: number, port: number): Promise<Measured> {
  const cache = () => new Cache({ [resourceIndex]: resourceIndexValue });
  const [resources, deployments, pods, rivals] = [cache(), cache(), cache(), cache()];
  for (let i = 0; i < count; i++) fill(i, { resources, deployments, pods });
  const autoscaler = new Autoscaler({
    kinds: [{ definition: compressionService, resources }],
    deployments,
    pods,
    rivals,
    scraper: new Scraper(),
    prometheus: new Prometheus(),
    onChange: () => undefined,
    port,
  });
  let slowest = 0;
  let busiest = 0;
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    const before = process.cpuUsage();
    await autoscaler.cycle();
    slowest = Math.max(slowest, performance.now() - start);
    const { user, system } = process.cpuUsage(before);
    busiest = Math.max(busiest, (user + system) / 1e6);
  }
  const undecided = [...resources.values()].filter(
    ({ metadata }) => autoscaler.of('CompressionService', keyOf(metadata), metadata.uid)?.active.status !== 'True',
  );
  const heap = await heapInUse();
  for (let i = 0; i < 10; i++) await autoscaler.cycle();
  const gained = (await heapInUse()) - heap;
  await autoscaler.stop();
  if (undecided.length > 0) throw new Error(`${undecided.length} resources were not decided on`);
  return { seconds: slowest / 1000, cpuSeconds: busiest, heap, gained: Math.max(0, gained) };
}

/** MiB of this process that are held: what is not is collected first. */
async function heapInUse(): Promise<number> {
  const session = new Session();
  session.connect();
  await session.post('HeapProfiler.collectGarbage');
  session.disconnect();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

function fill(i: number, { resources, deployments, pods }: Record<'resources' | 'deployments' | 'pods', Cache>): void {
  const name = `service-${i}`;
  const namespace = 'team';
  const put = (into: Cache, object: object) => into.put(object as KubeObject);
  const spec = { autoscaling: { maxReplicas: 20, predictive: {} } };
  put(resources, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'CompressionService',
    metadata: { name, namespace, uid: name, resourceVersion: '1' },
    spec,
  });
  put(deployments, {
    metadata: { name: `${name}-compression`, namespace, resourceVersion: '1' },
    spec: { replicas: podsEach },
  });
  const labels = { 'quintet.dev/kind': 'CompressionService', 'quintet.dev/name': name };
  for (let pod = 0; pod < podsEach; pod++) {
    const serial = i * podsEach + pod;
    // Every pod its own address of the loopback network, hence its own connection.
    const podIP = `127.1.${serial >> 8}.${serial & 255}`;
    const status = { phase: 'Running', podIP, conditions: [{ type: 'Ready', status: 'True' }] };
    put(pods, { metadata: { name: `p${serial}`, namespace, uid: `p${serial}`, labels, resourceVersion: '1' }, status });
  }
}

/** A page of some 300 lines, as an engine writes. */
const script = `
  const lines = ['quintet_requests_in_flight 3', 'process_start_time_seconds 1000', 'process_cpu_seconds_total 55', 'quintet_cpu_limit 1'];
  for (const priority of ['High', 'Normal', 'Low']) lines.push('quintet_queue_depth{queue="compress",priority="' + priority + '"} 1');
  for (let route = 0; route < 8; route++) {
    lines.push('quintet_requests_total{route="/v1/r' + route + '",method="POST",status="200"} 100');
    for (const le of [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, '+Inf'])
      lines.push('quintet_request_seconds_bucket{le="' + le + '",route="/v1/r' + route + '",method="POST"} 100');
  }
  for (let i = lines.length; i < 300; i++) lines.push('nodejs_something_' + i + '{kind="k' + i + '"} ' + i);
  const page = lines.join('\\n');
  const http = require('node:http');
  const serve = (serial, port) => new Promise((resolve) => {
    const server = http.createServer({ keepAliveTimeout: 60000 }, (_, response) => response.end(page));
    server.listen(port, '127.1.' + (serial >> 8) + '.' + (serial & 255), () => resolve(server.address().port));
  });
  (async () => {
    const port = await serve(0, 0);
    for (let serial = 1; serial < Number(process.argv[1]); serial++) await serve(serial, port);
    console.log(port);
  })();
`;
