// The field engine beside its peers.
//   node --conditions=source workloads/field/bench/main.ts [--quick] [--only PART,…] [--json FILE]
import { parseArgs } from 'node:util';
import { type Row, report } from '@quintet/runtime/bench';
import { directSum } from './direct-sum.ts';
import { interpolation } from './interpolation.ts';
import { type Peer, peerPython, startPeer } from './python.ts';
import { readers } from './readers.ts';
import { service } from './service.ts';
import { solvers } from './solvers.ts';
import { timeDomain } from './timedomain.ts';

type Part = (quick: boolean, peer: Peer | undefined) => Promise<Row[]>;
const parts: Record<string, Part> = {
  'direct-sum': directSum,
  interpolation,
  solvers,
  'time-domain': timeDomain,
  service,
  readers: (_quick, peer) => readers(peer),
};

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, json: { type: 'string' }, only: { type: 'string' } },
});
const wanted = values.only?.split(',') ?? Object.keys(parts);
const unknown = wanted.filter((name) => !(name in parts));
if (unknown.length > 0) throw new Error(`no part ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}`);
const found = peerPython();
if (found.missing) console.error(`without peers: ${found.missing}`);
const peer: Peer | undefined = found.python ? startPeer(found.python) : undefined;
const rows: Row[] = [];
try {
  for (const name of wanted) {
    const start = performance.now();
    rows.push(...(await parts[name]!(values.quick, peer)));
    console.error(`${name}: ${Math.round((performance.now() - start) / 1000)} s`);
  }
} finally {
  // What was measured before a part failed counts.
  report(rows, values.json);
  peer?.close();
}
