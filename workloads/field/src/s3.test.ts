// The steps with their output in S3: a stand-in that keeps objects in memory everywhere, and a real server where VERSITYGW
// names its binary.
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, startServer } from '@quintet/runtime/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { resultFiles, runStep, smallJob, temporaryFolder } from './job/testing.ts';

const access = 'test-access';
const secret = 'test-secret';
const output = 's3://fields/lab/bead';

interface Store {
  readonly endpoint: string;
  objects(): Map<string, Buffer>;
  away(): Promise<void>;
  back(): Promise<void>;
}

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/** Path-style PUT, GET, DELETE and ListObjectsV2; while it is away nothing listens. */
async function standIn(): Promise<Store> {
  const kept = new Map<string, Buffer>();
  const port = await freePort();
  let server: Server | undefined;
  const back = () =>
    new Promise<void>((resolve) => {
      server = createServer((request, response) => void answer(kept, request, response)).listen(port, '127.0.0.1', () =>
        resolve(),
      );
    });
  const away = async () => {
    const closing = server;
    server = undefined;
    closing?.closeAllConnections();
    await new Promise((resolve) => (closing ? closing.close(resolve) : resolve(undefined)));
  };
  await back();
  ends.push(away);
  return { endpoint: `http://127.0.0.1:${port}`, objects: () => new Map(kept), away, back };
}

async function answer(kept: Map<string, Buffer>, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '', 'http://store');
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const [, bucket, ...rest] = decodeURIComponent(url.pathname).split('/');
  const key = rest.join('/');
  if (bucket !== 'fields') return void response.writeHead(404).end('<Error><Code>NoSuchBucket</Code></Error>');
  if (request.method === 'PUT') kept.set(key, Buffer.concat(chunks));
  if (request.method === 'DELETE') kept.delete(key);
  if (request.method !== 'GET') return void response.writeHead(request.method === 'PUT' ? 200 : 204).end();
  if (key === '') return void response.writeHead(200, { 'content-type': 'application/xml' }).end(listing(kept, url));
  const found = kept.get(key);
  if (found) return void response.writeHead(200, { 'content-length': found.length }).end(found);
  response.writeHead(404, { 'content-type': 'application/xml' }).end('<Error><Code>NoSuchKey</Code></Error>');
}

function listing(kept: Map<string, Buffer>, url: URL): string {
  const prefix = url.searchParams.get('prefix') ?? '';
  const flat = !url.searchParams.has('delimiter');
  const below = [...kept.keys()].filter((key) => key.startsWith(prefix));
  const keys = below.filter((key) => flat || !key.slice(prefix.length).includes('/'));
  const folders = flat
    ? []
    : below.filter((key) => !keys.includes(key)).map((key) => key.slice(prefix.length).split('/')[0]);
  const contents = keys.map((key) => `<Contents><Key>${key}</Key></Contents>`).join('');
  const common = [...new Set(folders)].map(
    (name) => `<CommonPrefixes><Prefix>${prefix}${name}/</Prefix></CommonPrefixes>`,
  );
  return `<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>${contents}${common.join('')}</ListBucketResult>`;
}

async function versitygw(binary: string): Promise<Store> {
  const data = temporaryFolder();
  mkdirSync(join(data, 'fields'));
  const server = await startServer({
    name: 's3',
    binary,
    args: ({ port }) => ['--port', `127.0.0.1:${port}`, '--access', access, '--secret', secret, 'posix', data],
  });
  ends.push(server.stop);
  const objects = (): Map<string, Buffer> =>
    new Map(
      readdirSync(join(data, 'fields'), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .map((path) => [path.slice(join(data, 'fields').length + 1), readFileSync(path)]),
    );
  return { endpoint: `http://127.0.0.1:${server.port}`, objects, away: server.kill, back: server.start };
}

const job = smallJob({
  volume: { center: ['0mm', '0mm', '40mm'], size: ['40mm', '40mm', '40mm'], spacing: '0.5mm' },
  method: 'DirectSum',
  quantities: ['Pressure', 'Intensity'],
  shards: { max: 2 },
});
const environment = ({ endpoint }: Store): Record<string, string> => ({
  AWS_ENDPOINT_URL_S3: endpoint,
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: access,
  AWS_SECRET_ACCESS_KEY: secret,
});

/** What a bucket and a folder must have alike. */
function resultOf(store: Store): Map<string, string> {
  const prefix = 'lab/bead/';
  return new Map(
    [...store.objects()]
      .filter(([key]) => key.startsWith(prefix) && !key.startsWith(`${prefix}.quintet`))
      .map(([key, bytes]): [string, string] => [key.slice(prefix.length), bytes.toString('base64')])
      .filter(([key]) => key !== 'summary.json')
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

const real = process.env['VERSITYGW'];
const servers = [
  { title: 'a stand-in', open: standIn, there: true },
  { title: 'a real server', open: () => versitygw(real ?? ''), there: real !== undefined },
];

describe.each(servers)('an output in S3, $title', { timeout: 180_000 }, ({ open, there }) => {
  it.skipIf(!there)('holds the same bits as a folder, though the server was away and a step was killed', async () => {
    const folder = temporaryFolder();
    const steps = [
      ['plan', 0],
      ['shard', 0],
      ['shard', 1],
      ['finish', 0],
    ] as const;
    for (const [step, index] of steps) expect((await runStep(job, folder, step, { index })).code).toBe(0);

    const store = await open();
    const env = environment(store);
    expect((await runStep(job, output, 'plan', { env })).report).toMatchObject({ step: 'plan', shards: 2 });
    expect((await runStep(job, output, 'shard', { env, killAfter: 1200 })).code).not.toBe(78);
    const running = runStep(job, output, 'shard', { env });
    await sleep(500);
    await store.away();
    await sleep(3000);
    await store.back();
    expect((await running).code).toBe(0);
    expect((await runStep(job, output, 'shard', { env, index: 1 })).code).toBe(0);
    const finished = await runStep(job, output, 'finish', { env });
    expect(finished.report).toMatchObject({ step: 'finish', output: { pictures: ['slice-0-xz-pressure.png'] } });
    expect(resultOf(store)).toEqual(resultFiles(folder));

    // Another spec clears what this one left.
    const other = smallJob({ tolerance: '0.01' });
    expect((await runStep(other, output, 'plan', { env })).code).toBe(0);
    expect([...resultOf(store).keys()].filter((key) => key.startsWith('pressure/c'))).toEqual([]);
  });

  it.skipIf(!there)('says what is wrong with the bucket, and that trying again may help', async () => {
    const store = await open();
    const { code, report } = await runStep(job, 's3://nothing/bead', 'plan', { env: environment(store) });
    expect(code).toBe(75);
    expect(report).toMatchObject({
      error: { reason: 'OutputUnwritable', field: 'spec.output.s3', message: expect.stringContaining('NoSuchBucket') },
    });
  });

  it.skipIf(!there)('is told unreachable after its patience, for the step to be run again', async () => {
    const store = await open();
    await store.away();
    const env = { ...environment(store), QUINTET_S3_PATIENCE_SECONDS: '1' };
    const { code, report } = await runStep(job, output, 'plan', { env });
    expect(code).toBe(75);
    expect(report).toMatchObject({ error: { reason: 'OutputUnwritable' } });
    await store.back();
  });
});
