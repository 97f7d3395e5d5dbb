// Who answers under a name, as it is written down; whether it may is decided elsewhere.
import type pg from 'pg';
import { jsonOf } from '../text.ts';

/** Versions and deployments of a name change one after another; until the transaction ends. It comes before the lock of any row, or two may wait for each other. */
export async function lockName(client: pg.PoolClient, name: string): Promise<void> {
  await client.query('SELECT pg_advisory_xact_lock(hashtext($1))', [name]);
}

/** Also the challenger: it answers what the former champion did. */
export async function undeploy(client: pg.PoolClient, name: string): Promise<void> {
  await client.query('DELETE FROM deployments WHERE model_name = $1', [name]);
}

export async function deploy(
  client: pg.PoolClient,
  name: string,
  modelId: string,
  as: 'Champion' | 'Challenger',
  weight: number,
): Promise<void> {
  if (as === 'Champion') {
    await client.query('UPDATE model_metadata SET is_active = false WHERE model_name = $1 AND is_active', [name]);
    await client.query('UPDATE model_metadata SET is_active = true WHERE model_id = $1', [modelId]);
    await client.query(
      `INSERT INTO deployments (model_name, champion) VALUES ($1, $2)
       ON CONFLICT (model_name) DO UPDATE SET champion = $2, challenger = nullif(deployments.challenger, $2),
         challenger_weight = CASE WHEN deployments.challenger = $2 THEN 0 ELSE deployments.challenger_weight END, changed_at = now()`,
      [name, modelId],
    );
  } else {
    await client.query(
      `INSERT INTO deployments (model_name, challenger, challenger_weight) VALUES ($1, $2, $3)
       ON CONFLICT (model_name) DO UPDATE SET challenger = $2, challenger_weight = $3, changed_at = now()`,
      [name, modelId, weight],
    );
  }
  await client.query(
    `UPDATE model_metadata m SET is_deployed = EXISTS (SELECT 1 FROM deployments d WHERE m.model_id IN (d.champion, d.challenger)) WHERE model_name = $1`,
    [name],
  );
}

export async function audit(
  client: pg.PoolClient,
  actor: string,
  action: string,
  subject: string,
  details: unknown,
): Promise<void> {
  await client.query('INSERT INTO audit (actor, action, subject, details) VALUES ($1, $2, $3, $4)', [
    actor,
    action,
    subject,
    jsonOf(details),
  ]);
}
