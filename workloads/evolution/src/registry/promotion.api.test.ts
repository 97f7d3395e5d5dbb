// Who answers under a name, on a real PostgreSQL.
import '../testing/pg.ts';
import { eventually, startPostgres, type TestPostgres } from '@quintet/runtime/testing';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rowsOf } from '../testing/rows.ts';
import { Registry } from './registry.ts';
import type { Promotion } from './rows.ts';

let postgres: TestPostgres;
let registry: Registry;
beforeAll(async () => {
  postgres = await startPostgres();
  registry = await Registry.open(postgres.url);
}, 120_000);
afterAll(async () => {
  await registry.close();
  await postgres.stop();
});

interface Run {
  readonly runId: string;
  /** Of the model; the resource is called so too, unless it says otherwise. */
  readonly name: string;
  readonly resource?: string;
  readonly uid?: string;
  readonly holdout?: number;
  readonly metric?: string;
  readonly mode?: Promotion['mode'];
  readonly changes?: Parameters<typeof rowsOf>[3];
}

const usual: Promotion = { mode: 'Champion', weight: 0.3, minImprovement: 0.01, greaterIsBetter: true };
const modelOf = (runId: string) => `${runId}-m1`;
async function finish({ runId, name, resource = name, uid = 'u1', holdout = 0.9, metric, mode, changes }: Run) {
  await registry.startRun({ runId, name: resource, namespace: 'team', uid, spec: {}, seed: 0, teams: [] });
  const rows = rowsOf(modelOf(runId), holdout, metric, { name, ...changes });
  const { role } = await registry.finishRun(runId, rows, mode ? { ...usual, mode } : usual);
  const decision = await registry.decisionOn(modelOf(runId));
  expect(decision?.role).toBe(role);
  return decision;
}

describe('a name that is used again', () => {
  const fault = { columns: ['load', 'site'], target: 'fault' };

  it('for another target is answered by the new model, however good the old one was', async () => {
    await finish({ runId: 'f1', name: 'faults', holdout: 0.99, changes: fault });
    await finish({ runId: 'f2', name: 'faults', holdout: 0.995, mode: 'Challenger', changes: fault });
    await registry.promote('f2-m1', 'Challenger', 0.2, 'ann');
    expect(await finish({ runId: 'f3', name: 'faults', changes: { ...fault, target: 'churned' } })).toEqual({
      role: 'Champion',
      why: 'it answers something else than f1-m1, which predicts fault',
    });
    expect(await registry.deployment('faults')).toEqual({ champion: 'f3-m1', challenger: null, weight: 0 });
    expect((await registry.models('faults')).filter(({ deployed }) => deployed)).toMatchObject([{ modelId: 'f3-m1' }]);
  });

  it('for another task too', async () => {
    await finish({ runId: 't1', name: 'tasks', holdout: 0.99, metric: 'LogLoss' });
    const next = { runId: 't2', name: 'tasks', metric: 'LogLoss', changes: { task: 'Multiclass' } };
    expect(await finish(next)).toEqual({
      role: 'Champion',
      why: expect.stringMatching(/is for the task Binary/) as string,
    });
  });

  it('for other columns, by a resource that was made anew', async () => {
    await finish({ runId: 'c1', name: 'columns', holdout: 0.99, changes: fault });
    const next = { name: 'columns', holdout: 0.995, changes: { ...fault, columns: ['load', 'pressure'] } };
    // The same resource may have callers that do not send the new column yet.
    expect(await finish({ ...next, runId: 'c2' })).toEqual({
      role: 'None',
      why: 'it answers something else than the active model, which does not know the column pressure',
    });
    expect(await finish({ ...next, runId: 'c3', uid: 'u2', holdout: 0.6 })).toMatchObject({ role: 'Champion' });
    expect((await registry.deployment('columns'))!.champion).toBe('c3-m1');
  });

  it('is answered again by the first run where its resource has come back to the first target, but for a promotion by hand', async () => {
    const promotion = { mode: 'Champion', weight: 0, minImprovement: 0, greaterIsBetter: true } as const;
    const comeBack = () => registry.reviseRun({ runId: 'b1', spec: {}, result: {} }, promotion);
    await finish({ runId: 'b1', name: 'back', changes: fault });
    await comeBack();
    expect(await registry.decisionOn('b1-m1')).toEqual({ role: 'Champion' });
    await finish({ runId: 'b2', name: 'back', changes: { ...fault, target: 'churned' } });
    await comeBack();
    expect(await registry.deployment('back')).toMatchObject({ champion: 'b1-m1' });
    await registry.promote('b2-m1', 'Champion', 0, 'ann');
    await comeBack();
    expect(await registry.deployment('back')).toMatchObject({ champion: 'b2-m1' });
  });

  it('stays with the later run when one that it cancelled ends after all, until the resource comes back to that', async () => {
    const promotion = { mode: 'Champion', weight: 0, minImprovement: 0, greaterIsBetter: true } as const;
    const late = { runId: 'l1', name: 'late', namespace: 'team', uid: 'u1', spec: {}, seed: 0, teams: [] };
    await registry.startRun(late);
    await finish({ runId: 'l2', name: 'late', changes: fault });
    await registry.finishRun('l1', rowsOf('l1-m1', 0.99, 'RocAUC', { name: 'late', ...fault }), promotion);
    expect(await registry.decisionOn('l1-m1')).toEqual({ role: 'None', why: 'the run l2 has taken its place' });
    expect(await registry.deployment('late')).toMatchObject({ champion: 'l2-m1' });
    expect(await registry.startRun(late)).toMatchObject({ finished: true });
    for (let i = 0; i < 2; i++) await registry.reviseRun({ runId: 'l1', spec: {}, result: {} }, promotion);
    expect(await registry.deployment('late')).toMatchObject({ champion: 'l1-m1' });
  });

  it("for other classes of the same target is nobody's rival, by hand or not", async () => {
    await finish({ runId: 'd1', name: 'classes', holdout: 0.8, changes: { classes: ['no', 'yes'] } });
    const words = { runId: 'd2', name: 'classes', holdout: 0.95, changes: { classes: ['bad', 'good'] } };
    expect(await finish(words)).toEqual({
      role: 'None',
      why: 'it answers something else than the active model, which tells “no” from “yes”',
    });
    await expect(registry.promote('d2-m1', 'Challenger', 0.3, 'ann')).rejects.toThrow('which tells “no” from “yes”');
    // Whichever is positive, the area under the curve is the same.
    const turned = { runId: 'd3', name: 'classes', holdout: 0.9, changes: { classes: ['yes', 'no'] } };
    expect(await finish(turned)).toEqual({ role: 'Champion' });
  });

  it('for the other positive class is no rival by F1, though it may stand beside', async () => {
    await finish({ runId: 'e1', name: 'positive', metric: 'F1', holdout: 0.6, changes: { classes: ['no', 'yes'] } });
    const turned = { runId: 'e2', name: 'positive', metric: 'F1', holdout: 0.95, changes: { classes: ['yes', 'no'] } };
    expect(await finish(turned)).toEqual({
      role: 'None',
      why: 'it answers something else than the active model, which is judged by the F1 of “yes”',
    });
    await registry.promote('e2-m1', 'Challenger', 0.3, 'ann');
    expect(await registry.deployment('positive')).toMatchObject({ champion: 'e1-m1', challenger: 'e2-m1' });
  });

  it('by another resource changes nothing where that asks something else', async () => {
    await finish({ runId: 'n1', name: 'shared', resource: 'first', changes: fault });
    const other = { runId: 'n2', name: 'shared', resource: 'second', holdout: 0.999 };
    expect(await finish({ ...other, changes: { ...fault, target: 'churned' } })).toMatchObject({ role: 'None' });
    expect((await registry.deployment('shared'))!.champion).toBe('n1-m1');
  });

  it('competes where it asks for the same, or for fewer columns', async () => {
    await finish({ runId: 's1', name: 'same', holdout: 0.9, changes: fault });
    const fewer = { name: 'same', uid: 'u2', changes: { ...fault, columns: ['load'] } };
    expect(await finish({ ...fewer, runId: 's2', holdout: 0.8 })).toMatchObject({
      role: 'None',
      why: expect.stringMatching(/gain/) as string,
    });
    expect(await finish({ ...fewer, runId: 's3', holdout: 0.95 })).toEqual({ role: 'Champion' });
  });
});

it('lets many promote at once, the last of whom is obeyed', async () => {
  for (const runId of ['p1', 'p2', 'p3']) await finish({ runId, name: 'busy', mode: 'None' });
  const ids = Array.from({ length: 30 }, (_, i) => modelOf(`p${(i % 3) + 1}`));
  await Promise.all(ids.map((id) => registry.promote(id, 'Champion', 0, 'ann')));
  const active = (await registry.models('busy')).filter((model) => model.active);
  expect(active).toHaveLength(1);
  expect(await registry.deployment('busy')).toMatchObject({ champion: active[0]!.modelId });
});

it('keeps a challenger that is better than the next one', async () => {
  await finish({ runId: 'k1', name: 'kept', holdout: 0.8 });
  const next = { name: 'kept', mode: 'Challenger' } as const;
  expect(await finish({ ...next, runId: 'k2', holdout: 0.9 })).toEqual({ role: 'Challenger' });
  expect(await finish({ ...next, runId: 'k3', holdout: 0.85 })).toMatchObject({
    role: 'None',
    why: expect.stringMatching(/^its gain over the present challenger is -0\.05/),
  });
  expect(await finish({ ...next, runId: 'k4', holdout: 0.91 })).toEqual({ role: 'Challenger' });
  expect(await registry.deployment('kept')).toEqual({ champion: 'k1-m1', challenger: 'k4-m1', weight: 0.3 });
});

it('refuses by hand what may never answer', async () => {
  await finish({ runId: 'h1', name: 'hand', holdout: 0.8 });
  await finish({ runId: 'h2', name: 'hand', mode: 'None', changes: { type: 'Constant' } });
  await finish({ runId: 'h3', name: 'hand', mode: 'None', changes: { target: 'churned' } });
  const refused = (id: string, as: 'Champion' | 'Challenger', message: RegExp) =>
    expect(registry.promote(id, as, 0.3, 'ann')).rejects.toMatchObject({
      reason: 'InputInvalid',
      message: expect.stringMatching(message) as string,
    });
  await refused('h1-m1', 'Challenger', /h1-m1 is the champion of hand, and not its own challenger/);
  await refused('h2-m1', 'Champion', /h2-m1 says the same of every row/);
  await refused('h3-m1', 'Challenger', /something else than the champion of hand, which predicts y/);
  expect(await registry.deployment('hand')).toEqual({ champion: 'h1-m1', challenger: null, weight: 0 });
});

describe('old versions of a name', () => {
  const left = async () => (await registry.models('aged')).map(({ version }) => version);

  it('go with what their runs have tried, but for the latest, what answers, what answered before, and fronts', async () => {
    for (const i of [1, 2, 3, 4, 5, 6, 7, 8])
      await finish({ runId: `a${i}`, name: 'aged', holdout: i <= 3 ? 0.5 + i / 10 : 0.1, resource: `a${i}` });
    await finish({ runId: 'other', name: 'younger' });
    const wish = { keep: 2, actor: 'ann' };
    const first = await registry.prune('aged', { ...wish, dryRun: true });
    expect(first).toMatchObject([4, 5, 6].map((version) => ({ version, bytes: 3, individuals: 1 })));
    expect(await left()).toHaveLength(8);
    expect(await registry.prune('aged', { ...wish, keep: 1 })).toHaveLength(5);
    expect(await left()).toEqual([8, 3, 2]);
    expect(await registry.prune('aged', wish)).toEqual([]);
    expect(await registry.deployment('aged')).toMatchObject({ champion: 'a3-m1' });
    expect(await registry.content('a4-m1')).toBeUndefined();
    expect(await registry.individuals('a4')).toHaveLength(1);
    expect(await registry.frontOf('a4')).toHaveLength(1);
    expect(await registry.individuals('a8')).toHaveLength(2);
    expect(await registry.individuals('other')).toHaveLength(2);
    expect((await registry.runs('a4'))[0]).toMatchObject({ state: 'Cancelled', reason: 'its model was pruned' });
    expect((await registry.history('aged'))[0]).toMatchObject({ actor: 'ann', action: 'prune', subject: 'aged' });
  });

  it('are searched for again when their resource comes back, and answer', async () => {
    const wish = { name: 'gone', resource: 'gone' };
    await finish({ ...wish, runId: 'g1', changes: { target: 'fault' } });
    await finish({ ...wish, runId: 'g2', changes: { target: 'churned' } });
    await finish({ ...wish, runId: 'g3', changes: { target: 'left' } });
    expect(await registry.prune('gone', { keep: 1, actor: 'ann' })).toMatchObject([{ modelId: 'g1-m1' }]);
    const again = { runId: 'g1', name: 'gone', namespace: 'team', uid: 'u1', spec: {}, seed: 0, teams: [] };
    expect(await registry.startRun(again)).toMatchObject({ finished: false, before: { seconds: 0, placed: 0 } });
    await finish({ ...wish, runId: 'g1', changes: { target: 'fault' } });
    expect(await registry.find('gone')).toMatchObject({ modelId: 'g1-m1', version: 4 });
    expect(await registry.individuals('g1')).toHaveLength(2);
  });

  it('are counted on, and a name that there is not is said', async () => {
    expect(await finish({ runId: 'a9', name: 'aged', holdout: 0.9 })).toMatchObject({ role: 'Champion' });
    expect(await left()).toEqual([9, 8, 3, 2]);
    const none = registry.prune('nobody', { keep: 1, actor: 'ann' });
    await expect(none).rejects.toMatchObject({ reason: 'InputInvalid' });
  });
});

it.each([
  ['the end of a run', (run: Run) => finish(run)],
  ['a revision', ({ runId }: Run) => registry.reviseRun({ runId, spec: {}, result: {} }, usual)],
])('%s holds no row while it waits for whoever changes the name', async (title, work) => {
  const run = { runId: `waits for ${title}`, name: `locked by ${title}` };
  await (title === 'a revision' ? finish(run) : registry.startRun({ ...run, spec: {}, seed: 0, teams: [] }));
  const prune = new pg.Client(postgres.url);
  await prune.connect();
  try {
    await prune.query('BEGIN');
    await prune.query('SELECT pg_advisory_xact_lock(hashtext($1))', [run.name]);
    const working = work(run);
    const waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    await eventually(async () => expect((await prune.query(waiting)).rowCount).toBe(1));
    await prune.query('SELECT 1 FROM runs WHERE run_id = $1 FOR UPDATE NOWAIT', [run.runId]);
    await prune.query('COMMIT');
    await working;
  } finally {
    await prune.end();
  }
});
