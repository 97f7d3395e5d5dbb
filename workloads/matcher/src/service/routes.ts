// The routes of a MatcherPool. What is cached is what an image is (its hashes and corners, which depend on its bytes
// alone); verdicts never are, so a change of an item is obeyed by every cache at once.
import { Readable } from 'node:stream';
import { deserialize, serialize } from 'node:v8';
import {
  counter,
  type EngineContext,
  type EngineServer,
  engineCache,
  type Identity,
  QuintetError,
} from '@quintet/runtime';
import type { z } from 'zod';
import type { Embedder } from '../embedding/embedder.ts';
import { MatcherError } from '../errors.ts';
import { enqueue, type Webhook } from '../exchange/webhooks.ts';
import { digest } from '../image/decode.ts';
import type { Fingerprint, Level, Matcher, Verdict } from '../match/matcher.ts';
import type { Stage } from '../match/verdict.ts';
import { formatHash, parseHash, type Variant } from '../pdq/pdq.ts';
import { turned } from '../pdq/turn.ts';
import type { Actor, Bank, Item, NewItem, Recorded } from '../record/record.ts';
import type { Replica } from '../replica/replica.ts';
import type { Shards } from '../shards/shards.ts';
import { createBanks } from './banks.ts';
import { asHttp, fromBase64, readBody } from './bodies.ts';
import type { MatcherConfig } from './config.ts';
import { batches, linesOf } from './lines.ts';
import { operations } from './operations.ts';
import { peerRoute } from './peers.ts';
import * as schemas from './schemas.ts';
import { ServiceLevels } from './sla.ts';

export interface Parts {
  readonly record: Recorded;
  readonly replica: Replica;
  readonly matcher: Matcher;
  readonly webhooks: readonly Webhook[];
  readonly embedder: Embedder | undefined;
  /** Left out where each pod holds all items. */
  readonly shards: Shards | undefined;
}

type Context = EngineContext<MatcherConfig>;
type MatchBody = z.output<typeof schemas.matchBody>;
type ItemBody = z.output<typeof schemas.itemBody>;

/** Base64 and the frame of a multipart body need more room than the image. */
const roomFactor = 1.4;
/** Items that are hashed and written together during an import. */
const importBatch = 200;

export async function routes(server: EngineServer, context: Context, started: Promise<Parts>): Promise<void> {
  await server.register(async (scope) => {
    // Thrown on, errors reach the runtime's own handler, in its words.
    scope.setErrorHandler((error) => {
      throw asHttp(error);
    });
    await addRoutes(scope, context, started);
  });
}

async function addRoutes(server: EngineServer, context: Context, started: Promise<Parts>): Promise<void> {
  const { config, registry } = context;
  const prints = await engineCache<Fingerprint>({
    name: 'matcher',
    kind: 'fingerprint',
    version: '2',
    codec: { encode: (value) => serialize(value), decode: (bytes) => deserialize(bytes) as Fingerprint },
    ...context,
  });
  context.signal.addEventListener('abort', () => void prints.close(), { once: true });
  const levels = new ServiceLevels();
  const verdicts = counter(registry, 'quintet_matcher_verdicts_total', 'Verdicts by the stage that decided.', [
    'stage',
  ]);
  const bodyLimit = Math.ceil(config.images.maxSize * roomFactor) + 65_536;

  for (const type of [/^image\//, /^multipart\/form-data/, 'application/octet-stream']) {
    server.addContentTypeParser(type, { parseAs: 'buffer' }, (request, bytes, done) => {
      done(null, { bytes, type: String(request.headers['content-type']) });
    });
  }

  // An import of any length passes through, a line at a time.
  server.addContentTypeParser('application/x-ndjson', (_, payload, done) => done(null, payload));

  const fingerprint = async (file: Uint8Array, level: Level, tenant: string, signal: AbortSignal) => {
    const { matcher } = await started;
    if (file.length > config.images.maxSize) {
      throw new MatcherError(
        'ImageTooLarge',
        `the image has ${file.length} bytes; at most ${config.images.maxSize} are taken`,
      );
    }
    const { value, source } = await prints.getOrMake(
      { tenant, input: [digest(file), matcher.fingerprintOf(level)] },
      async () => await matcher.fingerprint(file, level, signal),
      { signal },
    );
    return { value, hit: source !== 'miss' };
  };

  const ensured = new Map<string, Promise<void>>();
  const ensureBanks = async (tenant: string) => {
    let known = ensured.get(tenant);
    if (!known) {
      known = createBanks(await started, config, tenant);
      ensured.set(tenant, known);
      // Not each request waits for a PostgreSQL that is away.
      known.catch(() => setTimeout(() => ensured.delete(tenant), 5000).unref());
    }
    await known;
  };

  const decide = async (body: MatchBody, file: Uint8Array | undefined, tenant: string, signal: AbortSignal) => {
    const begun = performance.now();
    const { matcher, replica, record, webhooks } = await started;
    const level = body.level ?? config.level;
    if (!file && !body.hash && !body.profile)
      throw new MatcherError('QueryEmpty', 'an image, a hash or a profile is needed');
    // While PostgreSQL is away, the banks are as they were.
    await ensureBanks(tenant).catch(() => undefined);
    const names = new Set(replica.banksOf(tenant).map(({ name }) => name));
    for (const name of body.banks ?? []) {
      if (!names.has(name)) throw new MatcherError('BankUnknown', `bank ${name} does not exist`);
    }
    const print = file && (await fingerprint(file, level, tenant, signal));
    const hashed = performance.now();
    const { topK, minScore, banks, profile } = body;
    const verdict: Verdict = await matcher.match({
      tenant,
      level,
      topK,
      minScore,
      banks,
      profile,
      fingerprint:
        print?.value ?? (body.hash ? ofHash(body.hash, body.quality ?? 100, matcher.waysOf(level)) : undefined),
    });
    // The verdict does not wait for it, and is not withheld when PostgreSQL cannot take it.
    void enqueue(record, webhooks, { tenant, sha256: print?.value.sha256 ?? null }, verdict.matches).catch(
      (error: unknown) => context.log.warn({ err: error }, 'a webhook call was not kept'),
    );
    verdicts.inc({ stage: verdict.decidedBy ?? 'None' });
    const done = performance.now();
    const milliseconds = { image: hashed - begun, search: done - hashed, total: done - begun };
    return { ...verdict, level, cached: print?.hit ?? false, milliseconds };
  };

  const measured = async <T extends { cached: boolean }>(work: () => Promise<T>): Promise<T> => {
    const begun = performance.now();
    try {
      const result = await work();
      levels.record(performance.now() - begun, { error: false, hit: result.cached });
      return result;
    } catch (error) {
      const refused = error instanceof MatcherError && error.statusCode < 500;
      levels.record(performance.now() - begun, { error: !refused, hit: false });
      throw error;
    }
  };

  server.post('/api/v1/match', { bodyLimit }, async ({ body, identity, signal }) => {
    const { fields, image } = await readBody(body, 'query');
    const query = parse(schemas.matchBody, fields);
    return await measured(async () => await decide(query, image, identity.tenant, signal));
  });

  server.post('/api/v1/match/batch', { bodyLimit: 4 * bodyLimit }, async ({ body, identity, signal }) => {
    const { queries } = parse(schemas.matchBatchBody, body);
    const results = await Promise.all(
      queries.map(async (query) => {
        try {
          const file = query.image === undefined ? undefined : fromBase64(query.image);
          return await measured(async () => await decide(query, file, identity.tenant, signal));
        } catch (error) {
          const known = asHttp(error);
          if (!(known instanceof QuintetError)) throw error;
          return { error: known.toBody() };
        }
      }),
    );
    return { results };
  });

  const flood = floodGuard(config);
  const newItem = async (body: ItemBody, file: Uint8Array | undefined, identity: Identity): Promise<NewItem> => {
    const { matcher } = await started;
    const { id, bank, profile, metadata, quality } = body;
    if (!file && !body.hash && !profile)
      throw new MatcherError('ItemInvalid', `item ${id} has no image, hash or profile`);
    const known = body.hash === undefined ? {} : { hash: parseHash(body.hash), quality: quality ?? 100 };
    const described = file ? await matcher.describe(file) : known;
    return { id, bank, profile, metadata, ...described, quarantined: flood(identity.client) };
  };

  server.post('/api/v1/items', { bodyLimit }, async ({ body, identity }, reply) => {
    const { record } = await started;
    await ensureBanks(identity.tenant);
    const { fields, image } = await readBody(body, 'item');
    const item = await newItem(parse(schemas.itemBody, fields), image, identity);
    const { added } = await record.register(actorOf(identity), [item]);
    if (!added[0]) throw new MatcherError('ItemExists', `item ${item.id} is registered already`);
    return await reply.code(201).send({
      ...shown(added[0], await bankNames(await started, identity.tenant)),
      findableBy: findableBy(added[0], config),
    });
  });

  server.post('/api/v1/items/import', { bodyLimit }, async ({ body, identity, signal }, reply) => {
    const { record } = await started;
    await ensureBanks(identity.tenant);
    const items = (body as { items?: unknown[] } | null)?.items;
    if (!(body instanceof Readable) && !Array.isArray(items)) {
      throw new MatcherError('ItemInvalid', 'items: a list is needed');
    }
    const entries = body instanceof Readable ? linesOf(body, bodyLimit) : (items ?? []);
    const progress = async function* () {
      const totals = { total: items?.length ?? null, done: 0, added: 0, known: 0, refused: 0 };
      for await (const batch of batches(entries, importBatch)) {
        if (signal.aborted) return;
        const good: { index: number; item: NewItem }[] = [];
        const refused: { index: number; reason: string }[] = [];
        for (const [i, each] of batch.entries()) {
          const index = totals.done + i;
          try {
            const { fields, image } = await readBody(each, 'item');
            good.push({ index, item: await newItem(parse(schemas.itemBody, fields), image, identity) });
          } catch (error) {
            refused.push({ index, reason: (error as Error).message });
          }
        }
        const written = await record.registerEach(
          actorOf(identity),
          good.map(({ item }) => item),
        );
        for (const { index, reason } of written.refused) refused.push({ index: good[index]?.index ?? -1, reason });
        totals.done += batch.length;
        totals.added += written.added.length;
        totals.known += written.known.length;
        totals.refused += refused.length;
        yield `${JSON.stringify({ ...totals, refusals: refused })}\n`;
      }
    };
    return await reply.type('application/x-ndjson').send(Readable.from(progress()));
  });

  server.get('/api/v1/items/:id', { schema: { params: schemas.itemParams } }, async ({ params, identity }) => {
    const parts = await started;
    const item = await parts.record.item(identity.tenant, params.id);
    if (!item) throw new MatcherError('ItemUnknown', `item ${params.id} does not exist`);
    return shown(item, await bankNames(parts, identity.tenant));
  });

  server.delete(
    '/api/v1/items/:id',
    { schema: { params: schemas.itemParams } },
    async ({ params, identity }, reply) => {
      await (await started).record.setState(actorOf(identity), params.id, 'Removed');
      return await reply.code(204).send();
    },
  );

  const stateSchema = { params: schemas.itemParams, body: schemas.stateBody };
  server.put('/api/v1/items/:id/state', { schema: stateSchema }, async ({ params, body, identity }) => {
    const parts = await started;
    const until = body.until === undefined ? null : new Date(body.until);
    const item = await parts.record.setState(actorOf(identity), params.id, body.state, until);
    return shown(item, await bankNames(parts, identity.tenant));
  });

  const opinionSchema = { params: schemas.itemParams, body: schemas.opinionBody };
  server.post('/api/v1/items/:id/opinions', { schema: opinionSchema }, async ({ params, body, identity }, reply) => {
    await (await started).record.giveOpinion(actorOf(identity), params.id, body.opinion, body.note);
    return await reply.code(204).send();
  });

  server.get('/api/v1/items/:id/audit', { schema: { params: schemas.itemParams } }, async ({ params, identity }) => ({
    entries: await (await started).record.audit(identity.tenant, `item/${params.id}`),
  }));

  server.get('/api/v1/banks', async ({ identity }) => {
    await ensureBanks(identity.tenant);
    const { record } = await started;
    return { banks: (await record.banks()).filter(({ tenant }) => tenant === identity.tenant).map(bankShown) };
  });

  const bankSchema = { params: schemas.bankParams, body: schemas.bankBody };
  server.put('/api/v1/banks/:name', { schema: bankSchema }, async ({ params, body, identity }) => {
    const { kind, maxDistance, enabledRatio, suppresses } = body;
    const bank = await (await started).record.setBank(actorOf(identity), params.name, {
      ...(kind !== undefined && { kind }),
      ...(maxDistance !== undefined && { maxDistance }),
      ...(enabledRatio !== undefined && { enabledRatio }),
      ...(suppresses !== undefined && { suppresses }),
    });
    return bankShown(bank);
  });

  if (config.exchange.export === 'Enabled')
    server.get('/api/v1/feed', { schema: { querystring: schemas.feedQuery } }, async ({ query, identity }) => {
      const parts = await started;
      const { items, position } = await parts.record.page(identity.tenant, query.cursor, query.limit);
      const names = await bankNames(parts, identity.tenant);
      return { cursor: position, entries: items.map((item) => shown(item, names)) };
    });

  peerRoute(server, context, started);
  operations(server, context, started, levels, prints);
}

/** Stages that can find an item: a flat picture is found by its bytes alone, as its hash says too little. */
function findableBy(
  { sha256, hash, quality, features, embedding, profile }: Item,
  { hashing }: MatcherConfig,
): Stage[] {
  const stages: [Stage, boolean][] = [
    ['Exact', sha256 !== null],
    ['Hash', hash !== null && (quality ?? 100) >= hashing.minQuality],
    ['Features', features !== null],
    ['Embedding', embedding !== null],
    ['Profile', profile !== null],
  ];
  return stages.flatMap(([stage, able]) => (able ? [stage] : []));
}

/** Strict, with the runtime's error for a field that is not as described. */
function parse<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [first] = result.error.issues;
  const field = first?.path.join('.') ?? '';
  throw new QuintetError('INVALID_REQUEST', {
    reason: `${field || 'the body'}: ${first?.message ?? 'not as described'}`,
    field,
  });
}

/** @param ways In which it is looked for, as the hashes of an image are. */
function ofHash(hash: string, quality: number, ways: readonly Variant[]): Fingerprint {
  const plain = parseHash(hash);
  return {
    sha256: null,
    hashes: ways.map((way) => formatHash(turned(plain, way))),
    quality,
    features: null,
    mirrored: null,
    embedding: null,
  };
}

function actorOf({ tenant, client }: Identity): Actor {
  return { tenant, name: client };
}

async function bankNames({ record, replica }: Parts, tenant: string): Promise<ReadonlyMap<number, string>> {
  const known = replica.banksOf(tenant);
  const banks = known.length > 0 ? known : (await record.banks()).filter((bank) => bank.tenant === tenant);
  return new Map(banks.map(({ number, name }) => [number, name]));
}

function shown(item: Item, banks: ReadonlyMap<number, string>) {
  const { id, bank, sha256, hash, quality, profile, metadata, source, state, disabledUntil } = item;
  return {
    id,
    bank: banks.get(bank) ?? null,
    sha256,
    hash: hash && formatHash(hash),
    quality,
    profile,
    metadata,
    source,
    state,
    disabledUntil,
  };
}

function bankShown({ name, kind, maxDistance, enabledRatio, suppresses }: Bank) {
  return { name, kind, maxDistance, enabledRatio, suppresses };
}

/** Registrations of a client beyond its share of the minute wait for a person. */
function floodGuard({ quarantine }: MatcherConfig): (client: string) => boolean {
  const counts = new Map<string, number>();
  let minute = 0;
  return (client) => {
    if (!quarantine) return false;
    const now = Math.floor(Date.now() / 60_000);
    if (now !== minute) counts.clear();
    minute = now;
    const count = (counts.get(client) ?? 0) + 1;
    counts.set(client, count);
    return count > quarantine.itemsPerMinute;
  };
}
