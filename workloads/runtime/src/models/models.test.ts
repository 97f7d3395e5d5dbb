import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { onDisk } from './fixtures/disk.ts';
import { withLock } from './lock.ts';
import { type Model, modelCache } from './models.ts';
import { fileSource, type ModelSource } from './source.ts';

let root: string;
let weights: Buffer;
let digest: string;
const place = (name: string) => join(root, name);
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'quintet-models-'));
  weights = randomBytes(300_000);
  digest = createHash('sha256').update(weights).digest('hex');
  await writeFile(place('model.bin'), weights);
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** A source that counts how often it is read and breaks off after `breakAfter` bytes, each time. */
function counting(breakAfter = Number.POSITIVE_INFINITY) {
  const reads: number[] = [];
  const source: ModelSource = {
    uri: 'test:model',
    describe: async () => ({ size: weights.length, revision: digest }),
    read: async (start) => {
      reads.push(start);
      const part = weights.subarray(start, Math.min(weights.length, start + breakAfter));
      return Readable.from(
        (async function* () {
          yield part;
          if (start + part.length === weights.length) return;
          // As in a long transfer.
          await onDisk(place('cache'), start + part.length);
          throw new Error('connection reset');
        })(),
      );
    },
  };
  return { source, reads };
}

describe('the model cache', () => {
  test('fetches a file once for any number of callers, and reports progress and digest', async () => {
    const registry = new Registry();
    const cache = modelCache({ directory: place('cache'), registry });
    const { source, reads } = counting();
    const seen: number[] = [];
    const models = await Promise.all(
      Array.from({ length: 5 }, async () =>
        cache.fetch(source, { sha256: digest, onProgress: ({ done, total }) => seen.push(done / total) }),
      ),
    );
    expect(reads).toEqual([0]);
    expect(models.filter((model) => !model.cached).length).toBe(1);
    expect(new Set(models.map((model) => model.path)).size).toBe(1);
    expect(await readFile(models[0]?.path ?? '')).toEqual(weights);
    expect(Math.max(...seen)).toBe(1);
    expect(await registry.metrics()).toContain(`quintet_model_fetched_bytes_total{uri="test:model"} ${weights.length}`);
    expect(await cache.prewarm(models[0] as Model)).toBe(weights.length);
  });

  test('fetches once for several processes that share a folder', async () => {
    const run = promisify(execFile);
    const script = new URL('./fixtures/fetch.ts', import.meta.url).pathname;
    const pods = Array.from({ length: 3 }, async () =>
      run(process.execPath, ['--conditions=source', script, place('cache'), place('model.bin')]),
    );
    const models = (await Promise.all(pods)).map(({ stdout }) => JSON.parse(stdout) as Model);
    expect(models.map((model) => model.sha256)).toEqual([digest, digest, digest]);
    expect(models.filter((model) => !model.cached).length).toBe(1);
  });

  test('goes on where a broken transfer ended', async () => {
    const { source, reads } = counting(120_000);
    const model = await modelCache({ directory: place('cache') }).fetch(source, { sha256: digest });
    expect(reads).toEqual([0, 120_000, 240_000]);
    expect(await readFile(model.path)).toEqual(weights);
  });

  test('refuses a file of another digest and keeps nothing of it', async () => {
    const cache = modelCache({ directory: place('cache') });
    const wrong = 'a'.repeat(64);
    const fetching = () => cache.fetch(fileSource(place('model.bin')), { sha256: wrong });
    await expect(fetching()).rejects.toMatchObject({
      code: 'MODEL_DAMAGED',
      field: 'sha256',
      details: { actual: digest, expected: wrong },
    });
    await expect(fetching()).rejects.toMatchObject({ code: 'MODEL_DAMAGED' });
  });

  test.each([
    ['cut short', (path: string) => truncate(path, 1000)],
    ['changed without changing its size', (path: string) => writeFile(path, randomBytes(300_000))],
  ])('notices that a cached file was %s, and fetches it again', async (_how, damage) => {
    const cache = modelCache({ directory: place('cache') });
    const { path } = await cache.fetch(fileSource(place('model.bin')));
    await damage(path);
    await utimes(path, new Date(), new Date(Date.now() + 5000));
    const again = await cache.fetch(fileSource(place('model.bin')));
    expect(again).toMatchObject({ cached: false, sha256: digest });
    expect(await readFile(again.path)).toEqual(weights);
  });

  test('serves a known digest from the cache while its source is away, and says so when it has nothing', async () => {
    const cache = modelCache({ directory: place('cache') });
    await cache.fetch(fileSource(place('model.bin')));
    await rm(place('model.bin'));
    expect(await cache.fetch(fileSource(place('model.bin')), { sha256: digest })).toMatchObject({ cached: true });
    await expect(cache.fetch(fileSource(place('model.bin')))).rejects.toMatchObject({
      code: 'MODEL_MISSING',
      status: 503,
    });
  });

  test('fetches again when the source has another revision', async () => {
    const cache = modelCache({ directory: place('cache') });
    await cache.fetch(fileSource(place('model.bin')));
    await writeFile(place('model.bin'), 'a newer model');
    expect(await cache.fetch(fileSource(place('model.bin')))).toMatchObject({ cached: false, size: 13 });
  });

  test('gives up a fetch that is called off', async () => {
    const caller = new AbortController();
    const { source } = counting();
    const slow: ModelSource = { ...source, read: async () => new Readable({ read: () => undefined }) };
    const fetching = modelCache({ directory: place('cache') }).fetch(slow, { signal: caller.signal });
    setTimeout(() => caller.abort(), 20);
    await expect(fetching).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

describe('the lock between pods', () => {
  test('lets one in at a time', async () => {
    let inside = 0;
    let most = 0;
    const enter = () =>
      withLock(
        place('lock'),
        async () => {
          most = Math.max(most, ++inside);
          await new Promise((resolve) => setTimeout(resolve, 3));
          inside -= 1;
        },
        { poll: 1 },
      );
    await Promise.all(Array.from({ length: 10 }, enter));
    expect(most).toBe(1);
  });

  test('is taken over from an owner that died', async () => {
    await writeFile(place('lock'), 'a pod that is no more');
    const past = new Date(Date.now() - 60_000);
    await utimes(place('lock'), past, past);
    const results = await Promise.all(
      Array.from({ length: 3 }, async (_, at) =>
        withLock(place('lock'), async () => at, { poll: 1, staleAfter: 1000 }),
      ),
    );
    expect(results).toEqual([0, 1, 2]);
  });
});
