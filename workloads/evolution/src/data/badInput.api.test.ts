// What people hand in by mistake, through a coordinator with a registry: whatever is refused leaves nothing there, and no download behind.
import '../testing/pg.ts';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { evolutionRun, parseStored } from '@quintet/crds';
import { freePort, startPostgres, type TestPostgres } from '@quintet/runtime/testing';
import pg from 'pg';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { Reason } from '../errors.ts';
import { coordinate, runIdOf } from '../service/coordinator.ts';
import { badInputs } from './fixtures/badInput.ts';

let postgres: TestPostgres;
let client: pg.Client;
let folder: string;
let server: Server;
let url: string;
/** What the server has for whoever asks; a bucket's answer to keys that it does not know where there is nothing. */
let content: string | Uint8Array | undefined;
/** Whether the connection ends in the middle. */
let cut = false;

beforeAll(async () => {
  [postgres, folder] = await Promise.all([startPostgres(), mkdtemp(join(tmpdir(), 'quintet-bad-'))]);
  client = new pg.Client(postgres.url);
  await client.connect();
  server = createServer((_, response) => {
    if (cut) {
      response.writeHead(200, { 'content-length': 1000 });
      return void response.write('a,y\n1,0\n', () => response.destroy());
    }
    if (content !== undefined) return void response.end(content);
    response.writeHead(403, { 'content-type': 'application/xml' });
    response.end('<Error><Code>InvalidAccessKeyId</Code></Error>');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  vi.stubEnv('TMPDIR', folder);
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'unknown');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'wrong');
}, 180_000);
afterAll(async () => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
  server.close();
  await client.end();
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
});

const resourceOf = (name: string, dataset: object, more: object = {}) =>
  parseStored(evolutionRun, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'EvolutionRun',
    metadata: { name: 'run', namespace: 'test', uid: name },
    spec: { dataset: { target: 'y', task: 'Binary', ...dataset }, search: { learners: ['Linear'] }, ...more },
  });

/** Why a coordinator refuses such a dataset, and what the registry says of the run. */
async function refused(name: string, dataset: object): Promise<{ error: unknown; phase: string | undefined }> {
  const resource = resourceOf(name, dataset);
  const output = join(folder, 'output');
  const error: unknown = await coordinate({
    resource,
    redisUrl: undefined,
    postgresUrl: postgres.url,
    output,
    processes: 1,
  }).catch((cause: unknown) => cause);
  const { rows } = await client.query<{ phase: string }>('SELECT phase FROM runs WHERE run_id = $1', [
    runIdOf(resource),
  ]);
  return { error, phase: rows[0]?.phase };
}

/** Rows of the registry beside those of runs, and what stands in the folders of output and downloads. */
async function left(): Promise<string[]> {
  const found = await readdir(folder);
  for (const table of ['datasets', 'generations', 'individuals', 'model_metadata', 'model_artifacts', 'deployments']) {
    const { rowCount } = await client.query(`SELECT 1 FROM ${table}`);
    if (rowCount !== 0) found.push(table);
  }
  return found;
}

const as = (reason: Reason, message: RegExp) =>
  expect.objectContaining({ reason, message: expect.stringMatching(message) as string }) as Error;

for (const [what, { content: bytes, format = 'CSV', task = 'Binary', columns = [], reason, message }] of Object.entries(
  badInputs,
)) {
  it(`${what} fails the run by its name, with nothing written`, async () => {
    content = bytes;
    const { error, phase } = await refused(what, { source: { http: { url } }, format, task, columns });
    expect(error).toEqual(as(reason, message));
    expect(phase).toBe('Failed');
    expect(await left()).toEqual([]);
  });
}

it('a bucket that nobody answers for is to be tried again, with nothing written', async () => {
  const s3 = { bucket: 'tables', key: 'data.csv', endpoint: `http://127.0.0.1:${await freePort()}` };
  const { error } = await refused('nobody', { source: { s3 } });
  expect(error).toEqual(as('DataUnreadable', /s3:\/\/tables\/data\.csv cannot be read: .*ECONNREFUSED/));
  expect(error).toMatchObject({ retryable: true, where: { field: 'spec.dataset.source.s3' } });
  expect(await left()).toEqual([]);
});

it('keys that a bucket does not know are to be tried again, with nothing written', async () => {
  content = undefined;
  const { error } = await refused('keys', { source: { s3: { bucket: 'tables', key: 'data.csv', endpoint: url } } });
  expect(error).toEqual(as('DataUnreadable', /cannot be read: InvalidAccessKeyId/));
  expect(error).toMatchObject({ retryable: true, where: { field: 'spec.dataset.source.s3' } });
  expect(await left()).toEqual([]);
});

it('an address that refuses its token is to be tried again, with nothing written', async () => {
  content = undefined;
  const { error } = await refused('token', { source: { http: { url } } });
  expect(error).toEqual(as('DataUnreadable', /^http:.* cannot be read: it answers 403 Forbidden/));
  expect(error).toMatchObject({ retryable: true, where: { field: 'spec.dataset.source.http' } });
  expect(await left()).toEqual([]);
});

it('a download that breaks off is to be tried again, with nothing written', async () => {
  cut = true;
  const { error } = await refused('cut', { source: { http: { url } } }).finally(() => (cut = false));
  expect(error).toEqual(as('DataUnreadable', /^http:.* cannot be read: /));
  expect(await left()).toEqual([]);
});

it('a note that ends within an emoji is kept, and so is the run', async () => {
  const words = `${'long '.repeat(16).slice(0, 79)}😀😀`;
  const line = (i: number) => `${i % 3 === 0 && i < 20 ? words : i},${i % 2}`;
  content = `a,y\n${Array.from({ length: 60 }, (_, i) => line(i)).join('\n')}\n`;
  const resource = resourceOf('emoji', { source: { http: { url } } }, { budget: { evaluations: 1 } });
  const place = { redisUrl: undefined, postgresUrl: postgres.url, output: undefined, processes: 1 };
  await coordinate({ resource, ...place });
  const { rows } = await client.query<{ notes: { text: string }[] }>(
    `SELECT parameters -> 'notes' AS notes FROM model_metadata WHERE evolution_id = $1`,
    [runIdOf(resource)],
  );
  expect(JSON.stringify(rows[0]!.notes)).toContain(words.slice(0, 79));
  expect(rows[0]!.notes.every(({ text }) => text.isWellFormed())).toBe(true);
});
