// Looking through items: a page at a time, or all of them as lines that `/api/v1/items/import` takes again.
import { Readable } from 'node:stream';
import type { Item } from '../record/record.ts';
import { items } from './answers.ts';
import { answers, sentAsItIs } from './described.ts';
import { bankNames, shown } from './items.ts';
import type { Service } from './routes.ts';
import * as schemas from './schemas.ts';

const lines = 'application/x-ndjson';
/** Items that are read at once for an export. */
const exportBatch = 500;

export function listing({ server, started }: Service): void {
  const schema = {
    summary: 'A page of items',
    description: 'With accept: application/x-ndjson all of them, as lines that an import takes.',
    querystring: schemas.listQuery,
    response: answers(items),
  };
  server.get('/api/v1/items', { schema, ...sentAsItIs }, async ({ query, headers, identity, signal }, reply) => {
    const parts = await started;
    const { cursor, limit, bank, state } = query;
    const names = await bankNames(parts, identity.tenant);
    const of = (after: number, most: number) =>
      parts.record.list({ tenant: identity.tenant, after, limit: most, bank, state });
    if (!headers.accept?.includes(lines)) {
      const page = await of(cursor, limit);
      return { cursor: page.at(-1)?.number ?? cursor, items: page.map((item) => shown(item, names)) };
    }
    const all = async function* () {
      for (let after = cursor; !signal.aborted; ) {
        const batch = await of(after, exportBatch);
        const last = batch.at(-1);
        if (!last) return;
        yield batch.map((item) => `${JSON.stringify(line(item, names))}\n`).join('');
        after = last.number;
      }
    };
    return await reply.type(lines).send(Readable.from(all()));
  });
}

/** What an import needs to have the item again, as much in force as it was; features and vectors are of images, which nobody keeps. */
function line(item: Item, names: ReadonlyMap<number, string>) {
  const { id, bank, sha256, hash, quality, profile, metadata, state, disabledUntil } = shown(item, names);
  return {
    id,
    bank,
    ...(sha256 !== null && { sha256 }),
    ...(hash !== null && { hash, quality }),
    ...(profile !== null && { profile }),
    ...(metadata !== null && { metadata }),
    ...(state !== 'Enabled' && { state }),
    ...(disabledUntil !== null && { disabledUntil }),
  };
}
