import { expect, test } from 'vitest';
import { wasm as features } from '../src/features/module.ts';
import { wasm as index } from '../src/index/module.ts';
import { wasm as pdq } from '../src/pdq/module.ts';
import { compileKernel } from './build-kernels.ts';

test.each([
  ['pdq', pdq],
  ['index', index],
  ['features', features],
])(
  'the embedded %s kernel is what its source compiles to',
  async (name, embedded) => {
    expect((await compileKernel(name)).toString('base64')).toBe(embedded);
  },
  60_000,
);
