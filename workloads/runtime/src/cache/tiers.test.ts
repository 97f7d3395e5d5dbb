import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { diskTier } from './disk.ts';
import { cacheKey } from './key.ts';
import { memoryTier } from './memory.ts';
import type { Entry } from './tier.ts';

const key = (input: unknown, tenant = 't') => cacheKey({ tenant, kind: 'k', version: '1', input });
const entry = (bytes: number | Buffer, cost = 1, expiresAt = Number.MAX_SAFE_INTEGER): Entry => ({
  value: typeof bytes === 'number' ? Buffer.alloc(bytes, 1) : bytes,
  expiresAt,
  cost,
  tags: {},
});

describe('the memory tier', () => {
  test('stays within its entries and bytes whatever is put in, and answers with exactly what was put in last', () => {
    const put = fc.tuple(fc.nat(20), fc.nat(3000));
    fc.assert(
      fc.property(
        fc.array(put, { maxLength: 100 }),
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 500, max: 12_000 }),
        (puts, maxEntries, maxBytes) => {
          const tier = memoryTier({ maxEntries, maxBytes });
          const last = new Map<number, number>();
          for (const [name, size] of puts) {
            tier.set(key(name), entry(size));
            last.set(name, size);
            const usage = tier.usage();
            expect(usage?.entries).toBeLessThanOrEqual(maxEntries);
            expect(usage?.bytes).toBeLessThanOrEqual(maxBytes);
          }
          for (const [name, size] of last) expect([undefined, size]).toContain(tier.get(key(name))?.value.length);
        },
      ),
    );
  });

  test('forgets an entry at its end', () => {
    let clock = 0;
    const tier = memoryTier({ now: () => clock });
    tier.set(key(1), entry(1, 1, 10));
    expect(tier.get(key(1))).toBeDefined();
    clock = 10;
    expect(tier.get(key(1))).toBeUndefined();
    expect(tier.usage()?.entries).toBe(0);
  });

  test('keeps the most recent entries when it is made smaller', () => {
    const tier = memoryTier({ maxEntries: 10 });
    for (let at = 0; at < 10; at++) tier.set(key(at), entry(1));
    tier.resize({ maxEntries: 3 });
    expect(Array.from({ length: 10 }, (_, at) => tier.get(key(at)) !== undefined)).toEqual([
      ...Array<boolean>(7).fill(false),
      true,
      true,
      true,
    ]);
  });

  test('does not hold on to the large buffer that a small value was cut from', () => {
    const tier = memoryTier();
    tier.set(key(1), entry(Buffer.alloc(1 << 20).subarray(0, 10)));
    expect(tier.get(key(1))?.value.buffer.byteLength).toBeLessThan(20_000);
  });
});

describe('the disk tier', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'quintet-disk-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const files = async () =>
    (await readdir(directory, { recursive: true, withFileTypes: true }))
      .filter((file) => file.isFile())
      .map((file) => join(file.parentPath, file.name));
  const bytesOnDisk = async () => {
    let sum = 0;
    for (const file of await files()) sum += (await stat(file)).size;
    return sum;
  };

  test('has its entries again after a restart', async () => {
    const first = await diskTier({ directory });
    await first.set(key('a'), entry(Buffer.from('kept')));
    const second = await diskTier({ directory });
    expect((await second.get(key('a')))?.value.toString()).toBe('kept');
    expect(second.usage()?.entries).toBe(1);
  });

  test('really uses no more bytes of the disk than it was given', async () => {
    const put = fc.tuple(fc.nat(12), fc.integer({ min: 1, max: 2500 }), fc.integer({ min: 1, max: 1000 }));
    await fc.assert(
      fc.asyncProperty(fc.array(put, { maxLength: 25 }), async (puts) => {
        await rm(directory, { recursive: true, force: true });
        const tier = await diskTier({ directory, maxBytes: 10_000, maxEntries: 6, compression: 'none' });
        for (const [name, size, cost] of puts) await tier.set(key(name), entry(size, cost));
        expect(await bytesOnDisk()).toBe(tier.usage()?.bytes);
        expect(tier.usage()?.bytes).toBeLessThanOrEqual(10_000);
        expect((await files()).length).toBeLessThanOrEqual(6);
      }),
      { numRuns: 25 },
    );
  });

  test('keeps what is dear and often used, gives up what is cheap', async () => {
    const tier = await diskTier({ directory, maxEntries: 3, compression: 'none' });
    await tier.set(key('dear'), entry(100, 5000));
    await tier.set(key('popular'), entry(100, 10));
    for (let at = 0; at < 20; at++) await tier.get(key('popular'));
    for (let at = 0; at < 20; at++) await tier.set(key(`cheap ${at}`), entry(100, 1));
    expect(await tier.get(key('dear'))).toBeDefined();
    expect(await tier.get(key('popular'))).toBeDefined();
    expect(tier.usage()?.evictions).toBe(19);
  });

  test('takes a damaged, emptied or exchanged file for a miss and removes it', async () => {
    const tier = await diskTier({ directory });
    await tier.set(key('a'), entry(Buffer.from('of a')));
    const [fileOfA = ''] = await files();
    await tier.set(key('b', 'other'), entry(Buffer.from('of b')));
    const fileOfB = (await files()).find((file) => file !== fileOfA) ?? '';
    await writeFile(fileOfA, await readFile(fileOfB));
    expect(await tier.get(key('a'))).toBeUndefined();
    await writeFile(fileOfB, '');
    expect(await tier.get(key('b', 'other'))).toBeUndefined();
    expect(await files()).toEqual([]);
  });

  test('removes what a killed process left half written', async () => {
    const tier = await diskTier({ directory });
    await tier.set(key('a'), entry(1));
    const [file = ''] = await files();
    await writeFile(`${file}.x.tmp`, 'half');
    await diskTier({ directory });
    expect(await files()).toEqual([file]);
  });

  test('is a cache without entries, not an error, when its folder has gone', async () => {
    const tier = await diskTier({ directory });
    await tier.set(key('a'), entry(1));
    await rm(directory, { recursive: true });
    expect(await tier.get(key('a'))).toBeUndefined();
    await tier.set(key('b'), entry(1));
    expect(await tier.get(key('b'))).toBeDefined();
  });
});
