// The route by which pods of one pool ask each other for what their shards hold; it takes the pool's own key and no token.
import { timingSafeEqual } from 'node:crypto';
import { deserialize, serialize } from 'node:v8';
import { type EngineContext, type EngineServer, QuintetError } from '@quintet/runtime';
import { type PeerAnswer, peerHeader, peerPath, type Question } from '../shards/shards.ts';
import { isRaw } from './bodies.ts';
import type { MatcherConfig } from './config.ts';
import type { Parts } from './routes.ts';

/** A question has the hashes of an image, its local features and its vector. */
const mostBytes = 4 << 20;

export function peerRoute(
  server: EngineServer,
  { config }: Pick<EngineContext<MatcherConfig>, 'config'>,
  started: Promise<Parts>,
): void {
  if (config.index.shards === 1) return;
  /** Before the body is read: nobody else gets to send one. */
  const onRequest = async ({ headers }: { readonly headers: NodeJS.Dict<string | string[]> }) => {
    const { shards } = await started;
    const given = headers[peerHeader];
    if (!shards || typeof given !== 'string' || !isSame(given, shards.key)) throw new QuintetError('UNAUTHENTICATED');
  };
  const options = { bodyLimit: mostBytes, config: { public: true }, onRequest };
  server.post(peerPath, options, async ({ body }, reply) => {
    const { shards, matcher } = await started;
    const own = shards?.own;
    if (own === undefined) {
      const reason = 'it reads its shard';
      throw new QuintetError('DEPENDENCY_UNAVAILABLE', { dependency: 'shards', reason, retryAfter: 1 });
    }
    if (!isRaw(body)) throw new QuintetError('MALFORMED_BODY', { reason: 'not a question' });
    const answer: PeerAnswer = { shard: own, ...(await matcher.find(deserialize(body.bytes) as Question)) };
    return await reply.type('application/octet-stream').send(serialize(answer));
  });
}

function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
