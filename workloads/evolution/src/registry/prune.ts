// What leaves the registry when somebody asks for it: old versions of a name, with what their runs have tried. Fronts stay: a later run may begin from them.
import type pg from 'pg';
import { EvolutionError } from '../errors.ts';
import { jsonOf } from '../text.ts';
import { audit, lockName } from './deployments.ts';

export interface Pruned {
  readonly modelId: string;
  readonly version: number;
  readonly createdAt: Date;
  /** Of the model file. */
  readonly bytes: number;
  /** Pipelines of its run that go with it. */
  readonly individuals: number;
}

export interface PruneOptions {
  /** Latest versions that stay, and as many of the latest that answered once and do not now: there is one to go back to. */
  readonly keep: number;
  /** Says what would go, and leaves it. */
  readonly dryRun?: boolean;
  readonly actor: string;
}

/** Oldest first. What answers now stays whatever its age. @throws EvolutionError InputInvalid when there is no such name */
export async function prune(
  client: pg.PoolClient,
  name: string,
  { keep, dryRun = false, actor }: PruneOptions,
): Promise<Pruned[]> {
  await lockName(client, name);
  const { rowCount } = await client.query('SELECT 1 FROM model_metadata WHERE model_name = $1 LIMIT 1', [name]);
  if (rowCount === 0) throw new EvolutionError('InputInvalid', `the registry has no model of the name ${name}`);
  const { rows } = await client.query<Pruned>(
    `SELECT v.model_id AS "modelId", v.version, v.created_at AS "createdAt", coalesce(octet_length(a.content), 0) AS bytes,
       (SELECT count(*)::integer FROM individuals i WHERE i.run_id = v.evolution_id AND NOT i.on_front) AS individuals
     FROM (
       SELECT m.*, rank() OVER (ORDER BY m.version DESC) AS age, rank() OVER (PARTITION BY answered, is_active OR is_deployed ORDER BY m.version DESC) AS age_among
       FROM (
         SELECT m.*, EXISTS (SELECT 1 FROM audit a WHERE a.subject = m.model_id AND (a.action = 'promote' OR a.details ->> 'role' <> 'None')) AS answered
         FROM model_metadata m WHERE m.model_name = $1
       ) m
     ) v LEFT JOIN model_artifacts a ON a.model_id = v.model_id
     WHERE NOT v.is_active AND NOT v.is_deployed AND v.age > $2 AND NOT (v.answered AND v.age_among <= $2)
     ORDER BY v.version`,
    [name, keep],
  );
  if (dryRun || rows.length === 0) return rows;
  const ids = rows.map(({ modelId }) => modelId);
  const { rows: runs } = await client.query<{ id: string }>(
    'DELETE FROM model_metadata WHERE model_id = ANY ($1) RETURNING evolution_id AS id',
    [ids],
  );
  const runIds = runs.map(({ id }) => id);
  await client.query('DELETE FROM individuals WHERE run_id = ANY ($1) AND NOT on_front', [runIds]);
  await client.query('DELETE FROM generations WHERE run_id = ANY ($1)', [runIds]);
  // A resource that comes back to one of them has nothing to answer with: it searches again.
  await client.query(
    `UPDATE runs SET phase = 'Cancelled', result = $2, seconds = 0, placed = 0, cut = NULL WHERE run_id = ANY ($1)`,
    [runIds, jsonOf({ error: 'its model was pruned' })],
  );
  await audit(client, actor, 'prune', name, { keep, versions: rows.map(({ version }) => version) });
  return rows;
}
