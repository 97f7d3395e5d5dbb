// What `auto` learns, over all replicas: each adds what it saw to Redis, and reads what all saw. Without Redis, by itself.
import type { RedisConnection } from '@quintet/runtime';
import type { ContentType } from '../detect.ts';
import { Feedback, type FeedbackState, mostWeight } from '../feedback.ts';

export interface Learning {
  readonly state: FeedbackState;
  observe(type: ContentType, ratio: number, strategy: string, score: number): void;
  /** Adds what is new here to what is stored, and takes over the sum. Nothing is lost while Redis is away. */
  sync(): Promise<void>;
}

/**
 * KEYS: a hash of weight and sum per cell. ARGV: triples of cell, weight, sum. Old observations fade beyond the most weight.
 * Returns the whole hash.
 */
const addScript = `
local most = tonumber(ARGV[1])
for i = 2, #ARGV, 3 do
  local weight = tonumber(redis.call('HGET', KEYS[1], ARGV[i] .. '/weight') or '0') + tonumber(ARGV[i + 1])
  local sum = tonumber(redis.call('HGET', KEYS[1], ARGV[i] .. '/sum') or '0') + tonumber(ARGV[i + 2])
  if weight > most then
    sum = sum * most / weight
    weight = most
  end
  redis.call('HSET', KEYS[1], ARGV[i] .. '/weight', tostring(weight), ARGV[i] .. '/sum', tostring(sum))
end
return redis.call('HGETALL', KEYS[1])`;

export function openLearning(redis: RedisConnection | undefined, key: string): Learning {
  const feedback = new Feedback();
  /** Seen here since the last time that Redis took it. */
  let fresh = new Feedback();
  return {
    get state() {
      return feedback.state;
    },
    observe(type, ratio, strategy, score) {
      feedback.observe(type, ratio, strategy, score);
      fresh.observe(type, ratio, strategy, score);
    },
    async sync() {
      if (!redis) return;
      const given = fresh;
      fresh = new Feedback();
      const added = triples(given.state).flat();
      const stored = await redis.callOr(
        (client) => client.eval(addScript, 1, key, mostWeight, ...added) as Promise<string[]>,
        undefined,
      );
      if (stored) {
        feedback.restore(stateOf(stored));
        feedback.add(fresh.state);
      } else fresh.add(given.state);
    },
  };
}

function triples(state: FeedbackState): [string, number, number][] {
  return Object.entries(state).flatMap(([cell, strategies]) =>
    Object.entries(strategies).map(([strategy, { weight, mean }]): [string, number, number] => [
      `${cell}/${strategy}`,
      weight,
      weight * mean,
    ]),
  );
}

function stateOf(stored: readonly string[]): FeedbackState {
  const fields = new Map<string, number>();
  for (let i = 0; i + 1 < stored.length; i += 2) fields.set(stored[i] as string, Number(stored[i + 1]));
  const state: FeedbackState = {};
  for (const [name, weight] of fields) {
    const [type, ratio, strategy, figure] = name.split('/');
    if (figure !== 'weight' || !(weight > 0)) continue;
    const cell = (state[`${type}/${ratio}`] ??= {});
    cell[strategy as string] = { weight, mean: (fields.get(`${type}/${ratio}/${strategy}/sum`) ?? 0) / weight };
  }
  return state;
}
