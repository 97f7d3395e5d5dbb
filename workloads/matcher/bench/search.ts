// Search among hashes that are skewed as real ones are, beside faiss, in one thread.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median, type Row, row } from '../../runtime/src/bench/table.ts';
import { HashIndex } from '../src/index/hash-index.ts';
import { distance } from '../src/pdq/pdq.ts';
import { query, skewed } from './hashes.ts';
import { peer } from './peers.ts';
import { random } from './pictures.ts';

const radius = 31;

export async function search(quick: boolean): Promise<Row[]> {
  const rows: Row[] = [];
  for (const count of quick ? [200_000] : [1_000_000, 10_000_000]) rows.push(...(await searchAmong(count, quick)));
  return rows;
}

async function searchAmong(count: number, quick: boolean): Promise<Row[]> {
  const next = random(count);
  const hashes = skewed(count, next);
  const before = process.memoryUsage().rss;
  const index = new HashIndex();
  const begun = performance.now();
  await index.load({
    count,
    hashes,
    numbers: Uint32Array.from({ length: count }, (_, i) => i),
    banks: new Uint16Array(count),
    flags: new Uint8Array(count),
  });
  await index.settle();
  const loaded = (performance.now() - begun) / 1000;
  const scan = new HashIndex({ tables: 0 });
  if (count <= 1_000_000) {
    await scan.load({
      count,
      hashes,
      numbers: Uint32Array.from({ length: count }, (_, i) => i),
      banks: new Uint16Array(count),
      flags: new Uint8Array(count),
    });
  }
  const queries = Array.from({ length: quick ? 200 : 1000 }, () => query(hashes, count, next));
  for (const each of queries.slice(0, 50)) index.search(each, radius);
  const timesOf = (which: HashIndex, asked: readonly Uint8Array[]) =>
    asked.map((each) => {
      const from = performance.now();
      which.search(each, radius);
      return performance.now() - from;
    });
  const times = timesOf(index, queries).sort((a, b) => a - b);
  const checked = queries.slice(0, count > 2_000_000 ? 10 : 30);
  const recall = recallOf(index, hashes, count, checked);
  const peers = await peersOf(hashes, queries);
  const size = `${(count / 1e6).toLocaleString('en')} M skewed`;
  const base = { bench: 'matcher', size, better: 'lower' } as const;
  const target = count >= 10_000_000 ? 5 : 1;
  const p50s = Object.fromEntries(Object.entries(peers).map(([name, { p50 }]) => [name, p50]));
  return [
    row(
      { ...base, case: 'search within 31', metric: 'p50', unit: 'ms', ours: median(times), peers: p50s },
      { absolute: target },
    ),
    row({
      ...base,
      case: 'search within 31',
      metric: 'p99',
      unit: 'ms',
      ours: times[Math.floor(times.length * 0.99)] as number,
      peers: {},
    }),
    row(
      {
        ...base,
        case: 'recall against brute force',
        size: `${size}, ${checked.length} queries`,
        metric: 'recall',
        unit: '',
        better: 'higher',
        ours: recall,
        peers: {},
      },
      { absolute: 1 },
    ),
    row(
      { ...base, case: 'memory', metric: 'an item', unit: 'bytes', ours: index.bytes / count, peers: {} },
      { absolute: 150 },
    ),
    row(
      { ...base, case: 'loading and building', metric: 'time', unit: 's', ours: loaded, peers: {} },
      count === 1_000_000 ? { absolute: 3 } : {},
    ),
    ...(count <= 1_000_000
      ? [
          row({
            ...base,
            case: 'search at level Memory',
            metric: 'p50',
            unit: 'ms',
            ours: median(timesOf(scan, queries.slice(0, 100))),
            peers: {},
          }),
          row({
            ...base,
            case: 'memory at level Memory',
            metric: 'an item',
            unit: 'bytes',
            ours: scan.bytes / count,
            peers: {},
          }),
        ]
      : [
          row({
            ...base,
            case: 'process memory grown',
            metric: 'an item',
            unit: 'bytes',
            ours: (process.memoryUsage().rss - before) / count,
            peers: {},
          }),
        ]),
  ];
}

async function peersOf(hashes: Uint8Array, queries: readonly Uint8Array[]) {
  const directory = await mkdtemp(join(tmpdir(), 'quintet-bench-'));
  try {
    await writeFile(join(directory, 'hashes'), hashes);
    await writeFile(join(directory, 'queries'), [...queries]);
    return await peer<Record<string, { p50: number }>>('search.py', [
      join(directory, 'hashes'),
      join(directory, 'queries'),
    ]);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function recallOf(index: HashIndex, hashes: Uint8Array, count: number, queries: readonly Uint8Array[]): number {
  let [found, wanted] = [0, 0];
  for (const each of queries) {
    const got = new Map(index.search(each, radius).map((match) => [match.number, match.distance]));
    for (let i = 0; i < count; i++) {
      const far = distance(each, hashes.subarray(32 * i, 32 * i + 32));
      if (far > radius) continue;
      wanted++;
      if (got.get(i) === far) found++;
    }
  }
  return wanted === 0 ? 1 : found / wanted;
}
