import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { compileKernel, embed, embeddedFile } from './build-kernels.ts';

it('finds the embedded kernel to be what its sources compile to', async () => {
  expect(await readFile(embeddedFile, 'utf8')).toBe(embed(await compileKernel()));
}, 60_000);
