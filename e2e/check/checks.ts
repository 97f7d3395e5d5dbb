// What must hold, in the order of cost: the cheapest answer comes first.

interface Command {
  name: string;
  shows: string;
  command: string;
  args: readonly string[];
  /** Looks at sources alone: runs at once with those beside it that do. */
  isStatic?: true;
  vitest?: undefined;
  extra?: undefined;
}

interface Vitest {
  name: string;
  shows: string;
  /** Its projects. */
  vitest: 'unit*' | 'api*' | 'e2e' | 'long';
  isStatic?: undefined;
  /** Runs only with --all, or when it is named. */
  extra?: boolean;
}

export const checks: readonly (Command | Vitest)[] = [
  { name: 'format', shows: 'Biome finds every file formatted', command: 'biome', args: ['check', '.'], isStatic: true },
  { name: 'types', shows: 'the compiler accepts every workspace', command: 'tsc', args: ['-b'], isStatic: true },
  {
    name: 'lint',
    shows: 'Oxlint with types, and imports that go one way',
    command: 'oxlint',
    args: ['--type-aware', '--max-warnings=0'],
    isStatic: true,
  },
  {
    name: 'unused',
    shows: 'knip finds no unused file, export or dependency',
    command: 'knip',
    args: [],
    isStatic: true,
  },
  {
    name: 'generated',
    shows: 'CRDs, RBAC and reference equal what the sources generate',
    command: 'node',
    args: ['e2e/check/generate.ts', '--check'],
    isStatic: true,
  },
  { name: 'unit', shows: 'pure parts and laws, no server', vitest: 'unit*' },
  { name: 'chart', shows: 'helm lint, kubeconform on every rendering', command: 'node', args: ['e2e/check/chart.ts'] },
  { name: 'api', shows: 'real etcd and kube-apiserver', vitest: 'api*' },
  { name: 'e2e', shows: 'a real node: pods, volumes, faults', vitest: 'e2e' },
  {
    name: 'long',
    shows: 'minutes each: stores and nodes that are lost, GPUs, load; with --all',
    vitest: 'long',
    extra: true,
  },
];
