import { Registry } from '@quintet/runtime';
import { expect, test } from 'vitest';
import { jobsTold } from './jobsTold.ts';

test('jobs count where they are at work, and by equal shares where they wait, as it was heard last', async () => {
  const registry = new Registry();
  let waiting: number | Error = 6;
  const jobs = {
    waiting: async () => {
      if (waiting instanceof Error) throw waiting;
      return waiting;
    },
    replicas: async () => 3,
  };
  const look = jobsTold(registry, jobs, () => 1);
  const told = async () =>
    /quintet_queue_depth\{queue="jobs",priority="all"\} (.*)/.exec(await registry.metrics())?.[1];
  expect(await told()).toBe('1');
  await look();
  expect(await told()).toBe('3');
  waiting = new Error('Redis is away');
  await expect(look()).rejects.toThrow('away');
  expect(await told()).toBe('3');
});
