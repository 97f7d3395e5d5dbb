// The order of changes, which feeds and replicas follow.
import { columns, indexed } from './columns.ts';
import type { Query } from './everything.ts';
import type { Changes, IndexedItem, Item, Position } from './record.ts';

/** Changes of all tenants that are looked at together, and how often for one page: some seconds at most. */
const slice = 20_000;
const mostSlices = 25;

/**
 * A page of a tenant's own items in order of their changes, removed ones too, as withdrawals: what a feed is made of.
 * Items that came by a feed are not passed on: two pools that read each other would do so for ever. The position is that of
 * the last change looked at, whosever it is, so that what others change is looked at once.
 */
export async function page(
  query: Query,
  { tenant, after, limit }: { tenant: string; after: number; limit: number },
): Promise<{ items: Item[]; position: number }> {
  const items: Item[] = [];
  let position = after;
  for (let i = 0; i < mostSlices && items.length < limit; i++) {
    const [looked] = await query<{ last: number | null; count: number }>(
      `select max(position)::float8 as last, count(*)::int as count
       from (select position from changes where position > $1 order by position limit $2) as looked`,
      [position, slice],
    );
    if (!looked || looked.last === null) break;
    const rows = await query<Item & { position: number }>(
      `select c.position::float8 as position, i.* from changes c
       join lateral (select ${columns} from items where items.number = c.item) i on i.tenant = $1 and i.source is null
       where c.position > $2 and c.position <= $3 order by c.position limit $4`,
      [tenant, position, looked.last, limit - items.length],
    );
    items.push(...rows);
    position = items.length < limit ? looked.last : (rows.at(-1)?.position ?? position);
    if (looked.count < slice) break;
  }
  return { items, position };
}

/**
 * What changed after a position. Changes are numbered in the order of their commits, so none is ever skipped, whatever
 * other transactions are open. Undefined when the record's history is not the one that the position is of.
 */
export async function changesAfter(
  query: Query,
  { position, mark }: Position,
  limit: number,
): Promise<Changes | undefined> {
  const rows = await query<Position & { item: number | null; bank: number | null }>(
    `select position::float8 as position, mark, item::float8 as item, bank from changes
     where position >= $1 order by position limit $2`,
    [position, limit + 1],
  );
  if (position > 0) {
    const here = rows.shift();
    if (here?.position !== position || here.mark !== mark) return undefined;
  }
  const numbers = new Set(rows.flatMap(({ item }) => (item === null ? [] : [item])));
  const items =
    numbers.size === 0
      ? []
      : await query<IndexedItem>(`select ${indexed} from items where number = any($1)`, [[...numbers]]);
  const last = rows.at(-1);
  return {
    position: last?.position ?? position,
    mark: last?.mark ?? mark,
    items,
    banksChanged: rows.some(({ bank }) => bank !== null),
    full: rows.length >= limit,
  };
}

export async function lastPosition(query: Query): Promise<Position> {
  const rows = await query<Position>(
    'select position::float8 as position, mark from changes order by position desc limit 1',
  );
  return rows[0] ?? { position: 0, mark: 0 };
}
