// Runs one benchmark by name: node e2e/check/bench.ts field [--quick] [--json FILE]
import { spawnSync } from 'node:child_process';

const benches: Record<string, { shows: string; file: string }> = {
  field: { shows: 'acoustic fields beside levitate', file: 'workloads/field/bench/main.ts' },
  compression: {
    shows: 'context compression beside BM25, LexRank and others',
    file: 'workloads/compression/bench/main.ts',
  },
  evolution: { shows: 'AutoML beside FLAML, TPOT and LightGBM', file: 'workloads/evolution/bench/main.ts' },
  copy: { shows: 'copy generation beside node-llama-cpp called directly', file: 'workloads/copy/bench/main.ts' },
  matcher: { shows: 'image matching beside pdqhash, imagehash and faiss', file: 'workloads/matcher/bench/main.ts' },
  autoscaling: {
    shows: "the autoscaler beside the HPA's algorithm and KEDA's polling",
    file: 'e2e/load/autoscaling.ts',
  },
  operator: { shows: 'the controller beside a controller-runtime operator', file: 'e2e/load/operator.ts' },
};
const [name = '', ...flags] = process.argv.slice(2);
const bench = benches[name];
if (!bench) {
  if (name && !name.startsWith('--')) console.error(`no benchmark is called ${name}`);
  console.error('usage: make bench NAME=… [QUICK=1] [JSON=file]');
  for (const [key, { shows }] of Object.entries(benches)) console.error(`  ${key.padEnd(12)} ${shows}`);
  process.exit(2);
}
const { status } = spawnSync('node', ['--conditions=source', bench.file, ...flags], { stdio: 'inherit' });
process.exit(status ?? 1);
