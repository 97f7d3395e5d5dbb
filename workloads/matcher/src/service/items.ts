// Items: registered, looked at, enabled and disabled, judged, audited, fed to others.
import { MatcherError } from '../errors.ts';
import type { Stage } from '../match/verdict.ts';
import { formatHash } from '../pdq/pdq.ts';
import type { Item } from '../record/record.ts';
import type { MatcherConfig } from './config.ts';
import { itemReader } from './newItem.ts';
import { shareOf } from './quarantine.ts';
import { actorOf } from './requests.ts';
import type { Parts, Service } from './routes.ts';
import * as schemas from './schemas.ts';

export function itemRoutes({ server, context, started, ensureBanks, bodyLimit }: Service): void {
  const { config } = context;
  const readItem = itemReader(started);

  server.post('/api/v1/items', { bodyLimit }, async ({ body, identity }, reply) => {
    const { record } = await started;
    await ensureBanks(identity.tenant);
    const { item, frame } = await readItem(body);
    const { added } = await record.register(actorOf(identity), [item], shareOf(config, identity));
    if (!added[0]) throw new MatcherError('ItemExists', `item ${item.id} is registered already`);
    return await reply.code(201).send({
      ...shown(added[0], await bankNames(await started, identity.tenant)),
      findableBy: findableBy(added[0], config),
      // Which of an animation's frames it is found by.
      ...(frame && { frame }),
    });
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
