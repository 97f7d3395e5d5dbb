// Connections to PostgreSQL: how long each may take, what is one transaction, and failures in the matcher's words.
import pg from 'pg';
import { MatcherError } from '../errors.ts';
import { migrate } from './migrations.ts';

export interface RecordOptions {
  readonly url: string;
  readonly connections?: number;
  /** Milliseconds for a statement; also for a connection. */
  readonly timeout?: number;
}

const deadlock = '40P01';
const notSerializable = '40001';

export async function connect({ url, connections = 10, timeout = 5000 }: RecordOptions): Promise<Connections> {
  const pool = new pg.Pool({
    connectionString: url,
    max: connections,
    connectionTimeoutMillis: timeout,
    query_timeout: timeout * 4,
    statement_timeout: timeout * 4,
    application_name: 'quintet-matcher',
    // What a lost pod held, above all the lock on changes, is free again after this.
    idle_in_transaction_session_timeout: timeout * 2,
    keepAlive: true,
  });
  // A connection that dies while idle is replaced at the next query; without a listener it would end the process.
  pool.on('error', () => undefined);
  await migrate(pool).catch(async (error: unknown) => {
    await pool.end();
    throw unavailable(error);
  });
  return new Connections(pool, url);
}

export class Connections {
  readonly #pool: pg.Pool;
  readonly url: string;

  constructor(pool: pg.Pool, url: string) {
    this.#pool = pool;
    this.url = url;
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  async query<R extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<R[]> {
    try {
      return (await this.#pool.query<R>(text, values)).rows;
    } catch (error) {
      throw unavailable(error);
    }
  }

  /**
   * Commits what `work` did, or nothing of it when it throws. Done once more when PostgreSQL ended it for another transaction's sake.
   */
  async transaction<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    try {
      return await this.#once(work);
    } catch (error) {
      const { code } = ((error as Error).cause ?? {}) as { code?: string };
      if (code !== deadlock && code !== notSerializable) throw error;
      return await this.#once(work);
    }
  }

  async #once<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect().catch((error: unknown) => {
      throw unavailable(error);
    });
    // Without a listener, a connection that breaks between two queries would end the process.
    const ignore = () => undefined;
    client.on('error', ignore);
    let broken: Error | undefined;
    try {
      await client.query('begin');
      const result = await work(client);
      await client.query('commit');
      return result;
    } catch (error) {
      broken = await client.query('rollback').then(
        () => undefined,
        (failure: unknown) => failure as Error,
      );
      throw error instanceof MatcherError ? error : unavailable(error);
    } finally {
      client.off('error', ignore);
      client.release(broken);
    }
  }
}

function unavailable(error: unknown): MatcherError {
  if (error instanceof MatcherError) return error;
  const { code, message } = error as { code?: string; message?: string };
  // Class 22 is data that PostgreSQL cannot hold, such as a zero byte in a text.
  if (code?.startsWith('22')) return new MatcherError('ItemInvalid', `not storable: ${message}`, { cause: error });
  return new MatcherError('RecordUnavailable', `PostgreSQL: ${message ?? String(error)}`, { cause: error });
}
