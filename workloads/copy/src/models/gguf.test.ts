import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bigramModel } from '../testing/gguf.ts';
import { checkGguf } from './gguf.ts';

let folder: string;
let whole: Buffer;
const path = () => join(folder, 'model.gguf');
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'quintet-gguf-'));
  bigramModel(path(), 'abc');
  whole = readFileSync(path());
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('a whole file passes', async () => {
  writeFileSync(path(), whole);
  await expect(checkGguf(path())).resolves.toBeUndefined();
});

test('a file that is cut off is refused wherever the cut is before its tensors', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 6000 }), async (length) => {
      writeFileSync(path(), whole.subarray(0, length));
      await expect(checkGguf(path())).rejects.toThrow(/model\.gguf cannot be read: the file is damaged/);
    }),
    { numRuns: 50 },
  );
});

test('garbage after the magic is refused or passed, never waited for', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 0, maxLength: 400 }), async (garbage) => {
      writeFileSync(path(), Buffer.concat([whole.subarray(0, 8), garbage]));
      const outcome = await checkGguf(path()).then(
        () => 'passed',
        (error: Error) => error.message,
      );
      expect(outcome).toMatch(/^passed$|damaged/);
    }),
    { numRuns: 200 },
  );
});
