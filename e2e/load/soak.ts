// What only time shows, of all five kinds: make soak MINUTES=10
//   node e2e/load/soak.ts [--minutes 10] [--only steady,churn,isolation,fuzz] [--seed 1]
// steady: nothing is written while nothing changes. churn: creates, updates, deletes and faults; then nothing is missed,
// nothing is orphaned and the heap has not grown. isolation: one resource beside a hundred in trouble. fuzz: 2 000 specs
// of each kind. A verdict per check; exit status 1 when one fails.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { auditEvents, isWrite } from '../cluster/audit.ts';
import { seededRandom } from '../faults/plan.ts';
import { eventually } from '../kubectl.ts';
import { Conductors } from './conductors.ts';
import { isolation } from './isolation.ts';
import { freshNamespace, missed, nameOf, orphans, pluralOf, settled, varied } from './varied.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    only: { type: 'string' },
    seed: { type: 'string', default: '1' },
  },
});
const minutes = Number(values.minutes);
const wanted = (name: string) => values.only === undefined || values.only.split(',').includes(name);
const namespace = 'soak';

const say = (line: string) => console.log(`[${new Date().toISOString().slice(11, 19)}] ${line}`);
const verdicts: { check: string; holds: boolean; figure: string }[] = [];
const verdict = (check: string, holds: boolean, figure: string) => {
  verdicts.push({ check, holds, figure });
  say(`${holds ? 'holds' : 'FAILS'}: ${check} (${figure})`);
};

if (wanted('steady') || wanted('churn')) {
  const conductors = await Conductors.start(say);
  try {
    if (wanted('steady')) await steady(conductors);
    if (wanted('churn')) await churn(conductors);
  } finally {
    await conductors.stop();
  }
}
if (wanted('isolation')) {
  const { holds, figure } = await isolation(say);
  verdict('a change has its effect within 2 s at p99 beside 100 in trouble', holds, figure);
}
if (wanted('fuzz')) fuzz(2000);
console.log('');
for (const { check: name, holds, figure } of verdicts)
  console.log(`${holds ? 'holds' : 'FAILS'}  ${name.padEnd(64)} ${figure}`);
process.exit(verdicts.every(({ holds }) => holds) ? 0 : 1);

/** The suite that the tests run with a few specs, with many. */
function fuzz(specs: number): void {
  const suite = join(import.meta.dirname, '../suites/conductor-fuzz.api.test.ts');
  const { status } = spawnSync('vitest', ['run', '--project', 'api', suite], {
    cwd: join(import.meta.dirname, '../..'),
    stdio: 'inherit',
    env: { ...process.env, QUINTET_FUZZ_SPECS: String(specs) },
  });
  verdict(`${specs} specs of each kind are built and taken`, status === 0, 'counts above');
}

/** 100 resources of all kinds, all settled: the API server sees no write of ours but the renewals of the lease. */
async function steady({ kubectl, api }: Conductors): Promise<void> {
  await freshNamespace(kubectl, namespace);
  for (let index = 0; index < 100; index++) await kubectl.apply(JSON.stringify(varied(namespace, index, 0)));
  await settled(kubectl, namespace, 100);
  await sleep(10_000);
  const since = new Date();
  say(`100 resources are settled; counting writes for ${minutes} minutes`);
  await sleep(minutes * 60_000);
  const writes = auditEvents(api.auditLogPath, since).filter((each) => isWrite(each) && each.userAgent === 'quintet');
  const others = writes.filter(({ objectRef }) => objectRef?.resource !== 'leases');
  for (const { verb, requestURI } of others.slice(0, 5)) say(`  ${verb} ${requestURI}`);
  const figure = `${others.length} writes, ${writes.length - others.length} lease renewals`;
  verdict(`no write in ${minutes} min with 100 resources of five kinds`, others.length === 0, figure);
}

async function churn(conductors: Conductors): Promise<void> {
  const { kubectl } = conductors;
  await freshNamespace(kubectl, namespace);
  const next = seededRandom(Number(values.seed));
  const start = Date.now();
  const end = start + minutes * 60_000;
  const alive = new Map<number, number>();
  const heaps: { name: string; usedMiB: number; resources: number }[] = [];
  const dealt = new Map<string, number>();
  let changes = 0;
  let faultAt = start + 20_000;
  let sampleAt = start + 30_000;
  while (Date.now() < end) {
    await change(conductors, alive, Math.floor(next() * 60), next() < 0.25);
    changes++;
    if (Date.now() > faultAt) {
      // Nobody is killed in the second half: the heap of one process is to be watched.
      const fault = await deal(conductors, next, Date.now() - start < (end - start) / 2);
      dealt.set(fault, (dealt.get(fault) ?? 0) + 1);
      faultAt = Date.now() + 10_000 + next() * 20_000;
    }
    if (Date.now() > sampleAt) {
      const heap = await conductors.heap().catch(() => undefined);
      if (heap) heaps.push({ ...heap, resources: alive.size });
      sampleAt = Date.now() + 20_000;
      say(`${changes} changes, ${alive.size} resources, ${heap?.name} holds ${heap?.usedMiB.toFixed(1)} MiB`);
    }
  }
  await settled(kubectl, namespace, alive.size);
  await eventually('changes are followed', async () => (await missed(kubectl, namespace, alive)).length === 0, {
    timeoutMs: 60_000,
  }).catch(() => undefined);
  const left = await missed(kubectl, namespace, alive);
  const faults = [...dealt].map(([fault, times]) => `${times} × ${fault}`).join(', ');
  verdict(`every one of ${changes} changes was followed`, left.length === 0, `${left.length} missed; ${faults}`);
  await eventually('orphans are collected', async () => (await orphans(kubectl, namespace)).length === 0).catch(
    () => undefined,
  );
  const orphaned = await orphans(kubectl, namespace);
  verdict(
    'no child without its resource',
    orphaned.length === 0,
    `${orphaned.length} ${orphaned.slice(0, 3).join(' ')}`,
  );
  verdict('no controller ended by itself', conductors.ended.length === 0, conductors.ended.join(' ') || 'none');
  judgeHeap(heaps);
}

async function change(
  { kubectl }: Conductors,
  alive: Map<number, number>,
  index: number,
  gone: boolean,
): Promise<void> {
  const revision = alive.get(index);
  if (revision !== undefined && gone) {
    const args = ['delete', pluralOf(index), nameOf(index), '-n', namespace, '--wait=false'];
    await eventually('a delete is taken', () => kubectl.run(args).then(() => true, isGone));
    alive.delete(index);
    return;
  }
  const revised = (revision ?? 0) + 1;
  const document = JSON.stringify(varied(namespace, index, revised));
  await eventually('a change is taken', () => kubectl.apply(document).then(() => true));
  alive.set(index, revised);
}

/** A delete that was carried out though its answer was lost. */
function isGone(error: Error): boolean {
  if (error.message.includes('not found')) return true;
  throw error;
}

async function deal(conductors: Conductors, next: () => number, mayKill: boolean): Promise<string> {
  const { kubectl, api } = conductors;
  const child = async () => {
    const names = await kubectl.run(['get', 'deployments', '-n', namespace, '-o', 'name']).catch(() => '');
    const all = names.trim().split('\n');
    return all[Math.floor(next() * all.length)] ?? '';
  };
  const faults: [string, () => Promise<unknown>][] = [
    ['API server restarted', () => api.restartApiServer()],
    ['API server held for 5 s', () => api.pauseApiServer(5_000)],
    ['child deleted', async () => kubectl.run(['delete', await child(), '-n', namespace, '--wait=false'])],
    ['child changed', async () => kubectl.run(['scale', await child(), '-n', namespace, '--replicas=1'])],
    [
      'labels taken',
      async () => kubectl.run(['label', await child(), '-n', namespace, 'app.kubernetes.io/managed-by-']),
    ],
  ];
  if (mayKill) faults.push(['leader killed', () => conductors.killLeader()]);
  const [name, fault] = faults[Math.floor(next() * faults.length)] as (typeof faults)[number];
  // What it was to happen to may be gone by now.
  await fault().catch(() => undefined);
  return name;
}

/** Of the process that led to the end: what it holds after a full collection, by the last third against the first. */
function judgeHeap(heaps: { name: string; usedMiB: number; resources: number }[]): void {
  const last = heaps.at(-1)?.name;
  const own = heaps.filter(({ name }) => name === last).map(({ usedMiB }) => usedMiB);
  const third = Math.floor(own.length / 3);
  const [first, final] = [median(own.slice(0, third)), median(own.slice(-third))];
  const figure = `${first.toFixed(1)} → ${final.toFixed(1)} MiB after collection, ${own.length} samples of ${last}`;
  // Less than this is noise of so few samples: compiled code, and resources that happen to be there.
  verdict('the heap does not grow', third >= 2 && final <= first * 1.05 + 1, figure);
}

function median(numbers: number[]): number {
  return numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}
