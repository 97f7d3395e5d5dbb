// Queues of runs whose coordinator was killed and has not come back. Their keys have no time to live, or a Redis that makes room would take them from a run at
// work; so each coordinator is noted with the time, and the next one, of whatever run, removes what nobody has cared for.
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';

const noted = 'quintet:evolution:queues';
/** Seconds. A coordinator that comes back later finds its results, which are kept apart, and queues again what is open. */
const longestSilence = 86_400;

export function queueName(runId: string): string {
  return `quintet-evolution-${runId}`;
}

/** That its run is at work, which may not fail of this. */
export async function noteQueue(redis: Redis, runId: string): Promise<void> {
  try {
    await redis.zadd(noted, await secondsAt(redis), runId);
  } catch {
    // Redis is full, or does not let us: another note follows.
  }
}

export async function forgetQueue(redis: Redis, runId: string): Promise<void> {
  await redis.zrem(noted, runId);
}

export async function removeLeftovers(redis: Redis): Promise<void> {
  const oldest = (await secondsAt(redis)) - longestSilence;
  for (const runId of await redis.zrangebyscore(noted, '-inf', oldest)) {
    const queue = new Queue(queueName(runId), { connection: redis, skipMetasUpdate: true });
    queue.on('error', () => undefined);
    await queue.obliterate({ force: true });
    await queue.close();
    await forgetQueue(redis, runId);
  }
}

/** By the clock that all share. */
async function secondsAt(redis: Redis): Promise<number> {
  return Number((await redis.time())[0]);
}
