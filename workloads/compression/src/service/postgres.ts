// Originals in PostgreSQL: durable beyond any Redis, compressed, forgotten after their retention.
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import { dependency, QuintetError, type Registry } from '@quintet/runtime';
import pg from 'pg';

const pack = promisify(zstdCompress);
const unpack = promisify(zstdDecompress);

export interface PostgresOriginals {
  /** False while PostgreSQL is away: the text then is not durable. */
  put(tenant: string, id: string, text: string, retentionMs: number): Promise<boolean>;
  /** Undefined for what was never kept, or no longer is. Throws `DEPENDENCY_UNAVAILABLE`. */
  get(tenant: string, id: string): Promise<string | undefined>;
  /** Deletes what is past its retention. */
  sweep(): Promise<void>;
  close(): Promise<void>;
}

const table = `CREATE TABLE IF NOT EXISTS compression_originals (
  tenant text NOT NULL, id text NOT NULL, body bytea NOT NULL, expires timestamptz NOT NULL, PRIMARY KEY (tenant, id))`;
const index = 'CREATE INDEX IF NOT EXISTS compression_originals_expires ON compression_originals (expires)';
/** Replicas that start together must not create the table at once. */
const lockOfTable = 'SELECT pg_advisory_xact_lock(7041221)';

/** `owner` keeps the rows of services apart that share a database. */
export function postgresOriginals(url: string, registry?: Registry, owner?: string): PostgresOriginals {
  const rowOf = (tenant: string): string => (owner ? `${owner}:${tenant}` : tenant);
  const pool = new pg.Pool({
    connectionString: url,
    max: 8,
    connectionTimeoutMillis: 2000,
    query_timeout: 5000,
    statement_timeout: 5000,
  });
  // Unheard, a lost idle connection would end the process; its next use reports it.
  pool.on('error', () => undefined);
  const guarded = dependency('postgres', { timeout: 8000, retries: 1, openFor: 1000, ...(registry && { registry }) });
  let made: Promise<void> | undefined;
  const ready = (): Promise<void> => {
    made ??= createTable(pool).catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  };
  const query = async <Row extends object>(text: string, values: unknown[] = []): Promise<Row[]> => {
    await ready();
    return (await pool.query<Row>(text, values)).rows;
  };
  return {
    put: async (tenant, id, text, retentionMs) => {
      // JSON escapes lone surrogates, which UTF-8 cannot carry.
      const body = await pack(JSON.stringify(text));
      return guarded.callOr(async () => {
        await query(
          `INSERT INTO compression_originals VALUES ($1, $2, $3, now() + $4 * interval '1 millisecond')
           ON CONFLICT (tenant, id) DO UPDATE SET expires = excluded.expires`,
          [rowOf(tenant), id, body, retentionMs],
        );
        return true;
      }, false);
    },
    get: async (tenant, id) => {
      const [row] = await guarded.call(() =>
        query<{ body: Buffer }>(
          'SELECT body FROM compression_originals WHERE tenant = $1 AND id = $2 AND expires > now()',
          [rowOf(tenant), id],
        ),
      );
      if (!row) return undefined;
      try {
        return JSON.parse((await unpack(row.body)).toString('utf8')) as string;
      } catch (cause) {
        throw new QuintetError('INTERNAL', { requestId: id }, { cause });
      }
    },
    sweep: async () => {
      await guarded.callOr(async () => {
        await query('DELETE FROM compression_originals WHERE expires <= now()');
      }, undefined);
    },
    close: () => pool.end(),
  };
}

async function createTable(pool: pg.Pool): Promise<void> {
  const client = await pool.connect();
  // The pool listens to idle connections only: one that is lost here would end the process. Its query fails.
  const lost = () => undefined;
  client.on('error', lost);
  try {
    await client.query('BEGIN');
    await client.query(lockOfTable);
    await client.query(table);
    await client.query(index);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  } finally {
    client.off('error', lost);
    client.release();
  }
}
