// The beginning and the end of a run in the registry, each within one transaction.
import type pg from 'pg';
import type { Before } from '../run/clock.ts';
import type { Cut } from '../search/search.ts';
import { jsonOf } from '../text.ts';
import { audit, lockName } from './deployments.ts';
import { type Candidate, isOvertaken, promoteIfBetter } from './promotion.ts';
import type { Decision, Promotion, RunAttempt, RunRows, RunStart } from './rows.ts';

/** What earlier coordinators of the run have done; earlier runs that this one takes the place of are cancelled. */
export async function startRun(
  client: pg.PoolClient,
  { runId, name, namespace, uid, spec, seed, teams }: RunStart,
): Promise<RunAttempt & { finished: boolean; before: Before }> {
  const { rows } = await client.query<{
    phase: string;
    attempts: number;
    seconds: number;
    placed: number;
    cut: Cut | null;
  }>(
    // One that failed, and that somebody has since given more memory, say, has its whole budget again.
    `INSERT INTO runs (run_id, name, namespace, resource_uid, spec, seed, teams, phase) VALUES ($1, $2, $3, $4, $5, $6, $7, 'Running')
     ON CONFLICT (run_id) DO UPDATE SET phase = CASE WHEN runs.phase = 'Succeeded' THEN 'Succeeded' ELSE 'Running' END,
       result = CASE WHEN runs.phase = 'Succeeded' THEN runs.result END,
       completed_at = CASE WHEN runs.phase = 'Succeeded' THEN runs.completed_at END,
       spec = CASE WHEN runs.phase = 'Succeeded' THEN runs.spec ELSE $5 END,
       seconds = CASE WHEN runs.phase = 'Failed' AND runs.spec <> $5 THEN 0 ELSE runs.seconds END,
       placed = CASE WHEN runs.phase = 'Failed' AND runs.spec <> $5 THEN 0 ELSE runs.placed END,
       cut = CASE WHEN runs.phase = 'Failed' AND runs.spec <> $5 THEN NULL ELSE runs.cut END,
       teams = $7, namespace = $3, resource_uid = $4, attempts = runs.attempts + 1, seen_at = now()
     RETURNING phase, attempts, seconds, placed, cut`,
    [runId, name, namespace ?? null, uid ?? null, jsonOf(spec), seed, teams],
  );
  await supersede(client, { runId, name, namespace, uid });
  const { phase, attempts, seconds, placed, cut } = rows[0]!;
  return {
    runId,
    attempt: attempts,
    finished: phase === 'Succeeded',
    before: { seconds, placed, ...(cut ? { cut } : {}) },
  };
}

/** A resource has one run at a time; of an earlier resource of its name, which may be another cluster's, only what is not at work is over. */
async function supersede(
  client: pg.PoolClient,
  { runId, name, namespace, uid }: Pick<RunStart, 'runId' | 'name' | 'namespace' | 'uid'>,
): Promise<void> {
  await client.query(
    `UPDATE runs SET phase = 'Cancelled', completed_at = now(), result = $5
     WHERE run_id IN (
       SELECT run_id FROM run_states WHERE run_id <> $1 AND name = $2 AND namespace = $3 AND state IN ('Interrupted', 'Lost')
       UNION SELECT run_id FROM runs WHERE run_id <> $1 AND resource_uid = $4 AND phase IN ('Running', 'Interrupted'))`,
    [runId, name, namespace ?? null, uid ?? null, jsonOf({ error: `the run ${runId} has taken its place` })],
  );
}

/** Everything a run found; a second call for the same run changes nothing. Of one that was cancelled the model is kept, and does not answer. */
export async function finishRun(
  client: pg.PoolClient,
  runId: string,
  rows: RunRows,
  promotion: Promotion,
): Promise<{ version: number; role: 'None' | 'Champion' | 'Challenger' }> {
  await lockName(client, rows.model.name);
  const { rows: found } = await client.query<{ phase: string; reason: string | null }>(
    `SELECT phase, result ->> 'error' AS reason FROM runs WHERE run_id = $1 FOR UPDATE`,
    [runId],
  );
  if (found[0]?.phase === 'Succeeded') {
    const { rows: known } = await client.query<{ version: number }>(
      'SELECT version FROM model_metadata WHERE model_id = $1',
      [rows.model.modelId],
    );
    return { version: known[0]?.version ?? 0, role: 'None' };
  }
  const { dataset, model } = rows;
  await client.query(
    `INSERT INTO datasets (hash, rows, features, target, task, classes, schema) VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (hash) DO UPDATE SET task = excluded.task, classes = excluded.classes`,
    [
      dataset.hash,
      dataset.rows,
      dataset.features,
      dataset.target,
      dataset.task,
      dataset.classes,
      jsonOf(dataset.schema),
    ],
  );
  await insertIndividuals(client, runId, rows);
  const version = await insertModel(client, runId, rows);
  const cancelled = found[0]?.phase === 'Cancelled';
  const { role, why }: Decision = cancelled
    ? { role: 'None', why: found[0]?.reason ?? 'its run was cancelled' }
    : await promoteIfBetter(client, { ...model, metric: rows.metric }, promotion);
  await client.query(
    `UPDATE runs SET phase = 'Succeeded', metric = $2, result = $3, dataset_hash = $4, seen_at = now(), completed_at = now() WHERE run_id = $1`,
    [runId, rows.metric, jsonOf(rows.result), dataset.hash],
  );
  await audit(client, 'coordinator', 'register', model.modelId, {
    version,
    role,
    ...(why ? { why } : {}),
    ...(cancelled && { cancelled }),
  });
  return { version, role };
}

/**
 * Of a run that has ended: its spec asks for something else of what it found. Who answers changes only where the spec's promotion did, for others may have
 * promoted since, or where the resource has come back to what this run answers, or to a run that ended after it was cancelled.
 */
export async function reviseRun(
  client: pg.PoolClient,
  { runId, spec, result }: Pick<RunStart, 'runId' | 'spec'> & { readonly result: unknown },
  promotion: Promotion,
): Promise<void> {
  const { rows: named } = await client.query<{ name: string }>(
    'SELECT model_name AS name FROM model_metadata WHERE evolution_id = $1',
    [runId],
  );
  if (!named[0]) return;
  await lockName(client, named[0].name);
  const { rows } = await client.query<Candidate & { asked: boolean; unjudged: boolean | null }>(
    `SELECT (r.spec -> 'promotion') - 'serving' IS DISTINCT FROM ($2::jsonb -> 'promotion') - 'serving' AS asked,
       m.model_name AS name, m.model_id AS "modelId", m.model_type AS type, m.metric, m.score, m.holdout,
       (SELECT (a.details ->> 'cancelled')::boolean FROM audit a
        WHERE a.subject = m.model_id AND a.action IN ('register', 'revise') ORDER BY a.id DESC LIMIT 1) AS unjudged
     FROM runs r JOIN model_metadata m ON m.evolution_id = r.run_id WHERE r.run_id = $1 AND r.phase = 'Succeeded' FOR UPDATE OF r`,
    [runId, jsonOf(spec)],
  );
  const [model] = rows;
  if (!model) return;
  await client.query('UPDATE runs SET spec = $2, result = $3 WHERE run_id = $1', [runId, jsonOf(spec), jsonOf(result)]);
  if (!model.asked && !model.unjudged && !(await isOvertaken(client, model))) return;
  await audit(client, 'coordinator', 'revise', model.modelId, await promoteIfBetter(client, model, promotion));
}

async function insertIndividuals(
  client: pg.PoolClient,
  runId: string,
  { generations, individuals }: RunRows,
): Promise<void> {
  // A run that was pruned has left its front.
  await client.query('DELETE FROM individuals WHERE run_id = $1', [runId]);
  await client.query(
    `INSERT INTO generations (run_id, generation, complete, best)
     SELECT $1, g.generation, g.complete, g.best FROM jsonb_to_recordset($2::jsonb) AS g (generation integer, complete integer, best double precision)`,
    [runId, jsonOf(generations)],
  );
  await client.query(
    `INSERT INTO individuals (run_id, index, generation, island, genome_key, learner, genes, parents, score, fold_scores, cost, on_front)
     SELECT $1, i.index, i.generation, i.island, i.key, i.learner, i.genes, i.parents, i.score, i."foldScores", i.cost, i."onFront"
     FROM jsonb_to_recordset($2::jsonb) AS i (index integer, generation integer, island integer, key text, learner text, genes jsonb, parents integer[],
       score double precision, "foldScores" double precision[], cost double precision, "onFront" boolean)`,
    [runId, jsonOf(individuals)],
  );
}

/** Under the lock of its name. @returns its version */
async function insertModel(client: pg.PoolClient, runId: string, { metric, model, dataset }: RunRows): Promise<number> {
  const { rows: versions } = await client.query<{ next: number }>(
    'SELECT coalesce(max(version), 0) + 1 AS next FROM model_metadata WHERE model_name = $1',
    [model.name],
  );
  const version = versions[0]!.next;
  await client.query(
    `INSERT INTO model_metadata (model_id, model_name, model_type, version, metric, score, holdout, roc_auc, f1_score, parameters, evolution_id, dataset_hash, sha256)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
    [
      model.modelId,
      model.name,
      model.type,
      version,
      metric,
      model.score,
      model.holdout,
      model.rocAuc,
      model.f1Score,
      jsonOf(model.parameters),
      runId,
      dataset.hash,
      model.sha256,
    ],
  );
  await client.query('INSERT INTO model_artifacts (model_id, content) VALUES ($1, $2)', [
    model.modelId,
    Buffer.from(model.content),
  ]);
  return version;
}
