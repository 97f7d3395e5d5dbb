// The registry and the database that it lies in: made, found, refused, kept and brought back.
import '../testing/pg.ts';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startPostgres, type TestPostgres } from '@quintet/runtime/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rowsOf } from '../testing/rows.ts';
import { Registry } from './registry.ts';

const run = promisify(execFile);
let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
}, 120_000);
afterAll(() => postgres.stop());

it('several coordinators may open a fresh registry at once', async () => {
  const url = await newDatabase('fresh');
  const all = await Promise.all([1, 2, 3].map(() => Registry.open(url)));
  expect(await all[0]!.models()).toEqual([]);
  await Promise.all(all.map((each) => each.close()));
});

describe('a database that is no registry', () => {
  const sql = async (url: string, text: string) => (await run('psql', [url, '-Atc', text])).stdout.trim();
  const tables = `SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`;
  const readOnly = { migrate: false };

  it('is refused by those who read, and stays as it is', async () => {
    const url = await newDatabase('foreign_one');
    await sql(
      url,
      `CREATE TABLE migrations (id integer, name varchar(80)); INSERT INTO migrations VALUES (1, 'users')`,
    );
    const nowhere = `${url}?options=-c%20search_path%3Devolutionrun_missing`;
    for (const address of [url, nowhere])
      await expect(Registry.open(address, readOnly)).rejects.toMatchObject({
        reason: 'RegistryRefused',
        message: expect.stringMatching(/^there is no registry of EvolutionRuns at this address; name/) as string,
      });
    expect(await sql(url, tables)).toBe('migrations');
    expect(await sql(url, `SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'evolution%'`)).toBe('0');
  });

  it('keeps migrations of its own beside those of a registry', async () => {
    const url = await newDatabase('foreign_two');
    await sql(url, `CREATE TABLE migrations (id integer, name text); INSERT INTO migrations VALUES (1, 'users')`);
    for (let i = 0; i < 2; i++) await (await Registry.open(url)).close();
    expect(await sql(url, 'SELECT id, name FROM migrations')).toBe('1|users');
    expect(await sql(url, 'SELECT count(*) FROM evolution_migrations')).not.toBe('0');
    await (await Registry.open(url, readOnly)).close();
  });

  it('is one that was begun under the older name', async () => {
    const url = await newDatabase('older');
    await (await Registry.open(url)).close();
    await sql(url, 'ALTER TABLE evolution_migrations RENAME TO migrations');
    await (await Registry.open(url)).close();
    expect(await sql(url, tables)).not.toContain('evolution_migrations');
    await sql(url, 'DROP VIEW run_states');
    const older = await Registry.open(url, readOnly);
    await expect(older.runs()).rejects.toMatchObject({
      reason: 'RegistryRefused',
      message: expect.stringMatching(/is of an earlier version/) as string,
    });
    await older.close();
  });

  it('is read by a user who may do nothing else', async () => {
    const url = await newDatabase('readable');
    await (await Registry.open(url)).close();
    await sql(url, `CREATE ROLE reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader`);
    const reader = await Registry.open(url.replace('//quintet@', '//reader@'), readOnly);
    expect([await reader.models(), await reader.runs()]).toEqual([[], []]);
    await expect(reader.promote('m', 'Champion', 0, 'ann')).rejects.toMatchObject({ reason: 'InputInvalid' });
    await reader.close();
  });
});

it.each([
  [
    'a user that is not there',
    (url: string) => url.replace('//quintet@', '//stranger@'),
    /role "stranger" does not exist/,
  ],
  [
    'a database that is not there',
    (url: string) => url.replace(/postgres$/, 'nowhere'),
    /database "nowhere" does not exist/,
  ],
])('says what PostgreSQL has against %s', async (_what, changed, message) => {
  await expect(Registry.open(changed(postgres.url))).rejects.toMatchObject({
    reason: 'RegistryUnavailable',
    message: expect.stringMatching(message) as string,
    where: { field: 'spec.registry.postgres' },
  });
});

describe('pg_dump and pg_restore as the docs have them', () => {
  let folder: string;
  let commands: string[];
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'quintet-dump-'));
    const page = await readFile(new URL('../../../../docs/kinds/evolutionrun.md', import.meta.url), 'utf8');
    commands = /### Backup[^]*?```sh\n([^]*?)```/.exec(page)![1]!.trim().split('\n');
  });
  afterAll(() => rm(folder, { recursive: true }));
  const shell = (part: string[], url: string) =>
    run('bash', ['-ec', part.join('\n')], { cwd: folder, env: { ...process.env, QUINTET_POSTGRES_URL: url } });
  const promotion = { mode: 'Champion', weight: 0, minImprovement: 0, greaterIsBetter: true } as const;
  const register = async (url: string, runId: string) => {
    const opened = await Registry.open(url);
    await opened.startRun({ runId, name: runId, spec: {}, seed: 0, teams: [] });
    await opened.finishRun(runId, rowsOf(`${runId}-m1`, 0.8), promotion);
    await opened.close();
  };
  const modelsIn = async (url: string) => {
    const opened = await Registry.open(url);
    const ids = (await opened.models()).map(({ modelId }) => modelId);
    const content = await opened.content(ids.at(-1)!);
    await opened.close();
    return { ids, content: content && [...content] };
  };

  it('bring back one namespace, and leave the others of the database as they are', async () => {
    const database = await newDatabase('shared');
    const [ours, theirs] = ['evolutionrun_team_a_01', 'evolutionrun_team_b_02'].map(
      (schema) => `${database}?options=-c%20search_path%3D${schema}`,
    ) as [string, string];
    for (const url of [ours, theirs, database]) await register(url, 'before');
    await shell(commands.slice(0, -1), ours);
    for (const url of [ours, theirs, database]) await register(url, 'after');
    await shell(commands.slice(-1), ours);
    expect(await modelsIn(ours)).toEqual({ ids: ['before-m1'], content: [1, 2, 3] });
    const both = { ids: ['after-m1', 'before-m1'], content: [1, 2, 3] };
    expect(await modelsIn(theirs)).toEqual(both);
    expect(await modelsIn(database)).toEqual(both);
  });

  it('keep a registry in a database of its own, and fill an empty one', async () => {
    await register(postgres.url, 'before');
    await shell(commands.slice(0, -1), postgres.url);
    const url = await newDatabase('restored');
    await shell(commands.slice(-1), url);
    const [registry, restored] = await Promise.all([postgres.url, url].map((each) => Registry.open(each)));
    expect(await restored!.models()).toEqual(await registry!.models());
    expect(await restored!.runs()).toEqual(await registry!.runs());
    expect([...(await restored!.content('before-m1'))!]).toEqual([1, 2, 3]);
    await Promise.all([registry!.close(), restored!.close()]);
  });

  it('change nothing where the dump is damaged', async () => {
    const url = await newDatabase('kept');
    await register(url, 'before');
    await shell(commands.slice(0, -1), url);
    const bytes = await readFile(join(folder, 'registry.dump'));
    await writeFile(join(folder, 'registry.dump'), bytes.subarray(0, bytes.length - 2000));
    await register(url, 'after');
    await expect(shell(commands.slice(-1), url)).rejects.toThrow(/pg_restore/);
    expect((await modelsIn(url)).ids).toEqual(['after-m1', 'before-m1']);
  });
});

async function newDatabase(name: string): Promise<string> {
  await run('psql', [postgres.url, '-c', `CREATE DATABASE ${name}`]);
  return postgres.url.replace(/postgres$/, name);
}
