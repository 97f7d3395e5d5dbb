// Projects by cost: unit (no server), api (real etcd + kube-apiserver), e2e (a real node), long (a real node, and minutes for each suite).
import { defineConfig } from 'vitest/config';

const shared = {
  resolve: { conditions: ['source', 'node'] },
  ssr: { resolve: { conditions: ['source', 'node'] } },
};
const exclude = ['**/node_modules/**', '**/dist/**', '**/build/**'];

const long = '**/*.long.e2e.test.ts';
const onNode = {
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
          name: 'unit',
          include: ['**/*.test.ts'],
          exclude: [...exclude, '**/*.api.test.ts', '**/*.e2e.test.ts'],
          execArgv: ['--conditions=source'],
        },
      },
      {
        ...shared,
        test: {
          name: 'api',
          include: ['**/*.api.test.ts'],
          exclude,
          execArgv: ['--conditions=source'],
          testTimeout: 120_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
      { ...shared, test: { ...onNode, name: 'e2e', include: ['**/*.e2e.test.ts'], exclude: [...exclude, long] } },
      { ...shared, test: { ...onNode, name: 'long', include: [long], exclude } },
    ],
  },
});
