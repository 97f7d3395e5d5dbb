// What an engine is made of and what it gets: the types of `runEngine`.
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Registry } from 'prom-client';
import type { z } from 'zod';
import type { Quotas } from '../access/quota.ts';
import type { Identity } from '../access/tokens.ts';
import type { RedisConnection } from '../redis.ts';
import type { Settings } from '../settings.ts';
import type { Readiness } from './readiness.ts';

/** Fastify with zod schemas: bodies, queries and parameters of handlers have the schemas' types. */
export type EngineServer = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  ZodTypeProvider
>;

export interface EngineContext<C> {
  /** The engine's own configuration as it is now; read it at use, as it may be reloaded. */
  readonly config: C;
  /** What every engine can be told. */
  readonly settings: Settings;
  readonly registry: Registry;
  readonly log: FastifyBaseLogger;
  /** Undefined when none is configured; when it is configured but away, its calls fail fast. */
  readonly redis: RedisConnection | undefined;
  /** Daily units of tenants; `reserve` before the work and `settle` after it. Requests per minute are counted already. */
  readonly quotas: Quotas;
  readonly readiness: Readiness;
  /** Aborts when the process is to end: for a job at once, else after requests under way have ended or run out of time. */
  readonly signal: AbortSignal;
}

export interface EngineDefinition<S extends z.ZodObject> {
  /** In logs, metrics, traces and keys of Redis. */
  name: string;
  version?: string;
  /** Members of the engine's own in the configuration; those of `settingsSchema` are read beside them. */
  config: S;
  /** What the engine needs before it is ready: models, tables, indexes. Until it resolves, `/readyz` says "starting". */
  start?: (context: EngineContext<z.output<S>>) => Promise<void>;
  /** Adds routes. Each needs a token unless its `config.public` is true. */
  routes?: (server: EngineServer, context: EngineContext<z.output<S>>) => void | Promise<void>;
  /** Work that ends, for engines run as a Job: the process ends with it. Abort with `context.signal`. */
  job?: (context: EngineContext<z.output<S>>) => Promise<void>;
  /** Paths of `config` that may change while running. */
  reloadable?: readonly string[];
  onReload?: (config: z.output<S>, changed: readonly string[]) => void | Promise<void>;
  /** Runs after the last request ended and before the process does. */
  onDrain?: (context: EngineContext<z.output<S>>) => void | Promise<void>;
  /** What healing may do, by `POST /admin/actions/<name>` with a token of `_admin`: clear a cache, change a batch size. */
  actions?: Record<string, (input: unknown, context: EngineContext<z.output<S>>) => Promise<unknown>>;
  /** Adds metrics; called once, before the server listens. */
  metrics?: (registry: Registry) => void;
}

/** For tests and for running several engines in one process; an engine in a pod needs none of it. */
export interface EngineOptions {
  /** `QUINTET_CONFIG`, else `QUINTET_RESOURCE` (what the controller mounts), else `/etc/quintet/config.json`, when left out. */
  configFile?: string;
  env?: NodeJS.ProcessEnv;
  registry?: Registry;
  /** Where JSON logs go; standard output when left out. */
  logStream?: { write: (line: string) => void };
  /** Milliseconds between looks at mounted files; 2 000 when left out. */
  watchInterval?: number;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose request it is; tenant `default` where no tokens are configured. */
    identity: Identity;
  }
  interface FastifyContextConfig {
    /** Open to everyone: no token, no limits. */
    public?: boolean;
    /** Only for tokens of `_admin`. */
    admin?: boolean;
    /** Its connections last and have a limit of their own: they are not among the requests at once. */
    lasting?: boolean;
    /** A body of any length, worked on as it comes: `server.requestTimeout` is for a silence within it, not for all of it. */
    longBody?: boolean;
  }
}
