// What a model answers: its target, its task, its classes, and the columns it is asked with. Scores of models that answer something else are not compared.
import type pg from 'pg';
import { startOf } from '../text.ts';

export interface Otherness {
  /** What the other model does otherwise. */
  readonly text: string;
  /** Both tell the same, whatever columns they want, or whichever class their scores are of. */
  readonly answersAlike: boolean;
  /** The resource that made the other model asks something else now: it was made anew, or its target or task was changed. */
  readonly supersedes: boolean;
}

interface Asked {
  readonly id: string;
  readonly target: string | null;
  readonly task: string | null;
  readonly metric: string;
  readonly classes: string[] | null;
  readonly columns: string[] | null;
  readonly run: string | null;
  readonly namespace: string | null;
  readonly uid: string | null;
}

/** Undefined where whoever asks the other model may ask this one instead. */
export async function othernessOf(
  client: pg.ClientBase,
  modelId: string,
  otherId: string,
): Promise<Otherness | undefined> {
  const { rows } = await client.query<Asked>(
    `SELECT m.model_id AS id, d.target, d.task, m.metric, d.classes, r.name AS run, r.namespace, r.resource_uid AS uid,
       (SELECT array_agg(DISTINCT f ->> 'column') FROM jsonb_array_elements(d.schema) AS f) AS columns
     FROM model_metadata m LEFT JOIN datasets d ON d.hash = m.dataset_hash LEFT JOIN runs r ON r.run_id = m.evolution_id
     WHERE m.model_id IN ($1, $2)`,
    [modelId, otherId],
  );
  const own = rows.find(({ id }) => id === modelId);
  const other = rows.find(({ id }) => id === otherId);
  if (!own || !other) return undefined;
  const target = differs(own.target, other.target) ? `predicts ${other.target}` : undefined;
  const task = differs(own.task, other.task) ? `is for the task ${other.task}` : undefined;
  const lacking = (own.columns ?? []).filter((column) => !(other.columns ?? []).includes(column));
  const columns = lacking.length > 0 ? `does not know ${listed(lacking)}` : undefined;
  const classes = classesOf(own, other);
  const question = target ?? task;
  const text = question ?? classes?.text ?? columns;
  if (text === undefined) return undefined;
  const ofOneResource = own.run === other.run && !differs(own.namespace, other.namespace);
  return {
    text,
    answersAlike: question === undefined && (classes?.alike ?? true),
    supersedes: ofOneResource && (question !== undefined || own.uid !== other.uid),
  };
}

/** Of two classes; of several, new ones come and go with the data. */
function classesOf(own: Asked, other: Asked): { text: string; alike: boolean } | undefined {
  if (own.task !== 'Binary' || !own.classes || !other.classes) return undefined;
  const named = other.classes.map((name) => `“${startOf(name, 64)}”`);
  const alike = own.classes.every((name) => other.classes!.includes(name));
  if (!alike) return { text: `tells ${named.join(' from ')}`, alike };
  const isTurned = own.classes[1] !== other.classes[1];
  // Other metrics are the same whichever class is the positive one.
  return isTurned && other.metric === 'F1' ? { text: `is judged by the F1 of ${named[1]}`, alike } : undefined;
}

/** What older registries do not know is not held against a model. */
function differs(own: string | null, other: string | null): boolean {
  return own !== null && other !== null && own !== other;
}

function listed(columns: readonly string[]): string {
  const named = columns.slice(0, 5).map((column) => startOf(column, 64));
  return `the column${columns.length === 1 ? '' : 's'} ${named.join(', ')}${columns.length > named.length ? ' …' : ''}`;
}
