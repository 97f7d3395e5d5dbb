// Who answers under a name: whether a new model takes the place of another, and what is noted of it.
import type pg from 'pg';
import { EvolutionError } from '../errors.ts';
import { audit, deploy, lockName, undeploy } from './deployments.ts';
import { type Otherness, othernessOf } from './question.ts';
import { constantType, type Decision, type Promotion, type RunRows } from './rows.ts';

/** A model that may answer under its name. */
export type Candidate = Pick<RunRows['model'], 'name' | 'modelId' | 'type' | 'score' | 'holdout'> & {
  readonly metric: string;
};

interface Rival {
  readonly id: string;
  readonly score: number | null;
  readonly holdout: number | null;
  readonly metric: string;
  readonly active: boolean;
}

/** Under the lock of the name. A champion must be beaten by enough; a challenger by whoever wants its place. */
export async function promoteIfBetter(
  client: pg.PoolClient,
  candidate: Candidate,
  promotion: Promotion,
): Promise<Decision> {
  const { name, modelId, score, holdout, type } = candidate;
  if (promotion.mode === 'None') return { role: 'None' };
  if (type === constantType) return { role: 'None', why: 'no pipeline had room in it: it says the same of every row' };
  if ((holdout ?? score) === null) return { role: 'None', why: 'it has no score' };
  const { rows } = await client.query<Rival>(
    `SELECT m.model_id AS id, m.score, m.holdout, m.metric, m.is_active AS active
     FROM model_metadata m LEFT JOIN deployments d ON d.model_name = m.model_name
     WHERE m.model_name = $1 AND (m.is_active OR m.model_id = d.challenger)`,
    [name],
  );
  const champion = rows.find(({ active }) => active);
  if (champion?.id === modelId) return { role: 'Champion' };
  const other = champion && (await othernessOf(client, modelId, champion.id));
  if (champion && other?.supersedes) {
    await undeploy(client, name);
    await deploy(client, name, modelId, 'Champion', 0);
    return { role: 'Champion', why: `it answers something else than ${champion.id}, which ${other.text}` };
  }
  if (other) return { role: 'None', why: `it answers something else than the active model, which ${other.text}` };
  const lost = champion && whyNot(candidate, champion, 'the active model', promotion, promotion.minImprovement);
  if (lost !== undefined) return { role: 'None', why: lost };
  // Somebody has to answer: without a champion the first model is it.
  const role = champion ? promotion.mode : 'Champion';
  const challenger = rows.find(({ active, id }) => !active && id !== modelId);
  const beaten =
    role === 'Challenger' && challenger && whyNot(candidate, challenger, 'the present challenger', promotion, 0);
  if (beaten) return { role: 'None', why: beaten };
  await deploy(client, name, modelId, role, promotion.weight);
  return { role };
}

/** Whether a later run of the same resource, which asked something else, has put its model in the place of this one; by hand anybody may have. */
export async function isOvertaken(
  client: pg.PoolClient,
  { name, modelId }: Pick<Candidate, 'name' | 'modelId'>,
): Promise<boolean> {
  const { rows } = await client.query<{ id: string; act: string }>(
    `SELECT m.model_id AS id, a.action AS act FROM model_metadata m JOIN audit a ON a.subject = m.model_id
     WHERE m.model_name = $1 AND m.is_active AND a.action IN ('register', 'revise', 'promote') ORDER BY a.id DESC LIMIT 1`,
    [name],
  );
  const [active] = rows;
  if (!active || active.act === 'promote') return false;
  return (await othernessOf(client, modelId, active.id))?.supersedes ?? false;
}

/** Scores are compared only when they are of one metric, and both of a holdout or both of folds. */
function whyNot(
  { metric, score, holdout }: Candidate,
  rival: Rival,
  title: string,
  { greaterIsBetter }: Promotion,
  least: number,
): string | undefined {
  if (rival.metric !== metric) return `${title} is judged by ${rival.metric}`;
  const other = holdout === null ? rival.score : rival.holdout;
  if (other === null) return `${title} has no score ${holdout === null ? 'over folds' : 'on a holdout'}`;
  const own = (holdout ?? score)!;
  const gain = greaterIsBetter ? own - other : other - own;
  return gain <= 0 || gain < least ? `its gain over ${title} is ${gain}` : undefined;
}

/** By the word of somebody. @throws EvolutionError InputInvalid for what may never answer */
export async function promoteByHand(
  client: pg.PoolClient,
  modelId: string,
  as: 'Champion' | 'Challenger',
  weight: number,
  actor: string,
): Promise<void> {
  const find =
    'SELECT model_name AS name, model_type AS type, is_active AS active FROM model_metadata WHERE model_id = $1';
  const named = await client.query<{ name: string }>(find, [modelId]);
  if (named.rows[0]) await lockName(client, named.rows[0].name);
  const { rows } = await client.query<{ name: string; type: string; active: boolean }>(find, [modelId]);
  const [model] = rows;
  if (!model) throw new EvolutionError('InputInvalid', `the registry has no model ${modelId}`);
  if (model.type === constantType)
    throw new EvolutionError('InputInvalid', `${modelId} says the same of every row, and is never promoted`);
  const { rows: active } = await client.query<{ id: string }>(
    'SELECT model_id AS id FROM model_metadata WHERE model_name = $1 AND is_active',
    [model.name],
  );
  const other = active[0] && (await othernessOf(client, modelId, active[0].id));
  if (as === 'Challenger') refuseChallenger(modelId, model, other);
  else if (other && !other.answersAlike) await undeploy(client, model.name);
  await deploy(client, model.name, modelId, as, weight);
  await audit(client, actor, 'promote', modelId, { as, weight });
}

function refuseChallenger(
  modelId: string,
  { name, active }: { name: string; active: boolean },
  other: Otherness | undefined,
): void {
  const refused = active
    ? [`${modelId} is the champion of ${name}, and not its own challenger`, 'promote another champion first']
    : other && !other.answersAlike
      ? [`${modelId} answers something else than the champion of ${name}, which ${other.text}`, 'make it the champion']
      : undefined;
  if (refused) throw new EvolutionError('InputInvalid', refused[0]!, { fix: refused[1]! });
}
