import '../testing/pg.ts';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { startPostgres, type TestPostgres } from '@quintet/runtime/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rowsOf } from '../testing/rows.ts';
import { Registry } from './registry.ts';
import type { Promotion } from './rows.ts';

const run = promisify(execFile);
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

const challenger = { mode: 'Challenger', weight: 0.1, minImprovement: 0.01, greaterIsBetter: true } as const;
const finish = async (runId: string, holdout: number) => {
  await registry.startRun({ runId, name: runId, spec: {}, seed: 0, teams: ['a'] });
  return registry.finishRun(runId, rowsOf(`${runId}-m1`, holdout), challenger);
};

it('counts versions, and promotes only what is better by enough', async () => {
  expect(await finish('r1', 0.8)).toEqual({ version: 1, role: 'Champion' });
  expect(await finish('r2', 0.805)).toEqual({ version: 2, role: 'None' });
  expect(await finish('r3', 0.9)).toEqual({ version: 3, role: 'Challenger' });
  expect(await registry.deployment('churn')).toEqual({ champion: 'r1-m1', challenger: 'r3-m1', weight: 0.1 });
  await registry.promote('r3-m1', 'Champion', 0, 'ann');
  expect(await registry.deployment('churn')).toEqual({ champion: 'r3-m1', challenger: null, weight: 0 });
  expect((await registry.models('churn')).map(({ version, active, deployed }) => [version, active, deployed])).toEqual([
    [3, true, true],
    [2, false, false],
    [1, false, false],
  ]);
  expect((await registry.history('r3-m1')).map(({ actor, action }) => [actor, action])).toEqual([
    ['ann', 'promote'],
    ['coordinator', 'register'],
  ]);
});

it('changes who answers for an ended run when its promotion is another, and for nothing else', async () => {
  const none = { ...challenger, mode: 'None' } as const;
  const better = { ...challenger, mode: 'Champion' } as const;
  const spec = (mode: string, more = {}) => ({ promotion: { mode, serving: { replicas: 1 } }, ...more });
  const begin = (mode: string, more = {}) =>
    registry.startRun({ runId: 'v', name: 'v', spec: spec(mode, more), seed: 0, teams: ['b'] });
  const rows = rowsOf('v-m1', 0.8);
  await begin('None');
  await registry.finishRun('v', { ...rows, model: { ...rows.model, name: 'revised' } }, none);
  const revise = async (mode: string, promotion: Promotion, more = {}) => {
    expect(await begin(mode, more)).toMatchObject({ finished: true });
    await registry.reviseRun({ runId: 'v', spec: spec(mode, more), result: { modelId: 'v-m1', more } }, promotion);
  };
  await revise('None', none, { share: ['c'] });
  expect(await registry.resultOf('v')).toMatchObject({ more: { share: ['c'] } });
  expect(await registry.deployment('revised')).toBeUndefined();
  await revise('Champion', better);
  expect(await registry.deployment('revised')).toMatchObject({ champion: 'v-m1' });
  await revise('Challenger', challenger);
  expect(await registry.decisionOn('v-m1')).toEqual({ role: 'Champion' });
  await registry.startRun({ runId: 'w', name: 'w', spec: {}, seed: 0, teams: [] });
  const worse = rowsOf('w-m1', 0.7);
  await registry.finishRun('w', { ...worse, model: { ...worse.model, name: 'revised' } }, none);
  await registry.promote('w-m1', 'Champion', 0, 'ann');
  await revise('Challenger', challenger, { share: ['d'] });
  expect(await registry.deployment('revised')).toMatchObject({ champion: 'w-m1' });
});

it('gives a failed run its budget back when its spec is another, and not when its coordinator only comes again', async () => {
  const begin = (memory: string) =>
    registry.startRun({ runId: 'f', name: 'f', spec: { resources: memory }, seed: 0, teams: [] });
  const first = await begin('1Gi');
  await registry.keepPace(first, 40, 7);
  await registry.failRun(first, 'every pipeline failed');
  const second = await begin('1Gi');
  expect(second).toMatchObject({ before: { seconds: 40, placed: 7 } });
  await registry.failRun(second, 'every pipeline failed');
  expect(await begin('8Gi')).toMatchObject({ before: { seconds: 0, placed: 0 } });
});

it('finds a model by id, by version, or by name: the active one first', async () => {
  expect((await registry.find('r2-m1')).version).toBe(2);
  expect((await registry.find('churn@1')).modelId).toBe('r1-m1');
  expect((await registry.find('churn')).modelId).toBe('r3-m1');
  expect(await registry.models('churn', 'a')).toHaveLength(3);
  expect(await registry.models('churn', 'b')).toEqual([]);
  expect((await registry.history('churn')).map(({ subject }) => subject)).toEqual(['r3-m1', 'r3-m1', 'r2-m1', 'r1-m1']);
  await expect(registry.find('churn@7')).rejects.toMatchObject({ reason: 'InputInvalid' });
});

it('compares no scores of different metrics, and says so', async () => {
  await registry.startRun({ runId: 'loss', name: 'loss', spec: {}, seed: 0, teams: [] });
  const better = { ...challenger, mode: 'Champion', greaterIsBetter: false } as const;
  const { role } = await registry.finishRun('loss', rowsOf('loss-m1', 0.3, 'LogLoss'), better);
  expect(role).toBe('None');
  const [registered] = await registry.history('loss-m1');
  expect(registered!.details).toMatchObject({ why: 'the active model is judged by RocAUC' });
  expect((await registry.deployment('churn'))!.champion).toBe('r3-m1');
});

const begin = (runId: string, resource: { namespace?: string; uid?: string } = {}) =>
  registry.startRun({ runId, name: runId.replace(/-.*/, ''), spec: {}, seed: 0, teams: [], ...resource });
const stateOf = async (runId: string) => (await registry.runs()).find((each) => each.runId === runId);

it('remembers how far a run is, and where its clock cut it', async () => {
  const first = await begin('paced');
  expect(first).toMatchObject({ attempt: 1, before: { seconds: 0, placed: 0 } });
  await registry.keepPace(first, 12.5, 40);
  await registry.keepPace(first, 3, 7);
  const second = await begin('paced');
  expect(second.before).toEqual({ seconds: 12.5, placed: 40 });
  // One that a later one has taken over from has no say.
  await registry.failRun(first, 'lost its queue');
  await registry.keepPace(first, 100, 400);
  await registry.keepCut(first, { placed: 400, ready: [] });
  expect(await stateOf('paced')).toMatchObject({ state: 'Running', seconds: 12.5, placed: 40 });
  await registry.keepCut(second, { placed: 44, ready: [45, 47] });
  await registry.failRun(second, 'no more room');
  expect(await stateOf('paced')).toMatchObject({ state: 'Failed', reason: 'no more room', attempts: 2, placed: 44 });
  expect(await begin('paced')).toEqual({
    runId: 'paced',
    attempt: 3,
    finished: false,
    before: { seconds: 12.5, placed: 44, cut: { placed: 44, ready: [45, 47] } },
  });
});

describe('a run that is not at work any more', () => {
  const silentFor = (runId: string, seconds: number) =>
    run('psql', [
      postgres.url,
      '-c',
      `UPDATE runs SET seen_at = now() - interval '${seconds} s' WHERE run_id = '${runId}'`,
    ]);

  it('says how its coordinator left it, and that it is at work again', async () => {
    const first = await begin('left');
    await registry.leaveRun(first, 'Interrupted', 'told to end');
    expect(await stateOf('left')).toMatchObject({ state: 'Interrupted', reason: 'told to end', completedAt: null });
    const second = await begin('left');
    expect(await stateOf('left')).toMatchObject({ state: 'Running', reason: null, attempts: 2 });
    // One that ends late has no say in what another is at.
    await registry.leaveRun(first, 'Cancelled', 'late');
    expect(await stateOf('left')).toMatchObject({ state: 'Running' });
    await registry.leaveRun(second, 'Cancelled', 'its resource was deleted');
    expect(await stateOf('left')).toMatchObject({ state: 'Cancelled', completedAt: expect.any(Date) as Date });
  });

  it('is Lost when nobody has heard of it for two minutes, until somebody does', async () => {
    const at = await begin('lost');
    await silentFor('lost', 100);
    expect(await stateOf('lost')).toMatchObject({ state: 'Running' });
    await silentFor('lost', 130);
    expect(await stateOf('lost')).toMatchObject({ state: 'Lost' });
    await registry.seeRun({ ...at, attempt: at.attempt + 1 });
    expect(await stateOf('lost')).toMatchObject({ state: 'Lost' });
    await registry.seeRun(at);
    expect(await stateOf('lost')).toMatchObject({ state: 'Running' });
  });

  it('is Lost when nobody goes on for a week with what was interrupted, as where its namespace was deleted, until somebody does', async () => {
    await registry.leaveRun(await begin('abandoned'), 'Interrupted', 'told to end');
    await silentFor('abandoned', 6 * 86_400);
    expect(await stateOf('abandoned')).toMatchObject({ state: 'Interrupted' });
    await silentFor('abandoned', 8 * 86_400);
    expect(await stateOf('abandoned')).toMatchObject({ state: 'Lost', reason: 'told to end' });
    await begin('abandoned');
    expect(await stateOf('abandoned')).toMatchObject({ state: 'Running', reason: null });
  });

  it('is Cancelled once another run of its resource begins, or of a new resource of its name', async () => {
    await begin('spec-1', { namespace: 'team', uid: 'u1' });
    await begin('spec-2', { namespace: 'team', uid: 'u1' });
    expect(await stateOf('spec-1')).toMatchObject({ state: 'Cancelled', reason: 'the run spec-2 has taken its place' });
    // Made anew, and nothing says that the other is not at work, in another cluster maybe.
    await begin('spec-3', { namespace: 'team', uid: 'u2' });
    expect(await stateOf('spec-2')).toMatchObject({ state: 'Running' });
    await silentFor('spec-2', 130);
    await begin('spec-4', { namespace: 'other', uid: 'u3' });
    expect(await stateOf('spec-2')).toMatchObject({ state: 'Lost' });
    await begin('spec-3', { namespace: 'team', uid: 'u2' });
    expect(await stateOf('spec-2')).toMatchObject({ state: 'Cancelled' });
    expect((await registry.runs('spec')).filter(({ state }) => state === 'Running')).toHaveLength(2);
  });

  it('stays what it was when it has ended', async () => {
    const at = await registry.startRun({ runId: 'r2', name: 'r2', spec: {}, seed: 0, teams: [] });
    expect(at.finished).toBe(true);
    await registry.leaveRun(at, 'Cancelled', 'too late');
    await registry.failRun(at, 'too late');
    expect(await stateOf('r2')).toMatchObject({ state: 'Succeeded', reason: null });
  });
});

it('writes a run once, however often it is finished, and all of it or nothing', async () => {
  expect(await finish('r1', 0.8)).toEqual({ version: 1, role: 'None' });
  expect(await registry.individuals('r1')).toHaveLength(2);
  await registry.startRun({ runId: 'bad', name: 'bad', spec: {}, seed: 0, teams: [] });
  const twice = rowsOf('r1-m1', 0.8);
  await expect(registry.finishRun('bad', twice, challenger)).rejects.toMatchObject({
    reason: 'RegistryRefused',
    retryable: false,
  });
  expect(await registry.individuals('bad')).toEqual([]);
});

it('keeps texts that have half of a character or U+0000', async () => {
  await registry.startRun({ runId: 'half', name: 'half', spec: {}, seed: 0, teams: [] });
  const rows = rowsOf('half-m1', 0.8);
  const parameters = { notes: [{ column: 'a', text: '“cut\ud83d”, nul\0' }] };
  await registry.finishRun('half', { ...rows, model: { ...rows.model, name: 'half', parameters } }, challenger);
  expect((await registry.find('half')).parameters).toEqual({
    notes: [{ column: 'a', text: '“cut\ufffd”, nul\ufffd' }],
  });
  const halved = await registry.startRun({ runId: 'halved', name: 'halved', spec: {}, seed: 0, teams: [] });
  await registry.failRun(halved, 'cut\ud83d');
  expect(await registry.resultOf('halved')).toEqual({ error: 'cut\ufffd' });
});
