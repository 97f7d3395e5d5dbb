// The routes of a MatcherPool, and what they share.
import type { EngineContext, EngineServer } from '@quintet/runtime';
import type { Embedder } from '../embedding/embedder.ts';
import type { Calls } from '../exchange/calls.ts';
import type { Matcher } from '../match/matcher.ts';
import type { Bank, Recorded } from '../record/record.ts';
import type { Replica } from '../replica/replica.ts';
import type { Shards } from '../shards/shards.ts';
import { audit, bank as bankAnswer, banks as banksAnswer } from './answers.ts';
import { createBanks } from './banks.ts';
import { asHttp } from './bodies.ts';
import type { MatcherConfig } from './config.ts';
import { answers, sentAsItIs } from './described.ts';
import { importRoute } from './imports.ts';
import { itemRoutes } from './items.ts';
import { listing } from './listing.ts';
import { matching } from './matching.ts';
import { peerRoute } from './peers.ts';
import { actorOf } from './requests.ts';
import * as schemas from './schemas.ts';

export interface Parts {
  readonly record: Recorded;
  readonly replica: Replica;
  readonly matcher: Matcher;
  /** Of webhooks. */
  readonly calls: Calls;
  readonly embedder: Embedder | undefined;
  /** Left out where each pod holds all items. */
  readonly shards: Shards | undefined;
}

export interface Service {
  readonly server: EngineServer;
  readonly context: EngineContext<MatcherConfig>;
  readonly started: Promise<Parts>;
  /** Makes the banks of the spec, where the tenant is new. */
  readonly ensureBanks: (tenant: string) => Promise<void>;
  /** Bytes of a body with one image. */
  readonly bodyLimit: number;
}

/** Base64 and the frame of a multipart body need more room than the image. */
const roomFactor = 1.4;

export async function routes(
  server: EngineServer,
  context: EngineContext<MatcherConfig>,
  started: Promise<Parts>,
): Promise<void> {
  const { config } = context;
  await server.register(async (scope) => {
    // Thrown on, errors reach the runtime's own handler, in its words.
    scope.setErrorHandler((error) => {
      throw asHttp(error);
    });
    readBytes(scope);
    const service: Service = {
      server: scope,
      context,
      started,
      ensureBanks: banksEnsured(config, started),
      bodyLimit: Math.ceil(config.images.maxSize * roomFactor) + 65_536,
    };
    await matching(service);
    itemRoutes(service);
    importRoute(service);
    listing(service);
    bankRoutes(service);
    peerRoute(scope, context, started);
  });
}

function readBytes(server: EngineServer): void {
  for (const type of [/^image\//, /^multipart\/form-data/, 'application/octet-stream']) {
    server.addContentTypeParser(type, { parseAs: 'buffer' }, (request, bytes, done) => {
      done(null, { bytes, type: String(request.headers['content-type']) });
    });
  }
  // An import of any length passes through, a line at a time.
  server.addContentTypeParser('application/x-ndjson', (_, payload, done) => done(null, payload));
}

function banksEnsured(config: MatcherConfig, started: Promise<Parts>): Service['ensureBanks'] {
  const ensured = new Map<string, Promise<void>>();
  return async (tenant) => {
    let known = ensured.get(tenant);
    if (!known) {
      known = createBanks(await started, config, tenant);
      ensured.set(tenant, known);
      // Not each request waits for a PostgreSQL that is away.
      known.catch(() => setTimeout(() => ensured.delete(tenant), 5000).unref());
    }
    await known;
  };
}

function bankRoutes({ server, started, ensureBanks }: Service): void {
  const listed = { summary: 'The banks of the tenant', response: answers(banksAnswer) };
  server.get('/api/v1/banks', { schema: listed, ...sentAsItIs }, async ({ identity }) => {
    await ensureBanks(identity.tenant);
    const { record } = await started;
    return { banks: (await record.banks()).filter(({ tenant }) => tenant === identity.tenant).map(shown) };
  });

  const params = schemas.bankParams;
  const changed = { summary: 'Make or change a bank', params, body: schemas.bankBody, response: answers(bankAnswer) };
  server.put(
    '/api/v1/banks/:name',
    { schema: changed, ...sentAsItIs },
    async ({ params: { name }, body, identity }) => {
      const { kind, maxDistance, enabledRatio, suppresses } = body;
      const bank = await (await started).record.setBank(actorOf(identity), name, {
        ...(kind !== undefined && { kind }),
        ...(maxDistance !== undefined && { maxDistance }),
        ...(enabledRatio !== undefined && { enabledRatio }),
        ...(suppresses !== undefined && { suppresses }),
      });
      return shown(bank);
    },
  );

  const audited = { summary: 'Who changed a bank', params, response: answers(audit) };
  server.get(
    '/api/v1/banks/:name/audit',
    { schema: audited, ...sentAsItIs },
    async ({ params: { name }, identity }) => ({
      entries: await (await started).record.audit(identity.tenant, `bank/${name}`),
    }),
  );
}

function shown({ name, kind, maxDistance, enabledRatio, suppresses }: Bank) {
  return { name, kind, maxDistance, enabledRatio, suppresses };
}
