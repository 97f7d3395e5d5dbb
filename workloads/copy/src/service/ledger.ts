// What was used, line by line, in PostgreSQL: written before the work and completed after it, so that a crash leaves a line that says so.
import { dependency, gaugeOf, type Registry } from '@quintet/runtime';
import pg from 'pg';

export interface LedgerLine {
  /** UUID of one answer. */
  id: string;
  at: Date;
  tenant: string;
  /** What the client says it is for: `user` of OpenAI's API, the template of a brief. */
  tag: string;
  model: string;
  /** Open: begun, and still so after the longest request when the replica died. Cached lines cost nothing. */
  state: 'Open' | 'Done' | 'Aborted' | 'Cached';
  promptTokens: number;
  completionTokens: number;
  reservedTokens: number;
  cost: number;
  currency: string;
}

export interface Ledger {
  /** Resolves when the line is kept, or at once while PostgreSQL is away: then it is written as soon as it is back. */
  write: (line: LedgerLine) => Promise<void>;
  /** Writes what waits, and ends. */
  close: () => Promise<void>;
}

/** Lines that wait for PostgreSQL; the oldest are lost beyond it, and counted. */
const mostWaiting = 10_000;
const again = 1000;

/** Replicas that start together must not create the same table at once. */
const alone = 'SELECT pg_advisory_xact_lock(7041223)';
const tables = [
  `CREATE TABLE IF NOT EXISTS copy_ledger (
    id uuid PRIMARY KEY, at timestamptz NOT NULL, tenant text NOT NULL, tag text NOT NULL, model text NOT NULL, state text NOT NULL,
    prompt_tokens bigint NOT NULL, completion_tokens bigint NOT NULL, reserved_tokens bigint NOT NULL,
    cost numeric(20, 9) NOT NULL, currency text NOT NULL, price_date date NOT NULL)`,
  'CREATE INDEX IF NOT EXISTS copy_ledger_tenant_at ON copy_ledger (tenant, at)',
  `CREATE OR REPLACE VIEW copy_usage AS
    SELECT price_date, tenant, tag, model, state, currency, count(*) AS answers, sum(prompt_tokens) AS prompt_tokens,
      sum(completion_tokens) AS completion_tokens, sum(cost) AS cost
    FROM copy_ledger GROUP BY price_date, tenant, tag, model, state, currency`,
];
/** A line that is complete is never opened again, in whatever order lines arrive. */
const upsert = `INSERT INTO copy_ledger VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, ($2 AT TIME ZONE 'UTC')::date)
  ON CONFLICT (id) DO UPDATE SET state = excluded.state, prompt_tokens = excluded.prompt_tokens,
    completion_tokens = excluded.completion_tokens, cost = excluded.cost WHERE copy_ledger.state = 'Open'`;

export function openLedger(url: string, registry: Registry): Ledger {
  const pool = new pg.Pool({
    connectionString: url,
    max: 8,
    connectionTimeoutMillis: 2000,
    query_timeout: 5000,
    statement_timeout: 5000,
  });
  // Unheard, a lost idle connection would end the process; its next use reports it.
  pool.on('error', () => undefined);
  const guarded = dependency('postgres', { timeout: 8000, retries: 0, failures: 2, openFor: again, registry });
  const waiting: LedgerLine[] = [];
  let lost = 0;
  gaugeOf(registry, 'quintet_copy_ledger_waiting', 'Lines that wait for PostgreSQL.', [], () => [[{}, waiting.length]]);
  gaugeOf(registry, 'quintet_copy_ledger_lost', 'Lines given up because too many waited.', [], () => [[{}, lost]]);
  let made: Promise<void> | undefined;
  const put = (line: LedgerLine): Promise<boolean> =>
    guarded.callOr(async () => {
      made ??= createTables(pool).catch((error: unknown) => {
        made = undefined;
        throw error;
      });
      await made;
      await pool.query(upsert, valuesOf(line));
      return true;
    }, false);
  const flush = async (): Promise<void> => {
    for (let line = waiting.shift(); line !== undefined; line = waiting.shift()) {
      if (await put(line)) continue;
      waiting.unshift(line);
      return;
    }
  };
  let flushing = Promise.resolve();
  const timer = setInterval(() => {
    flushing = flushing.then(flush);
  }, again);
  timer.unref();
  return {
    write: async (line) => {
      if (await put(line)) return;
      waiting.push(line);
      if (waiting.length <= mostWaiting) return;
      waiting.shift();
      lost++;
    },
    close: async () => {
      clearInterval(timer);
      await flushing;
      await flush();
      await pool.end();
    },
  };
}

async function createTables(pool: pg.Pool): Promise<void> {
  const client = await pool.connect();
  // The pool listens to idle connections only: one that is lost here would end the process. Its query fails.
  const lost = () => undefined;
  client.on('error', lost);
  try {
    await client.query('BEGIN');
    await client.query(alone);
    await createSchema(client);
    for (const statement of tables) await client.query(statement);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  } finally {
    client.off('error', lost);
    client.release();
  }
}

/** The one that the address names by `options=-c search_path=NAME`, where several resources share a database. */
async function createSchema(client: pg.PoolClient): Promise<void> {
  const { rows } = await client.query<{ there: string | null; path: string }>(
    `SELECT current_schema() AS there, current_setting('search_path') AS path`,
  );
  const { there, path } = rows[0] ?? {};
  const name = path?.split(',')[0]?.trim().replaceAll('"', '');
  if (!there && name) await client.query(`CREATE SCHEMA IF NOT EXISTS ${client.escapeIdentifier(name)}`);
}

function valuesOf(line: LedgerLine): unknown[] {
  const { id, at, tenant, tag, model, state, promptTokens, completionTokens, reservedTokens, cost, currency } = line;
  // PostgreSQL's text holds no NUL.
  const kept = tag.replaceAll('\0', '');
  return [
    id,
    at,
    tenant,
    kept,
    model,
    state,
    promptTokens,
    completionTokens,
    reservedTokens,
    cost.toFixed(9),
    currency,
  ];
}
