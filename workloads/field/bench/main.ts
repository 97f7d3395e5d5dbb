// The field engine beside its peers.
//   node --conditions=source workloads/field/bench/main.ts [--quick] [--json FILE]
import { parseArgs } from 'node:util';
import { type Row, report } from '@quintet/runtime/bench';
import { directSum } from './direct-sum.ts';
import { interpolation } from './interpolation.ts';
import { type Peer, peerPython, startPeer } from './python.ts';
import { readers } from './readers.ts';
import { service } from './service.ts';
import { solvers } from './solvers.ts';
import { timeDomain } from './timedomain.ts';

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false }, json: { type: 'string' } } });
const found = peerPython();
if (found.missing) console.error(`without peers: ${found.missing}`);
const peer: Peer | undefined = found.python ? startPeer(found.python) : undefined;
try {
  const rows: Row[] = [
    ...(await directSum(values.quick, peer)),
    ...(await interpolation(values.quick)),
    ...(await solvers(values.quick, peer)),
    ...(await timeDomain(values.quick, peer)),
    ...(await service(values.quick)),
    ...(await readers(peer)),
  ];
  report(rows, values.json);
} finally {
  peer?.close();
}
