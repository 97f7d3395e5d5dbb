import '../testing/commonjs.ts';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startEngine } from '@quintet/runtime';
import { eventually } from '@quintet/runtime/testing';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { colourModel, edge } from '../testing/onnx.ts';
import { startPool, type TestPool } from '../testing/pool.ts';
import { matcherEngine } from './engine.ts';

let pool: TestPool;
beforeAll(async () => {
  pool = await startPool();
}, 120_000);
afterAll(() => pool?.stop());

describe('an embedding model', () => {
  /** Two colours: no hash is asked for below, and any model that sees colour tells these apart. */
  const plain = async (colours: readonly [string, string]) => {
    const [background, patch] = colours;
    const input = await sharp({ create: { width: 160, height: 120, channels: 3, background: patch } })
      .png()
      .toBuffer();
    return await sharp({ create: { width: 320, height: 240, channels: 3, background } })
      .composite([{ input, left: 0, top: 0 }])
      .png()
      .toBuffer();
  };
  const config = (file: string) => ({
    hashing: { minQuality: 100 },
    embedding: {
      source: { persistentVolumeClaim: { claimName: 'models', path: file, directory: pool.directory } },
      minSimilarity: '0.97',
      imageSize: edge,
    },
  });

  test('keeps the pod from being ready while it is missing or damaged, and says why', async () => {
    const path = join(pool.directory, 'late.onnx');
    const sha256 = createHash('sha256').update(colourModel()).digest('hex');
    const { embedding } = config('late.onnx');
    const configFile = await pool.configuration('late', { embedding: { ...embedding, sha256 } });
    const engine = await startEngine(matcherEngine({ QUINTET_POSTGRES_URL: pool.postgres.url }), {
      configFile,
      env: {},
    });
    try {
      const ready = async () => {
        const response = await fetch(`${engine.url}/readyz`);
        return { status: response.status, text: await response.text() };
      };
      await eventually(async () =>
        expect(await ready()).toMatchObject({ status: 503, text: expect.stringContaining('ENOENT') as string }),
      );
      await writeFile(path, colourModel().subarray(0, 80));
      await eventually(
        async () => expect(await ready()).toMatchObject({ text: expect.stringContaining('is damaged') as string }),
        15_000,
      );
      await writeFile(path, colourModel());
      await engine.started;
      expect((await ready()).status).toBe(200);
    } finally {
      await engine.drain();
    }
  });

  test('finds what no hash can be taken of, with the similarity as evidence, also after a restart', async () => {
    await writeFile(join(pool.directory, 'colours.onnx'), colourModel());
    let at = pool.replicas.push(await pool.replica('embedding', config('colours.onnx'))) - 1;
    try {
      const [red, blue] = [await plain(['#c03020', '#f0e0d0']), await plain(['#2040c0', '#101010'])];
      const item = { id: 'red', image: red.toString('base64') };
      expect(await pool.call('POST', '/api/v1/items', item, at)).toMatchObject({
        status: 201,
        body: { findableBy: ['Exact', 'Features', 'Embedding'] },
      });
      const jpeg = await sharp(red).resize(500, 380).jpeg({ quality: 40 }).toBuffer();
      const found = {
        decidedBy: 'Embedding',
        matches: [{ item: 'red', evidence: { similarity: expect.any(Number) as number } }],
      };
      await eventually(async () => expect(await pool.match({ image: jpeg }, at)).toMatchObject(found));
      expect(await pool.match({ image: blue }, at)).toMatchObject({ matched: false });
      expect(await pool.match({ image: blue }, at)).toMatchObject({ cached: true });
      expect((await pool.call('GET', '/api/v1/metrics/ai-inference', undefined, at)).body).toMatchObject({
        stages: expect.arrayContaining(['Embedding']) as string[],
        model: { provider: 'Cpu', dimensions: 48, copies: 1 },
        batching: { size: expect.any(Number) as number, wait: expect.any(Number) as number },
      });
      await pool.replicas.pop()?.drain();
      at = pool.replicas.push(await pool.replica('embedding', config('colours.onnx'))) - 1;
      expect(await pool.match({ image: jpeg }, at)).toMatchObject(found);
      // Of another model, no fingerprint that was kept is of use, and no vector that was stored.
      await pool.replicas.pop()?.drain();
      await writeFile(join(pool.directory, 'colours.onnx'), colourModel({ name: 'other' }));
      at = pool.replicas.push(await pool.replica('embedding', config('colours.onnx'))) - 1;
      expect(await pool.match({ image: jpeg }, at)).toMatchObject({ cached: false, matched: false });
      expect(await pool.match({ image: red }, at)).toMatchObject({ decidedBy: 'Exact', matches: [{ item: 'red' }] });
    } finally {
      await pool.replicas.splice(2)[0]?.drain();
    }
  });
});
