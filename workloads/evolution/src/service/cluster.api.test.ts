// Real Redis, real PostgreSQL, real processes: what a run in a cluster goes through.
import '../testing/pg.ts';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type EvolutionRun, evolutionRun, parseStored } from '@quintet/crds';
import {
  eventually,
  freePort,
  startPostgres,
  startRedis,
  type TestPostgres,
  type TestRedis,
} from '@quintet/runtime/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openRedis } from '../queue/store.ts';
import { randomOf } from '../random.ts';
import { Registry } from '../registry/registry.ts';
import { openModel } from '../run/model.ts';
import { lagOf } from '../search/search.ts';
import { runIdOf } from './coordinator.ts';

/** Milliseconds for a process to start on a machine that does much else. */
const patience = 60_000;
const program = new URL('../main.ts', import.meta.url).pathname;
let redis: TestRedis;
let postgres: TestPostgres;
let folder: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  [redis, postgres, folder] = await Promise.all([
    startRedis(),
    startPostgres(),
    mkdtemp(join(tmpdir(), 'quintet-cluster-')),
  ]);
  const random = randomOf('cluster');
  const rows = Array.from({ length: 150 }, () => {
    const [a, b] = [random.normal(), random.normal()];
    return `${a},${b},${random.pick(['u', 'v', 'w'])},${a * b + 0.3 * random.normal() > 0 ? 'yes' : 'no'}`;
  });
  await writeFile(join(folder, 'data.csv'), `a,b,c,y\n${rows.join('\n')}\n`);
}, 180_000);
afterEach(() => {
  for (const child of children.splice(0)) if (child.exitCode === null) child.kill('SIGKILL');
});
afterAll(async () => {
  await Promise.all([redis.stop(), postgres.stop()]);
  await rm(folder, { recursive: true, force: true });
});

/** A run that no clock cuts. The data comes over HTTP in no test: a served file needs a server, a claim its path. */
function resourceOf(name: string, url: string, spec: object = {}): EvolutionRun {
  return parseStored(evolutionRun, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'EvolutionRun',
    metadata: { name, namespace: 'test', uid: `uid-${name}` },
    spec: {
      dataset: { source: { http: { url } }, target: 'y', task: 'Binary' },
      search: {
        population: 8,
        generations: 2,
        islands: 2,
        learners: ['Linear', 'NearestNeighbors', 'NaiveBayes'],
        seed: 3,
      },
      validation: { folds: 3 },
      budget: { time: '10m' },
      promotion: { model: 'churn', mode: 'Champion' },
      ...spec,
    },
  });
}

let table: Promise<string> | undefined;

/** The address of the data: one and the same, for it is part of a run's id. */
function served(): Promise<string> {
  table ??= serve();
  return table;
}

async function serve(): Promise<string> {
  const { createServer } = await import('node:http');
  const bytes = await readFile(join(folder, 'data.csv'));
  const server = createServer((_, response) => response.end(bytes)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.unref();
  return `http://127.0.0.1:${(server.address() as { port: number }).port}/data.csv`;
}

/** The results of a run are gone from the registry, as when its last transaction did not come about. */
async function unwrite(runId: string): Promise<void> {
  const statement = `
    DELETE FROM model_metadata WHERE evolution_id = '${runId}';
    DELETE FROM individuals WHERE run_id = '${runId}';
    DELETE FROM generations WHERE run_id = '${runId}';
    UPDATE runs SET phase = 'Running', result = NULL, completed_at = NULL WHERE run_id = '${runId}'`;
  await promisify(execFile)('psql', [postgres.url, '-c', statement]);
}

interface Started {
  readonly child: ChildProcess;
  readonly port: number;
  readonly ended: Promise<number | null>;
  readonly said: () => Promise<Record<string, unknown>>;
}

async function start(
  role: 'coordinator' | 'worker' | 'serve',
  resource: EvolutionRun,
  env: NodeJS.ProcessEnv = {},
): Promise<Started> {
  const port = await freePort();
  const file = join(folder, `${role}-${port}.json`);
  const log = join(folder, `${role}-${port}.log`);
  await writeFile(file, JSON.stringify(resource));
  const child = spawn(process.execPath, ['--conditions=source', program, role], {
    env: {
      ...process.env,
      QUINTET_RESOURCE: file,
      PORT: String(port),
      QUINTET_TERMINATION_LOG: log,
      QUINTET_REDIS_URL: redis.url,
      QUINTET_POSTGRES_URL: postgres.url,
      ...env,
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  children.push(child);
  return {
    child,
    port,
    ended: once(child, 'exit').then(([code]) => code as number | null),
    said: async () => JSON.parse(await readFile(log, 'utf8')) as Record<string, unknown>,
  };
}

/** A worker that is there before the clock of a run begins. */
async function startedWorker(resource: EvolutionRun): Promise<Started> {
  const worker = await start('worker', resource);
  await eventually(() => fetch(`http://127.0.0.1:${worker.port}/progress`), patience);
  return worker;
}

describe('a run in a cluster', () => {
  it('ends with the same registry rows however often workers, coordinator and Redis die', async () => {
    const url = await served();
    const calm = resourceOf('calm', url);
    const worker = await start('worker', calm);
    const coordinator = await start('coordinator', calm, { QUINTET_OUTPUT: join(folder, 'out') });
    expect(await coordinator.ended).toBe(0);
    worker.child.kill('SIGTERM');
    expect(await worker.ended).toBe(0);
    const said = await coordinator.said();
    expect(said).toMatchObject({
      step: 'coordinator',
      runId: runIdOf(calm),
      best: { score: expect.stringMatching(/^0\.\d{5}$/) },
    });

    const stormy = resourceOf('stormy', url);
    await redis.kill();
    await redis.start();
    const first = await start('coordinator', stormy);
    const workers = [await start('worker', stormy), await start('worker', stormy)];
    await eventually(async () => {
      const { placed } = (await (await fetch(`http://127.0.0.1:${first.port}/progress`)).json()) as { placed?: number };
      expect(placed).toBeGreaterThan(1);
    }, patience);
    workers[0]!.child.kill('SIGKILL');
    first.child.kill('SIGKILL');
    await redis.kill();
    await redis.start();
    await start('worker', stormy);
    const second = await start('coordinator', stormy);
    expect(await second.ended).toBe(0);

    const registry = await Registry.open(postgres.url);
    try {
      const rows = await registry.individuals(runIdOf(stormy));
      expect(rows).toEqual(await registry.individuals(runIdOf(calm)));
      expect(rows.length).toBeGreaterThan(6);
      const [later, earlier] = await registry.models('churn');
      expect([later!.version, earlier!.version]).toEqual([2, 1]);
      expect([later!.score, later!.holdout]).toEqual([earlier!.score, earlier!.holdout]);
      for (const name of ['calm', 'stormy']) {
        const [run] = await registry.runs(name);
        expect(run).toMatchObject({ state: 'Succeeded', seconds: expect.any(Number) as number });
        expect(run!.placed).toBeGreaterThanOrEqual(rows.length);
      }
      const model = openModel((await registry.content(later!.modelId))!, later!.sha256);
      expect((await model.predict([{ a: 2, b: 2, c: 'u' }])).values[0]).toBeGreaterThan(0);
      model.close();
      // The first was better than nothing; the second is not better than the first.
      expect(await registry.deployment('churn')).toMatchObject({ champion: expect.stringContaining('-m1') });
      expect((await registry.history(earlier!.modelId)).map(({ action }) => action)).toEqual(['register']);
    } finally {
      await registry.close();
    }
  }, 240_000);

  it('that has ended is not searched again for what its coordinator does with it, and writes files where there are none', async () => {
    const url = await served();
    const promoted = { model: 'churn', mode: 'Champion' };
    const output = { persistentVolumeClaim: { claimName: 'models', path: 'churn' } };
    const revised = resourceOf('stormy', url, { promotion: promoted, output, share: ['billing'] });
    const runId = runIdOf(revised);
    expect(runId).toBe(runIdOf(resourceOf('stormy', url)));
    const registry = await Registry.open(postgres.url);
    const before = await registry.models('churn');
    await start('worker', revised);
    const coordinator = await start('coordinator', revised, { QUINTET_OUTPUT: join(folder, 'revised') });
    expect(await coordinator.ended).toBe(0);
    expect(await coordinator.said()).toMatchObject({
      runId,
      output: { uri: `claim://models/churn/${runId}` },
      promotion: { role: 'None', why: 'its gain over the active model is 0' },
    });
    const [model] = await registry.models('churn', 'billing');
    expect(await registry.models('churn')).toEqual(before);
    const sums = await readFile(join(folder, 'revised', runId, 'SHA256SUMS'), 'utf8');
    expect(sums).toContain(`${model!.sha256}  model.quintet`);

    // The data are gone, and nobody asks for them: the files are there.
    const again = resourceOf('stormy', url, { promotion: { ...promoted, mode: 'Challenger' }, output });
    const quick = await start('coordinator', again, { QUINTET_OUTPUT: join(folder, 'no-such-folder') });
    expect(await quick.ended).toBe(0);
    expect((await registry.history(model!.modelId))[0]).toMatchObject({ action: 'revise', details: { role: 'None' } });
    await registry.close();
  }, 240_000);

  it('is served by a pod of its own once its model is promoted', async () => {
    const serving = await start('serve', resourceOf('calm', 'http://127.0.0.1:1/no-data-is-needed'));
    const url = `http://127.0.0.1:${serving.port}`;
    await eventually(async () => expect((await fetch(`${url}/readyz`)).status).toBe(200), patience);
    const answer = await fetch(`${url}/v1/predict`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ rows: [{ a: 2, b: 2, c: 'u' }] }),
    });
    expect(await answer.json()).toMatchObject({
      model: { id: expect.stringContaining('-m1') as string, role: 'Champion' },
      predictions: [{ class: expect.stringMatching(/yes|no/) as string }],
      problems: [],
    });
    serving.child.kill('SIGTERM');
    expect(await serving.ended).toBe(0);
  }, 120_000);

  it('loses no attempt of a task when busy workers are told to end, and waits for data that Redis has lost', async () => {
    const url = await served();
    const spec = { evaluation: { retries: 0 }, caches: { dataset: '20m' } };
    const calm = resourceOf('calm-again', url, spec);
    await redis.kill();
    await redis.start();
    const quiet = await start('worker', calm);
    expect(await (await start('coordinator', calm)).ended).toBe(0);
    quiet.child.kill('SIGTERM');
    await quiet.ended;

    await redis.kill();
    await redis.start();
    const rough = resourceOf('rough', url, spec);
    const coordinator = await start('coordinator', rough);
    const client = openRedis(redis.url);
    const chunks = () => client.keys('quintet:evolution:data:*:chunks');
    await eventually(async () => expect(await chunks()).toHaveLength(1), patience);
    await client.flushall();
    const told = async () => {
      const worker = await start('worker', rough);
      await eventually(async () => {
        const page = await fetch(`http://127.0.0.1:${worker.port}/progress`).then((answer) => answer.json());
        expect((page as { busy: number }).busy).toBe(1);
      }, patience);
      worker.child.kill('SIGTERM');
      expect(await worker.ended).toBe(0);
    };
    for (let i = 0; i < 3; i++) await told();
    await client.flushall();
    client.disconnect();
    await start('worker', rough);
    expect(await coordinator.ended).toBe(0);
    expect(await coordinator.said()).toMatchObject({ evaluations: { failed: 0 } });
    const registry = await Registry.open(postgres.url);
    expect(await registry.individuals(runIdOf(rough))).toEqual(await registry.individuals(runIdOf(calm)));
    await registry.close();
  }, 240_000);

  it('that its clock has cut is repeated to the same end, and hardly anything of it is worked on twice', async () => {
    const search = { population: 8, generations: 1000, islands: 2, learners: ['Linear', 'NearestNeighbors'], seed: 9 };
    const cut = resourceOf('cut', await served(), {
      search,
      earlyStopping: { generations: 1000 },
      budget: { time: '6s' },
      promotion: { model: 'cut' },
    });
    const runId = runIdOf(cut);
    const worker = await startedWorker(cut);
    const tasksDone = async () => {
      const page = await fetch(`http://127.0.0.1:${worker.port}/progress`);
      return ((await page.json()) as { done: number }).done;
    };
    const registry = await Registry.open(postgres.url);
    const outcome = async (out: string) => {
      const text = await readFile(join(folder, out, runId, 'metrics.json'), 'utf8');
      const {
        seconds: _s,
        inferenceMilliseconds: _i,
        importance: _m,
        tasks: _t,
        evaluations,
        ...found
      } = JSON.parse(text) as Record<string, unknown>;
      // How much was found in the cache is all that may differ.
      const counts = { ...(evaluations as object), cached: 0 };
      const [model] = await registry.models('cut');
      return { ...found, counts, individuals: await registry.individuals(runId), sha256: model?.sha256 };
    };
    expect(await (await start('coordinator', cut, { QUINTET_OUTPUT: join(folder, 'once') })).ended).toBe(0);
    const first = await outcome('once');
    const done = await tasksDone();
    expect(first).toMatchObject({ reason: 'Clock', cut: { placed: expect.any(Number) as number } });
    expect(first.individuals.length).toBeGreaterThan(10);

    // As if the first had died before it could write, and the second had nowhere to.
    await unwrite(runId);
    await writeFile(join(folder, 'no-folder'), '');
    const nowhere = await start('coordinator', cut, { QUINTET_OUTPUT: join(folder, 'no-folder', 'out') });
    expect(await nowhere.ended).toBe(75);
    expect(await nowhere.said()).toMatchObject({ error: { reason: 'OutputUnwritable' } });
    expect((await registry.runs('cut'))[0]).toMatchObject({ state: 'Interrupted', attempts: 2 });
    expect(await (await start('coordinator', cut, { QUINTET_OUTPUT: join(folder, 'again') })).ended).toBe(0);
    expect(await outcome('again')).toEqual(first);
    const folds = 3;
    expect((await tasksDone()) - done).toBeLessThanOrEqual(folds * lagOf(search.population));
    await registry.close();
  }, 240_000);

  it('says in the registry whether it goes on, or was cancelled, when its coordinator is told to end', async () => {
    const told = resourceOf('told', await served(), {
      search: { population: 8, generations: 1000, islands: 2, learners: ['Linear', 'NearestNeighbors'], seed: 12 },
      earlyStopping: { generations: 1000 },
    });
    await start('worker', told);
    const registry = await Registry.open(postgres.url);
    const searching = async () => {
      const coordinator = await start('coordinator', told);
      await eventually(async () => {
        const page = await fetch(`http://127.0.0.1:${coordinator.port}/progress`).then((answer) => answer.json());
        expect((page as { placed?: number }).placed).toBeGreaterThan(1);
      }, patience);
      expect((await registry.runs('told'))[0]).toMatchObject({ runId: runIdOf(told), state: 'Running', reason: null });
      return coordinator;
    };
    const interrupted = await searching();
    interrupted.child.kill('SIGTERM');
    expect(await interrupted.ended).toBe(143);
    expect((await registry.runs('told'))[0]).toMatchObject({ state: 'Interrupted', attempts: 1, completedAt: null });
    const cancelled = await searching();
    const word = await fetch(`http://127.0.0.1:${cancelled.port}/cancelled`, { method: 'POST' });
    expect(word.status).toBe(202);
    cancelled.child.kill('SIGTERM');
    expect(await cancelled.ended).toBe(143);
    expect((await registry.runs('told'))[0]).toMatchObject({
      state: 'Cancelled',
      attempts: 2,
      reason: 'its resource was deleted',
    });
    await registry.close();
  }, 240_000);

  it('ends at its budget while Redis is away', async () => {
    const lonely = resourceOf('lonely', await served(), {
      search: { population: 8, generations: 1000, islands: 2, learners: ['Linear', 'NearestNeighbors'], seed: 10 },
      earlyStopping: { generations: 1000 },
      budget: { time: '10s' },
    });
    await startedWorker(lonely);
    const coordinator = await start('coordinator', lonely);
    await eventually(async () => {
      const page = await fetch(`http://127.0.0.1:${coordinator.port}/progress`).then((answer) => answer.json());
      expect((page as { placed?: number }).placed).toBeGreaterThan(3);
    }, patience);
    await redis.kill();
    expect(await coordinator.ended).toBe(0);
    expect(await coordinator.said()).toMatchObject({ best: { score: expect.stringMatching(/^0\.\d{5}$/) } });
    await redis.start();
  }, 120_000);

  it('says in its termination log which column is wrong, and writes no model', async () => {
    const resource = resourceOf('wrong', await served(), {
      dataset: { source: { http: { url: await served() } }, target: 'z', task: 'Binary' },
    });
    const coordinator = await start('coordinator', resource);
    expect(await coordinator.ended).toBe(78);
    expect(await coordinator.said()).toMatchObject({
      step: 'coordinator',
      error: { reason: 'DataInvalid', field: 'spec.dataset.target', message: expect.stringContaining('no column z') },
    });
    const registry = await Registry.open(postgres.url);
    expect((await registry.runs('wrong'))[0]).toMatchObject({ runId: runIdOf(resource), state: 'Failed' });
    await registry.close();
  }, 120_000);

  it('fails where its budget is too short for any pipeline, and writes no model', async () => {
    const resource = resourceOf('short', await served(), { budget: { time: '2s' }, promotion: { mode: 'Champion' } });
    // Without a worker.
    const coordinator = await start('coordinator', resource, { QUINTET_OUTPUT: join(folder, 'short') });
    expect(await coordinator.ended).toBe(78);
    expect(await coordinator.said()).toMatchObject({
      step: 'coordinator',
      error: { reason: 'BudgetTooShort', field: 'spec.budget.time', message: expect.stringContaining('in 2s') },
    });
    await expect(access(join(folder, 'short'))).rejects.toThrow('ENOENT');
    const registry = await Registry.open(postgres.url);
    expect((await registry.runs('short'))[0]).toMatchObject({ state: 'Failed' });
    expect(await registry.models('short')).toEqual([]);
    expect((await registry.deployment('short'))?.champion ?? null).toBeNull();
    await registry.close();
  }, 120_000);

  it('ends with 75, to be tried again, while PostgreSQL or the data is away', async () => {
    const port = await freePort();
    const resource = resourceOf('away', `http://127.0.0.1:${port}/data.csv`);
    const withoutData = await start('coordinator', resource);
    const withoutRegistry = await start('coordinator', resource, {
      QUINTET_POSTGRES_URL: `postgres://nobody@127.0.0.1:${port}/x`,
    });
    expect([await withoutData.ended, await withoutRegistry.ended]).toEqual([75, 75]);
    expect(await withoutData.said()).toMatchObject({ error: { reason: 'DataUnreadable' } });
    expect(await withoutRegistry.said()).toMatchObject({ error: { reason: 'RegistryUnavailable' } });
  }, 120_000);
});
