// Puts an engine together: configuration, connections, HTTP, readiness, and an end that loses no request.
import { isUtf8 } from 'node:buffer';
import type { Socket } from 'node:net';
import cors from '@fastify/cors';
import swagger from '@fastify/swagger';
import fastify, { type FastifyBaseLogger, LogController } from 'fastify';
import {
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod';
import { Registry } from 'prom-client';
import type { z } from 'zod';
import { openConfig } from '../config.ts';
import { QuintetError } from '../errors.ts';
import { connectRedis } from '../redis.ts';
import { redisPrefix, redisUrl, reloadableSettings, type Settings, settingsSchema } from '../settings.ts';
import { startTracing } from '../traces.ts';
import { access } from './access.ts';
import { arrival } from './arrival.ts';
import { cancellation } from './cancellation.ts';
import { followCommands } from './commands.ts';
import type { EngineContext, EngineDefinition, EngineOptions, EngineServer } from './context.ts';
import { errorBody, handleErrors } from './errorHandler.ts';
import { observeProcess, observeRequests } from './observe.ts';
import { operations } from './operations.ts';
import { readiness } from './readiness.ts';

export interface Engine {
  /** Where it listens, such as `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly server: EngineServer;
  /** Resolves when `start` is through; rejects with what it threw. */
  readonly started: Promise<void>;
  /** Resolves when `job` is through; never for engines without one. */
  readonly finished: Promise<void>;
  /** Looks at mounted files now. */
  reload: () => Promise<void>;
  /** Not ready, wait for load balancers, finish requests under way, `onDrain`, close. Later calls join the first. */
  drain: () => Promise<void>;
}

/**
 * Runs an engine as the process: ends with 0 after SIGTERM or SIGINT (drained) or the end of its job, with 143 when a signal came before the end
 * of its job, with 1 when it cannot start or its job failed. A second signal ends it at once.
 */
export async function runEngine<S extends z.ZodObject>(
  definition: EngineDefinition<S>,
  options: EngineOptions = {},
): Promise<void> {
  const fatal = (error: unknown) => {
    process.stderr.write(
      `${JSON.stringify({ level: 'fatal', engine: definition.name, err: error instanceof Error ? error.message : String(error) })}\n`,
    );
    process.exit(1);
  };
  try {
    const engine = await startEngine(definition, options);
    // A job that was told to stop is not through: its Job must not count it as a success.
    let code = 0;
    const end = () => engine.drain().then(() => process.exit(code), fatal);
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(1));
        if (definition.job) code = 143;
        void end();
      });
    }
    await engine.started;
    await engine.finished;
    await end();
  } catch (error) {
    fatal(error);
  }
}

/** Starts an engine in this process and leaves its signals alone. Throws `CONFIG_INVALID` and whatever keeps it from listening. */
export async function startEngine<S extends z.ZodObject>(
  definition: EngineDefinition<S>,
  options: EngineOptions = {},
): Promise<Engine> {
  const { name, version = '0.0.0' } = definition;
  const env = options.env ?? process.env;
  const registry = options.registry ?? new Registry();
  for (const own of Object.keys(definition.config.shape)) {
    if (own in settingsSchema.shape) throw new TypeError(`${name}: the configuration member ${own} is the runtime's`);
  }
  const schema = settingsSchema.extend(definition.config.shape).loose();
  let reload: (next: Settings, changed: readonly string[]) => void | Promise<void> = () => undefined;
  let log: FastifyBaseLogger | undefined;
  const config = await openConfig({
    schema,
    file: options.configFile ?? env['QUINTET_CONFIG'] ?? env['QUINTET_RESOURCE'] ?? '/etc/quintet/config.json',
    defaults: env['PORT'] === undefined ? {} : { server: { port: Number(env['PORT']) } },
    env,
    reloadable: [...reloadableSettings, ...(definition.reloadable ?? [])],
    onReload: (next, changed) => reload(next as unknown as Settings, changed),
    onRefused: (error) => log?.error({ err: error }, 'the changed configuration is not taken over'),
    ...(options.watchInterval === undefined ? {} : { interval: options.watchInterval }),
  });
  const settings = () => config.current as unknown as Settings;
  const own = () => config.current as unknown as z.output<S>;

  const tracing = await startTracing(name, version, env);
  const server = makeServer(name, settings(), options);
  log = server.log;
  const state = readiness(registry);
  state.block('start', 'starting');
  const url = redisUrl(settings(), env);
  const redis =
    url === undefined
      ? undefined
      : connectRedis({
          url,
          registry,
          ...redisPrefix(name, settings()),
          onChange: (connected) =>
            connected
              ? state.clear('redis')
              : state.degrade('redis', 'not connected: caches and limits are of this replica alone'),
        });
  const ending = new AbortController();
  const watchInterval = options.watchInterval;
  const onTokenError = (error: unknown) => server.log.error({ err: error }, 'the tokens are not reloaded');
  const gate = await access({ name, settings: settings(), registry, redis, watchInterval, onTokenError });
  const context: EngineContext<z.output<S>> = {
    get config() {
      return own();
    },
    get settings() {
      return settings();
    },
    registry,
    log: server.log,
    redis,
    quotas: gate.quotas,
    readiness: state,
    signal: ending.signal,
  };
  reload = async (next, changed) => {
    await definition.onReload?.(next as unknown as z.output<S>, changed);
    server.log.level = next.logging.level;
    gate.reload(next);
    server.log.info({ changed }, 'configuration reloaded');
  };

  observeProcess(registry);
  definition.metrics?.(registry);
  arrival(server, settings().server.requestTimeout);
  cancellation(server, settings().server.handlerTimeout);
  await prepare(server, { name, version, origins: () => settings().cors?.origins ?? [] });
  observeRequests(server, registry, tracing, () => settings().server.drainTimeout);
  gate.guard(server);
  handleErrors(server, registry);
  const actions = Object.entries(definition.actions ?? {}).map(
    ([action, run]) => [action, (input: unknown) => run(input, context)] as const,
  );
  operations(server, { readiness: state, registry, actions: Object.fromEntries(actions) });
  const commands = await commandsFor(env, Object.fromEntries(actions), { registry, log: server.log, watchInterval });
  // Before listening, so that a route's mistake shows at once; `start` runs while probes are already answered.
  await definition.routes?.(server, context);
  const address = await server.listen({ host: settings().server.host, port: settings().server.port });

  const started = (async () => {
    await definition.start?.(context);
    state.clear('start');
    server.log.info({ address }, 'ready');
  })();
  const job = definition.job;
  const finished = job ? started.then(() => job(context)) : new Promise<void>(() => undefined);
  // Both are also awaited by the caller; unheard rejections must not end the process before it can say why.
  started.catch((error: unknown) => state.block('start', error instanceof Error ? error.message : String(error)));
  finished.catch(() => undefined);

  let drained: Promise<void> | undefined;
  const closeServer = closingOf(server);
  const drain = async () => {
    const { drainDelay, drainTimeout } = settings().server;
    state.block('drain', 'shutting down');
    server.log.info('draining');
    // Until endpoints are updated everywhere, requests still come: they are served, each telling its client to connect elsewhere.
    draining.add(server);
    if (job) {
      ending.abort(new Error('the job is to stop'));
      await Promise.race([finished.catch(() => undefined), pause(drainTimeout)]);
    } else await pause(drainDelay);
    await closeServer(drainTimeout);
    ending.abort(new Error('the engine ends'));
    await definition.onDrain?.(context);
    config.close();
    commands?.close();
    gate.close();
    await redis?.close();
    await tracing?.close();
  };
  return {
    url: address.replace('0.0.0.0', '127.0.0.1').replace('[::]', '[::1]'),
    server,
    started,
    finished,
    reload: config.check,
    drain: () => (drained ??= drain()),
  };
}

/** What the platform asks this pod to do, where it runs for a resource and has actions at all. */
async function commandsFor(
  env: NodeJS.ProcessEnv,
  actions: Parameters<typeof followCommands>[0]['actions'],
  { registry, log, watchInterval }: { registry: Registry; log: FastifyBaseLogger; watchInterval: number | undefined },
): Promise<Awaited<ReturnType<typeof followCommands>> | undefined> {
  const file = env['QUINTET_RESOURCE'];
  if (file === undefined || Object.keys(actions).length === 0) return undefined;
  return await followCommands({ file, pod: env['HOSTNAME'] ?? '', actions, registry, log, interval: watchInterval });
}

/** How to close the server: requests under way may end within `timeout` milliseconds, then they are cut off. */
function closingOf(server: EngineServer): (timeout: number) => Promise<void> {
  const connections = new Set<Socket>();
  server.server.on('connection', (socket: Socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  return async (timeout) => {
    const closed = server.close();
    if (await Promise.race([closed.then(() => false), latest(timeout).then(() => true)])) {
      server.log.warn('requests under way are cut off after the drain timeout');
      // Upgraded ones too: the server has let go of them, yet waits for their end.
      for (const socket of connections) socket.destroy();
      await closed;
    }
  };
}

const draining = new WeakSet<EngineServer>();

function makeServer(name: string, settings: Settings, options: EngineOptions): EngineServer {
  const { server, logging, rateLimits } = settings;
  const made = fastify({
    logger: {
      level: logging.level,
      base: { engine: name, pod: podName(options.env ?? process.env) },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: ['req.headers.authorization', 'headers.authorization', 'authorization', 'token'],
      ...(options.logStream ? { stream: options.logStream } : {}),
    },
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: rateLimits.maxBodySize,
    // Node's own is for the whole body, whatever the route does with it; see `arrival.ts`.
    requestTimeout: 0,
    keepAliveTimeout: server.keepAliveTimeout,
    connectionTimeout: 0,
    trustProxy: server.trustProxy,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    http: {
      maxHeaderSize: server.headerLimit,
      headersTimeout: Math.min(server.requestTimeout, 20_000),
      connectionsCheckingInterval: 5000,
    },
    genReqId: (request) => requestIdOf(request.headers['x-request-id']),
    routerOptions: { maxParamLength: 1024 },
  }).withTypeProvider<ZodTypeProvider>();
  made.server.maxConnections = server.maxConnections;
  made.setValidatorCompiler(validatorCompiler);
  made.setSerializerCompiler(serializerCompiler);
  readJson(made);
  made.addHook('onSend', async (_request, reply) => {
    if (draining.has(made)) reply.header('connection', 'close');
    reply.header('x-content-type-options', 'nosniff');
  });
  return made;
}

/** Bytes that are no UTF-8 are refused: read leniently, they would become other text than was sent. */
function readJson(server: EngineServer): void {
  const parse = server.getDefaultJsonParser('error', 'error');
  // Read as text, a body would be refused as no object instead of for its type.
  server.removeContentTypeParser(['application/json', 'text/plain']);
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    if (isUtf8(body)) return parse(request, body.toString('utf8'), done);
    done(new QuintetError('MALFORMED_BODY', { reason: 'it is not UTF-8' }));
  });
}

async function prepare(
  server: EngineServer,
  { name, version, origins }: { name: string; version: string; origins: () => string[] },
): Promise<void> {
  // Browsers' preflights carry no token: they are answered before anything asks for one.
  await server.register(cors, {
    origin: (origin, decide) => decide(null, origin !== undefined && origins().includes(origin)),
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    exposedHeaders: ['x-request-id', 'retry-after'],
    maxAge: 600,
  });
  server.addHook('onRoute', (route) => {
    const schema = route.schema as { hide?: boolean; response?: Record<string, unknown> } | undefined;
    if (schema?.hide) return;
    route.schema = { ...schema, response: { '4xx': errorBody, '5xx': errorBody, ...schema?.response } };
  });
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: `Quintet ${name}`, version },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
    transform: jsonSchemaTransform,
  });
}

/** An id that a proxy gave, when it is harmless to log; else a new one. */
function requestIdOf(given: string | string[] | undefined): string {
  return typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : crypto.randomUUID();
}

function podName(env: NodeJS.ProcessEnv): string | undefined {
  return env['POD_NAME'] ?? env['HOSTNAME'];
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** As `pause`, but a process that has nothing else left to do ends before. */
function latest(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds).unref());
}
