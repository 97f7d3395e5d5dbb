// Who may pass, in this order: token, limits of the client, quota of the tenant, requests at once.
import type { FastifyRequest } from 'fastify';
import type { Quotas } from '../access/quota.ts';
import { tenantQuotas } from '../access/quota.ts';
import { type RateLimiter, rateLimiter } from '../access/rateLimit.ts';
import { type Identity, type TokenDirectory, tokenDirectory } from '../access/tokens.ts';
import { QuintetError } from '../errors.ts';
import type { Registry } from '../metrics.ts';
import type { RedisConnection } from '../redis.ts';
import type { Settings } from '../settings.ts';
import { whenDone } from './cancellation.ts';
import type { EngineServer } from './context.ts';

export interface Access {
  readonly quotas: Quotas;
  guard: (server: EngineServer) => void;
  reload: (settings: Settings) => void;
  close: () => void;
}

export interface AccessOptions {
  name: string;
  settings: Settings;
  registry: Registry;
  redis: RedisConnection | undefined;
  watchInterval: number | undefined;
  onTokenError: (error: unknown) => void;
}

/** Wrong tokens from one address before it is blocked: guessing must not pay, a mistyped Secret must not lock out for long. */
const wrongTokens = { requests: 20, window: 60_000, blockFor: 300_000 };
const unlimited = { requests: Number.MAX_SAFE_INTEGER, window: 60_000 };

export async function access(options: AccessOptions): Promise<Access> {
  const { name, redis, registry } = options;
  let { settings } = options;
  const shared = redis ? { redis } : {};
  const tokens: TokenDirectory | undefined = settings.auth
    ? await tokenDirectory(settings.auth.directory, {
        onError: options.onTokenError,
        ...(options.watchInterval === undefined ? {} : { interval: options.watchInterval }),
      })
    : undefined;
  const failures: RateLimiter = rateLimiter({ name: `${name}:auth`, ...wrongTokens, ...shared });
  const clients: RateLimiter = rateLimiter({ name, ...(settings.rateLimits.perClient ?? unlimited), ...shared });
  const quotas = tenantQuotas({ name, limits: limitsOf(settings), registry, ...shared });
  let working = 0;

  const identify = async (request: FastifyRequest): Promise<Identity> => {
    if (!tokens) return { tenant: 'default', admin: false, client: request.ip };
    const identity = tokens.identify(request.headers.authorization);
    // Right tokens pass even from a blocked address: it may be a proxy, and one guesser must not lock out all behind it.
    if (identity) return identity;
    await failures.enforce(request.ip);
    throw new QuintetError('UNAUTHENTICATED');
  };

  const admit = async (request: FastifyRequest): Promise<void> => {
    const { config } = request.routeOptions;
    if (config.public) return;
    request.identity = await identify(request);
    if (config.admin) {
      if (!tokens) throw new QuintetError('TOKENS_NOT_CONFIGURED');
      if (!request.identity.admin) throw new QuintetError('FORBIDDEN', { reason: 'it belongs to the tenant _admin' });
      return;
    }
    if (settings.rateLimits.perClient) await clients.enforce(request.identity.client);
    await quotas.request(request.identity.tenant);
  };

  /** Counts until the connection is done with the request, however it ends. */
  const count = (request: FastifyRequest, closed: (done: () => void) => void): void => {
    const { config } = request.routeOptions;
    if (config.public || config.admin || config.lasting) return;
    const limit = settings.rateLimits.maxConcurrent;
    if (working >= limit) throw new QuintetError('CONCURRENCY_LIMITED', { limit, retryAfter: 1 });
    working += 1;
    closed(() => {
      working -= 1;
    });
  };

  return {
    quotas,
    guard: (server) => {
      server.decorateRequest('identity');
      server.addHook('onRequest', async (request, reply) => {
        await admit(request);
        count(request, (done) => whenDone(request, reply, done));
      });
    },
    reload: (next) => {
      settings = next;
      clients.update(next.rateLimits.perClient ?? unlimited);
      quotas.update(limitsOf(next));
    },
    close: () => tokens?.close(),
  };
}

function limitsOf(settings: Settings) {
  return Object.fromEntries(
    settings.tenants.map((tenant) => [
      tenant.name,
      { requestsPerMinute: tenant.requestsPerMinute, unitsPerDay: tenant.tokensPerDay },
    ]),
  );
}
