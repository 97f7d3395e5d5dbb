import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from '@quintet/runtime';
import type { OnnxModel } from '@quintet/runtime/onnx';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Pixels } from '../pdq/pdq.ts';
import { colourModel, edge } from '../testing/onnx.ts';
import { Copies } from './copies.ts';
import { type Embedder, type EmbedderOptions, openEmbedder } from './embedder.ts';

let directory: string;
const open: Embedder[] = [];
let files = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quintet-embedder-'));
});

afterAll(async () => {
  await Promise.all(open.map((each) => each.close()));
  await rm(directory, { recursive: true, force: true });
});

async function embedder(file: string | Uint8Array, more: Partial<EmbedderOptions> = {}): Promise<Embedder> {
  const path = typeof file === 'string' ? file : join(directory, `${files++}.onnx`);
  if (typeof file !== 'string') await writeFile(path, file);
  const opened = await openEmbedder({
    path,
    precision: 'FP32',
    imageSize: edge,
    mean: [0.5, 0.5, 0.5],
    standardDeviation: [0.25, 0.25, 0.25],
    instances: { min: 1, max: 2 },
    batching: { maxSize: 32, optimalSize: 16, maxWait: 50 },
    ...more,
  });
  open.push(opened);
  return opened;
}

/** The left half in one colour, the right half in another. */
function halves(left: readonly number[], right: readonly number[], width = 64, height = 40): Pixels {
  const data = new Uint8Array(3 * width * height);
  for (let i = 0; i < width * height; i++) data.set(i % width < width / 2 ? left : right, 3 * i);
  return { data, width, height, channels: 3 };
}

describe('an embedding', () => {
  test('is what the model makes of the pixels, scaled by mean and deviation, of length one', async () => {
    const model = await embedder(colourModel());
    expect(model).toMatchObject({ dimensions: 48, provider: 'Cpu', copies: 1 });
    const vector = await model.embed(halves([255, 255, 255], [0, 0, 0]));
    expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
    // Four columns of fields to a row: the outer ones have nothing of the other half.
    const row = vector.slice(0, 4);
    expect(row[0]).toBeGreaterThan(0.13);
    expect(row[3]).toBeCloseTo(-(row[0] as number), 5);
  });

  test('is the same alone, in a batch, and from a model that takes one image at a time', async () => {
    const any = await embedder(colourModel());
    const one = await embedder(colourModel({ batch: 1 }));
    const pictures = Array.from({ length: 40 }, (_, i) => halves([6 * i, 255 - 6 * i, 40], [200, 3 * i, 90]));
    const alone = await any.embed(pictures[7] as Pixels);
    const [together, single] = await Promise.all([
      Promise.all(pictures.map((each) => any.embed(each))),
      Promise.all(pictures.map((each) => one.embed(each))),
    ]);
    expect([...(together[7] as Float32Array)]).toEqual([...alone].map((each) => expect.closeTo(each, 6) as number));
    for (const [i, vector] of together.entries()) {
      expect([...(single[i] as Float32Array)]).toEqual([...vector].map((each) => expect.closeTo(each, 6) as number));
    }
  });

  test('is made in batches of many, and what waits is bounded', async () => {
    const registry = new Registry();
    const model = await embedder(colourModel(), { registry });
    await Promise.all(Array.from({ length: 64 }, () => model.embed(halves([9, 9, 9], [200, 0, 0]))));
    const [, count] = /quintet_batch_size_count\{queue="embedding"\} (\d+)/.exec(await registry.metrics()) ?? [];
    const batches = Number(count);
    expect(batches).toBeGreaterThan(0);
    expect(batches).toBeLessThanOrEqual(16);
  });

  test('has another version when the model or the way to it is another', async () => {
    const versions = await Promise.all([
      embedder(colourModel()),
      embedder(colourModel({ name: 'other' })),
      embedder(colourModel(), { mean: [0, 0, 0] }),
    ]);
    expect(new Set(versions.map(({ version }) => version)).size).toBe(3);
    expect((await embedder(colourModel())).version).toBe(versions[0]?.version);
  });
});

describe('a model', () => {
  test('that is missing, damaged or none is refused with the reason', async () => {
    await expect(embedder(join(directory, 'absent.onnx'))).rejects.toMatchObject({ code: 'MODEL_MISSING' });
    await expect(embedder(colourModel(), { sha256: '0'.repeat(64) })).rejects.toMatchObject({ code: 'MODEL_DAMAGED' });
    for (const broken of [Buffer.from('no model'), colourModel().subarray(0, 60)]) {
      await expect(embedder(broken)).rejects.toMatchObject({ code: 'MODEL_INVALID' });
    }
    await expect(embedder(colourModel(), { output: 'logits' })).rejects.toMatchObject({ code: 'MODEL_INVALID' });
    await expect(embedder(colourModel(), { imageSize: 48 })).rejects.toMatchObject({ code: 'MODEL_INVALID' });
  });

  test('of a folder is that of the precision, else the one in full', async () => {
    const folder = join(directory, 'variants');
    await mkdir(folder);
    await expect(embedder(folder)).rejects.toMatchObject({ code: 'MODEL_MISSING' });
    await writeFile(join(folder, 'model.onnx'), colourModel({ name: 'full' }));
    await writeFile(join(folder, 'model_int8.onnx'), colourModel({ name: 'small' }));
    const of = async (precision: 'FP32' | 'FP16' | 'INT8') => (await embedder(folder, { precision })).version;
    const [full, half, small] = [await of('FP32'), await of('FP16'), await of('INT8')];
    expect(half).toBe(full);
    expect(small).not.toBe(full);
  });
});

test('copies are opened while all are busy, up to the most, and closed when idle, down to the fewest', async () => {
  let closed = 0;
  const copies = new Copies(async () => await Promise.resolve({ close: async () => void closed++ } as OnnxModel), {
    min: 1,
    max: 3,
    idle: 1000,
  });
  await copies.start();
  expect(copies.count).toBe(1);
  const gate = Promise.withResolvers<void>();
  let running = 0;
  let most = 0;
  const works = Array.from({ length: 5 }, () =>
    copies.use(async () => {
      most = Math.max(most, ++running);
      await gate.promise;
      running--;
    }),
  );
  await new Promise(setImmediate);
  expect(copies.count).toBe(3);
  gate.resolve();
  await Promise.all(works);
  expect(most).toBe(3);
  await copies.shrink(Date.now());
  expect(copies.count).toBe(3);
  await copies.shrink(Date.now() + 2000);
  expect({ count: copies.count, closed }).toEqual({ count: 1, closed: 2 });
  await copies.close();
});
