// What was used, line by line, in PostgreSQL: written before the work, renewed during it and completed after it. Lines that nobody renews are closed by any
// replica with what was known of them.
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
  /** Open: under way. Cached lines cost nothing; `Lost`, which none writes of itself, is of a replica that died. */
  state: 'Open' | 'Done' | 'Aborted' | 'Cached';
  promptTokens: number;
  completionTokens: number;
  reservedTokens: number;
  cost: number;
  currency: string;
}

type Used = Pick<LedgerLine, 'promptTokens' | 'completionTokens' | 'cost'>;

export interface Ledger {
  /** Resolves when the line is kept, or at once while PostgreSQL is away: then it is written as soon as it is back. */
  write: (line: LedgerLine) => Promise<void>;
  /** Tells from time to time of a line that is open, until it is written as closed. */
  renew: (id: string, used: () => Used) => void;
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
  'ALTER TABLE copy_ledger ADD COLUMN IF NOT EXISTS renewed_at timestamptz NOT NULL DEFAULT now()',
  "CREATE INDEX IF NOT EXISTS copy_ledger_open ON copy_ledger (renewed_at) WHERE state = 'Open'",
  'CREATE INDEX IF NOT EXISTS copy_ledger_tenant_at ON copy_ledger (tenant, at)',
  `CREATE OR REPLACE VIEW copy_usage AS
    SELECT price_date, tenant, tag, model, state, currency, count(*) AS answers, sum(prompt_tokens) AS prompt_tokens,
      sum(completion_tokens) AS completion_tokens, sum(cost) AS cost
    FROM copy_ledger GROUP BY price_date, tenant, tag, model, state, currency`,
];
/** A line that is complete is never opened again, in whatever order lines arrive; one given up as lost may yet be completed by whoever has it. */
const upsert = `INSERT INTO copy_ledger (id, at, tenant, tag, model, state, prompt_tokens, completion_tokens, reserved_tokens, cost, currency, price_date)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, ($2 AT TIME ZONE 'UTC')::date)
  ON CONFLICT (id) DO UPDATE SET state = excluded.state, prompt_tokens = excluded.prompt_tokens,
    completion_tokens = excluded.completion_tokens, cost = excluded.cost
  WHERE copy_ledger.state = 'Open' OR (copy_ledger.state = 'Lost' AND excluded.state <> 'Open')`;
const renewal = `UPDATE copy_ledger AS line SET renewed_at = now(), state = 'Open', prompt_tokens = told.prompt, completion_tokens = told.completion, cost = told.cost
  FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::numeric[]) AS told (id, prompt, completion, cost)
  WHERE line.id = told.id AND line.state IN ('Open', 'Lost')`;
const losing = `UPDATE copy_ledger SET state = 'Lost' WHERE state = 'Open' AND renewed_at < now() - $1 * interval '1 millisecond'`;

/** @param lease Milliseconds after which an open line that was not renewed counts as lost. */
export function openLedger(url: string, registry: Registry, lease: number): Ledger {
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
  const run = (statement: string, values: unknown[]): Promise<boolean> =>
    guarded.callOr(async () => {
      made ??= createTables(pool).catch((error: unknown) => {
        made = undefined;
        throw error;
      });
      await made;
      await pool.query(statement, values);
      return true;
    }, false);
  const put = (line: LedgerLine): Promise<boolean> => run(upsert, valuesOf(line));
  const open = new Map<string, () => Used>();
  const renewAll = async (): Promise<void> => {
    const told = [...open].map(([id, used]) => ({ id, ...used() }));
    const renewed = await run(renewal, [
      told.map(({ id }) => id),
      told.map(({ promptTokens }) => promptTokens),
      told.map(({ completionTokens }) => completionTokens),
      told.map(({ cost }) => cost.toFixed(9)),
    ]);
    // Where PostgreSQL was away nobody's lines were renewed: theirs are not lost for that.
    if (renewed) await run(losing, [lease]);
  };
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
  let renewing = Promise.resolve();
  const renewals = setInterval(() => {
    renewing = renewing.then(renewAll);
  }, lease / 3);
  renewals.unref();
  return {
    renew: (id, used) => open.set(id, used),
    write: async (line) => {
      if (line.state !== 'Open') open.delete(line.id);
      if (await put(line)) return;
      waiting.push(line);
      if (waiting.length <= mostWaiting) return;
      waiting.shift();
      lost++;
    },
    close: async () => {
      clearInterval(timer);
      clearInterval(renewals);
      await Promise.all([flushing, renewing]);
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
