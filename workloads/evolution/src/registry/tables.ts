// The registry's tables, in the schema that its address names by `options=-c search_path=NAME`: several namespaces share a database. Whoever writes brings
// them up to date; whoever reads changes nothing of a database, which may be somebody else's.
import type pg from 'pg';
import { EvolutionError } from '../errors.ts';
import { migrations } from './migrations.ts';

const migrationLock = 7_215_331;
/** What was applied; registries of the first days have it under the second name, which others use too. */
const ledgers = ['evolution_migrations', 'migrations'] as const;

/** Within a transaction; several may do so at once. */
export async function bringUpToDate(client: pg.ClientBase): Promise<void> {
  await client.query('SELECT pg_advisory_xact_lock($1)', [migrationLock]);
  await createSchema(client);
  let found = await findLedger(client);
  if (!found) {
    await client.query(
      `CREATE TABLE ${ledgers[0]} (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`,
    );
    found = { table: ledgers[0], applied: [] };
  }
  for (const { name, sql } of migrations) {
    if (found.applied.includes(name)) continue;
    await client.query(sql);
    await client.query(`INSERT INTO ${found.table} (name) VALUES ($1)`, [name]);
  }
}

/** @throws EvolutionError RegistryRefused where no run has ever made a registry */
export async function requireTables(client: pg.ClientBase): Promise<void> {
  if (await findLedger(client)) return;
  throw new EvolutionError('RegistryRefused', 'there is no registry of EvolutionRuns at this address', {
    fix: "name the database, and by options the schema, that a run has written to; the chart's are in the Secret of any run",
  });
}

async function findLedger(client: pg.ClientBase): Promise<{ table: string; applied: string[] } | undefined> {
  for (const table of ledgers) {
    const { rowCount } = await client.query(
      `SELECT 1 FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = current_schema() AND c.relname = $1 AND a.attname = 'name'`,
      [table],
    );
    if (rowCount === 0) continue;
    const { rows } = await client.query<{ name: string }>(`SELECT name::text FROM ${table}`);
    const applied = rows.map((row) => row.name);
    if (applied.includes(migrations[0]!.name)) return { table, applied };
  }
  return undefined;
}

async function createSchema(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query<{ there: string | null; path: string }>(
    `SELECT current_schema() AS there, current_setting('search_path') AS path`,
  );
  const { there, path } = rows[0] ?? {};
  const name = path?.split(',')[0]?.trim().replaceAll('"', '');
  if (!there && name) await client.query(`CREATE SCHEMA IF NOT EXISTS ${client.escapeIdentifier(name)}`);
}
