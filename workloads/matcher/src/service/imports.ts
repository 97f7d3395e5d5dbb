// Imports of any length, told as they come. An image is held no longer than its hashing takes.
import { Readable } from 'node:stream';
import type { z } from 'zod';
import { MatcherError } from '../errors.ts';
import type { NewItem } from '../record/record.ts';
import { check } from '../record/writes.ts';
import { imported } from './answers.ts';
import { answers, readByHandler, sentAsItIs } from './described.ts';
import { batches, linesOf } from './lines.ts';
import { itemReader } from './newItem.ts';
import { shareOf } from './quarantine.ts';
import { actorOf } from './requests.ts';
import type { Service } from './routes.ts';
import * as schemas from './schemas.ts';

/** What is written together: items, and bytes of them. */
const together = { items: 200, bytes: 8 << 20 };

interface Read {
  readonly index: number;
  /** Or why there is none. */
  readonly item: NewItem | string;
}

export function importRoute({ server, context, started, ensureBanks, bodyLimit }: Service): void {
  const { config } = context;
  const readItem = itemReader(started);

  const schema = {
    summary: 'Register many items',
    description:
      'Also as application/x-ndjson, an item to a line, of any length. Progress comes as application/x-ndjson.',
    body: schemas.importDescribed as z.ZodType,
    response: answers(imported),
  };

  server.post(
    '/api/v1/items/import',
    { bodyLimit, config: { longBody: true }, schema, ...readByHandler, ...sentAsItIs },
    async ({ body, identity, signal }, reply) => {
      const { record } = await started;
      await ensureBanks(identity.tenant);
      const items = (body as { items?: unknown[] } | null)?.items;
      if (!(body instanceof Readable) && !Array.isArray(items)) {
        throw new MatcherError('ItemInvalid', 'items: a list is needed');
      }
      const entries = body instanceof Readable ? linesOf(body, bodyLimit) : (items ?? []);
      const progress = async function* () {
        const totals = { total: items?.length ?? null, done: 0, added: 0, known: 0, refused: 0 };
        for await (const batch of batches(read(entries), together.items, { most: together.bytes, of: bytesOf })) {
          if (signal.aborted) return;
          const good: { index: number; item: NewItem }[] = [];
          const refused: { index: number; reason: string }[] = [];
          for (const { index, item } of batch) {
            if (typeof item === 'string') refused.push({ index, reason: item });
            else good.push({ index, item });
          }
          const asked = good.map(({ item }) => item);
          const written = await record.registerEach(actorOf(identity), asked, shareOf(config, identity));
          for (const { index, reason } of written.refused) refused.push({ index: good[index]?.index ?? -1, reason });
          totals.done += batch.length;
          totals.added += written.added.length;
          totals.known += written.known.length;
          totals.refused += refused.length;
          yield `${JSON.stringify({ ...totals, refusals: refused })}\n`;
        }
      };
      return await reply.type('application/x-ndjson').send(Readable.from(progress()));

      async function* read(bodies: AsyncIterable<unknown> | Iterable<unknown>): AsyncGenerator<Read> {
        let index = 0;
        for await (const each of bodies) {
          if (signal.aborted) return;
          yield { index: index++, item: await readOne(each) };
        }
      }

      async function readOne(each: unknown): Promise<NewItem | string> {
        try {
          const { item } = await readItem(each);
          check(item);
          return item;
        } catch (error) {
          return (error as Error).message;
        }
      }
    },
  );
}

function bytesOf({ item }: Read): number {
  if (typeof item === 'string') return item.length;
  const { features, embedding, profile, metadata } = item;
  const text = JSON.stringify([profile, metadata]).length;
  return (features?.length ?? 0) + (embedding?.length ?? 0) + text;
}
