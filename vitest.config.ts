// Projects by cost: unit (no server), api (real etcd + kube-apiserver), e2e (a real node), long (a real node, and minutes for each suite).
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

const shared = {
  resolve: { conditions: ['source', 'node'] },
  ssr: { resolve: { conditions: ['source', 'node'] } },
};
/** Engines, commands and threads that tests start load sources without types and compiled, which is half of what a start costs. */
const env = { NODE_COMPILE_CACHE: join(import.meta.dirname, 'build/compile-cache') };
const exclude = ['**/node_modules/**', '**/dist/**', '**/build/**'];

const unit = {
  env,
  execArgv: ['--conditions=source'],
  // Disk, processes and sockets of a busy machine are slow, and no test asserts a time: only what hangs is to be ended.
  testTimeout: 60_000,
  hookTimeout: 60_000,
  expect: { poll: { timeout: 15_000 } },
  // By default one core is left alone, and of two that is half.
  maxWorkers: '100%',
};
/** Unit tests that look at their process as a whole, its heap say, or replace modules: each file has a process of its own. */
const alone = [
  'controller/src/autoscaling/page.test.ts',
  'workloads/field/src/job/gpufailure.test.ts',
  'workloads/matcher/src/service/imports.test.ts',
  'workloads/runtime/src/engine/access.test.ts',
];
const api = { env, execArgv: ['--conditions=source'], testTimeout: 120_000, hookTimeout: 180_000 };
/** Suites on API servers that go by seconds, of leases or of answers under load: nothing runs beside them. */
const timed = [
  'e2e/suites/autoscaling-healing.api.test.ts',
  'e2e/suites/conductor-clocks.api.test.ts',
  'e2e/suites/kube-lease.api.test.ts',
];
const long = '**/*.long.e2e.test.ts';
const onNode = {
  env,
  execArgv: ['--conditions=source'],
  globalSetup: ['e2e/suites/shared.ts'],
  testTimeout: 600_000,
  hookTimeout: 900_000,
  fileParallelism: false,
};

export default defineConfig({
  test: {
    projects: [
      {
        ...shared,
        test: {
          ...unit,
          name: 'unit',
          include: ['**/*.test.ts'],
          exclude: [...exclude, '**/*.api.test.ts', '**/*.e2e.test.ts', ...alone],
          // Files of a worker share its modules: loading them anew for each took longer than most tests. So what a test changes
          // of them it puts back, and a fixture registers its hooks in a function that each file calls.
          isolate: false,
        },
      },
      { ...shared, test: { ...unit, name: 'unit-alone', include: alone, exclude } },
      {
        ...shared,
        test: {
          ...api,
          name: 'api',
          include: ['**/*.api.test.ts'],
          exclude: [...exclude, ...timed],
          // Each file has servers of its own and mostly waits for them.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      { ...shared, test: { ...api, name: 'api-alone', include: timed, exclude, fileParallelism: false } },
      { ...shared, test: { ...onNode, name: 'e2e', include: ['**/*.e2e.test.ts'], exclude: [...exclude, long] } },
      { ...shared, test: { ...onNode, name: 'long', include: [long], exclude } },
    ],
  },
});
