// `quintet models` on a real PostgreSQL, as a person calls it.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startPostgres, type TestPostgres } from '@quintet/runtime/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';

const bin = fileURLToPath(new URL('../bin/quintet.js', import.meta.url));
const fill = fileURLToPath(new URL('./fixtures/registry.ts', import.meta.url));
let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
  await promisify(execFile)(process.execPath, ['--conditions=source', fill, postgres.url]);
}, 120_000);
afterAll(() => postgres.stop());

function models(...args: string[]): Promise<{ code: unknown; out: string; err: string }> {
  return new Promise((done) => {
    const env = { ...process.env, QUINTET_POSTGRES_URL: postgres.url };
    execFile(process.execPath, [bin, 'models', ...args], { env }, (error, out, err) =>
      done({ code: error?.code ?? 0, out, err }),
    );
  });
}

it('lists all models, or those of a name or a team', async () => {
  const { out } = await models('list');
  expect(out).toMatch(/churn +2 +Ensemble of 2 +RocAUC 0\.8900 +0\.9000 /);
  expect(out).toMatch(/churn +1 +Ensemble of 2 +RocAUC 0\.7900 +0\.8000 +active, deployed /);
  expect((await models('list', '--team', 'red')).out).not.toContain('run-2-m1');
  expect((await models('list', '--name', 'other')).out).toBe('no models\n');
});

it('shows one by id, by name or by version', async () => {
  expect((await models('show', 'churn@2')).out).toMatch(
    /churn@2, run-2-m1[^]*75% Linear, 0\.7900 alone[^]*no requests/,
  );
  expect((await models('show', 'churn')).out).toMatch(/churn@1, run-1-m1[^]*as champion/);
  expect(JSON.parse((await models('show', 'run-2-m1', '--json')).out)).toMatchObject({
    version: 2,
    dataset: 'data of run-2',
  });
});

it('lists runs, with why they are not at work any more', async () => {
  const { out } = await models('runs');
  expect(out).toMatch(/churn +Succeeded .* run-2/);
  expect(out).toMatch(/stock +Interrupted +40 +12s .* run-3 +the coordinator was told to end/);
  expect((await models('runs', '--name', 'stock')).out).not.toContain('run-2');
});

it('compares two, and says why that may mislead', async () => {
  const { out } = await models('compare', 'churn@1', 'churn@2');
  expect(out).toMatch(/RocAUC on holdout +0\.8000 +0\.9000 +\+0\.1000/);
  expect(out).toContain('careful: they were taught and judged with different data');
});

it('gives no difference of scores by different metrics', async () => {
  const { out } = await models('compare', 'churn@1', 'price@1');
  expect(out).toMatch(/score over folds +RocAUC 0\.7900 +RMSE 3\.2400 +not comparable/);
  expect(out).toMatch(/score on holdout +RocAUC 0\.8000 +RMSE 3\.2500 +not comparable/);
  expect(out).toContain('careful: they are judged by different metrics');
});

it('promotes, and the history tells who did', async () => {
  expect((await models('promote', 'churn@2', '--as', 'Challenger', '--weight', '25%')).out).toBe(
    'churn@2 is Challenger of 25% of requests\n',
  );
  expect((await models('show', 'churn@2')).out).toContain('as challenger, 25% of requests');
  const { out } = await models('history', 'churn');
  expect(out).toMatch(/churn@1 +RocAUC 0\.7900 +0\.8000\n[^]*churn@2 +RocAUC 0\.8900/);
  expect(out).toMatch(/promote +run-2-m1 +\{"as":"Challenger","weight":0\.25\}/);
});

it('removes old versions when it is told to, and says before which', async () => {
  const dry = (await models('prune', 'aged', '--keep', '1', '--dry-run')).out;
  expect(dry).toMatch(/^ +VERSION +CREATED[^]*\n +2 +\d{4}-.* 0\.0 +0 +aged-2-m1\n1 version of aged would go\n$/);
  expect((await models('prune', 'aged', '--keep', '1')).out).toMatch(/1 version of aged removed\n$/);
  expect((await models('prune', 'aged', '--keep', '1')).out).toBe('0 versions of aged removed\n');
  const { out } = await models('list', '--name', 'aged');
  expect(out.match(/aged-\d-m1/g)).toEqual(['aged-3-m1', 'aged-1-m1']);
  expect((await models('history', 'aged')).out).toMatch(/prune +aged +\{"keep":1,"versions":\[2\]\}/);
});

it.each([
  { args: ['show', 'nothing'], err: /no model nothing; give an id, a name, or NAME@VERSION/ },
  { args: ['promote', 'churn@2', '--as', 'Challenger', '--weight', '0.1'], err: /percentage/ },
  { args: ['promote', 'churn@2', '--weight', '10%'], err: /--weight goes with --as Challenger/ },
  { args: ['promote', 'churn@9'], err: /no model churn@9/ },
  { args: ['prune', 'nothing', '--keep', '3'], err: /no model of the name nothing/ },
  { args: ['prune', 'churn', '--keep', '0'], err: /whole number from 1 to/ },
  { args: ['prune', 'churn'], err: /--keep/ },
])('ends with 2 and says why for $args', async ({ args, err }) => {
  expect(await models(...args)).toMatchObject({ code: 2, err: expect.stringMatching(err) as string });
});
