// All items of the record as a replica that starts anew reads them: those of which it keeps no more than a hash come as
// columns, put together by PostgreSQL and hundreds of times fewer to parse, the others as rows.
import type { Columns } from '../index/hash-index.ts';
import { flag } from '../index/segment.ts';
import type { IndexedItem } from './record.ts';

/** What of an item a replica keeps beside its hash. */
export interface Kept {
  readonly features: boolean;
  /** Version of the model whose vectors are kept. */
  readonly embedding: string | null;
  /** Items whose hash is of less are found by their bytes. */
  readonly minQuality: number;
  readonly shard: Shard;
}

/** Of the items those whose number leaves `own` when divided by `of`. */
export interface Shard {
  readonly own: number;
  readonly of: number;
}

export type Part = { readonly columns: Columns } | { readonly items: readonly IndexedItem[] };

export type Query = <R extends object>(text: string, values?: unknown[]) => Promise<R[]>;

/** Items that are asked for together. */
const page = 20_000;
/** Rows that are asked for together. */
const rows = 1000;
/** Items that are given out as one part. */
const most = 1_000_000;

interface Page {
  readonly count: number;
  readonly last: number;
  readonly hashes: Buffer | null;
  readonly numbers: Buffer | null;
  readonly banks: Buffer | null;
  readonly flags: Buffer | null;
  readonly others: number[] | null;
}

const oneByte = (value: number) => String.raw`'\x${value.toString(16).padStart(2, '0')}'::bytea`;
const text = `with page as (
    select number, bank, hash, state, number % $5 = $6 as ours,
      hash is not null and profile is null and disabled_until is null and coalesce(quality, 100) >= $4
        and (features is null or not $2) and ($3::text is null or embedding_model is distinct from $3) as plain
    from items where number > $1 and state <> 'Removed' order by number limit ${page})
  select count(*)::int as count, max(number)::float8 as last,
    string_agg(hash, ''::bytea) filter (where ours and plain) as hashes,
    string_agg(int8send(number), ''::bytea) filter (where ours and plain) as numbers,
    string_agg(int2send(bank), ''::bytea) filter (where ours and plain) as banks,
    string_agg(case state when 'Disabled' then ${oneByte(flag.Disabled)}
      when 'Quarantined' then ${oneByte(flag.Quarantined)} else ${oneByte(0)} end, ''::bytea) filter (where ours and plain) as flags,
    array_agg(number::float8) filter (where ours and not plain) as others
  from page`;

/** @param columns What a row of items is read as. */
export async function* everything(
  query: Query,
  columns: string,
  { features, embedding, minQuality, shard }: Kept,
): AsyncGenerator<Part> {
  let last = 0;
  let gathered = empty(0);
  while (true) {
    const [next] = await query<Page>(text, [last, features, embedding, minQuality, shard.of, shard.own]);
    if (!next || next.count === 0) break;
    last = next.last;
    for (let from = 0; from < (next.others?.length ?? 0); from += rows) {
      const some = next.others?.slice(from, from + rows);
      yield { items: await query<IndexedItem>(`select ${columns} from items where number = any($1)`, [some]) };
    }
    if (gathered.count + page > gathered.flags.length) {
      if (gathered.count > 0) yield { columns: gathered };
      // The first part is small, as most records are.
      gathered = empty(last <= page ? page : most);
    }
    gathered = append(gathered, next);
  }
  if (gathered.count > 0) yield { columns: gathered };
}

function empty(capacity: number): Columns {
  return {
    count: 0,
    hashes: new Uint8Array(32 * capacity),
    numbers: new Uint32Array(capacity),
    banks: new Uint16Array(capacity),
    flags: new Uint8Array(capacity),
  };
}

function append(into: Columns, { hashes, numbers, banks, flags }: Page): Columns {
  if (!hashes || !numbers || !banks || !flags) return into;
  const { count } = into;
  into.hashes.set(hashes, 32 * count);
  into.flags.set(flags, count);
  for (let i = 0; i < flags.length; i++) {
    // Big-endian; of the eight bytes of a number the upper four are zero.
    into.numbers[count + i] = numbers.readUInt32BE(8 * i + 4);
    into.banks[count + i] = banks.readUInt16BE(2 * i);
  }
  return { ...into, count: count + flags.length };
}
