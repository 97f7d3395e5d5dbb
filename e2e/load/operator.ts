// The controller beside a controller-runtime operator that writes as many objects: make bench NAME=operator
//   node e2e/load/operator.ts [--quick] [--json FILE] [--count N] [--rounds N] [--only fieldjobs|services|scale|unrelated|profile]
// profile writes a CPU profile of one run into build/profiles, for a browser's developer tools, and measures nothing else.
// Each measurement has an API server of its own (etcd and kube-apiserver, no controllers), ours and the reference in turn.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { median, type Row, report, row } from '@quintet/runtime/bench';
import { type Measurement, measure } from './measure.ts';
import { buildOurs, buildReference, type Operator, ours, reference } from './operators.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    count: { type: 'string' },
    rounds: { type: 'string' },
    only: { type: 'string' },
  },
});
const count = Number(values.count ?? (values.quick ? 150 : 1000));
const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
const wanted = (name: string) => values.only === undefined || values.only.split(',').includes(name);

buildOurs();
await buildReference();

const rows: Row[] = [];
if (wanted('fieldjobs'))
  rows.push(...(await compare('suspended FieldJobs', 'FieldJob', 0, { time: 1 / 1.2, memory: 150 })));
if (wanted('services'))
  rows.push(
    ...(await compare('CompressionServices at 0', 'CompressionService', 3, { time: 1, memory: 150, cpu: 0.5 })),
  );
if (wanted('scale') && !values.quick) rows.push(...(await scaling()));
if (wanted('unrelated')) rows.push(...(await unrelated()));
if (values.only === 'profile') {
  const folder = join(import.meta.dirname, '../../build/profiles');
  say(describe(await measure(ours(folder), { kind: 'CompressionService', count })));
  say(`the profile is in ${folder}`);
} else report(rows, values.json);

/** `configMaps`: objects that the reference writes beyond its three, so that both write the same number. */
async function compare(
  title: string,
  kind: 'FieldJob' | 'CompressionService',
  configMaps: number,
  targets: { time: number; memory: number; cpu?: number },
): Promise<Row[]> {
  const results: Record<'ours' | 'reference', Measurement[]> = { ours: [], reference: [] };
  for (let round = 1; round <= rounds; round++) {
    // Alternating, and each first in turn, so that a machine that slows down or warms up favours neither.
    const pair: [keyof typeof results, Operator][] = [
      ['ours', ours()],
      ['reference', reference(kind, configMaps)],
    ];
    for (const [name, operator] of round % 2 === 1 ? pair : pair.reverse()) {
      const result = await measure(operator, { kind, count });
      results[name].push(result);
      say(`${title}, round ${round} of ${rounds}, ${name}: ${describe(result)}`);
    }
  }
  const size = `${count} resources × ${3 + configMaps} objects`;
  const line = (
    metric: string,
    unit: string,
    pick: (m: Measurement) => number,
    target: { absolute?: number; ratio?: number },
  ) =>
    row(
      {
        bench: 'operator',
        case: title,
        size,
        metric,
        unit,
        better: 'lower',
        ours: median(results.ours.map(pick)),
        peers: { 'controller-runtime': median(results.reference.map(pick)) },
      },
      target,
    );
  return [
    line('all Ready', 's', ({ allReadySeconds }) => allReadySeconds, { ratio: targets.time }),
    line('p99 to Ready', 's', ({ p99Seconds }) => p99Seconds, { ratio: targets.time }),
    line('CPU until Ready', 's', ({ cpuSeconds }) => cpuSeconds, targets.cpu ? { ratio: targets.cpu } : {}),
    line('memory', 'MiB', ({ residentMiB }) => residentMiB, { absolute: targets.memory }),
  ];
}

/** Five times as many must not take more than five times as long, within a fifth. */
async function scaling(): Promise<Row[]> {
  const small = await measure(ours(), { kind: 'CompressionService', count });
  const large = await measure(ours(), { kind: 'CompressionService', count: 5 * count });
  say(`scaling: ${describe(small)} → ${describe(large)}`);
  const factor = large.allReadySeconds / small.allReadySeconds;
  return [
    row(
      {
        bench: 'operator',
        case: 'five times as many',
        size: `${count} → ${5 * count}`,
        metric: 'time factor',
        unit: '×',
        better: 'lower',
        ours: factor,
        peers: {},
      },
      { absolute: 6 },
    ),
    row({
      bench: 'operator',
      case: 'five times as many',
      size: `${5 * count} resources`,
      metric: 'memory',
      unit: 'MiB',
      better: 'lower',
      ours: large.residentMiB,
      peers: {},
    }),
  ];
}

/** Pods of others are none of ours: the same work beside 10 000 of them. */
async function unrelated(): Promise<Row[]> {
  const pods = values.quick ? 1000 : 10_000;
  const alone = await measure(ours(), { kind: 'CompressionService', count });
  const beside = await measure(ours(), { kind: 'CompressionService', count, unrelatedPods: pods });
  say(`beside ${pods} unrelated pods: ${describe(alone)} → ${describe(beside)}`);
  return [
    row(
      {
        bench: 'operator',
        case: 'unrelated pods',
        size: `${count} resources, 0 → ${pods} pods`,
        metric: 'memory factor',
        unit: '×',
        better: 'lower',
        ours: beside.residentMiB / alone.residentMiB,
        peers: {},
      },
      { absolute: 1.1 },
    ),
  ];
}

function describe({ allReadySeconds, p50Seconds, p99Seconds, cpuSeconds, residentMiB }: Measurement): string {
  return `all Ready ${allReadySeconds.toFixed(1)} s, p50 ${p50Seconds.toFixed(1)} s, p99 ${p99Seconds.toFixed(1)} s, CPU ${cpuSeconds.toFixed(1)} s, ${Math.round(residentMiB)} MiB`;
}

function say(line: string): void {
  console.log(line);
}
