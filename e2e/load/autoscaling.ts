// The autoscaler beside the HPA's algorithm and KEDA's polling, over traces of load: the same decision code as in the
// controller, on pods that take time to start. Then one cycle over many resources, against pods that answer pages.
//   node e2e/load/autoscaling.ts [--quick] [--json FILE]
import { parseArgs } from 'node:util';
import { type Row, report, row } from '@quintet/runtime/bench';
import { cycleRows } from './autoscaling-cycle.ts';
import { type Outcome, simulate, strategies } from './autoscaling-simulator.ts';
import { traces } from './autoscaling-traces.ts';

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, json: { type: 'string' } },
});
// First, while this process is small.
const rows: Row[] = await cycleRows(values.quick);
const total = new Map<string, Outcome>();
for (const trace of traces(values.quick)) {
  const outcomes = strategies.map(({ name, ...strategy }) => ({ name, ...simulate(trace, strategy) }));
  for (const { name, ...one } of outcomes) add(name, one);
  rows.push(...rowsOf(trace.name, trace.size, (name) => outcomes.find((each) => each.name === name)));
}
rows.push(...rowsOf('all traces', `${traces(values.quick).length} traces`, (name) => total.get(name), true));
report(rows, values.json);

function add(name: string, one: Outcome): void {
  const sum = total.get(name) ?? { violations: 0, podHours: 0, turns: 0 };
  total.set(name, {
    violations: sum.violations + one.violations,
    podHours: sum.podHours + one.podHours,
    turns: sum.turns + one.turns,
  });
}

function rowsOf(name: string, size: string, of: (strategy: string) => Outcome | undefined, isTotal = false): Row[] {
  const peers = (pick: (one: Outcome) => number) => ({ HPA: pick(need(of('HPA'))), KEDA: pick(need(of('KEDA'))) });
  const ours = need(of('Quintet'));
  const base = { bench: 'autoscaling', case: name, size, better: 'lower' as const };
  const violations = {
    ...base,
    metric: 'requests over 1 s',
    unit: '',
    ours: ours.violations,
    peers: peers((one) => one.violations),
  };
  const hours = { ...base, metric: 'pod-hours', unit: 'h', ours: ours.podHours, peers: peers((one) => one.podHours) };
  const turns = {
    ...base,
    metric: 'changes of direction',
    unit: '',
    ours: ours.turns,
    peers: peers((one) => one.turns),
  };
  const { violations: hpaViolations, podHours: hpaHours } = need(of('HPA'));
  return [
    row(violations, isTotal ? { absolute: Math.floor(hpaViolations / 2) } : {}),
    row(hours, isTotal ? { absolute: hpaHours * 1.05 } : {}),
    row(turns, name === 'step' ? { absolute: 2 } : {}),
  ];
}

function need<T>(value: T | undefined): T {
  if (value === undefined) throw new TypeError('no such strategy');
  return value;
}
