import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { modelCache, type SourceSpec } from '@quintet/runtime';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fetchModel } from './fetch.ts';
import type { Precision } from './file.ts';

const weights = { full: randomBytes(5000), small: randomBytes(1000) };
let directory: string;
let server: Server;
let objects: Map<string, Buffer>;
let signed: boolean[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quintet-fetch-'));
  objects = new Map();
  signed = [];
  server = createServer(({ url = '', method, headers }, response) => {
    signed.push(headers.authorization?.includes('Credential=who/') ?? false);
    const found = objects.get(url.split('?')[0] ?? '');
    if (!found) return response.writeHead(404).end();
    response.writeHead(200, { 'content-length': found.length, etag: `"${found.length}"` });
    return response.end(method === 'HEAD' ? undefined : found);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(directory, { recursive: true, force: true });
});

const fetched = async (source: SourceSpec, more: { precision?: Precision; sha256?: string } = {}) =>
  await fetchModel({
    source,
    at: 'embedding.source',
    precision: 'FP32',
    cache: modelCache({ directory: join(directory, 'cache') }),
    signal: AbortSignal.timeout(30_000),
    ...more,
  });
const inBucket = (key: string) => ({
  s3: {
    bucket: 'models',
    key,
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    secretRef: { directory: join(directory, 'secret') },
  },
});

describe('the model of an embedding', () => {
  test('on a claim or in an image is where the controller mounts it', async () => {
    const claim = { persistentVolumeClaim: { claimName: 'models', path: 'sscd/model.onnx' } };
    expect(await fetched(claim)).toBe('/var/lib/quintet/claims/models/sscd/model.onnx');
    const image = { oci: { image: 'models.test/sscd:1', path: 'onnx' } };
    expect(await fetched(image)).toBe('/var/lib/quintet/images/embedding.source.oci/onnx');
    await expect(fetched({})).rejects.toMatchObject({ code: 'MODEL_MISSING' });
  });

  describe('in S3', () => {
    beforeEach(async () => {
      await mkdir(join(directory, 'secret'));
      await writeFile(join(directory, 'secret', 'AWS_ACCESS_KEY_ID'), 'who\n');
      await writeFile(join(directory, 'secret', 'AWS_SECRET_ACCESS_KEY'), 'test\n');
    });

    test('is fetched with the Secret of the spec, its digest held against that of the spec', async () => {
      objects.set('/models/a.onnx', weights.full);
      const sha256 = createHash('sha256').update(weights.full).digest('hex');
      expect(await readFile(await fetched(inBucket('a.onnx'), { sha256 }))).toEqual(weights.full);
      expect(signed.every(Boolean)).toBe(true);
      await rm(join(directory, 'cache'), { recursive: true });
      await expect(fetched(inBucket('a.onnx'), { sha256: '0'.repeat(64) })).rejects.toMatchObject({
        code: 'MODEL_DAMAGED',
      });
      await expect(fetched(inBucket('b.onnx'))).rejects.toMatchObject({ code: 'MODEL_MISSING' });
    });

    test('is the variant of the precision, where the key is a folder that has it, else the full one', async () => {
      objects.set('/models/sscd/model.onnx', weights.full).set('/models/sscd/model_quantized.onnx', weights.small);
      const of = async (precision: Precision) => await readFile(await fetched(inBucket('sscd/'), { precision }));
      expect(await of('INT8')).toEqual(weights.small);
      expect(await of('FP16')).toEqual(weights.full);
      await expect(fetched(inBucket('none/'))).rejects.toMatchObject({ code: 'MODEL_MISSING' });
    });
  });
});
