import fastify from 'fastify';
import { expect, test } from 'vitest';
import { etagOf, type HttpCacheOptions, httpCache } from './httpCache.ts';

async function headersOf(
  options: HttpCacheOptions,
  headers: Record<string, string> = {},
  method: 'GET' | 'POST' = 'GET',
) {
  const server = fastify();
  server.route({
    method: ['GET', 'POST'],
    url: '/',
    handler: async (request, reply) => (httpCache(request, reply, options) ? reply.send() : 'body'),
  });
  const response = await server.inject({ method, url: '/', headers });
  return { status: response.statusCode, body: response.body, ...response.headers };
}

test('an answer is private unless it is said to be public, and then never shown to another token', async () => {
  const headers = await headersOf({ maxAge: 60, sharedMaxAge: 600, purgeKeys: ['a'] });
  expect(headers).toMatchObject({ 'cache-control': 'private, max-age=60', vary: 'authorization' });
  expect(headers).not.toHaveProperty('surrogate-key');
});

test('a public answer carries its times and purge keys, with nothing that could split a header', async () => {
  const headers = await headersOf({
    maxAge: 1.9,
    sharedMaxAge: 600,
    staleWhileRevalidate: 30,
    staleIfError: 300,
    visibility: 'public',
    purgeKeys: ['bank 7', 'a,b\r\nx: y'],
    vary: ['accept-language'],
  });
  expect(headers).toMatchObject({
    'cache-control': 'public, max-age=1, s-maxage=600, stale-while-revalidate=30, stale-if-error=300',
    'surrogate-key': 'bank%207 a%2Cb%0D%0Ax%3A%20y',
    'cache-tag': 'bank%207,a%2Cb%0D%0Ax%3A%20y',
    vary: 'accept-language',
  });
});

test.each<[what: string, asked: string, method: 'GET' | 'POST', status: number]>([
  ['the same content', `W/"${etagOf('x')}"`, 'GET', 304],
  ['the same content among others, as a strong tag', `"other", "${etagOf('x')}"`, 'GET', 304],
  ['any content', '*', 'GET', 304],
  ['other content', '"other"', 'GET', 200],
  ['the same content of a POST', `W/"${etagOf('x')}"`, 'POST', 200],
])('a client that has %s', async (_what, asked, method, status) => {
  const answer = await headersOf({ maxAge: 60, etag: etagOf('x') }, { 'if-none-match': asked }, method);
  expect([answer.status, answer.body]).toEqual([status, status === 304 ? '' : 'body']);
});
