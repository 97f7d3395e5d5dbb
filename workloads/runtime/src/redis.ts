// A connection to Redis that is allowed to fail: every call has a time limit, none queues while Redis is away, and it comes back by itself.
import { Redis, type RedisOptions } from 'ioredis';
import type { Registry } from './metrics.ts';
import { type Dependency, dependency } from './resilience.ts';

export interface RedisConnectionOptions {
  /** `redis://` or `rediss://`, with user, password and database as usual. */
  url: string;
  /** Before every key, unless the URL has a `keyPrefix` of its own. */
  keyPrefix?: string;
  /** Milliseconds for one command; 250 when left out. */
  commandTimeout?: number;
  /** Milliseconds to connect; 1 000 when left out. */
  connectTimeout?: number;
  registry?: Registry;
  /** Called when the connection is made or lost. */
  onChange?: (connected: boolean) => void;
  tls?: RedisOptions['tls'];
}

export interface RedisConnection {
  readonly connected: boolean;
  readonly dependency: Dependency;
  /** Throws `DEPENDENCY_UNAVAILABLE` at once while Redis is away. */
  call: <T>(work: (client: Redis) => Promise<T>) => Promise<T>;
  /** `otherwise` while Redis is away. */
  callOr: <T>(work: (client: Redis) => Promise<T>, otherwise: T) => Promise<T>;
  /** A further connection with the same options, for subscriptions and blocking commands; closed with this one. */
  duplicate: () => Redis;
  /** Runs each time a connection is made, the present one included. */
  onConnect: (listener: () => void) => void;
  close: () => Promise<void>;
}

/** Starts connecting and returns at once; an engine without Redis is slower, not down. */
export function connectRedis(options: RedisConnectionOptions): RedisConnection {
  const redisOptions = {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: options.commandTimeout ?? 250,
    connectTimeout: options.connectTimeout ?? 1000,
    retryStrategy: (times: number) => Math.min(2000, 50 * 2 ** Math.min(times, 6)) * (0.5 + Math.random() / 2),
    ...(options.keyPrefix === undefined ? {} : { keyPrefix: options.keyPrefix }),
    ...(options.tls ? { tls: options.tls } : {}),
  } satisfies RedisOptions;
  const others: Redis[] = [];
  const listeners: (() => void)[] = [];
  const open = () => {
    const made = new Redis(options.url, redisOptions);
    // Unheard, an error event would end the process; what it says reaches callers through their calls.
    made.on('error', () => undefined);
    return made;
  };
  const client = open();
  client.on('ready', () => {
    options.onChange?.(true);
    for (const listener of listeners) listener();
  });
  client.on('close', () => options.onChange?.(false));
  const guarded = dependency('redis', {
    timeout: (options.commandTimeout ?? 250) * 2,
    retries: 0,
    failures: 5,
    openFor: 1000,
    ...(options.registry ? { registry: options.registry } : {}),
  });
  return {
    get connected() {
      return client.status === 'ready';
    },
    dependency: guarded,
    call: (work) => guarded.call(() => work(client)),
    // A lost connection is known at once: no call, no circuit, no waiting.
    callOr: async (work, otherwise) =>
      client.status === 'ready' ? guarded.callOr(() => work(client), otherwise) : otherwise,
    duplicate: () => {
      const other = open();
      others.push(other);
      return other;
    },
    onConnect: (listener) => {
      listeners.push(listener);
      if (client.status === 'ready') listener();
    },
    close: async () => {
      for (const each of [client, ...others]) each.disconnect();
    },
  };
}
