import { connectRedis, type RedisConnection } from '@quintet/runtime';
import { eventually, startRedis, type TestRedis } from '@quintet/runtime/testing';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Feedback, mostWeight } from '../feedback.ts';
import { openLearning } from './learning.ts';

let server: TestRedis;
let redis: RedisConnection;
beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis({ url: server.url });
  await new Promise<void>((resolve) => redis.onConnect(resolve));
}, 180_000);
beforeEach(async () => {
  await redis.call((client) => client.flushall());
});
afterAll(async () => {
  await redis.close();
  await server.stop();
});

const cell = 'prose/8';

test('replicas that learn at once add up, and none overwrites another', async () => {
  const [one, two] = [openLearning(redis, 'k'), openLearning(redis, 'k')];
  for (let round = 0; round < 5; round++) {
    for (let i = 0; i < 4; i++) one.observe('prose', 8, 'extractive', 0.5);
    for (let i = 0; i < 6; i++) two.observe('prose', 8, 'extractive', 1);
    await Promise.all([one.sync(), two.sync()]);
  }
  await one.sync();
  expect(one.state[cell]?.['extractive']?.weight).toBeCloseTo(50);
  expect(one.state[cell]?.['extractive']?.mean).toBeCloseTo(0.8);
});

test('a new replica that has seen one text does not forget what the others know', async () => {
  const old = openLearning(redis, 'k');
  for (let i = 0; i < 40; i++) old.observe('logs', 8, 'template', 0.9);
  await old.sync();
  const young = openLearning(redis, 'k');
  young.observe('logs', 8, 'template', 0.1);
  await young.sync();
  expect(young.state['logs/8']?.['template']?.weight).toBeCloseTo(41);
  expect(new Feedback(young.state).prefer('logs', 8, 'extractive')).toBeUndefined();
});

test('what is seen while Redis is away is added when it is back, and old observations fade', async () => {
  const own = await startRedis();
  const lost = connectRedis({ url: own.url });
  await new Promise<void>((resolve) => lost.onConnect(resolve));
  const learning = openLearning(lost, 'k');
  await own.kill();
  for (let i = 0; i < 900; i++) learning.observe('prose', 8, 'extractive', 0.5);
  await learning.sync();
  expect(learning.state[cell]?.['extractive']?.weight).toBe(mostWeight);
  await own.start();
  const other = openLearning(lost, 'k');
  await eventually(async () => {
    await learning.sync();
    await other.sync();
    expect(other.state[cell]?.['extractive']?.weight).toBeCloseTo(mostWeight);
  });
  await lost.close();
  await own.stop();
}, 60_000);
