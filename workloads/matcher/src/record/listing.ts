// A tenant's items in the order of their numbers, for people who look through them and for exports.
import { columns } from './columns.ts';
import type { Query } from './everything.ts';
import type { Item, ItemState } from './record.ts';

export interface Listing {
  readonly tenant: string;
  /** Number of the last item of the page before; 0 for the first. */
  readonly after: number;
  readonly limit: number;
  readonly bank?: string | undefined;
  readonly state?: ItemState | undefined;
}

export async function list(query: Query, { tenant, after, limit, bank, state }: Listing): Promise<Item[]> {
  return await query<Item>(
    `select ${columns} from items
     where tenant = $1 and number > $2 and state <> 'Removed'
       and ($4::text is null or state = $4)
       and ($5::text is null or bank in (select number from banks where tenant = $1 and name = $5))
     order by items.number limit $3`,
    [tenant, after, limit, state ?? null, bank ?? null],
  );
}
