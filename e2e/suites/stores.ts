// The chart's PostgreSQL and Redis, as an operator reaches into them.

import { release } from '../install.ts';
import type { Kubectl } from '../kubectl.ts';

export const stores = { postgres: `${release.name}-postgres-0`, redis: `${release.name}-redis-0` };

const exec = (pod: string, script: string) => ['exec', pod, '-n', release.namespace, '--', 'sh', '-c', script];

/** Rows of a statement, each a list of texts, in the schema whose name begins so. */
export async function rows(kubectl: Kubectl, schema: string, statement: string): Promise<string[][]> {
  const query = async (sql: string) => {
    const script = `PGPASSWORD=$POSTGRES_PASSWORD psql -h 127.0.0.1 -U quintet -d quintet -At -F '|' -q -c "$1"`;
    const args = [...exec(stores.postgres, script), 'psql', sql];
    return (await kubectl.run(args)).split('\n').filter((line) => line !== '');
  };
  const pattern = schema.replaceAll('_', '\\_');
  const [name] = await query(`select nspname from pg_namespace where nspname like '${pattern}%'`);
  if (!name) throw new Error(`PostgreSQL has no schema ${schema}…`);
  return (await query(`set search_path = ${name}; ${statement}`)).map((line) => line.split('|'));
}

/** Forgets every cached result, queue and data set. */
export async function emptyRedis(kubectl: Kubectl): Promise<void> {
  await kubectl.run([...exec(stores.redis, 'redis-cli --no-auth-warning flushall')]);
}
