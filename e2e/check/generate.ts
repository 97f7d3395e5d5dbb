// Writes everything that is generated, or with --check says what differs.
//   node e2e/check/generate.ts [--check]
import { spawnSync } from 'node:child_process';

const flags = process.argv.slice(2);
const generators = [
  'crds/src/generate.ts',
  'controller/src/generate.ts',
  // Needs Helm, so that its check is one of the chart's.
  ...(flags.includes('--check') ? [] : ['e2e/check/install.ts']),
];
let failed = false;
for (const generator of generators) {
  const { status } = spawnSync('node', ['--conditions=source', generator, ...flags], { stdio: 'inherit' });
  failed ||= status !== 0;
}
if (failed && flags.includes('--check')) console.error('run `make generate` and commit what it writes');
process.exit(failed ? 1 : 0);
