import { connectRedis, type RedisConnection } from '@quintet/runtime';
import { eventually, startRedis, type TestRedis } from '@quintet/runtime/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Job, type JobLimits, type JobStore, memoryJobs, mostAttempts, type Priority } from './jobs.ts';
import { redisJobs } from './redisJobs.ts';
import type { CompressAnswer } from './schema.ts';

const prefix = 'quintet:compression:jobs';
const limits: JobLimits = {
  maxQueued: () => 3,
  retentionMs: () => 60_000,
  priorities: () => ['High', 'Normal', 'Low'],
  aliveSeconds: 1,
};
const job = (id: string, priority: Priority = 'Normal'): Job => ({
  id,
  tenant: 'news',
  priority,
  request: { text: id },
});
const result: CompressAnswer = {
  text: 'short',
  originalTokens: 8,
  compressedTokens: 1,
  ratio: 8,
  strategy: 'extractive',
  source: 'miss',
};

let server: TestRedis;
let redis: RedisConnection;
/** As the controller hands the chart's Redis out. */
let prefixed: RedisConnection;
beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis({ url: server.url });
  prefixed = connectRedis({ url: `${server.url}?keyPrefix=CompressionService/a/b:` });
  for (const each of [redis, prefixed]) await new Promise<void>((resolve) => each.onConnect(resolve));
}, 180_000);
afterAll(async () => {
  await redis.close();
  await prefixed.close();
  await server.stop();
});

async function emptyRedis(more?: Partial<JobLimits>, connection = redis): Promise<JobStore> {
  await redis.call((client) => client.flushall());
  return redisJobs(connection, { ...limits, ...more }, prefix, 'one');
}

describe.each([
  ['in Redis', (more?: Partial<JobLimits>) => emptyRedis(more)],
  ['in Redis under a prefix', (more?: Partial<JobLimits>) => emptyRedis(more, prefixed)],
  ['in memory', async (more?: Partial<JobLimits>) => memoryJobs({ ...limits, ...more })],
])('jobs %s', (_, open) => {
  test('are taken by priority, then in order', async () => {
    const jobs = await open();
    await jobs.submit(job('a', 'Low'));
    await jobs.submit(job('b'));
    await jobs.submit(job('c', 'High'));
    expect(await jobs.waiting()).toBe(3);
    expect([(await jobs.take())?.id, (await jobs.take())?.id, (await jobs.take())?.id, await jobs.take()]).toEqual([
      'c',
      'b',
      'a',
      undefined,
    ]);
  });

  test('are shared by those that live', async () => {
    const jobs = await open();
    await jobs.tick();
    expect(await jobs.replicas()).toBe(1);
  });

  test('beyond the limit are refused', async () => {
    const jobs = await open();
    for (const id of ['a', 'b', 'c']) await jobs.submit(job(id));
    await expect(jobs.submit(job('d'))).rejects.toMatchObject({ code: 'OVERLOADED', retryAfter: 5 });
  });

  test('show how they stand to their tenant only', async () => {
    const jobs = await open();
    await jobs.submit(job('a'));
    expect((await jobs.read('news', 'a')).status).toBe('Queued');
    const taken = (await jobs.take()) as Job;
    expect((await jobs.read('news', 'a')).status).toBe('Running');
    await jobs.finish(taken, { result });
    expect(await jobs.read('news', 'a')).toEqual({ id: 'a', priority: 'Normal', status: 'Succeeded', result });
    await expect(jobs.read('sport', 'a')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(jobs.cancel('sport', 'a')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('that are cancelled are neither done nor finished', async () => {
    const jobs = await open();
    await jobs.submit(job('a'));
    await jobs.submit(job('b'));
    expect((await jobs.cancel('news', 'a')).status).toBe('Cancelled');
    const next = await jobs.take();
    expect(next?.id).toBe('b');
    await jobs.cancel('news', 'b');
    await jobs.finish(next as Job, { result });
    expect((await jobs.read('news', 'b')).status).toBe('Cancelled');
  });

  test('that are cancelled while they run are called off', async () => {
    const jobs = await open();
    const called: string[] = [];
    jobs.onCancel((id) => called.push(id));
    await jobs.submit(job('a'));
    await jobs.take();
    await jobs.cancel('news', 'a');
    expect(called).toEqual(['a']);
  });

  test('of a priority that is not listed are taken last, and count', async () => {
    const jobs = await open({ priorities: () => ['Low'] });
    for (const [id, priority] of Object.entries({ a: 'Normal', b: 'High', c: 'Low' } as const))
      await jobs.submit(job(id, priority));
    expect(await jobs.waiting()).toBe(3);
    await expect(jobs.submit(job('d'))).rejects.toMatchObject({ code: 'OVERLOADED' });
    const order = [(await jobs.take())?.id, (await jobs.take())?.id, (await jobs.take())?.id];
    expect(order).toEqual(['c', 'b', 'a']);
  });

  test('of one tenant leave places for the others', async () => {
    const jobs = await open({ maxOfTenant: () => 2 });
    await jobs.submit(job('a'));
    await jobs.submit(job('b'));
    await expect(jobs.submit(job('c'))).rejects.toMatchObject({ code: 'OVERLOADED' });
    await jobs.submit({ ...job('d'), tenant: 'sport' });
    await jobs.take();
    await jobs.submit(job('e'));
  });

  test('keep the latest outcomes within their bound, and no texts', async () => {
    const jobs = await open({ maxQueued: () => 100, mostKept: 3 * JSON.stringify({ result }).length });
    for (let i = 0; i < 8; i++) {
      await jobs.submit(job(`j${i}`));
      await jobs.finish((await jobs.take()) as Job, { result });
    }
    await expect(jobs.read('news', 'j0')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await jobs.read('news', 'j7')).result).toEqual(result);
  });

  test('that are given back are the next to be taken', async () => {
    const jobs = await open();
    await jobs.submit(job('a'));
    await jobs.submit(job('b'));
    await jobs.giveBack((await jobs.take()) as Job);
    expect((await jobs.take())?.id).toBe('a');
  });
});

test('a job that ended three replicas is not given to a fourth', async () => {
  await emptyRedis();
  await redisJobs(redis, limits, prefix, 'first').submit(job('poison'));
  for (let i = 0; i < mostAttempts; i++) {
    const replica = redisJobs(redis, limits, prefix, `r${i}`);
    expect((await replica.take())?.id).toBe('poison');
    await redis.call((client) => client.lmove(`${prefix}:work:r${i}`, `${prefix}:queue:Normal`, 'RIGHT', 'LEFT'));
  }
  const last = redisJobs(redis, limits, prefix, 'last');
  expect(await last.take()).toBeUndefined();
  expect(await last.read('news', 'poison')).toMatchObject({ status: 'Failed', error: { code: 'WORKER_FAILED' } });
});

test('texts of jobs that ended are not kept', async () => {
  const jobs = await emptyRedis();
  await jobs.submit(job('a'));
  await jobs.finish((await jobs.take()) as Job, { result });
  expect(await redis.call((client) => client.hkeys(`${prefix}:job:a`))).not.toContain('job');
});

test('a job cancelled through another replica is called off where it runs', async () => {
  const one = await emptyRedis();
  const two = redisJobs(redis, limits, prefix, 'two');
  const called: string[] = [];
  one.onCancel((id) => called.push(id));
  await one.submit(job('a'));
  await one.take();
  await two.cancel('news', 'a');
  await one.tick();
  expect(called).toEqual(['a']);
});

test('jobs of a replica that died are done by another', async () => {
  const one = await emptyRedis();
  const two = redisJobs(redis, limits, prefix, 'two');
  await one.tick();
  await one.submit(job('a'));
  expect((await one.take())?.id).toBe('a');
  await two.tick();
  expect(await two.take()).toBeUndefined();
  await eventually(async () => {
    await two.tick();
    expect((await two.take())?.id).toBe('a');
  });
});

test('jobs whose taking was not heard of are taken again by the same replica', async () => {
  const one = await emptyRedis();
  await one.submit(job('a'));
  await redis.call((client) => client.lmove(`${prefix}:queue:Normal`, `${prefix}:work:one`, 'LEFT', 'RIGHT'));
  await one.tick();
  expect(await one.take()).toBeUndefined();
  await one.tick();
  expect((await one.take())?.id).toBe('a');
  await one.tick();
  await one.tick();
  expect(await one.take()).toBeUndefined();
});

test('jobs that a slow Redis gave after the call was given up are taken again', async () => {
  const one = await emptyRedis();
  await one.submit(job('a', 'High'));
  let late = true;
  const call: RedisConnection['call'] = async (work) => {
    const answer = await redis.call(work);
    if (late) throw new Error('it took too long');
    return answer;
  };
  const two = redisJobs({ ...redis, call }, limits, prefix, 'two');
  await expect(two.take()).rejects.toThrow('too long');
  late = false;
  await two.tick();
  await two.tick();
  expect((await two.take())?.id).toBe('a');
  expect(await redis.call((client) => client.hget(`${prefix}:job:a`, 'attempts'))).toBe('1');
});

/** A connection on which `act` happens once, before the step of that number: a call, or a command within one. */
function interrupted(at: number, act: () => Promise<unknown>): RedisConnection {
  let step = 0;
  const next = async (): Promise<void> => {
    if (step++ === at) await act();
  };
  const call: RedisConnection['call'] = async (work) => {
    await next();
    return redis.call((client) =>
      work(
        new Proxy(client, {
          get(of, name) {
            const command = of[name as 'get'].bind(of) as (...args: unknown[]) => Promise<unknown>;
            if (name === 'multi') return command;
            return async (...args: unknown[]) => {
              await next();
              return command(...args);
            };
          },
        }),
      ),
    );
  };
  return { ...redis, call };
}
const steps = Array.from({ length: 14 }, (_, i) => i);

test.each(steps)('a job that is cancelled at step %i of its taking stays so', async (at) => {
  const one = await emptyRedis();
  await one.submit(job('a', 'High'));
  let status = 'Running';
  const cancel = async () => {
    ({ status } = await one.cancel('news', 'a'));
  };
  await redisJobs(interrupted(at, cancel), limits, prefix, 'two').take();
  expect((await one.read('news', 'a')).status).toBe(status);
});

test.each(steps)('a job that ends at step %i of its cancelling has its outcome or none', async (at) => {
  const one = await emptyRedis();
  await one.submit(job('a'));
  const taken = (await one.take()) as Job;
  const end = () => one.finish(taken, { result });
  await redisJobs(interrupted(at, end), limits, prefix, 'two').cancel('news', 'a');
  const { status, result: kept } = await one.read('news', 'a');
  expect([status, kept !== undefined]).toEqual(status === 'Succeeded' ? ['Succeeded', true] : ['Cancelled', false]);
});

test.each(steps)('a job whose giving back breaks off at step %i is not lost', async (at) => {
  const one = await emptyRedis();
  await one.submit(job('a', 'High'));
  const breakOff = () => Promise.reject(new Error('the connection was lost'));
  const broken = redisJobs(interrupted(at, breakOff), limits, prefix, 'two');
  const taken = await broken.take().catch(() => undefined);
  if (taken) await broken.giveBack(taken).catch(() => undefined);
  const listed = await redis.call((client) =>
    Promise.all([client.lrange(`${prefix}:queue:High`, 0, -1), client.lrange(`${prefix}:work:two`, 0, -1)]),
  );
  expect(listed.flat()).toEqual(['a']);
});
