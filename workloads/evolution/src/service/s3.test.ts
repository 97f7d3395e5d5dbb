// Data from S3 and files to S3, against a server that keeps objects in memory and knows one key.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type EvolutionRunSpec, evolutionRun, parseStored } from '@quintet/crds';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { checkBucket, upload } from './bucket.ts';
import { dataFileOf } from './data.ts';
import { frozenModelsOf } from './frozen.ts';

const objects = new Map<string, Buffer>();
/** Writes after this many are refused. */
let room = Number.POSITIVE_INFINITY;
let server: Server;
let endpoint: string;
beforeAll(async () => {
  server = createServer((request, response) => void answer(request, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  endpoint = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'known');
});
afterEach(() => {
  objects.clear();
  room = Number.POSITIVE_INFINITY;
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'known');
});
afterAll(() => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
  server.close();
});

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const key = decodeURIComponent(new URL(request.url ?? '', endpoint).pathname);
  const refuse = (status: number, code: string) =>
    response.writeHead(status, { 'content-type': 'application/xml' }).end(`<Error><Code>${code}</Code></Error>`);
  if (!request.headers.authorization?.includes('Credential=known/')) return void refuse(403, 'InvalidAccessKeyId');
  if (request.method === 'HEAD' && /^\/\w+\/?$/.test(key))
    return void response.writeHead(/tables/.test(key) ? 200 : 404).end();
  if (request.method === 'DELETE') {
    objects.delete(key);
    return void response.writeHead(204).end();
  }
  if (request.method === 'PUT') {
    if (objects.size >= room) return void refuse(403, 'QuotaExceeded');
    objects.set(key, Buffer.concat(chunks));
    return void response.writeHead(200, { etag: '"x"' }).end();
  }
  const found = objects.get(key);
  if (!found) return void refuse(404, 'NoSuchKey');
  response.writeHead(200, { etag: '"x"', 'content-length': found.length }).end(found);
}

const specWith = (s3: object) =>
  parseStored(evolutionRun, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'EvolutionRun',
    metadata: { name: 'run', namespace: 'test', uid: 'u' },
    spec: {
      dataset: { source: { s3: { bucket: 'tables', key: 'data.csv', endpoint, ...s3 } }, target: 'y', task: 'Binary' },
    },
  }).spec;

it('reads a data set from a bucket', async () => {
  objects.set('/tables/data.csv', Buffer.from('a,y\n1,2\n'));
  const file = await dataFileOf(specWith({}));
  expect(await readFile(file.path, 'utf8')).toBe('a,y\n1,2\n');
  await file.release();
  await expect(readFile(file.path)).rejects.toMatchObject({ code: 'ENOENT' });
});

it.each([
  ['an object that is not there', { key: 'other.csv' }, 'known', /s3:\/\/tables\/other\.csv cannot be read/],
  ['keys that are wrong', {}, 'unknown', /InvalidAccessKeyId/],
  ['a server that is not there', { endpoint: 'http://127.0.0.1:1' }, 'known', /ECONNREFUSED/],
])('says what is wrong with %s', async (_, s3, key, message) => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', key);
  const failed = await dataFileOf(specWith(s3)).catch((error: unknown) => error);
  expect(failed).toMatchObject({
    reason: 'DataUnreadable',
    message: expect.stringMatching(message) as string,
    where: { field: 'spec.dataset.source.s3' },
  });
});

const frozenIn = (s3: object, more: object = {}) => {
  const source = { s3: { bucket: 'tables', key: 'bureau.onnx', endpoint, ...s3 } };
  return frozenModelsOf({
    ...specWith({}),
    search: { frozen: [{ name: 'bureau', source, ...more }] },
  } as EvolutionRunSpec);
};

it('reads a frozen model from a bucket, and names the place of one that is missing, or another', async () => {
  objects.set('/tables/bureau.onnx', Buffer.from('graph'));
  const sha256 = createHash('sha256').update('graph').digest('hex');
  expect(await frozenIn({}, { sha256 })).toEqual([
    { name: 'bureau', sha256, bytes: new TextEncoder().encode('graph') },
  ]);
  await expect(frozenIn({}, { sha256: 'f'.repeat(64) })).rejects.toMatchObject({
    reason: 'DataDamaged',
    where: { field: 'spec.search.frozen.bureau.sha256' },
  });
  await expect(frozenIn({ key: 'other.onnx' })).rejects.toMatchObject({
    reason: 'DataUnreadable',
    where: { field: 'spec.search.frozen.bureau.source.s3' },
  });
});

const files = new Map([
  ['SHA256SUMS', 'sums'],
  ['model.quintet', 'model'],
]);

it('writes all files, the digests last, or none', async () => {
  expect(await upload({ bucket: 'tables', endpoint }, 'runs/one', files)).toBe('s3://tables/runs/one');
  expect([...objects.keys()]).toEqual(['/tables/runs/one/model.quintet', '/tables/runs/one/SHA256SUMS']);
  objects.clear();
  room = 1;
  await expect(upload({ bucket: 'tables', endpoint }, 'runs/two', files)).rejects.toMatchObject({
    reason: 'OutputUnwritable',
    message: expect.stringContaining('s3://tables/runs/two cannot be written'),
    where: { field: 'spec.output.s3' },
  });
  expect(objects.size).toBe(0);
});

it('finds out that a bucket is away, or none, before anything is searched; a key that may only write is no trouble', async () => {
  await expect(checkBucket({ bucket: 'tables', endpoint })).resolves.toBeUndefined();
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'writer');
  await expect(checkBucket({ bucket: 'tables', endpoint })).resolves.toBeUndefined();
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'known');
  const where = { field: 'spec.output.s3' };
  await expect(checkBucket({ bucket: 'none', endpoint })).rejects.toMatchObject({
    reason: 'OutputUnwritable',
    message: expect.stringContaining('s3://none cannot be written: there is no such bucket') as string,
    where,
  });
  await expect(checkBucket({ bucket: 'tables', endpoint: 'http://127.0.0.1:1' })).rejects.toMatchObject({
    reason: 'OutputUnwritable',
    message: expect.stringContaining('ECONNREFUSED') as string,
    where,
  });
});
