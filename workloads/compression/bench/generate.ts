// Generated JSON, logs and dialogue, with known outliers.
import type { Random } from './random.ts';

const cities = ['Lisbon', 'Graz', 'Turku', 'Ghent', 'Bergen', 'Brno', 'Split', 'Malaga', 'Cork', 'Uppsala'];
const products = [
  'kettle',
  'desk lamp',
  'bicycle pump',
  'wool blanket',
  'chess set',
  'router',
  'rain jacket',
  'field notebook',
];
const people = [
  'Amara Obi',
  'Jonas Lind',
  'Priya Nair',
  'Mateo Ruiz',
  'Hana Sato',
  'Lena Vogel',
  'Omar Haddad',
  'Ewa Nowak',
];

/** Orders; two or three are unlike the rest: a status of their own, or an amount far off. */
export function jsonRecords(random: Random, pretty: boolean): { text: string; outliers: string[] } {
  const count = 60 + random.integer(40);
  const odd = new Set(random.shuffled([...Array(count).keys()]).slice(0, 3));
  const records = [...Array(count).keys()].map((i) => {
    const record = {
      id: `ord-${10_000 + i * 7 + random.integer(7)}`,
      customer: random.pick(people),
      product: random.pick(products),
      city: random.pick(cities),
      amount: Number((20 + random.next() * 80).toFixed(2)),
      tracking: `TRK${100_000 + random.integer(900_000)}`,
      status: random.next() < 0.7 ? 'delivered' : 'shipped',
    };
    if (!odd.has(i)) return record;
    if (random.next() < 0.5) record.amount = Number((4000 + random.next() * 5000).toFixed(2));
    else record.status = random.pick(['chargeback', 'lost in transit', 'refused at customs']);
    return record;
  });
  const outliers = records
    .filter((_, i) => odd.has(i))
    .map((record) => (record.amount > 1000 ? String(record.amount) : record.status));
  const rows = records.map((record) => JSON.stringify(record));
  return {
    text: pretty ? JSON.stringify({ exported: '2026-11-20', orders: records }, null, 2) : `[\n${rows.join(',\n')}\n]`,
    outliers,
  };
}

/** A service's log: a few kinds of line over and over, about 1.5 % that are not. */
export function logLines(random: Random): { text: string; outliers: string[] } {
  const lines: string[] = [];
  const outliers: string[] = [];
  let clock = Date.UTC(2026, 10, 20, 8, random.integer(60), random.integer(60));
  const count = 200 + random.integer(100);
  const odd = new Set(random.shuffled([...Array(count).keys()]).slice(0, Math.round(count * 0.015)));
  for (let i = 0; i < count; i++) {
    clock += 50 + random.integer(4000);
    const at = new Date(clock).toISOString();
    const line = odd.has(i) ? oddLine(random) : usualLine(random);
    lines.push(`${at} ${line}`);
    if (odd.has(i)) outliers.push(lines[lines.length - 1] as string);
  }
  return { text: `${lines.join('\n')}\n`, outliers };
}

function usualLine(random: Random): string {
  const hex = (): string => (random.integer(0x7fffffff) + 0x10000000).toString(16);
  const kind = random.integer(10);
  if (kind < 5)
    return `INFO  [http] ${random.pick(['GET', 'GET', 'POST'])} /api/v1/${random.pick(['orders', 'items', 'users'])}/${random.integer(9000)} 200 ${5 + random.integer(40)}ms request=${hex()}`;
  if (kind < 7)
    return `INFO  [worker-${random.integer(4)}] job ${hex()} finished in ${100 + random.integer(300)}ms, ${random.integer(50)} rows written`;
  if (kind < 8) return `DEBUG [cache] evicted ${random.integer(90)} entries, ${1000 + random.integer(9000)} remain`;
  if (kind < 9)
    return `INFO  [auth] user ${random.pick(people).split(' ')[0]?.toLowerCase()} signed in from 10.0.${random.integer(255)}.${random.integer(255)}`;
  return `INFO  [scheduler] next run of ${random.pick(['cleanup', 'report', 'sync'])} in ${random.integer(600)} s`;
}

function oddLine(random: Random): string {
  return random.pick([
    () =>
      `ERROR [db] connection to replica-${random.integer(9)} refused: too many clients (${100 + random.integer(100)})`,
    () =>
      `INFO  [http] GET /api/v1/orders/${random.integer(9000)} 200 ${20_000 + random.integer(30_000)}ms request=${random.integer(0x7fffffff).toString(16)}`,
    () =>
      `INFO  [http] POST /api/v1/orders/${random.integer(9000)} 503 ${5 + random.integer(40)}ms request=${random.integer(0x7fffffff).toString(16)}`,
    () => `WARN  [disk] volume data-${random.integer(5)} is ${91 + random.integer(8)}% full`,
    () => `FATAL [worker-${random.integer(4)}] out of memory: heap at ${3900 + random.integer(150)} MB`,
    () => `INFO  [config] feature flag checkout-${random.integer(99)} switched off by ${random.pick(people)}`,
  ])();
}

/** People settling facts in turns, with small talk between. */
export function dialogue(random: Random): string {
  const [a, b] = random.shuffled(people).map((name) => name.split(' ')[0]) as [string, string];
  const small = [
    'That works for me.',
    'Let me check that for a second.',
    'Sorry, the line was bad just now.',
    'Good point, thank you.',
    'I had not thought of that before.',
    'Shall we move on to the next one?',
    'Right, that is what I remembered too.',
    'Can you say that again, please?',
  ];
  const facts = [
    () =>
      `The ${random.pick(products)} supplier in ${random.pick(cities)} quoted ${100 + random.integer(900)} euros for batch ${random.integer(90_000)}.`,
    () =>
      `We ship container ${random.pick(['MSKU', 'TGHU', 'CMAU'])}${100_000 + random.integer(900_000)} to ${random.pick(cities)} on the ${1 + random.integer(28)}th.`,
    () =>
      `${random.pick(people)} moved the ${random.pick(['audit', 'launch', 'review', 'training'])} in ${random.pick(cities)} to room ${100 + random.integer(800)}.`,
    () =>
      `The invoice for the ${random.pick(products)} order has number INV-${10_000 + random.integer(90_000)} and is not paid yet.`,
    () =>
      `Please call ${random.pick(people)} about the ${random.pick(['lease', 'insurance', 'warranty', 'visa'])} under extension ${1000 + random.integer(9000)}.`,
    () =>
      `Our ${random.pick(['warehouse', 'workshop', 'office'])} in ${random.pick(cities)} used ${1000 + random.integer(9000)} kilowatt hours last ${random.pick(['month', 'quarter'])}.`,
  ];
  const turns: string[] = [];
  for (let i = 0; i < 90; i++) {
    const said = [random.pick(small)];
    if (random.next() < 0.55) said.push(random.pick(facts)());
    if (random.next() < 0.3) said.push(random.pick(small));
    turns.push(`${i % 2 === 0 ? a : b}: ${said.join(' ')}`);
  }
  return `${turns.join('\n')}\n`;
}
