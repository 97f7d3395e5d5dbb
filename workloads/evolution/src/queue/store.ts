// What workers and coordinator share in Redis beside the queue: data sets by content hash, and results by what they follow from.
import { createHash } from 'node:crypto';
import { deserialize, serialize } from 'node:v8';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { Redis } from 'ioredis';
import type { Problem } from '../data/problem.ts';
import { hashOf } from '../data/problem.ts';
import { EvolutionError, messageOf } from '../errors.ts';
import type { EvaluationCache } from '../evaluate/cache.ts';
import type { Evaluation } from '../evaluate/task.ts';

const prefix = 'quintet:evolution';
/** Redis answers others between chunks of this size. */
const chunkBytes = 4 << 20;

/** Written last: whoever sees it finds every chunk. */
export function dataKey(hash: string): string {
  return `${prefix}:data:${hash}:chunks`;
}

/**
 * A connection that waits for Redis to come back rather than fail: a run outlives a restart of its queue.
 * @throws EvolutionError QueueUnavailable when the address cannot be read
 */
export function openRedis(url: string): Redis {
  const redis = clientOf(url);
  redis.on('error', () => undefined);
  return undisturbed(redis);
}

function clientOf(url: string): Redis {
  try {
    return new Redis(url, {
      maxRetriesPerRequest: null,
      connectTimeout: 5000,
      retryStrategy: (times) => Math.min(2000, 100 * times),
    });
  } catch {
    // What was thrown holds the address, and so the password.
    throw new EvolutionError('QueueUnavailable', 'Redis: the url in the Secret is none', {
      field: 'spec.queue.redis',
      fix: 'write redis://USER:PASSWORD@HOST:6379, with special characters escaped, such as %23 for #',
    });
  }
}

/**
 * BullMQ reads `INFO` and warns, past every log, of a Redis that may evict. Where only keys with a time may go, as with the
 * chart's own, its keys are safe: they have none. Data sets and results have one, and are made again where they are missed.
 */
function undisturbed(redis: Redis): Redis {
  const info = redis.info.bind(redis);
  const duplicate = redis.duplicate.bind(redis);
  return Object.assign(redis, {
    // The client's own check whether it is ready gives a callback, which hears of errors too: it is left as it is.
    info: (...args: Parameters<Redis['info']>) => {
      const answer = info(...args);
      if (args.length > 0) return answer;
      return answer.then((text) => text.replace(/^maxmemory_policy:volatile-.*\r?\n/m, ''));
    },
    duplicate: (override?: Parameters<Redis['duplicate']>[0]) => undisturbed(duplicate(override)),
  });
}

/** @throws EvolutionError QueueUnavailable when Redis does not answer, or refuses the credentials */
export async function checkRedis(redis: Redis): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  let giveUp: (error: Error) => void = () => undefined;
  const late = new Promise<never>((_, reject) => {
    giveUp = reject;
    timer = setTimeout(() => reject(new Error('no answer within 10 s')), 10_000);
  });
  let said: string | undefined;
  const hear = (error: Error): void => {
    said = error.message;
    // Another try brings no other password.
    if (/^(WRONGPASS|NOAUTH|NOPERM)\b/.test(said)) giveUp(error);
  };
  redis.on('error', hear);
  try {
    await Promise.race([redis.ping(), late]);
  } catch (cause) {
    throw new EvolutionError(
      'QueueUnavailable',
      `Redis: ${said ?? messageOf(cause)}`,
      { field: 'spec.queue.redis', fix: 'check the url in the Secret' },
      cause,
    );
  } finally {
    clearTimeout(timer);
    redis.off('error', hear);
  }
}

/**
 * Stores the problem where it is not there; renews its time where it is.
 * @throws EvolutionError DataTooLarge when Redis has no room for it
 */
export async function shipProblem(redis: Redis, problem: Problem, keepSeconds: number): Promise<void> {
  const key = `${prefix}:data:${problem.hash}`;
  const chunks = Number((await redis.get(dataKey(problem.hash))) ?? 0);
  if (chunks > 0 && (await redis.exists(...Array.from({ length: chunks }, (_, i) => `${key}:${i}`))) === chunks) {
    await Promise.all(Array.from({ length: chunks }, (_, i) => redis.expire(`${key}:${i}`, keepSeconds)));
    await redis.expire(dataKey(problem.hash), keepSeconds);
    return;
  }
  const bytes = zstdCompressSync(serialize(problem));
  const count = Math.ceil(bytes.length / chunkBytes);
  const names = Array.from({ length: count }, (_, i) => `${key}:${i}`);
  try {
    for (const [i, name] of names.entries())
      await redis.set(name, bytes.subarray(i * chunkBytes, (i + 1) * chunkBytes), 'EX', keepSeconds);
  } catch (cause) {
    if (/^OOM\b/.test(messageOf(cause))) throw tooLarge(bytes.length);
    throw cause;
  }
  // A full Redis makes room by forgetting: also what has just been written.
  const there = await redis.exists(...names);
  if (there === count) await redis.set(dataKey(problem.hash), count, 'EX', keepSeconds);
  else if (redis.status === 'ready') throw tooLarge(bytes.length);
}

function tooLarge(bytes: number): EvolutionError {
  return new EvolutionError('DataTooLarge', `Redis has no room for the data set (${bytes} bytes compressed)`, {
    field: 'spec.queue.redis',
    fix: 'use a Redis with more maxmemory, fewer rows, or fewer columns',
  });
}

/**
 * The problem; undefined when it is not there, or not whole. What is damaged is put away, so that it is shipped again.
 * @throws EvolutionError DataDamaged when what is there is not what the hash says
 */
export async function receiveProblem(redis: Redis, hash: string): Promise<Problem | undefined> {
  const key = `${prefix}:data:${hash}`;
  const count = Number((await redis.get(dataKey(hash))) ?? 0);
  const chunks: Buffer[] = [];
  for (let i = 0; i < count; i++) {
    const chunk = await redis.getBuffer(`${key}:${i}`);
    if (chunk) chunks.push(chunk);
  }
  if (count === 0 || chunks.length < count) return undefined;
  const problem = deserialize(zstdDecompressSync(Buffer.concat(chunks))) as Problem;
  const { hash: _, ...rest } = problem;
  if (hashOf(rest) !== hash) {
    await redis.del(dataKey(hash));
    throw new EvolutionError('DataDamaged', `data set ${hash.slice(0, 12)} has another content`);
  }
  return problem;
}

export interface RedisCache extends EvaluationCache {
  has: (keys: readonly string[]) => Promise<boolean[]>;
}

/** Results in Redis; the fitness cache of all runs on the same data. */
export function redisCache(redis: Redis, keepSeconds: number): RedisCache {
  const keyOf = (key: string) => `${prefix}:result:${key}`;
  return {
    get: async (key) => {
      const bytes = await redis.getBuffer(keyOf(key));
      return bytes ? opened(bytes) : undefined;
    },
    set: async (key, evaluation) => {
      await redis.set(keyOf(key), sealed(evaluation), 'EX', keepSeconds);
    },
    has: async (keys) => {
      const pipeline = redis.pipeline();
      for (const key of keys) pipeline.exists(keyOf(key));
      return ((await pipeline.exec()) ?? []).map(([, found]) => found === 1);
    },
  };
}

/** A digest in front tells a cut-off entry from a whole one. */
function sealed(evaluation: Evaluation): Buffer {
  const bytes = zstdCompressSync(serialize(evaluation));
  return Buffer.concat([createHash('sha256').update(bytes).digest(), bytes]);
}

function opened(bytes: Buffer): Evaluation | undefined {
  const body = bytes.subarray(32);
  if (!createHash('sha256').update(body).digest().equals(bytes.subarray(0, 32))) return undefined;
  return deserialize(zstdDecompressSync(body)) as Evaluation;
}

/** Waits for a courtesy that may not keep anybody from ending. */
export async function within(milliseconds: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([
    work.catch(() => undefined),
    new Promise((resolve) => (timer = setTimeout(resolve, milliseconds))),
  ]);
  clearTimeout(timer);
}
