import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { MatchEntry } from '../match/entry.ts';
import type { Recorded } from '../record/record.ts';
import { actor, record, useRecord, useTenant } from '../testing/record.ts';
import { type Asked, Calls } from './calls.ts';
import { importFeed } from './feeds.ts';
import { deliver, prune, signature, type Webhook } from './webhooks.ts';

useRecord();
useTenant('shared', 'feed');

let server: Server;
let url: string;
let answer: (path: string) => { status?: number; body?: unknown };
let calls: { path: string; headers: Record<string, unknown>; body: string }[];

beforeEach(async () => {
  calls = [];
  answer = () => ({});
  server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      calls.push({ path: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks).toString() });
      const { status = 200, body = {} } = answer(request.url ?? '');
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    })();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

describe('feeds', () => {
  const feed = () => ({ name: 'partner', url, bank: 'shared' });
  const entry = (id: string, digit: string, state = 'Enabled') => ({ id, hash: digit.repeat(64), state });

  test('are read to their end, under their name, and again without effect', async () => {
    const pages: Record<string, unknown> = {
      '/': { cursor: 'a', entries: [entry('1', '1'), entry('2', '2')] },
      '/?cursor=a': { cursor: 'b', entries: [entry('3', '3')] },
      '/?cursor=b': { cursor: 'b', entries: [] },
    };
    answer = (path) => ({ body: pages[path] });
    expect(await importFeed(record, actor, feed())).toEqual({ added: 3, changed: 0, withdrawn: 0, refused: 0 });
    expect(await record.item(actor.tenant, 'partner:2')).toMatchObject({ source: 'partner', state: 'Enabled' });
    expect(await importFeed(record, actor, feed())).toEqual({ added: 0, changed: 0, withdrawn: 0, refused: 0 });
    expect(calls.at(-1)?.path).toBe('/?cursor=b');
  });

  test('take back what they withdraw, also in the page that brought it', async () => {
    answer = (path) => ({
      body:
        path === '/'
          ? { cursor: 1, entries: [entry('1', '1'), entry('2', '2'), entry('2', '2', 'Removed')] }
          : { cursor: 2, entries: path === '/?cursor=1' ? [entry('1', '1', 'Removed')] : [] },
    });
    expect(await importFeed(record, actor, feed())).toEqual({ added: 1, changed: 0, withdrawn: 1, refused: 0 });
    expect(await record.item(actor.tenant, 'partner:1')).toBeUndefined();
  });

  test('bring what has changed, but not over what was disabled here', async () => {
    const named = (name: string) => ({ ...entry('1', '1'), profile: { name }, metadata: { of: name } });
    const others = [entry('2', '2'), entry('3', '3')];
    let cursor = 0;
    const reading = async (...entries: object[]) => {
      cursor++;
      const at = cursor;
      answer = (path) => ({ body: { cursor: at, entries: path.endsWith(`=${at}`) ? [] : entries } });
      return await importFeed(record, actor, feed());
    };
    expect(await reading(named('before'), ...others)).toMatchObject({ added: 3 });
    await record.setState(actor, 'partner:2', 'Disabled');
    expect(await reading(named('after'), entry('2', '7'), entry('3', '3'))).toMatchObject({ added: 0, changed: 1 });
    expect(await record.item(actor.tenant, 'partner:1')).toMatchObject({
      profile: { name: 'after' },
      metadata: { of: 'after' },
      source: 'partner',
    });
    expect(await record.item(actor.tenant, 'partner:2')).toMatchObject({ state: 'Disabled' });
    expect(await reading(named('after'))).toMatchObject({ added: 0, changed: 0 });
  });

  test('that withdraw what was disabled here, and give it again, do not put it in force', async () => {
    let given = [entry('1', '1'), entry('2', '2'), entry('3', '3')];
    let cursor = 0;
    const reading = async () => {
      const at = ++cursor;
      answer = (path) => ({ body: { cursor: at, entries: path.endsWith(`=${at}`) ? [] : given } });
      return await importFeed(record, actor, feed());
    };
    await reading();
    await record.setState({ ...actor, name: 'operator' }, 'partner:1', 'Disabled');
    await record.setState({ ...actor, name: 'operator' }, 'partner:2', 'Disabled', new Date(Date.now() + 60_000));
    given = given.map((each) => ({ ...each, state: 'Removed' }));
    await reading();
    const states = async () =>
      await Promise.all(
        ['1', '2', '3'].map(async (id) => {
          const found = await record.item(actor.tenant, `partner:${id}`);
          return found && [found.state, found.disabledUntil];
        }),
      );
    expect(await states()).toEqual([['Disabled', null], ['Disabled', null], undefined]);
    given = given.map((each) => ({ ...each, state: 'Enabled' }));
    await reading();
    expect(await states()).toEqual([
      ['Disabled', null],
      ['Disabled', null],
      ['Enabled', null],
    ]);
  });

  test('that cannot change an item leave it as it was', async () => {
    const reading = async (at: number, metadata: object) => {
      const entries = [{ ...entry('1', '1'), metadata }];
      answer = (path) => ({ body: { cursor: at, entries: path.endsWith(`=${at}`) ? [] : entries } });
      return await importFeed(record, actor, feed());
    };
    await reading(1, { of: 'before' });
    await record.transaction(async (client) => {
      await client.query(`create function refused() returns trigger language plpgsql as
        $$ begin if new.metadata->>'of' = 'refused' and not exists (
          select 1 from items where id = new.id and tenant = new.tenant and state <> 'Removed')
        then raise exception 'lost'; end if; return new; end $$`);
      await client.query('create trigger refused before insert on items for each row execute function refused()');
    });
    try {
      await expect(reading(2, { of: 'refused' })).rejects.toMatchObject({ code: 'RecordUnavailable' });
      expect(await record.item(actor.tenant, 'partner:1')).toMatchObject({ metadata: { of: 'before' } });
    } finally {
      await record.transaction(async (client) => await client.query('drop function refused cascade'));
    }
  });

  test('go on behind entries that are not as described or cannot be kept', async () => {
    const large = { ...entry('4', '4'), metadata: { text: 'x'.repeat(20_000) } };
    answer = (path) => ({
      body:
        path === '/'
          ? {
              cursor: 1,
              entries: [entry('1', '1'), { id: '', hash: 'x' }, entry('zero\u0000', '3'), large, entry('5', '5')],
            }
          : { cursor: 1, entries: [] },
    });
    expect(await importFeed(record, actor, feed())).toMatchObject({ added: 2, refused: 3 });
    expect(await record.item(actor.tenant, 'partner:5')).toBeDefined();
  });

  test('are read by one replica at a time, and by another once the one is lost', async () => {
    answer = (path) => ({ body: { cursor: 1, entries: path === '/' ? [entry('1', '1')] : [] } });
    let others = 0;
    const body = answer;
    answer = (path) => {
      if (path === '/') void importFeed(record, actor, feed()).then(({ added }) => (others += added));
      return body(path);
    };
    expect(await importFeed(record, actor, feed())).toMatchObject({ added: 1 });
    expect({ others, calls: calls.length }).toEqual({ others: 0, calls: 2 });
    const claimed = (until: string) =>
      record.transaction(async (client) => {
        await client.query(`update feeds set claimed_until = now() + $2::interval where tenant = $1`, [
          actor.tenant,
          until,
        ]);
      });
    await claimed('1 minute');
    await importFeed(record, actor, feed());
    expect(calls).toHaveLength(2);
    await claimed('-1 second');
    await importFeed(record, actor, feed());
    expect(calls).toHaveLength(3);
  });

  test('pass on what is ours alone', async () => {
    await record.register(actor, [
      { id: 'own', bank: 'shared', hash: new Uint8Array(32) },
      { id: 'theirs', bank: 'shared', hash: new Uint8Array(32), source: 'partner' },
    ]);
    expect((await record.page(actor.tenant, 0, 100)).items.map(({ id }) => id)).toEqual(['own']);
  });

  test('that break off go on where what is durable ends', async () => {
    let broken = true;
    answer = (path) =>
      path === '/'
        ? { body: { cursor: 'x', entries: [entry('1', '1')] } }
        : broken
          ? { status: 500 }
          : { body: { cursor: 'x', entries: [] } };
    await expect(importFeed(record, actor, feed())).rejects.toMatchObject({ code: 'FeedInvalid' });
    broken = false;
    expect(await importFeed(record, actor, feed())).toEqual({ added: 0, changed: 0, withdrawn: 0, refused: 0 });
    expect(calls.map(({ path }) => path)).toEqual(['/', '/?cursor=x', '/?cursor=x']);
  });

  test.each([[{ cursor: 1 }], [{ cursor: 1, entries: 'x' }], ['text']])(
    'that are not as described are refused: %j',
    async (body) => {
      answer = () => ({ body });
      await expect(importFeed(record, actor, feed())).rejects.toMatchObject({ code: 'FeedInvalid' });
    },
  );
});

describe('webhooks', () => {
  const webhook = (retries = 3): Webhook => ({
    name: `hook-${actor.tenant}`,
    url,
    key: 'secret',
    retries,
    banks: ['shared'],
  });
  const silent = { warn: () => undefined };
  const enqueue = async (of: Recorded, webhooks: readonly Webhook[], asked: Asked, matches: readonly MatchEntry[]) => {
    const kept = new Calls({ record: of, webhooks, log: silent });
    kept.add(asked, { matches });
    await kept.close();
  };
  const query = () => ({ tenant: actor.tenant, sha256: 'ab' });
  const found = (bank: string) => ({ item: 'a', bank, score: 1 }) as unknown as MatchEntry;

  test('carry the match, signed with the time', async () => {
    await enqueue(record, [webhook()], query(), [found('shared'), found('other')]);
    expect(await deliver(record, [webhook()])).toBe(1);
    const [call] = calls;
    expect(JSON.parse(call?.body ?? '')).toEqual({
      type: 'match',
      id: expect.any(String) as string,
      tenant: actor.tenant,
      sha256: 'ab',
      matches: [found('shared')],
    });
    const sent = String(call?.headers['x-quintet-signature']);
    const seconds = Number(/^t=(\d+),/.exec(sent)?.[1]);
    expect(sent).toBe(signature('secret', call?.body ?? '', seconds));
    expect(await deliver(record, [webhook()])).toBe(0);
  });

  test('are not called for other banks', async () => {
    await enqueue(record, [webhook()], query(), [found('other')]);
    expect(await deliver(record, [webhook()])).toBe(0);
  });

  test('that fail are tried again later, and given up after their retries', async () => {
    answer = () => ({ status: 503 });
    await enqueue(record, [webhook(1)], query(), [found('shared')]);
    expect(await deliver(record, [webhook(1)])).toBe(1);
    expect(await deliver(record, [webhook(1)])).toBe(0);
    await makeDue();
    expect(await deliver(record, [webhook(1)])).toBe(1);
    await makeDue();
    expect(await deliver(record, [webhook(1)])).toBe(0);
    expect(calls).toHaveLength(2);
    expect(calls[0]?.headers['x-quintet-delivery']).toBe(calls[1]?.headers['x-quintet-delivery']);
  });

  test('that came to an end are forgotten some days later, others are kept', async () => {
    const hook = webhook();
    await enqueue(record, [hook], query(), [found('shared')]);
    await deliver(record, [hook]);
    await enqueue(record, [hook], query(), [found('shared')]);
    const left = () =>
      record.transaction(async (client) => {
        await client.query(`update deliveries set delivered_at = delivered_at - interval '5 days'`);
        await prune(record, [hook]);
        const { rows } = await client.query('select 1 from deliveries where webhook = $1', [hook.name]);
        return rows.length;
      });
    expect(await left()).toBe(2);
    await record.transaction(async (client) => {
      await client.query(`update deliveries set delivered_at = delivered_at - interval '9 days'`);
    });
    await prune(record, [hook]);
    expect(await left()).toBe(1);
  });

  async function makeDue() {
    await record.transaction(async (client) => await client.query('update deliveries set due_at = now()'));
  }
});
