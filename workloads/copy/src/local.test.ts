import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { writeLocally } from './local.ts';
import { bigramModel } from './testing/gguf.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'quintet-local-'));
  bigramModel(join(folder, 'copy.gguf'), 'the cat sat on the mat.\0'.repeat(4));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.unstubAllGlobals());

test('a model has all the time it needs, and tells how far it is', { timeout: 60_000 }, async () => {
  // What fetch has for an answer is five minutes.
  vi.stubGlobal('fetch', () => Promise.reject(new TypeError('fetch failed')));
  const said: string[] = [];
  const { variants, writtenBy } = await writeLocally({
    request: { brief: { product: 'hat' }, n: 1, seed: 3, maxTokens: 8 },
    model: join(folder, 'copy.gguf'),
    onProgress: (message) => said.push(message),
  });
  expect({ writtenBy, count: variants.length }).toEqual({ writtenBy: 'Model', count: 1 });
  expect(said.join('\n')).toMatch(/^loading .*copy\.gguf: \d+ %[^]*tokens of the brief read[^]*\n\d+ tokens written$/);
});

test('is stopped by its signal', { timeout: 60_000 }, async () => {
  const stop = new AbortController();
  const writing = writeLocally({
    request: { brief: { product: 'hat' }, n: 1, maxTokens: 600 },
    spec: { generation: { sequences: 1 } },
    model: join(folder, 'copy.gguf'),
    signal: stop.signal,
    onProgress: (message) => /written/.test(message) && stop.abort(),
  });
  await expect(writing).rejects.toThrow(/abort/i);
});

test('says what the engine refused', async () => {
  const request = { brief: { product: '' }, n: 1 };
  await expect(writeLocally({ request })).rejects.toThrow(/brief\.product/);
});
