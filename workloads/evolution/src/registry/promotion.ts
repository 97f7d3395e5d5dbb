// Who answers under a name: whether a new model takes the place of another, and what is noted of it.
import type pg from 'pg';
import { jsonOf } from '../text.ts';
import { constantType, type Promotion, type RunRows } from './rows.ts';

/** A model that may answer under its name. */
export type Candidate = Pick<RunRows['model'], 'name' | 'modelId' | 'type' | 'score' | 'holdout'> & {
  readonly metric: string;
};

/** Scores are compared only when they are of one metric, and both of a holdout or both of folds. */
export async function promoteIfBetter(
  client: pg.PoolClient,
  { name, modelId, score, holdout, type, metric }: Candidate,
  promotion: Promotion,
): Promise<{ role: 'None' | 'Champion' | 'Challenger'; why?: string }> {
  if (promotion.mode === 'None') return { role: 'None' };
  if (type === constantType) return { role: 'None', why: 'no pipeline was done in time' };
  const own = holdout ?? score;
  if (own === null) return { role: 'None', why: 'it has no score' };
  const { rows } = await client.query<{ score: number | null; holdout: number | null; metric: string }>(
    'SELECT score, holdout, metric FROM model_metadata WHERE model_name = $1 AND is_active',
    [name],
  );
  const [present] = rows;
  const other = present && (holdout === null ? present.score : present.holdout);
  if (present) {
    if (present.metric !== metric) return { role: 'None', why: `the active model is judged by ${present.metric}` };
    if (other === null || other === undefined)
      return { role: 'None', why: `the active model has no score ${holdout === null ? 'over folds' : 'on a holdout'}` };
    const gain = promotion.greaterIsBetter ? own - other : other - own;
    if (gain <= 0 || gain < promotion.minImprovement) return { role: 'None', why: `its gain is ${gain}` };
  }
  // Somebody has to answer: without a champion the first model is it.
  const role = present ? promotion.mode : 'Champion';
  await deploy(client, name, modelId, role, promotion.weight);
  return { role };
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
