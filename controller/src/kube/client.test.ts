import { afterEach, beforeEach, expect, test } from 'vitest';
import { types } from '../objects/types.ts';
import { Client } from './client.ts';
import type { ApiError } from './errors.ts';
import { answer, refuse, TestServer } from './testserver.ts';

const configMaps = types.configMap;
const one = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'a', name: 'one' } };

let server: TestServer;
let client: Client;
beforeEach(async () => {
  server = await TestServer.start();
  client = new Client(server.connection, { timeoutMs: 2000 });
});
afterEach(async () => {
  await client.close();
  await server.stop();
});

test('an apply names its field manager, forces, and sends the apply content type', async () => {
  await client.apply(configMaps, one);
  const [request] = server.requests;
  expect(request?.method).toBe('PATCH');
  expect(request?.path).toBe('/api/v1/namespaces/a/configmaps/one');
  expect(Object.fromEntries(request?.query ?? [])).toEqual({ fieldManager: 'quintet', force: 'true' });
  expect(request?.headers['content-type']).toBe('application/apply-patch+yaml');
});

test('a status is applied under its own manager and with the uid of the resource it is meant for', async () => {
  const stored = server.put(configMaps, one);
  await client.applyStatus(configMaps, stored, { phase: 'Ready' });
  expect(server.requests.at(-1)?.query.get('fieldManager')).toBe('quintet-status');
  const namesake = { ...stored, metadata: { ...stored.metadata, uid: 'another' } };
  await expect(client.applyStatus(configMaps, namesake, {})).rejects.toMatchObject({ status: 409, reason: 'Conflict' });
});

test('a long list is read page by page', async () => {
  for (let i = 0; i < 25; i++) server.put(configMaps, { metadata: { namespace: 'a', name: `item-${i}` } });
  const { items } = await client.list(configMaps, { namespace: 'a', limit: 10 });
  expect(items).toHaveLength(25);
  expect(server.requests).toHaveLength(3);
});

test('a refusal carries status, reason, message and causes', async () => {
  server.intercept = (_request, response) => {
    answer(response.setHeader('retry-after', '7'), 422, {
      kind: 'Status',
      code: 422,
      reason: 'Invalid',
      message: 'spec.x is wrong',
      details: { causes: [{ reason: 'FieldValueInvalid' }] },
    });
    return true;
  };
  const error = (await client
    .get(configMaps, { namespace: 'a', name: 'one' })
    .catch((caught: unknown) => caught)) as ApiError;
  expect(error).toMatchObject({
    status: 422,
    reason: 'Invalid',
    message: 'spec.x is wrong',
    causes: ['FieldValueInvalid'],
    retryAfterMs: 7000,
  });
});

test("a proxy's HTML page becomes a named error", async () => {
  server.intercept = (_request, response) => {
    response.writeHead(503).end('<html>no backend</html>');
    return true;
  };
  await expect(client.get(configMaps, { name: 'one' })).rejects.toMatchObject({
    status: 503,
    reason: 'ServiceUnavailable',
    message: '<html>no backend</html>',
  });
});

test('429 is waited out as Retry-After asks, and a long wait is left to the caller', async () => {
  server.put(configMaps, one);
  let refusals = 2;
  server.intercept = (_request, response) => {
    if (refusals-- <= 0) return false;
    refuse(response, 429, 'TooManyRequests', 'slow down', { 'retry-after': '0.05' });
    return true;
  };
  await expect(client.get(configMaps, { namespace: 'a', name: 'one' })).resolves.toMatchObject({
    metadata: { name: 'one' },
  });
  server.intercept = (_request, response) => {
    refuse(response, 429, 'TooManyRequests', 'slow down', { 'retry-after': '60' });
    return true;
  };
  const before = server.requests.length;
  await expect(client.get(configMaps, { name: 'one' })).rejects.toMatchObject({ status: 429, retryAfterMs: 60_000 });
  expect(server.requests.length - before).toBe(1);
});

test('a server that does not answer ends in a Timeout, one that hangs up in ConnectionFailed', async () => {
  const hasty = new Client(server.connection, { timeoutMs: 50 });
  server.intercept = () => true;
  await expect(hasty.get(configMaps, { name: 'one' })).rejects.toMatchObject({ status: 0, reason: 'Timeout' });
  server.intercept = (_request, response) => {
    response.destroy();
    return true;
  };
  await expect(client.get(configMaps, { name: 'one' })).rejects.toMatchObject({
    status: 0,
    reason: 'ConnectionFailed',
  });
  server.intercept = (_request, response) => {
    response.writeHead(200, { 'content-length': '100' }).write('{"half":');
    return true;
  };
  await expect(hasty.get(configMaps, { name: 'one' })).rejects.toMatchObject({ status: 0, reason: 'Timeout' });
  await hasty.close();
});

test('an answer cut short or not JSON is an error, never a half-read object', async () => {
  server.intercept = (_request, response) => {
    response.writeHead(200).end('{"metadata":');
    return true;
  };
  await expect(client.get(configMaps, { name: 'one' })).rejects.toMatchObject({ reason: 'MalformedAnswer' });
});

test('401 makes the client read its token again, once', async () => {
  const renewals: boolean[] = [];
  const connection = {
    ...server.connection,
    authorization: async (renew = false) => {
      renewals.push(renew);
      return renew ? 'Bearer new' : 'Bearer old';
    },
  };
  server.intercept = (request, response) => {
    if (request.headers.authorization === 'Bearer new') return false;
    refuse(response, 401, 'Unauthorized');
    return true;
  };
  server.put(configMaps, one);
  const rotating = new Client(connection);
  await expect(rotating.get(configMaps, { namespace: 'a', name: 'one' })).resolves.toBeDefined();
  expect(renewals).toEqual([false, true]);
  await rotating.close();
});

test('metadata of what is not there is undefined; every other refusal is an error', async () => {
  expect(await client.findMetadata(configMaps, one.metadata)).toBeUndefined();
  server.put(configMaps, one);
  expect(await client.findMetadata(configMaps, one.metadata)).toMatchObject({ metadata: { name: 'one' } });
  expect(server.requests.at(-1)?.query.get('resourceVersion')).toBe('0');
  server.intercept = (_request, response) => {
    refuse(response, 403, 'Forbidden');
    return true;
  };
  await expect(client.findMetadata(configMaps, one.metadata)).rejects.toMatchObject({ status: 403 });
});

test('a fenced client reads but does not write', async () => {
  server.put(configMaps, one);
  const fenced = new Client(server.connection, { mayWrite: () => false });
  await expect(fenced.get(configMaps, { namespace: 'a', name: 'one' })).resolves.toBeDefined();
  await expect(fenced.apply(configMaps, one)).rejects.toMatchObject({ name: 'FencedError' });
  expect(server.writes).toEqual([]);
  await fenced.close();
});

test('every answer is counted by method and code', async () => {
  const seen: string[] = [];
  const counted = new Client(server.connection, { onRequest: (method, code) => seen.push(`${method} ${code}`) });
  await counted.apply(configMaps, one);
  await counted.get(configMaps, { name: 'none' }).catch(() => undefined);
  expect(seen).toEqual(['PATCH 201', 'GET 404']);
  await counted.close();
});

test('a delete with a uid spares a namesake', async () => {
  server.put(configMaps, one);
  await expect(client.delete(configMaps, one.metadata, { uid: 'another' })).rejects.toMatchObject({ status: 409 });
  await client.delete(configMaps, one.metadata);
  expect(server.all(configMaps)).toEqual([]);
});
