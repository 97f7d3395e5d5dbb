// Evolution beside FLAML, TPOT and LightGBM's defaults: same data, same seconds, same cores, in one run. Rows stand as soon as they are known.
//   node --conditions=source bench/main.ts [--quick] [--json FILE] [--parts training,racing,workers,quality]
//     quality: [--seconds 30] [--splits 5] [--only NAME,…]; racing and workers: [--rows 28572] [--search-seconds 600 of CPU, or 120] [--seeds 3]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { quality } from './quality.ts';
import { racing } from './racing.ts';
import { Results } from './results.ts';
import { trainingSpeed } from './training.ts';
import { workers } from './workers.ts';

const known = ['training', 'racing', 'workers', 'quality'];
const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    parts: { type: 'string' },
    seconds: { type: 'string' },
    splits: { type: 'string' },
    only: { type: 'string' },
    rows: { type: 'string' },
    'search-seconds': { type: 'string' },
    seeds: { type: 'string' },
  },
});
const { quick } = values;
const parts = new Set(values.parts?.split(',') ?? known);
const unknown = [...parts].filter((part) => !known.includes(part));
if (unknown.length > 0) {
  console.error(`no part is called ${unknown.join(', ')}; there are ${known.join(', ')}`);
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), 'quintet-bench-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
const results = new Results(values.json);
try {
  if (parts.has('training')) await trainingSpeed(quick, results);
  const searches = {
    folder,
    // Seven tenths of them teach: 20 000.
    rows: Number(values.rows ?? (quick ? 1500 : 28_572)),
    evaluations: quick ? 12 : 120,
    seeds: Number(values.seeds ?? (quick ? 1 : 3)),
  };
  const seconds = (usual: number): number => Number(values['search-seconds'] ?? (quick ? 20 : usual));
  if (parts.has('racing')) await racing({ ...searches, seconds: seconds(600) }, results);
  if (parts.has('workers')) await workers({ ...searches, seconds: seconds(120) }, results);
  if (parts.has('quality'))
    await quality(
      {
        folder,
        rows: quick ? 1500 : 4000,
        seconds: Number(values.seconds ?? (quick ? 5 : 30)),
        splits: Number(values.splits ?? (quick ? 1 : 5)),
        only: values.only?.split(',') ?? (quick ? ['diabetes', 'interactions'] : undefined),
        // TPOT needs more than a few seconds for its first generation.
        peers: quick ? ['flaml', 'lightgbm'] : ['flaml', 'tpot', 'lightgbm'],
      },
      results,
    );
} finally {
  results.end();
}
