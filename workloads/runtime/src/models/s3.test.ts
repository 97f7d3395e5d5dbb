// Against a stand-in that answers HEAD and ranged GET as S3 does; a real S3 server is used instead when VERSITYGW names one's binary.
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually, freePort } from '../testing/index.ts';
import { onDisk } from './fixtures/disk.ts';
import { modelCache } from './models.ts';
import { s3Source } from './source.ts';

const credentials = { accessKeyId: 'test-access', secretAccessKey: 'test-secret' };
const weights = randomBytes(3_000_000);
const digest = createHash('sha256').update(weights).digest('hex');

let directory: string;
let server: Server;
let requests: { method: string; path: string; range: string | undefined; signed: boolean }[];
/** Bytes after which the connection is cut, once for each entry. */
let cuts: number[];
let etag: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quintet-s3-'));
  requests = [];
  cuts = [];
  etag = `"${digest}"`;
  server = createServer((request, response) => {
    const { method = '', url = '' } = request;
    requests.push({ method, path: url.split('?')[0] ?? '', range: request.headers.range, signed: isSigned(request) });
    if (!url.startsWith('/models/weights.bin')) return response.writeHead(404).end();
    if (request.headers['if-match'] !== undefined && request.headers['if-match'] !== etag)
      return response.writeHead(412).end();
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const part = weights.subarray(start);
    const headers = { 'content-length': part.length, etag, 'last-modified': new Date(0).toUTCString() };
    const partial = { ...headers, 'content-range': `bytes ${start}-${weights.length - 1}/${weights.length}` };
    response.writeHead(start > 0 ? 206 : 200, start > 0 ? partial : headers);
    if (method === 'HEAD') return response.end();
    const cut = cuts.shift();
    if (cut === undefined) return response.end(part);
    response.write(part.subarray(0, cut));
    return void onDisk(directory, start + cut).finally(() => response.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(directory, { recursive: true, force: true });
});

const isSigned = (request: IncomingMessage) =>
  request.headers.authorization?.startsWith(`AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/`) ?? false;
const endpoint = () => `http://127.0.0.1:${(server.address() as { port: number }).port}`;
const source = (key = 'weights.bin') => s3Source({ bucket: 'models', key, endpoint: endpoint(), credentials });

describe('a model in S3', () => {
  test('is fetched by signed requests, and goes on where a broken connection ended', async () => {
    cuts = [1_000_000, 500_000];
    const from = source();
    const model = await modelCache({ directory }).fetch(from, { sha256: digest });
    from.close?.();
    expect(await readFile(model.path)).toEqual(weights);
    expect(requests.every((request) => request.signed)).toBe(true);
    expect(
      requests.filter((request) => request.method === 'GET').map((request) => request.range !== undefined),
    ).toEqual([false, true, true]);
  });

  test('that is not there says so', async () => {
    const from = source('nothing.bin');
    await expect(modelCache({ directory }).fetch(from)).rejects.toMatchObject({
      code: 'MODEL_MISSING',
      message: expect.stringContaining('s3://models/nothing.bin'),
    });
    from.close?.();
  });

  test('that is replaced while it is fetched does not become a mixture', async () => {
    const from = source();
    await from.describe();
    etag = '"another"';
    await expect(from.read(0)).rejects.toMatchObject({ code: 'MODEL_MISSING' });
    from.close?.();
  });
});

const versitygw = process.env['VERSITYGW'];
test.skipIf(versitygw === undefined)(
  'a real S3 server serves it as well (skipped where VERSITYGW does not name one)',
  async () => {
    const port = await freePort();
    await mkdir(join(directory, 'data', 'models'), { recursive: true });
    await writeFile(join(directory, 'data', 'models', 'weights.bin'), weights);
    const args = [
      '--port',
      `127.0.0.1:${port}`,
      '--access',
      credentials.accessKeyId,
      '--secret',
      credentials.secretAccessKey,
      'posix',
      join(directory, 'data'),
    ];
    const gateway = spawn(versitygw ?? '', args, { stdio: 'ignore' });
    const url = `http://127.0.0.1:${port}`;
    await eventually(async () => expect((await fetch(url)).status).toBeGreaterThan(0));
    const from = s3Source({ bucket: 'models', key: 'weights.bin', endpoint: url, credentials });
    const model = await modelCache({ directory: join(directory, 'cache') }).fetch(from, { sha256: digest });
    expect(await readFile(model.path)).toEqual(weights);
    from.close?.();
    gateway.kill();
    await once(gateway, 'exit');
  },
  60_000,
);
