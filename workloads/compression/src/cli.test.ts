import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compressFile } from './cli.ts';

let directory: string;
const text = Array.from({ length: 100 }, (_, i) => `Line ${i} is about case ${i * 31}.\n`).join('');
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quintet-cli-'));
  await writeFile(join(directory, 'notes.txt'), text);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test('a file comes out shorter, with a line that says what was kept', async () => {
  const { stdout, summary } = await compressFile(join(directory, 'notes.txt'), { ratio: 8 });
  expect(stdout.length).toBeLessThan(text.length / 6);
  expect(summary).toMatch(/^\d+ → \d+ tokens \([78]\.\d×\); prose, extractive; kept \d+ % of numbers/);
});

test('standard input is read for -', async () => {
  const { result } = await compressFile('-', { targetTokens: 100 }, Readable.from([text]));
  expect(result.compressedTokens).toBeLessThanOrEqual(100);
});

test('a ratio that makes no sense is refused by its name', async () => {
  await expect(compressFile(join(directory, 'notes.txt'), { ratio: 0 })).rejects.toMatchObject({ field: 'ratio' });
});
