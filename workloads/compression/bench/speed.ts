// Time on one core: documents of a thousand tokens, sumy's LexRank at 500 sentences, and a hundred thousand tokens.
import { type Measured, median, type Row, row } from '@quintet/runtime/bench';
import { compress } from '../src/compress.ts';
import { readDocument } from '../src/document.ts';
import { tokenizer } from '../src/tokens.ts';
import { corpus } from './corpus.ts';
import { sumy } from './peers.ts';
import { seeded } from './random.ts';

export function speed(quick: boolean, python: string | undefined): Row[] {
  return [smallDocuments(quick), sentences(quick ? 200 : 500, python), large(quick ? 20_000 : 100_000)];
}

const base = { bench: 'compression', metric: 'CPU time', unit: 'ms', better: 'lower' } as const;

/** Different texts of six kinds cut to about 1 000 tokens, with a query each, fidelity measured: what a service does per request. */
function smallDocuments(quick: boolean): Row {
  const texts = corpus(3, quick ? 2 : 6).map(({ text, kind, questions }) => ({
    text: kind === 'json' && !text.startsWith('[') ? text : text.slice(0, text.lastIndexOf('\n', 4200) + 1),
    query: questions[0]?.query ?? '',
  }));
  const within = texts.filter(({ text }) => text.length <= 4500 && text.length > 3000);
  for (const each of within) compress({ ...each, ratio: 8 });
  const rounds = quick ? 3 : 10;
  const times = Array.from(
    { length: rounds },
    () => cpu(() => within.forEach((each) => compress({ ...each, ratio: 8 }))) / within.length,
  );
  return row(
    {
      ...base,
      case: 'a document of 1 k tokens',
      size: `${within.length} documents × ${rounds}`,
      ours: median(times),
      peers: {},
    },
    { absolute: 7 },
  );
}

function sentences(count: number, python: string | undefined): Row {
  const text = prose(count);
  const document = readDocument(text, 'prose', tokenizer('o200k_base'), 96);
  const ours = (): number => cpu(() => compress({ text, ratio: 8, strategy: 'extractive', fidelity: false }));
  ours();
  const times = [ours(), ours(), ours(), ours(), ours()];
  const peer = python ? sumy(python, 'LexRank', [document, document, document]) : undefined;
  const measured: Measured = {
    ...base,
    case: 'extractive summary',
    size: `${document.units.length} sentences`,
    ours: median(times),
    peers: peer ? { 'sumy LexRank': median(peer.map((each) => each.seconds)) * 1000 } : {},
  };
  return row(measured, { ratio: count >= 500 ? 100 : 10 });
}

function large(tokens: number): Row {
  const text = prose(Math.ceil(tokens / 14));
  const count = tokenizer('o200k_base').count(text);
  compress({ text: text.slice(0, 20_000), ratio: 8 });
  const times = [1, 2, 3].map(() => cpu(() => compress({ text, ratio: 8, query: 'Which team moved to Lisbon?' })));
  return row(
    { ...base, case: 'one long document', size: `${count} tokens`, ours: median(times), peers: {} },
    { absolute: 1000 },
  );
}

const subjects = [
  'The harbour master',
  'A second survey',
  'The finance team',
  'Our laboratory',
  'The night shift',
  'An early report',
  'The northern depot',
];
const verbs = ['measured', 'rejected', 'moved', 'confirmed', 'postponed', 'repaired', 'described'];
const objects = [
  'the tide gauges',
  'three of the invoices',
  'a shipment of valves',
  'the older cables',
  'every second sample',
  'the contract',
  'two pumps',
];

function prose(count: number): string {
  const random = seeded(11);
  const parts = Array.from(
    { length: count },
    (_, i) =>
      `${random.pick(subjects)} ${random.pick(verbs)} ${random.pick(objects)} in week ${random.integer(52)} near site ${random.integer(9000)}.${i % 6 === 5 ? '\n\n' : ' '}`,
  );
  return parts.join('');
}

/** CPU milliseconds of this process: other work on the machine does not count. */
function cpu(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
