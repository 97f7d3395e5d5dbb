// `main.ts [--quick] [--json FILE] [--only NAME,…] [--sizes ITEMS,…]`: ours and peers in one run; `--sizes` is of `changes`.
import { parseArgs } from 'node:util';
import { type Row, report } from '../../runtime/src/bench/table.ts';
import { calibration } from './calibration.ts';
import { changes } from './changes.ts';
import { cleanUp, cleanUpOnSignals } from './ending.ts';
import { hashing } from './hashing.ts';
import { restart } from './restart.ts';
import { robustness } from './robustness.ts';
import { search } from './search.ts';
import { service } from './service.ts';

cleanUpOnSignals();
const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    only: { type: 'string' },
    sizes: { type: 'string' },
  },
});
const sizes = values.sizes?.split(',').map(Number);
const parts: Readonly<Record<string, (quick: boolean) => Promise<Row[]>>> = {
  hashing,
  search,
  robustness,
  service,
  restart,
  calibration,
  changes: (quick) => changes(quick, sizes),
};
const rows: Row[] = [];
try {
  for (const name of values.only?.split(',') ?? Object.keys(parts)) {
    const part = parts[name];
    if (!part) throw new Error(`no part ${name}; there are ${Object.keys(parts).join(', ')}`);
    rows.push(...(await part(values.quick)));
  }
} finally {
  await cleanUp();
  // What was measured before something failed is told too.
  report(rows, values.json);
}
