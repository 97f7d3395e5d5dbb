// Items from the feed of another pool or platform: each entry under its feed's name, withdrawals followed, the cursor
// kept only after what it covers is durable. What is read twice changes nothing.
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { MatcherError } from '../errors.ts';
import { parseHash } from '../pdq/pdq.ts';
import type { Actor, Item, NewItem, Recorded } from '../record/record.ts';
import { register } from '../record/registration.ts';
import { changeState, lockItem } from '../record/states.ts';

export interface Feed {
  readonly name: string;
  readonly url: string;
  readonly bank: string;
  readonly token?: string | undefined;
}

const page = z.object({
  cursor: z.union([z.string().max(1024), z.number()]).transform(String),
  entries: z.array(z.unknown()).max(10_000),
});

/** What more an entry has is of no use here. */
const entry = z.object({
  id: z.string().min(1).max(512),
  hash: z
    .string()
    .regex(/^[0-9a-fA-F]{64}$/)
    .nullish(),
  quality: z.int().min(0).max(100).nullish(),
  profile: z
    .object({
      name: z.string().max(512).optional(),
      aliases: z.array(z.string().max(512)).max(64).optional(),
      attributes: z.record(z.string().max(128), z.string().max(512)).optional(),
    })
    .nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  state: z.enum(['Enabled', 'Disabled', 'Quarantined', 'Removed']).default('Enabled'),
});

/** Bytes of an answer. */
const largestPage = 32 << 20;
const timeout = 30_000;
/** A reading that has not come to its next page within this is taken for lost. */
const claimSeconds = 120;

export interface Imported {
  added: number;
  /** Known under their identifier, and another hash, profile or metadata. */
  changed: number;
  withdrawn: number;
  refused: number;
  /** Why the first was refused. */
  reason?: string;
}

/** Reads a feed from its cursor to its end and returns how many items came and went. */
export async function importFeed(record: Recorded, actor: Actor, feed: Feed): Promise<Imported> {
  const totals: Imported = { added: 0, changed: 0, withdrawn: 0, refused: 0 };
  // One entry that is not as described does not hold up those behind it.
  const refuse = (reason: string) => {
    totals.refused++;
    totals.reason ??= reason;
  };
  const claim = await claimFeed(record, actor.tenant, feed.name);
  // Another replica reads it.
  if (!claim) return totals;
  try {
    return await readPages(claim.cursor);
  } catch (error) {
    await release(record, actor.tenant, feed.name).catch(() => undefined);
    throw error;
  }

  async function readPages(from: string | undefined) {
    for (let cursor = from; ; ) {
      const { entries: given, cursor: after } = await fetchPage(feed, cursor);
      const entries = given.flatMap((each) => {
        const { success, data, error } = entry.safeParse(each);
        if (success) return [data];
        refuse(`${error.issues[0]?.path.join('.')}: ${error.issues[0]?.message}`);
        return [];
      });
      const idOf = (id: string) => `${feed.name}:${id}`;
      // An entry can come and go within a page: its last word counts.
      const last = new Map(entries.map((each) => [each.id, each]));
      const present = [...last.values()].filter(({ state, hash, profile }) => state === 'Enabled' && (hash ?? profile));
      const items = present.map(
        ({ id, hash, quality, profile, metadata }): NewItem => ({
          id: idOf(id),
          bank: feed.bank,
          hash: hash ? parseHash(hash) : undefined,
          quality: quality ?? 100,
          profile: profile ?? undefined,
          metadata: metadata ?? undefined,
          source: feed.name,
        }),
      );
      const { added, known, refused } = await record.registerEach(actor, items);
      totals.added += added.length;
      for (const { reason } of refused) refuse(reason);
      const ofId = new Map(items.map((item) => [item.id, item]));
      for (const id of known) if (await replace(record, actor, ofId.get(id) as NewItem)) totals.changed++;
      for (const { id, state } of last.values()) {
        if (state === 'Enabled') continue;
        const gone = await withdraw(record, actor, idOf(id), feed.name);
        if (gone) totals.withdrawn++;
      }
      const over = given.length === 0 || after === cursor;
      const kept = await keepCursor(record, actor.tenant, feed.name, { before: cursor, after, over });
      if (over || !kept) return totals;
      cursor = after;
    }
  }
}

/**
 * What a replica knows of an item is for good, so one that has changed is another under the same identifier. One that somebody disabled here stays so, as it was.
 */
async function replace(record: Recorded, actor: Actor, item: NewItem): Promise<boolean> {
  return await record.transaction(async (client) => {
    const known = await lockItem(client, actor.tenant, item.id);
    if (known?.state !== 'Enabled' || known.source !== item.source || isSame(known, item)) return false;
    await changeState(client, actor, known, { state: 'Removed' });
    return (await register(client, actor, [item])).added.length === 1;
  });
}

/**
 * One that somebody disabled here is not forgotten, as it would be in force again when the feed gives it again. Nor does it come into force by its date.
 */
async function withdraw(record: Recorded, actor: Actor, id: string, feed: string): Promise<boolean> {
  return await record.transaction(async (client) => {
    const known = await lockItem(client, actor.tenant, id);
    if (!known || known.source !== feed) return false;
    if (known.state === 'Disabled' && known.disabledUntil === null) return false;
    const state = known.state === 'Disabled' ? 'Disabled' : 'Removed';
    await changeState(client, actor, known, { state });
    return true;
  });
}

function isSame(known: Item, { hash, quality, profile, metadata }: NewItem): boolean {
  const sameHash = hash
    ? known.hash !== null && known.hash.equals(hash) && known.quality === quality
    : known.hash === null;
  return (
    sameHash && isDeepStrictEqual(known.profile, profile ?? null) && isDeepStrictEqual(known.metadata, metadata ?? null)
  );
}

async function fetchPage({ name, url, token }: Feed, cursor: string | undefined) {
  const address = new URL(url);
  if (cursor !== undefined) address.searchParams.set('cursor', cursor);
  const response = await fetch(address, {
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    redirect: 'error',
    signal: AbortSignal.timeout(timeout),
  });
  if (!response.ok) throw new MatcherError('FeedInvalid', `feed ${name} answers ${response.status}`);
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > largestPage)
      throw new MatcherError('FeedInvalid', `feed ${name} sends more than ${largestPage} bytes`);
    chunks.push(chunk);
  }
  const result = page.safeParse(parsed(Buffer.concat(chunks).toString()));
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new MatcherError('FeedInvalid', `feed ${name}: ${issue?.path.join('.')}: ${issue?.message}`);
  }
  return result.data;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Undefined while another replica reads the feed; one that ends in the middle leaves it after some minutes. */
async function claimFeed(
  record: Recorded,
  tenant: string,
  name: string,
): Promise<{ cursor: string | undefined } | undefined> {
  return await record.transaction(async (client) => {
    const { rows } = await client.query<{ cursor: string | null }>(
      `insert into feeds (tenant, name, claimed_until) values ($1, $2, now() + make_interval(secs => $3))
       on conflict (tenant, name) do update set claimed_until = now() + make_interval(secs => $3)
         where feeds.claimed_until is null or feeds.claimed_until < now()
       returning cursor`,
      [tenant, name, claimSeconds],
    );
    return rows[0] && { cursor: rows[0].cursor ?? undefined };
  });
}

/** Moves the cursor on from where this reading stood, and keeps the claim or ends it. False when another has moved it. */
async function keepCursor(
  record: Recorded,
  tenant: string,
  name: string,
  { before, after, over }: { before: string | undefined; after: string; over: boolean },
): Promise<boolean> {
  return await record.transaction(async (client) => {
    const { rowCount } = await client.query(
      `update feeds set cursor = $4, updated_at = now(),
         claimed_until = case when $5 then null else now() + make_interval(secs => $6) end
       where tenant = $1 and name = $2 and cursor is not distinct from $3`,
      [tenant, name, before ?? null, after, over, claimSeconds],
    );
    return rowCount === 1;
  });
}

async function release(record: Recorded, tenant: string, name: string): Promise<void> {
  await record.transaction(async (client) => {
    await client.query('update feeds set claimed_until = null where tenant = $1 and name = $2', [tenant, name]);
  });
}
