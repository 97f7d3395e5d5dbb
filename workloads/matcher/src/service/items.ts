// Items: registered one by one or by imports of any length, looked at, enabled and disabled, judged, audited, fed to others.
import { Readable } from 'node:stream';
import type { z } from 'zod';
import { MatcherError } from '../errors.ts';
import type { Stage } from '../match/verdict.ts';
import { formatHash, parseHash } from '../pdq/pdq.ts';
import type { Item, NewItem } from '../record/record.ts';
import { readBody } from './bodies.ts';
import type { MatcherConfig } from './config.ts';
import { batches, linesOf } from './lines.ts';
import { quarantine } from './quarantine.ts';
import { actorOf, parse } from './requests.ts';
import type { Parts, Service } from './routes.ts';
import * as schemas from './schemas.ts';

type ItemBody = z.output<typeof schemas.itemBody>;

/** Items that are hashed and written together during an import. */
const importBatch = 200;

export function itemRoutes({ server, context, started, ensureBanks, bodyLimit }: Service): void {
  const { config } = context;
  const held = quarantine({ context, started });
  const newItem = async (body: ItemBody, file: Uint8Array | undefined): Promise<NewItem> => {
    const { matcher } = await started;
    const { id, bank, profile, metadata, quality, sha256 } = body;
    if (!file && !body.hash && !profile)
      throw new MatcherError('ItemInvalid', `item ${id} has no image, hash or profile`);
    const known = { sha256, ...(body.hash !== undefined && { hash: parseHash(body.hash), quality: quality ?? 100 }) };
    const described = file ? await matcher.describe(file) : known;
    return { id, bank, profile, metadata, ...described };
  };

  server.post('/api/v1/items', { bodyLimit }, async ({ body, identity }, reply) => {
    const { record } = await started;
    await ensureBanks(identity.tenant);
    const { fields, image } = await readBody(body, 'item');
    const item = await newItem(parse(schemas.itemBody, fields), image);
    const { added } = await record.register(actorOf(identity), await held(identity, [item]));
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
            good.push({ index, item: await newItem(parse(schemas.itemBody, fields), image) });
          } catch (error) {
            refused.push({ index, reason: (error as Error).message });
          }
        }
        const asked = await held(
          identity,
          good.map(({ item }) => item),
        );
        const written = await record.registerEach(actorOf(identity), asked);
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
    const opinions = await parts.record.opinions(item.number);
    return { ...shown(item, await bankNames(parts, identity.tenant)), opinions };
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

  if (config.exchange.export === 'Enabled')
    server.get('/api/v1/feed', { schema: { querystring: schemas.feedQuery } }, async ({ query, identity }) => {
      const parts = await started;
      const page = await parts.record.page(identity.tenant, query.cursor, query.limit);
      const names = await bankNames(parts, identity.tenant);
      return { cursor: page.position, entries: page.items.map((item) => shown(item, names)) };
    });
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

export async function bankNames({ record, replica }: Parts, tenant: string): Promise<ReadonlyMap<number, string>> {
  const known = replica.banksOf(tenant);
  const banks = known.length > 0 ? known : (await record.banks()).filter((bank) => bank.tenant === tenant);
  return new Map(banks.map(({ number, name }) => [number, name]));
}

export function shown(item: Item, banks: ReadonlyMap<number, string>) {
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
