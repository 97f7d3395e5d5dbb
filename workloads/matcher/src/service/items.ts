// Items: registered, looked at, enabled and disabled, judged, audited, fed to others.
import type { z } from 'zod';
import { MatcherError } from '../errors.ts';
import type { Stage } from '../match/verdict.ts';
import { formatHash } from '../pdq/pdq.ts';
import type { Item } from '../record/record.ts';
import { audit, done, feed, item as itemAnswer, itemWithOpinions, registered } from './answers.ts';
import type { MatcherConfig } from './config.ts';
import { answers, readByHandler, sentAsItIs } from './described.ts';
import { itemReader } from './newItem.ts';
import { shareOf } from './quarantine.ts';
import { actorOf } from './requests.ts';
import type { Parts, Service } from './routes.ts';
import * as schemas from './schemas.ts';

export function itemRoutes({ server, context, started, ensureBanks, bodyLimit }: Service): void {
  const { config } = context;
  const readItem = itemReader(started);

  const registration = {
    summary: 'Register an item',
    description: 'Also as multipart/form-data, the file in `image` and the other members as JSON in `item`.',
    body: schemas.itemBody as z.ZodType,
    response: answers(registered, 201),
  };
  server.post(
    '/api/v1/items',
    { bodyLimit, schema: registration, ...readByHandler, ...sentAsItIs },
    async ({ body, identity }, reply) => {
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
    },
  );

  const params = schemas.itemParams;
  const looked = { summary: 'An item, with counts of opinions', params, response: answers(itemWithOpinions) };
  server.get('/api/v1/items/:id', { schema: looked, ...sentAsItIs }, async ({ params: { id }, identity }) => {
    const parts = await started;
    const item = await parts.record.item(identity.tenant, id);
    if (!item) throw new MatcherError('ItemUnknown', `item ${id} does not exist`);
    const opinions = await parts.record.opinions(item.number);
    return { ...shown(item, await bankNames(parts, identity.tenant)), opinions };
  });

  server.delete(
    '/api/v1/items/:id',
    { schema: { summary: 'Delete an item', params, response: answers(done, 204) } },
    async ({ params: { id }, identity }, reply) => {
      await (await started).record.setState(actorOf(identity), id, 'Removed');
      return await reply.code(204).send();
    },
  );

  const stateSchema = {
    summary: 'Enable an item, or disable it',
    params,
    body: schemas.stateBody,
    response: answers(itemAnswer),
  };
  const stateOptions = { schema: stateSchema, ...sentAsItIs };
  server.put('/api/v1/items/:id/state', stateOptions, async ({ params: { id }, body, identity }) => {
    const parts = await started;
    const until = body.until === undefined ? null : new Date(body.until);
    const item = await parts.record.setState(actorOf(identity), id, body.state, until);
    return shown(item, await bankNames(parts, identity.tenant));
  });

  const opinionSchema = {
    summary: 'Confirm that an item is what it is registered as, or reject it',
    params,
    body: schemas.opinionBody,
    response: answers(done, 204),
  };
  const opinionPath = '/api/v1/items/:id/opinions';
  server.post(opinionPath, { schema: opinionSchema }, async ({ params: { id }, body, identity }, reply) => {
    await (await started).record.giveOpinion(actorOf(identity), id, body.opinion, body.note);
    return await reply.code(204).send();
  });

  const audited = { summary: 'Who changed an item', params, response: answers(audit) };
  server.get('/api/v1/items/:id/audit', { schema: audited, ...sentAsItIs }, async ({ params: { id }, identity }) => ({
    entries: await (await started).record.audit(identity.tenant, `item/${id}`),
  }));

  const fed = { summary: 'Own items and withdrawals', querystring: schemas.feedQuery, response: answers(feed) };
  if (config.exchange.export === 'Enabled')
    server.get('/api/v1/feed', { schema: fed, ...sentAsItIs }, async ({ query, identity }) => {
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
