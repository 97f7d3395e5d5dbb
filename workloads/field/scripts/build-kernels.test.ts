import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { compileKernel, embed, kernels, pathOf } from './build-kernels.ts';

it.each(kernels)(
  'finds the embedded kernel $name to be what its sources compile to',
  async ({ name, embedded }) => {
    expect(await readFile(pathOf(embedded), 'utf8')).toBe(embed(await compileKernel(name)));
  },
  60_000,
);
